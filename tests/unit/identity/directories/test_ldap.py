"""Against a real slapd, and against servers that misbehave."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.slapd import BASE, GUID, PASSWORDS, SERVICE, SERVICE_PASSWORD, Slapd, make_ca, slapd
from tests.support import alone, left_open, opened
from vlpro.errors import ConfigError, DirectoryUnavailableError
from vlpro.identity.directories.interface import DirectoryPerson
from vlpro.identity.directories.options import LdapOptions

pytest.importorskip("ldap", reason="the package of the extra ldap is not installed (make ldap)")

from vlpro.identity.directories.ldap import LdapDirectory

LOGIN, PASSWORD = "li.wenjing", PASSWORDS["li.wenjing"]
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"


@pytest.fixture(scope="module")
def pointed_at() -> Iterator[socket.socket]:
    """Where the directory's referral points to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pointed_at: socket.socket) -> Iterator[Slapd]:
    port = pointed_at.getsockname()[1]
    with slapd(tmp_path_factory.mktemp("slapd"), referral=f"ldap://127.0.0.1:{port}") as running:
        yield running


@contextmanager
def directory(url: str, **settings: Any) -> Iterator[LdapDirectory]:
    usual = {
        "base_dn": PEOPLE,
        "bind_dn": SERVICE,
        "bind_password": SERVICE_PASSWORD,
        "group_base_dn": GROUPS,
    }
    made = LdapDirectory(LdapOptions.model_validate(usual | {"url": url} | settings))
    try:
        yield made
    finally:
        made.close()


def heard(server: Slapd) -> str:
    """What slapd did so far, as far as it has written it down."""
    time.sleep(0.05)
    return (server.folder / "log").read_text(errors="replace")


def hears(server: Slapd, words: str) -> bool:
    """Whether slapd writes down something, which it may do after its answer."""
    return ends(lambda: words in heard(server))


def came(server: Slapd) -> int:
    """How often somebody connected: that they went is written down later, at any time."""
    return heard(server).count(" ACCEPT ")


@pytest.mark.parametrize("way", ["plain", "start_tls", "ldaps", "ldapi"])
def test_a_person_with_the_right_password(server: Slapd, way: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "plain": {"url": server.url},
        "start_tls": {"url": server.url, "start_tls": True, "ca": server.ca},
        "ldaps": {"url": server.tls_url, "ca": server.ca},
        "ldapi": {"url": server.socket_url},
    }
    with directory(**settings[way]) as it:
        person = it.check(LOGIN, PASSWORD)
    assert person is not None
    assert person == DirectoryPerson(
        source="ldap",
        subject=person.subject,
        login="li.wenjing",
        name="李文静",
        department="Radiology 放射科",
        groups=frozenset({"radiology", "读片组"}),
    )
    assert len(person.subject) == 36
    if way in {"start_tls", "ldaps"}:
        binds = [line for line in heard(server).splitlines() if f'uid={LOGIN},{PEOPLE}" mech=SIMPLE' in line]
        assert "bind_ssf=0 ssf=256" in binds[-1]


def test_the_login_is_the_directorys_and_the_subject_lasts(server: Slapd) -> None:
    with directory(server.url) as it:
        people = [it.check(login, PASSWORD) for login in ("li.wenjing", "LI.WENJING", "  li.wenjing ")]
        other = it.check("zhang.wei", PASSWORDS["zhang.wei"])
    assert {person.login for person in people if person} == {"li.wenjing"}
    assert len({person.subject if person else None for person in people}) == 1
    assert other is not None
    assert other.groups == {"读片组"}
    assert other.subject != (people[0] and people[0].subject)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        pytest.param(LOGIN, "wrong", id="wrong password"),
        pytest.param(LOGIN, PASSWORD + " ", id="almost"),
        pytest.param("nobody", PASSWORD, id="unknown"),
        pytest.param("silent", "anything", id="has no password"),
        pytest.param("reader", SERVICE_PASSWORD, id="not below the base"),
        pytest.param("twin", PASSWORDS["twin"], id="two people of one login"),
        pytest.param("*", PASSWORD, id="wildcard"),
        pytest.param("li*", PASSWORD, id="prefix"),
        pytest.param("*)(uid=*", PASSWORD, id="injection"),
        pytest.param("zhang.wei)(|(uid=li.wenjing", PASSWORD, id="injection of another person"),
        pytest.param("li.wenjing)(objectClass=*", PASSWORD, id="injection of a condition"),
        pytest.param("\\2a", PASSWORD, id="escaped wildcard"),
        pytest.param("{login}", PASSWORD, id="the template's own words"),
    ],
)
@pytest.mark.parametrize("template", ["", "uid={login}," + PEOPLE], ids=["search", "template"])
def test_refused(server: Slapd, login: str, password: str, template: str) -> None:
    if template and login == "twin":
        login = "twin,ou=old"  # a template names one of them, and only below its own place
    settings = {"user_dn_template": template, "bind_dn": "", "bind_password": ""} if template else {}
    with directory(server.url, **settings) as it:
        assert it.check(login, password) is None


@pytest.mark.parametrize("password", ["", "\0", "a\0b", "x" * 1025, "\ud800"])
@pytest.mark.parametrize("template", ["", "uid={login}," + PEOPLE], ids=["search", "template"])
def test_a_senseless_password_is_not_sent(server: Slapd, password: str, template: str) -> None:
    before = came(server)
    settings = {"user_dn_template": template, "bind_dn": "", "bind_password": ""} if template else {}
    with directory(server.url, **settings) as it:
        assert it.check(LOGIN, password) is None
    assert came(server) == before


def test_an_empty_password_is_not_sent_even_past_the_base(server: Slapd) -> None:
    with directory(server.url) as it:
        assert it._check(LOGIN, "", time.monotonic() + 60) is None
    assert f'BIND dn="uid={LOGIN},{PEOPLE}" method=128' not in heard(server).rpartition("ACCEPT")[2]


def test_a_login_is_one_part_of_a_name(server: Slapd) -> None:
    """With a comma it would name somebody of another place."""
    with directory(
        server.url, user_dn_template="uid={login}," + PEOPLE, bind_dn="", bind_password="", group_base_dn=""
    ) as it:
        assert it.check("twin,ou=old", PASSWORDS["twin"]) is None
    last = heard(server).rpartition("ACCEPT")[2]
    assert 'BIND dn="uid=twin' in last
    assert f'BIND dn="uid=twin,ou=old,{PEOPLE}"' not in last


@pytest.mark.parametrize("login", ["", "x" * 257, "li\nwenjing", "li\0wenjing", "\u202eli", "\ud800"])
def test_a_senseless_login_is_not_sent(server: Slapd, login: str) -> None:
    before = came(server)
    with directory(server.url) as it:
        assert it.check(login, PASSWORD) is None
    assert came(server) == before


def test_by_template_the_person_reads_the_own_entry(server: Slapd) -> None:
    with directory(
        server.url, user_dn_template="uid={login}," + PEOPLE, bind_dn="", bind_password="", group_base_dn=""
    ) as it:
        person = it.check(LOGIN, PASSWORD)
        assert it.check(f"{LOGIN},ou=old", PASSWORD) is None
    assert person is not None
    assert (person.name, person.groups) == ("李文静", frozenset())
    with directory(
        server.url,
        user_dn_template="uid={login}," + PEOPLE,
        user_filter="(&(uid={login})(departmentNumber=Archive))",
        bind_dn="",
        bind_password="",
        group_base_dn="",
    ) as it:
        assert it.check(LOGIN, PASSWORD) is None
        assert it.check("zhang.wei", PASSWORDS["zhang.wei"]) is not None


ACTIVE_DIRECTORY = {
    "user_filter": "(&(objectClass=user)(sAMAccountName={login}))",
    "id_attribute": "objectGUID",
    "id_format": "guid",
    "login_attribute": "sAMAccountName",
    "name_attribute": "displayName",
    "department_attribute": "department",
}


def test_names_of_active_directory(server: Slapd) -> None:
    with directory(server.url, **ACTIVE_DIRECTORY) as it:
        assert it.check("liwenjing", PASSWORD) == DirectoryPerson(
            "ldap", str(GUID), "LiWenjing", "李文静", "放射科", frozenset({"radiology", "读片组"})
        )


def test_an_identifier_of_other_bytes(server: Slapd) -> None:
    with directory(server.url, id_attribute="cn", id_format="hex") as it:
        person = it.check(LOGIN, PASSWORD)
    assert person is not None
    assert person.subject == "李文静".encode().hex()


def test_groups_that_the_person_lists_count_below_the_base_only(server: Slapd) -> None:
    """A club may be called like the administrators."""
    with directory(server.url, **ACTIVE_DIRECTORY, member_of_attribute="memberOf") as it:
        person = it.check("LiWenjing", PASSWORD)
    assert person is not None
    assert person.groups == {"radiology"}


def test_groups_of_other_places_are_not_found(server: Slapd) -> None:
    with directory(server.url, group_base_dn=f"ou=clubs,{BASE}") as it:
        person = it.check(LOGIN, PASSWORD)
    assert person is not None
    assert person.groups == {"administrators"}


def test_a_referral_is_not_followed(server: Slapd, pointed_at: socket.socket) -> None:
    with directory(server.url) as it:
        assert it.check("somebody.elsewhere", PASSWORD) is None
        assert it.check(LOGIN, PASSWORD) is not None
    with (
        directory(server.url, base_dn=f"ou=elsewhere,{PEOPLE}") as it,
        pytest.raises(DirectoryUnavailableError),
    ):
        it.check(LOGIN, PASSWORD)
    assert hears(server, "err=10"), "the server pointed elsewhere"
    with pytest.raises(BlockingIOError):
        pointed_at.accept()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"bind_password": "wrong"}, id="service account refused"),
        pytest.param({"base_dn": "ou=nowhere,dc=example,dc=com"}, id="no such base"),
        pytest.param({"base_dn": "no DN at all"}, id="base is no DN"),
        pytest.param({"user_filter": "(&(uid={login})(x))"}, id="filter is none"),
        pytest.param({"id_attribute": "employeeNumber"}, id="no lasting identifier"),
        pytest.param({"id_attribute": "sn", "id_format": "guid"}, id="identifier of another form"),
    ],
)
def test_wrong_settings_are_the_administrators_matter(
    server: Slapd, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with directory(server.url, **settings) as it, pytest.raises(DirectoryUnavailableError) as caught:
        it.check(LOGIN, PASSWORD)
    assert caught.value.code == "directory_unavailable"
    assert "directory ldap" in caplog.text
    for secret in (PASSWORD, SERVICE_PASSWORD, LOGIN, "李文静"):
        assert secret not in caplog.text


def test_without_tls_on_the_server_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "slapd").mkdir()
    make_ca(tmp_path / "ca")
    with (
        slapd(tmp_path / "slapd", names=()) as bare,
        directory(bare.url, start_tls=True, ca=str(tmp_path / "ca" / "ca.pem")) as it,
    ):
        with pytest.raises(DirectoryUnavailableError):
            it.check(LOGIN, PASSWORD)
        assert hears(bare, "unsupported extended operation")
        assert " BIND " not in heard(bare)


@pytest.mark.parametrize("start_tls", [True, False])
def test_a_certificate_of_another_authority(server: Slapd, tmp_path: Path, *, start_tls: bool) -> None:
    make_ca(tmp_path)
    before = heard(server)
    url, ca = server.url if start_tls else server.tls_url, str(tmp_path / "ca.pem")
    with directory(url, ca=ca, start_tls=start_tls) as it, pytest.raises(DirectoryUnavailableError):
        it.check(LOGIN, PASSWORD)
    assert " BIND " not in heard(server).removeprefix(before)


@pytest.mark.parametrize("start_tls", [True, False])
def test_a_certificate_for_another_name(tmp_path: Path, *, start_tls: bool) -> None:
    with slapd(tmp_path, names=("directory.example.com",)) as other:
        url = other.url if start_tls else other.tls_url
        with directory(url, ca=other.ca, start_tls=start_tls) as it, pytest.raises(DirectoryUnavailableError):
            it.check(LOGIN, PASSWORD)
        assert " BIND " not in heard(other)


def test_the_environment_changes_no_trust(
    server: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What OpenLDAP's own clients would take from it."""
    make_ca(tmp_path)
    for name, value in {
        "LDAPTLS_REQCERT": "never",
        "LDAPTLS_CACERT": server.ca,
        "LDAPURI": server.url,
        "SSL_CERT_FILE": server.ca,
    }.items():
        monkeypatch.setenv(name, value)
    with (
        directory(server.tls_url, ca=str(tmp_path / "ca.pem")) as it,
        pytest.raises(DirectoryUnavailableError),
    ):
        it.check(LOGIN, PASSWORD)


def test_a_server_that_is_down(tmp_path: Path) -> None:
    begin = time.monotonic()
    for url in (f"ldap://127.0.0.1:{free_port()}", f"ldapi://{str(tmp_path / 'none').replace('/', '%2F')}"):
        with directory(url, timeout_s=60) as it, pytest.raises(DirectoryUnavailableError) as caught:
            it.check(LOGIN, PASSWORD)
        assert caught.value.zh.startswith("公司目录")
    assert time.monotonic() - begin < 30


# What misbehaving servers do with a connection.


def says_nothing(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def drips(connection: socket.socket) -> None:
    """An answer that grows for ever, a byte at a time."""
    connection.sendall(bytes.fromhex("30840000ffff"))
    while True:
        connection.sendall(b"\x02")
        time.sleep(0.02)


def floods(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(bytes.fromhex("30847fffffff"))
    while True:
        connection.sendall(b"\0" * 100_000)


def talks_of_something_else(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    says_nothing(connection)


def agrees_and_falls_silent(connection: socket.socket) -> None:
    """StartTLS as Active Directory writes it, with long lengths; then no handshake."""
    connection.recv(1000)
    connection.sendall(bytes.fromhex("308400000010 020101 788400000007 0a0100 0400 0400"))
    says_nothing(connection)


def agrees_and_says_more(connection: socket.socket) -> None:
    """StartTLS, and in the same breath, outside TLS, that the service account is welcome."""
    connection.recv(1000)
    connection.sendall(bytes.fromhex("300c020101 7807 0a010004000400 300c020101 6107 0a010004000400"))
    says_nothing(connection)


def hangs_up(connection: socket.socket) -> None:
    connection.recv(1000)


@contextmanager
def misbehaving(how: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=treat, args=(connection,), daemon=True).start()

        def treat(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                how(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Left:
    """What a check that got no answer took, said and left behind."""

    seconds: float
    said: str
    threads: set[str]
    descriptors: set[str]


@pytest.fixture(scope="module")
def process() -> Iterator[Executor]:
    """Where nothing but checks goes on."""
    with alone() as made:
        yield made


def unanswered(url: str, settings: dict[str, Any]) -> Left:
    """Ask a server that misbehaves."""
    said = io.StringIO()
    logging.basicConfig(stream=said, level=logging.INFO, force=True)
    before = opened()
    begin = time.monotonic()
    with directory(url, timeout_s=0.5, **settings) as it, pytest.raises(DirectoryUnavailableError):
        it.check(LOGIN, PASSWORD)
    seconds = time.monotonic() - begin
    ends(lambda: not ours())
    return Left(seconds, said.getvalue(), ours(), left_open(before))


def ours() -> set[str]:
    """Threads of checks."""
    return {t.name for t in threading.enumerate() if t.name.startswith(("ldap-relay", "directory"))}


@pytest.mark.parametrize("way", ["plain", "start_tls", "ldaps"])
@pytest.mark.parametrize(
    "how",
    [
        says_nothing,
        drips,
        floods,
        talks_of_something_else,
        agrees_and_falls_silent,
        agrees_and_says_more,
        hangs_up,
    ],
)
def test_a_server_that_misbehaves(
    how: Callable[[socket.socket], None], way: str, tmp_path: Path, process: Executor
) -> None:
    """It takes no longer than allowed, and nothing of it stays behind."""
    make_ca(tmp_path)
    settings = {} if way == "plain" else {"ca": str(tmp_path / "ca.pem"), "start_tls": way == "start_tls"}
    scheme = "ldaps" if way == "ldaps" else "ldap"
    with misbehaving(how) as port:
        left = process.submit(unanswered, f"{scheme}://127.0.0.1:{port}", settings).result(120)
    assert left.seconds < 20  # it would go on for ever
    assert not left.threads
    assert not left.descriptors
    assert "directory ldap" in left.said
    assert PASSWORD not in left.said
    assert SERVICE_PASSWORD not in left.said


def test_a_flood_ends_before_the_time_does(caplog: pytest.LogCaptureFixture) -> None:
    begin = time.monotonic()
    with misbehaving(floods) as port, directory(f"ldap://127.0.0.1:{port}", timeout_s=60) as it:
        with pytest.raises(DirectoryUnavailableError):
            it.check(LOGIN, PASSWORD)
        assert time.monotonic() - begin < 50
        assert ends(lambda: "sent more than" in caplog.text)


def test_an_address_that_does_not_answer() -> None:
    """A full queue of connections: the handshake of TCP is not answered."""
    with socket.socket() as listener, contextlib.ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        begin = time.monotonic()
        with directory(f"ldap://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.5) as it:
            with pytest.raises(DirectoryUnavailableError):
                it.check(LOGIN, PASSWORD)
            assert time.monotonic() - begin < 20  # the system itself tries for minutes


def test_slow_checks_do_not_hold_up_other_work(server: Slapd) -> None:
    """While one waits, other threads run, and other directories answer."""
    held: list[socket.socket] = []
    released = threading.Event()

    def holds(connection: socket.socket) -> None:
        held.append(connection)
        released.wait(60)

    with (
        misbehaving(holds) as port,
        directory(f"ldap://127.0.0.1:{port}", timeout_s=0.5) as slow,
        directory(server.url, timeout_s=60) as quick,
    ):
        until = time.monotonic() + 60
        waiting = [slow._threads.submit(slow._check, LOGIN, PASSWORD, until) for _ in range(8)]
        assert ends(lambda: len(held) == 8)
        assert quick.check(LOGIN, PASSWORD) is not None
        beyond = [threading.Thread(target=_unavailable, args=(slow,)) for _ in range(4)]
        for thread in beyond:
            thread.start()
        for thread in beyond:
            thread.join(30)
        assert not any(thread.is_alive() for thread in beyond), "those beyond the limit are refused in time"
        assert not any(one.done() for one in waiting), "and waited for nobody"
        released.set()
        assert all(one.exception(30) for one in waiting)


def _unavailable(slow: LdapDirectory) -> None:
    with suppress(DirectoryUnavailableError):
        slow.check(LOGIN, PASSWORD)


def test_many_checks_leave_nothing_behind(server: Slapd, process: Executor) -> None:
    people, left = process.submit(many, server.tls_url, server.ca).result(120)
    assert all(people)
    assert len(set(people)) == 1
    assert not left


def many(url: str, ca: str) -> tuple[list[DirectoryPerson | None], set[str]]:
    """Whom 40 checks find, and what they leave open."""
    with directory(url, ca=ca, timeout_s=60) as it:
        before = opened()
        with ThreadPoolExecutor(8) as threads:
            people = list(threads.map(lambda _: it.check(LOGIN, PASSWORD), range(40)))
        return people, left_open(before)


def ends(condition: Callable[[], bool]) -> bool:
    """Whether something becomes so; where not, what all threads do is printed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    faulthandler.dump_traceback()
    return False


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ldap", None)
    with pytest.raises(ConfigError, match="python-ldap") as caught, directory("ldap://127.0.0.1"):
        pass
    assert caught.value.param == "ldap"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with (
        pytest.raises(ConfigError, match=r"ca\.pem") as caught,
        directory("ldaps://directory.example.com", ca=str(file)),
    ):
        pass
    assert caught.value.param == "ldap.ca"


def test_importing_it_imports_no_client() -> None:
    code = "import sys, vlpro.identity.directories.ldap; sys.exit('ldap' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
