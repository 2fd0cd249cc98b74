"""A company's directory: Debian's slapd with a few people, on this machine's addresses, in a folder of its own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import socket
import subprocess
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port
from tests.support import end

__all__ = [
    "BASE",
    "GUID",
    "PASSWORDS",
    "SERVICE",
    "SERVICE_PASSWORD",
    "Slapd",
    "make_ca",
    "slapd",
]

BASE = "dc=example,dc=com"
SERVICE = f"cn=reader,{BASE}"
SERVICE_PASSWORD = "reads only"  # noqa: S105 - of a server that lives for a test
PASSWORDS = {"li.wenjing": "静水流深 7", "zhang.wei": "correct horse", "twin": "one of two"}
GUID = uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
"""The objectGUID of 李文静."""

Entry = list[tuple[str, str | bytes]]

# Names as in Active Directory, with the rules to compare by that Debian's copy of its schema leaves out.
_SCHEMA = """
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.141 NAME 'department' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.102 NAME 'memberOf' EQUALITY distinguishedNameMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' AUXILIARY
  MAY ( sAMAccountName $ objectGUID $ department $ memberOf ) )
"""

_CONFIG = """
modulepath /usr/lib/ldap
moduleload back_mdb
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
{schema}
pidfile {folder}/pid
{tls}
sizelimit 100
database mdb
suffix "{base}"
directory {folder}/data
maxsize 8388608
dbnosync
index objectClass,uid eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by self read by anonymous auth by * none
"""

_TLS = """
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
"""


@dataclass(frozen=True)
class Slapd:
    """Where it listens."""

    folder: Path
    port: int
    tls_port: int
    pid: int

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def socket_url(self) -> str:
        return f"ldapi://{quote(str(self.folder / 'socket'), safe='')}"

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")


@contextmanager
def slapd(
    folder: Path, *, referral: str = "ldap://127.0.0.1:9", names: tuple[str, ...] = ("localhost", "127.0.0.1")
) -> Iterator[Slapd]:
    """Start one, and end it.

    Args:
        folder: An empty one.
        referral: Where its entry ou=elsewhere points to.
        names: Those in its certificate; none: it has none, and knows no TLS.
    """
    program = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip("slapd is not installed (Debian's package slapd)")
    (folder / "data").mkdir()
    if names:
        make_ca(folder, names)
    (folder / "slapd.conf").write_text(
        _CONFIG.format(
            schema=_SCHEMA,
            folder=folder,
            tls=_TLS.format(folder=folder) if names else "",
            base=BASE,
            service=SERVICE,
        )
    )
    (folder / "people.ldif").write_text(_people(referral))
    config = ["-f", str(folder / "slapd.conf")]
    added = subprocess.run(
        [program, "-T", "add", *config, "-l", str(folder / "people.ldif")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert added.returncode == 0, added.stderr
    port, tls_port = free_port(), free_port()
    address = quote(str(folder / "socket"), safe="")
    where = f"ldap://127.0.0.1:{port}/ ldapi://{address}/" + (
        f" ldaps://127.0.0.1:{tls_port}/" if names else ""
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-d", "stats", *config, "-h", where], stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield Slapd(folder, port, tls_port, process.pid)
    finally:
        end(process)


def make_ca(folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> None:
    """Write ca.pem, and server.pem with server.key, which it signed for these names."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Example CA {uuid.uuid4()}")])
    now = dt.datetime.now(dt.UTC)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )

    ca = (
        builder(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternatives = [_general(name) for name in names]
    server = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key())
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("slapd does not listen")


def _people(referral: str) -> str:
    people, groups = f"ou=people,{BASE}", f"ou=groups,{BASE}"
    wenjing, wei = f"uid=li.wenjing,{people}", f"uid=zhang.wei,{people}"
    units = [people, groups, f"ou=old,{people}", f"ou=clubs,{BASE}"]
    members = {
        f"cn=radiology,{groups}": [wenjing],
        f"cn=读片组,{groups}": [wenjing, wei],
        f"cn=nobody,{groups}": [SERVICE],
        f"cn=administrators,ou=clubs,{BASE}": [wenjing],
    }
    entries: list[Entry] = [
        [("dn", BASE), ("objectClass", "dcObject"), ("objectClass", "organization"), ("o", "Example")],
        [
            ("dn", SERVICE),
            ("objectClass", "organizationalRole"),
            ("objectClass", "simpleSecurityObject"),
            ("userPassword", SERVICE_PASSWORD),
        ],
    ]
    entries += [[("dn", dn), ("objectClass", "organizationalUnit")] for dn in units]
    entries += [
        [
            *_entry(wenjing, "li.wenjing", "李文静", "Radiology 放射科"),
            ("objectClass", "user"),
            ("sAMAccountName", "LiWenjing"),
            ("objectGUID", GUID.bytes_le),
            ("department", "放射科"),
            ("displayName", "李文静"),
            ("memberOf", f"cn=radiology,{groups}"),
            ("memberOf", f"cn=administrators,ou=clubs,{BASE}"),
        ],
        _entry(wei, "zhang.wei", "Zhang Wei", "Archive"),
        _entry(f"uid=twin,{people}", "twin", "Twin One", "A"),
        _entry(f"uid=twin,ou=old,{people}", "twin", "Twin Two", "B"),
        _entry(f"uid=silent,{people}", "silent", "No Password", "A"),
        [
            ("dn", f"ou=elsewhere,{people}"),
            ("objectClass", "referral"),
            ("objectClass", "extensibleObject"),
            ("ref", f"{referral}/ou=people,dc=elsewhere"),
        ],
    ]
    entries += [
        [("dn", dn), ("objectClass", "groupOfNames"), *(("member", member) for member in held)]
        for dn, held in members.items()
    ]
    return "\n\n".join("\n".join(_line(name, value) for name, value in entry) for entry in entries) + "\n"


def _entry(dn: str, login: str, name: str, department: str) -> Entry:
    made: Entry = [
        ("dn", dn),
        ("objectClass", "inetOrgPerson"),
        ("uid", login),
        ("cn", name),
        ("sn", name),
        ("departmentNumber", department),
    ]
    return made + ([("userPassword", PASSWORDS[login])] if login in PASSWORDS else [])


def _line(name: str, value: str | bytes) -> str:
    data = value.encode() if isinstance(value, str) else value
    return f"{name}:: {b64encode(data).decode()}"
