"""`vlpro key`: as an administrator types it, and while two replicas answer."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from contextvars import copy_context
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
import sqlalchemy as sa

from tests.functional.company import HTTPS
from tests.functional.server import chat
from tests.functional.test_cli import environment, vlpro
from tests.people import HERE, Clock, World
from tests.postgresql import Cluster
from tests.softhsm import MODULE, new_token
from tests.support import end
from vlpro.audit.recorder import content_place
from vlpro.audit.tables import contents, records
from vlpro.commands.app import main
from vlpro.crypto import KeyFile, Keys, Sealer, read_key_file
from vlpro.db import Database
from vlpro.gateway import cookies
from vlpro.identity.permissions import Permission, Role

RETIRED_AFTER_S = 7200.0


def typed(*arguments: str | Path, **settings: str) -> tuple[int, str, str]:
    """Run ``vlpro key …`` in this process; its status, and what it says on stdout and stderr."""
    said, complained = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment("en_US.UTF-8") | settings, clear=True),
        redirect_stdout(said),
        redirect_stderr(complained),
    ):
        status = copy_context().run(main, ["key", *map(str, arguments)])
    return status, said.getvalue(), complained.getvalue()


def ran(*arguments: str | Path, **settings: str) -> str:
    status, said, complained = typed(*arguments, **settings)
    assert status == 0, complained
    return said


def refused(*arguments: str, **settings: str) -> str:
    status, _, complained = typed(*arguments, **settings)
    assert status == 1
    return complained


def status(settings: dict[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(ran("status", "--json", **settings))
    return said


@pytest.fixture
def local(tmp_path: Path) -> dict[str, str]:
    return {"VLPRO_ENGINE": "fake", "VLPRO_DATA_DIR": str(tmp_path / "data")}


def test_a_rotation_step_by_step(local: dict[str, str], tmp_path: Path) -> None:
    local["VLPRO_KEY_FILE"] = str(tmp_path / "key")
    ran("make", tmp_path / "key")
    (first,) = status(local)["keys"]
    assert "seals from" in ran("rotate", **local)
    old, new = status(local)["keys"]
    assert (old, new["in_use"]) == (first | {"in_use": False}, True)
    assert "less than an hour" in refused("retire", old["id"], **local)
    assert "is in use" in refused("retire", new["id"], **local)
    assert "no key 00000000" in refused("retire", "00000000", **local)
    age(tmp_path / "key")
    audit = Database(f"sqlite:///{tmp_path}/data/audit.db")
    late = Sealer(read_key_file(tmp_path / "key", None), clock=lambda: 0.0).seal(
        b"text", content_place("cnt_1")
    )
    with audit.write() as connection:
        connection.execute(sa.insert(contents).values(id="cnt_1", data=late))
    assert status(local)["to_reseal"] == 1
    assert "still needed (audit_contents.data: 1)" in refused("retire", old["id"], **local)
    assert "1 values were sealed anew" in ran("reseal", **local)
    assert "was removed" in ran("retire", old["id"], **local)
    assert [key["id"] for key in status(local)["keys"]] == [new["id"]]
    with audit.read() as connection:
        said = [json.loads(data) for data in connection.execute(sa.select(records.c.data)).scalars()]
    changes = [
        (each["object"], each["detail"]["what"]) for each in said if each["event"] == "system:keys:changed"
    ]
    audit.close()
    resealed = (new["id"], "resealed")
    assert changes == [(new["id"], "added"), resealed, resealed, (old["id"], "retired")]


def test_a_key_for_several_machines_seals_later(local: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "key").write_text("ab" * 32)
    (tmp_path / "data" / "key").chmod(0o600)
    assert "Bring the key file to all machines" in ran("rotate", "--after", "3600", **local)
    first, second = status(local)["keys"]  # profile local: the key in the data folder
    assert (first["in_use"], second["in_use"]) == (True, False)
    assert read_key_file(tmp_path / "data" / "key", None).sealing[1].since > time.time() + 3500


def test_the_key_file_goes_into_a_token(local: dict[str, str], tmp_path: Path) -> None:
    if not MODULE.exists():
        pytest.skip("SoftHSM is not installed")
    path = tmp_path / "key"
    local["VLPRO_KEY_FILE"] = str(path)
    ran("make", path)
    before = status(local)["keys"]
    with mock.patch.dict(os.environ):
        local["VLPRO_KEY_TOKEN"] = new_token(tmp_path)
    local["SOFTHSM2_CONF"] = str(tmp_path / "softhsm2.conf")
    # In processes of their own: the module reads its configuration once.
    plain = vlpro("key", "status", **local)
    assert (plain.returncode, "vlpro key wrap" in plain.stderr) == (1, True)
    assert vlpro("key", "wrap", **local).returncode == 0
    assert path.read_text().startswith("vlpro wrapped key file 1\n")
    rotated = vlpro("key", "rotate", **local)
    assert rotated.returncode == 0, rotated.stderr
    after = json.loads(vlpro("key", "status", "--json", **local).stdout)["keys"]
    assert [len(after), after[0]["id"]] == [2, before[0]["id"]]
    assert "seal" not in path.read_text()


def age(path: Path) -> None:
    """Hours pass: the times in a key file move back."""
    file = KeyFile(path)
    keys = file.read()
    moved = [(key.secret, max(key.since - RETIRED_AFTER_S, 0.0)) for key in keys.sealing]
    file.replace(Keys(moved, keys.sign, keys.mac))


@contextmanager
def replica(socket: Path, settings: dict[str, str]) -> Iterator[None]:
    log = socket.with_suffix(
        ".log"
    )  # a pipe that nobody reads would be full one day, and the service would wait
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "vlpro", "serve", "--socket", str(socket)],
            env=environment("en_US.UTF-8") | settings,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 120
        while not socket.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        end(process, wait_s=60)


class Load:
    """People who talk to two replicas in turn until they are told to stop; what goes wrong is kept."""

    def __init__(self, sockets: list[Path], session: str, key: str) -> None:
        headers = {"x-forwarded-for": HERE, "origin": HTTPS}
        self._replicas = [
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(path)),
                base_url="http://localhost",
                headers=headers | {"cookie": f"{cookies.SESSION}={session}"},
                timeout=30,
            )
            for path in sockets
        ]
        self._key = {"authorization": f"Bearer {key}"}
        self._stop = threading.Event()
        self.failed: list[str] = []
        self.rounds = [0, 0]  # of each thread
        self._threads = [threading.Thread(target=self._go, args=(n,)) for n in range(2)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        for each in self._replicas:
            each.close()

    def more(self, rounds: int = 3) -> None:
        """Wait until each thread went through so many more rounds, or something went wrong."""
        wanted, deadline = [done + rounds for done in self.rounds], time.monotonic() + 120

        def enough() -> bool:
            return all(done >= most for done, most in zip(self.rounds, wanted, strict=True))

        while not enough() and not self.failed and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.failed == []
        assert enough()

    def _go(self, number: int) -> None:
        here, there = self._replicas[number], self._replicas[1 - number]
        talk = ""
        while not self._stop.is_set():
            try:
                asked = here.post(
                    "/v1/chat/completions", json=chat("hello"), headers=self._key | {"cookie": ""}
                )
                asked.raise_for_status()
                talk = talk or here.post("/v1/conversations", json={}).raise_for_status().json()["id"]
                text = f"round {self.rounds[number]}"
                here.post(f"/v1/conversations/{talk}/messages", json={"text": text}).raise_for_status()
                while (got := here.get(f"/v1/conversations/{talk}").raise_for_status().json())["busy"]:
                    pass
                seen = there.get(f"/v1/conversations/{talk}").raise_for_status()
                assert text in seen.text, got
                self.rounds[number] += 1
            except (httpx.HTTPError, AssertionError, KeyError) as error:
                answer = getattr(error, "response", None)
                self.failed.append(f"{error!r} {answer.text if answer is not None else ''}")
                return


def test_a_rotation_while_two_replicas_answer(postgresql: Cluster, tmp_path: Path) -> None:
    url, key = postgresql.new(), tmp_path / "key"
    KeyFile(key).make()
    settings = {
        "VLPRO_PROFILE": "mlps3",
        "VLPRO_ENGINE": "fake",
        "VLPRO_DATA_DIR": str(tmp_path / "data"),
        "VLPRO_DATABASE_URL": url,
        "VLPRO_KEY_FILE": str(key),
        "VLPRO_PUBLIC_URL": HTTPS,
        "VLPRO_TRUSTED_PROXIES": '["unix"]',
    }
    world = World(url, clock=Clock(time.time()), public_url=HTTPS, key=read_key_file(key, None))
    founders = world.found()
    li = world.person("liwei", Role.USER, by=founders)
    world.sign_in(li)  # with a one-time code set up, whose secret is stored
    auditor = world.person("auditor", Role.AUDIT, by=founders)
    policies = world.identity.policies
    stored = {"audit_texts": "encrypted", "store_conversations": True, "key_requests_per_minute": 100_000}
    policies.decide(stored, base=policies.versions()[0].version, note="", author=founders[0].id)
    secret = world.identity.keys.create(
        li.id, Role.USER, name="tests", scopes=[Permission.ANSWER_CREATE], days=1
    )[1]
    sockets = [tmp_path / "a", tmp_path / "b"]
    with ExitStack() as held:
        for socket in sockets:
            held.enter_context(replica(socket, settings))
        with Load(sockets, world.session(li), secret) as load:
            load.more()
            (first,) = status(settings)["keys"]
            ran("rotate", **settings)
            load.more()
            age(key)
            time.sleep(1.5)  # the replicas look at the file every second, as Sealer says
            load.more()  # nothing that was begun before is still on its way
            ran("reseal", **settings)  # what was sealed until the replicas saw the new key
            assert status(settings)["to_reseal"] == 0
            ran("retire", first["id"], **settings)
            load.more()
        assert load.failed == []
        said = status(settings)
        (new,) = said["keys"]
        values = {value["column"]: value for value in said["values"]}
        assert {value["key"] for value in values.values()} == {new["id"]}
        assert {"totps.secret", "conversations.key", "audit_contents.data"} <= values.keys()
        assert values["audit_contents.data"]["count"] > 24
        with (
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(sockets[0])),
                base_url="http://localhost",
                headers={
                    "x-forwarded-for": HERE,
                    "origin": HTTPS,
                    "cookie": f"{cookies.SESSION}={world.session(auditor)}",
                },
            ) as http,
            world.identity.database.read() as connection,
        ):
            first_asked = connection.execute(
                sa.select(sa.func.min(records.c.seq)).where(records.c.event == "chat:question:asked")
            ).scalar_one()
            read = http.post(f"/v1/audit/records/{first_asked}/content", json={"reason": "test of keys"})
            assert "hello" in read.raise_for_status().text  # sealed before the rotation
            assert connection.execute(sa.select(sa.func.count()).select_from(contents)).scalar_one() > 24
    world.close()
    after = World(url, clock=world.clock, public_url=HTTPS, key=read_key_file(key, None))
    assert after.sign_in(li)  # by a secret that is under the new key now
    after.close()
