"""`vlpro key`, `vlpro user` and `vlpro serve`, as an administrator types them."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa

from tests.functional.company import HTTPS
from tests.functional.test_cli import environment, vlpro
from tests.people import Clock, World
from tests.ports import free_port
from tests.support import end
from vlpro.audit.tables import records
from vlpro.crypto import read_key_file
from vlpro.db import Database, sqlite_url

SECRET = re.compile(r"one-time secret, good for an hour: ([a-z2-9]{4}-){5}[a-z2-9]{4}\s", re.IGNORECASE)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    made = vlpro("key", tmp_path / "key")
    assert made.returncode == 0
    assert f"VLPRO_KEY_FILE={tmp_path / 'key'}" in made.stdout
    return {
        "VLPRO_PROFILE": "mlps3",
        "VLPRO_ENGINE": "fake",
        "VLPRO_DATA_DIR": str(tmp_path / "data"),
        "VLPRO_KEY_FILE": str(tmp_path / "key"),
        "VLPRO_PUBLIC_URL": HTTPS,
        "VLPRO_TRUSTED_PROXIES": '["unix"]',
    }


def test_a_key_is_never_overwritten(settings: dict[str, str], tmp_path: Path) -> None:
    before = (tmp_path / "key").read_text()
    again = vlpro("key", tmp_path / "key", language="zh_CN.UTF-8")
    assert again.returncode == 1
    assert "不会被覆盖" in again.stderr
    assert (tmp_path / "key").read_text() == before


def test_accounts_at_the_machine(settings: dict[str, str], tmp_path: Path) -> None:
    assert vlpro("user", "list", **settings).stdout == ""
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    world = World(
        sqlite_url(tmp_path / "data"),
        Clock(time.time()),  # the command goes by the machine's
        public_url=HTTPS,
        key=read_key_file(tmp_path / "key", tmp_path / "data"),
    )
    security, _ = world.found()
    world.sign_in(security)
    listed = vlpro("user", "list", **settings).stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [["sec", "security"], ["sysadmin", "system"]]
    told = json.loads(vlpro("user", "list", "--json", **settings).stdout)["accounts"]
    assert [(one["login"], one["role"], one["disabled"]) for one in told] == [
        ("sec", "security", None),
        ("sysadmin", "system", None),
    ]
    reset = vlpro("user", "reset", "sec", **settings)
    found = re.search(r"One-time password of sec: (\S+)", reset.stdout)
    assert found is not None, reset.stderr
    held = world.identity.factors.of(security.id)
    assert not held.any
    with Database(sqlite_url(tmp_path / "data", "audit")).read() as connection:
        said = [json.loads(data) for data in connection.execute(sa.select(records.c.data)).scalars()]
    done = [record for record in said if record["event"] == "identity:account:changed"]
    assert [record["detail"]["what"] for record in done] == ["second factors reset", "password reset"]
    assert {(record["login"], record["role"]) for record in done} == {(getpass.getuser(), "machine")}
    security.password = found[1]
    assert world.sign_in(security)
    wrong = vlpro("user", "reset", "nobody", **settings)
    assert (wrong.returncode, wrong.stderr) == (1, "There is no such account.\n")
    world.close()


def test_profile_local_has_no_accounts(settings: dict[str, str]) -> None:
    refused = vlpro("user", "list", **settings | {"VLPRO_PROFILE": "local"})
    assert refused.returncode == 1
    assert "VLPRO_PROFILE=mlps3" in refused.stderr


@pytest.mark.parametrize("missing", ["VLPRO_KEY_FILE", "VLPRO_PUBLIC_URL", "VLPRO_TRUSTED_PROXIES"])
def test_serving_names_the_condition_that_is_missing(settings: dict[str, str], missing: str) -> None:
    del settings[missing]
    refused = vlpro("serve", "--socket", "/nowhere/service.sock", **settings)
    assert refused.returncode == 1
    assert missing in refused.stderr
    assert "Traceback" not in refused.stderr


@contextmanager
def serving(settings: dict[str, str], where: Path | int, output: int) -> Iterator[httpx.Client]:
    """The service until the end of the block.

    Args:
        settings: Environment variables.
        where: Path of a socket, or a port.
        output: Where it writes what is no answer: a descriptor.
    """
    option, path = ("--socket", str(where)) if isinstance(where, Path) else ("--port", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "vlpro", "serve", option, str(where)],
        env=environment("en_US.UTF-8") | settings,
        stderr=output,
    )
    try:
        deadline = time.monotonic() + 120
        while not _listens(where):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        base = "http://localhost" if path else f"http://127.0.0.1:{where}"
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url=base, timeout=60) as http:
            yield http
    finally:
        end(process)


def _listens(where: Path | int) -> bool:
    with socket.socket(socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET) as probe:
        return not probe.connect_ex(str(where) if isinstance(where, Path) else ("127.0.0.1", where))


def test_serving_on_a_socket_for_who_collects_logs(settings: dict[str, str], tmp_path: Path) -> None:
    path = Path(os.path.relpath(tmp_path)) / "s"  # a socket's path has at most 107 bytes
    told = {"x-forwarded-for": "10.0.0.1", "origin": HTTPS}
    with (tmp_path / "log").open("wb") as log, serving(settings, path, log.fileno()) as http:
        assert http.get("/v1/models", headers=told).status_code == 401
        assert http.get("/setup", headers=told).status_code == 200
        assert http.get("/setup", headers={"x-forwarded-for": "203.0.113.1"}).status_code == 401
        assert http.get("/setup").status_code == 401  # nobody told where it comes from
        first, second = (json.loads(vlpro("user", "setup", "--json", **settings).stdout) for _ in "12")
        assert first["url"] == f"{HTTPS}/setup"
        form = {"secret": first["one_time_secret"]}
        for who, password in (("security", "Kupfer-47-Wolke-fern"), ("system", "Segel-63-Ofen-leise")):
            form |= {f"{who}_login": f"{who}1", f"{who}_name": "Zhang", f"{who}_password": password}
        replaced = http.post("/setup", data=form, headers=told)
        assert replaced.status_code == 400
        assert "vlpro user setup" in replaced.text
        assert http.post("/setup", data=form | {"secret": second["one_time_secret"]}, headers=told).is_success
    refused = vlpro("user", "setup", **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "vlpro user reset" in refused.stderr
    said = (tmp_path / "log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in said.splitlines()]  # and nothing else
    (started,) = [line for line in lines if line["message"] == "started"]
    assert any("vlpro user setup" in warning for warning in started["warnings"])
    assert not SECRET.search(said)


def test_the_first_start_in_a_terminal(settings: dict[str, str], tmp_path: Path) -> None:
    path = Path(os.path.relpath(tmp_path)) / "s"
    mine, its = os.openpty()
    with serving(settings, path, its):
        os.close(its)
        said = b""
        while not SECRET.search(said.decode(errors="replace")):
            said += os.read(mine, 4096)  # fails where the service ends without
    os.close(mine)
    assert f"{HTTPS}/setup" in said.decode(errors="replace")


def test_on_a_port_it_is_there_for_this_machine_alone(settings: dict[str, str], tmp_path: Path) -> None:
    """Other machines come by nginx: there is no way around it."""
    port, stranger = free_port(), {"x-forwarded-for": "203.0.113.1"}
    settings["VLPRO_TRUSTED_PROXIES"] = '["127.0.0.1/32"]'
    with (tmp_path / "log").open("wb") as log, serving(settings, port, log.fileno()) as http:
        listening = [
            tuple(one.laddr) for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN
        ]
        assert [address for address, at in listening if at == port] == ["127.0.0.1"]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.2:{port}/healthz")
        answers = {
            path: http.get(path, headers=stranger).status_code for path in ("/healthz", "/metrics", "/login")
        }
        assert answers == {"/healthz": 200, "/metrics": 401, "/login": 401}
        assert http.get("/readyz", headers=stranger).status_code in (200, 503)  # as it is, not by who asks
