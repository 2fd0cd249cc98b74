"""`vlpro key`, `vlpro user` and `vlpro serve`, as an administrator types them."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.functional.company import HTTPS
from tests.functional.test_cli import environment, vlpro
from tests.people import World
from vlpro.audit.tables import records
from vlpro.crypto import read_key_file
from vlpro.db import Database, sqlite_url


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
        public_url=HTTPS,
        key=read_key_file(tmp_path / "key", tmp_path / "data"),
    )
    security, _ = world.found()
    world.clock.now = time.time()
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


def test_serving_on_a_socket(settings: dict[str, str], tmp_path: Path) -> None:
    path = Path(os.path.relpath(tmp_path)) / "s"  # a socket's path has at most 107 bytes
    process = subprocess.Popen(
        [sys.executable, "-m", "vlpro", "serve", "--socket", str(path)],
        env=environment("en_US.UTF-8") | settings,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as http:
            assert http.get("/healthz").status_code == 200
            told = {"x-forwarded-for": "10.0.0.1"}
            assert http.get("/v1/models", headers=told).status_code == 401
            assert http.get("/setup", headers=told).status_code == 200
            assert http.get("/setup", headers={"x-forwarded-for": "203.0.113.1"}).status_code == 401
            assert http.get("/setup").status_code == 401  # nobody told where it comes from
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert re.search(r"one-time secret, good for an hour: ([a-z2-9]{4}-){5}[a-z2-9]{4}\n", said)
