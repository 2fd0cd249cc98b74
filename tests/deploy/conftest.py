"""nginx before a recorder, and nginx before the service with accounts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest

from tests.deploy.nginx import HOST, INSIDE, Nginx, running_nginx, running_service
from tests.deploy.recorder import Recorder
from vlpro.crypto import Sealer, read_key_file
from vlpro.db import Database, sqlite_url
from vlpro.identity.passwords import Passwords
from vlpro.identity.permissions import KEY_SCOPES, PERMISSIONS, Role
from vlpro.identity.service import Identity
from vlpro.identity.setup import FirstAdministrator

PASSWORD = "Tr0ub4dor&3-horse"  # noqa: S105 - of nobody
_FIRST = "Fir5t-of-all-words"
_SHORT = 100  # sun_path of unix(7) holds 107


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, holds a key, and can sign in again."""

    login: str
    session: str
    recovery_codes: tuple[str, ...]
    key: str

    @property
    def cookie(self) -> tuple[str, str]:
        return "Cookie", f"__Host-vlpro_session={self.session}"

    @property
    def bearer(self) -> tuple[str, str]:
        return "Authorization", f"Bearer {self.key}"


@dataclass(frozen=True)
class Recorded:
    """nginx, and what comes through it."""

    nginx: Nginx
    recorder: Recorder


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For everything that these tests leave; skips where there is no nginx."""
    for program, package in (("nginx", "nginx-light"), ("openssl", "openssl"), ("curl", "curl")):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            pytest.skip(f"needs {program}: apt-get install {package}")
    made = tmp_path_factory.mktemp("deploy")
    assert len(str(made)) < _SHORT - len("/service.sock"), "too long for a Unix socket"
    return made


def _made(folder: Path, name: str) -> Path:
    (folder / name).mkdir(mode=0o700)
    return folder / name


def _logged_nothing_wrong(nginx: Nginx) -> None:
    """Whatever tests did to it, its processes never were in trouble."""
    text = nginx.log("error.log") + nginx.log("vlpro.error.log")
    assert not re.search(r"\[(emerg|alert|crit)\]", text), text


@pytest.fixture(scope="package")
def recording(folder: Path) -> Iterator[Recorded]:
    """nginx as it is shipped, before a recorder."""
    recorder, unix = Recorder(), folder / "recorder.sock"
    with recorder.at(unix), running_nginx(_made(folder, "recorded"), unix) as nginx:
        yield Recorded(nginx, recorder)
        _logged_nothing_wrong(nginx)


@pytest.fixture
def recorded(recording: Recorded) -> Recorded:
    """The same, with nothing recorded yet."""
    recording.recorder.seen.clear()
    return recording


@pytest.fixture(scope="package")
def dead(folder: Path) -> Iterator[Nginx]:
    """nginx as it is shipped, before a service that does not run."""
    with running_nginx(_made(folder, "dead"), folder / "nobody.sock") as nginx:
        yield nginx


@pytest.fixture(scope="package")
def person(folder: Path) -> Person:
    """A user, in a database with a policy that lists 127.0.0.0/28 only."""
    key_file, data = folder / "key", _made(folder, "data")
    subprocess.run(
        [sys.executable, "-m", "vlpro", "key", str(key_file)], check=True, capture_output=True, timeout=60
    )
    database = Database(sqlite_url(data))
    database.migrate()
    identity = Identity(
        database, Sealer(read_key_file(key_file, data)), f"https://{HOST}", passwords=Passwords(64)
    )
    secret = identity.setup.open()
    assert secret is not None
    identity.setup.complete(
        secret, FirstAdministrator("sec", "Zhang", _FIRST), FirstAdministrator("sysadm", "Li", _FIRST)
    )
    ids = {account.login: account.id for account in identity.accounts.find()}
    listed = {"user_addresses": ["127.0.0.0/28"], "administration_addresses": ["127.0.0.0/28"]}
    identity.policies.decide(listed, base=0, note="tests", author=ids["sec"])
    account, once = identity.accounts.create("wang", "Wang", "Finance", by=ids["sysadm"])
    identity.accounts.grant(account.id, Role.USER, by=ids["sec"])

    sign_in = identity.sign_in
    token = sign_in.begin("wang", once, INSIDE)
    assert not sign_in.new_password(sign_in.state(token, INSIDE), PASSWORD)
    begun = sign_in.state(token, INSIDE)
    offer = identity.factors.offer_totp(begun.place, account.id, "wang")
    code = pyotp.TOTP(offer.secret.replace(" ", "")).now()
    sign_in.enrol_code(begun, code)
    begun = sign_in.state(token, INSIDE)
    codes = sign_in.recovery_codes(begun)
    sign_in.codes_kept(begun)
    session = sign_in.finish(token, INSIDE, "tests")
    scopes = KEY_SCOPES & PERMISSIONS[Role.USER]
    _, key = identity.keys.create(account.id, Role.USER, name="tests", scopes=scopes, days=1)
    database.close()
    return Person("wang", session, tuple(codes), key)


@pytest.fixture(scope="package")
def service(folder: Path, person: Person) -> Iterator[Path]:
    """The socket of the service in profile mlps3."""
    unix = folder / "service.sock"
    settings = {
        "profile": "mlps3",
        "engine": "fake",
        "fake_delay_s": "0.05",
        "public_url": f"https://{HOST}",
        "key_file": str(folder / "key"),
        "data_dir": str(folder / "data"),
        "trusted_proxies": '["unix"]',
    }
    with running_service(_made(folder, "service"), unix, **settings):
        yield unix


@pytest.fixture(scope="package")
def door(folder: Path, service: Path) -> Iterator[Nginx]:
    """nginx as it is shipped, before the service."""
    with running_nginx(_made(folder, "door"), service) as nginx:
        yield nginx
        _logged_nothing_wrong(nginx)


@dataclass(frozen=True)
class Optional:
    """nginx with all that is optional, and what arrives at the other application."""

    nginx: Nginx
    application: Recorder


@pytest.fixture(scope="package")
def optional(folder: Path, service: Path) -> Iterator[Optional]:
    """nginx with all optional files, before the service and another application."""
    application = Recorder()
    options = ("basic", "port80", "single-sign-on")
    with (
        application.on_port() as port,
        running_nginx(_made(folder, "optional"), service, options=options, application=port) as nginx,
    ):
        yield Optional(nginx, application)
        _logged_nothing_wrong(nginx)
