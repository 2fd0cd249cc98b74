"""A service that is asked to stop: what was begun comes to its end, nothing new is begun, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import sqlalchemy as sa

from tests.browser.server import await_start
from tests.functional.server import chat, eventually, run
from tests.functional.test_cli import environment
from tests.ports import free_port
from vlpro.audit.events import Event
from vlpro.audit.tables import checkpoints, records
from vlpro.config import Settings
from vlpro.db import Database, sqlite_url
from vlpro.gateway.draining import Draining

ROOT = Path(__file__).parents[2]
COUNTED = "".join(f"{number} " for number in range(1, 101))  # five seconds
SERVE = [sys.executable, "-m", "vlpro", "serve", "--port"]
STREAMLIT = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port"]


@contextmanager
def process(
    command: list[str], folder: Path, **more: str
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The real service with a slow engine, and a client of it."""
    settings = {"VLPRO_ENGINE": "fake", "VLPRO_FAKE_DELAY_S": "0.05", "VLPRO_DATA_DIR": str(folder)} | more
    port, log = free_port(), folder.with_name("log")
    with log.open("wb") as output:
        started = subprocess.Popen(
            [*command, str(port)],
            cwd=ROOT,
            env=environment("en_US.UTF-8") | settings,
            stdout=output,
            stderr=output,
        )
        try:
            await_start(started, f"http://127.0.0.1:{port}", log)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                yield started, client
        finally:
            started.kill()
            started.wait()


def ask_both_ways(http: httpx.Client, lines: Iterator[str]) -> str:
    """One answer is streamed, another is written in the background of a conversation; returns its id."""
    first = next(line for line in lines if '"content":"1' in line)
    assert first
    name = str(http.post("/v1/conversations", json={}).json()["id"])
    http.post(f"/v1/conversations/{name}/messages", json={"text": "count to 100"}).raise_for_status()
    return name


def text_of(lines: Iterator[str]) -> str:
    """What a stream still says, up to its proper end."""
    told = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert told[-1] == "[DONE]"
    chunks = [json.loads(line) for line in told[:-1]]
    assert chunks[-1].get("error") is None
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


def recorded(folder: Path) -> list[tuple[str, str]]:
    """Event and outcome of each record; a last checkpoint covers them all."""
    database = Database(sqlite_url(folder, "audit"))
    with database.read() as connection:
        rows = connection.execute(sa.select(records.c.event, records.c.outcome).order_by(records.c.seq)).all()
        covered = connection.execute(sa.select(sa.func.max(checkpoints.c.size))).scalar()
    database.close()
    assert covered == len(rows)
    return [(row.event, row.outcome) for row in rows]


def answer_in(folder: Path, name: str) -> tuple[str, str]:
    """State and text of a conversation's answer, as the next start has it."""
    with run(Settings(engine="fake", data_dir=folder)) as server, server.http() as http:
        answer = http.get(f"/v1/conversations/{name}").json()["messages"][-1]
    return answer["status"], answer["text"].strip()


def test_answers_come_to_their_end_and_nothing_new_begins(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with process(SERVE, folder) as (service, http):
        with http.stream("POST", "/v1/chat/completions", json=chat("count to 100", stream=True)) as reply:
            lines = reply.iter_lines()
            name = ask_both_ways(http, lines)
            service.send_signal(signal.SIGTERM)
            eventually(lambda: http.get("/readyz").status_code == 503)
            assert [reason["code"] for reason in http.get("/readyz").json()["reasons"]] == ["draining"]
            assert http.get("/healthz").status_code == 200
            refused = http.post("/v1/chat/completions", json=chat())
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
            assert int(refused.headers["retry-after"]) > 0
            assert COUNTED.endswith(text_of(lines))
        assert service.wait(60) == 0
    events = recorded(folder)
    assert events.count((Event.ANSWERED, "ok")) == events.count((Event.ASKED, "ok")) == 2, events
    assert events[-1][0] == Event.SERVICE_STOPPED
    assert answer_in(folder, name) == ("done", COUNTED.strip())
    others = stat.S_IRWXG | stat.S_IRWXO
    assert [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & others] == []


_ENDLESS = """
import asyncio, os, signal
from vlpro.gateway.draining import on_signals

async def main():
    draining = asyncio.Event()
    async def never():
        draining.set()
        await asyncio.Event().wait()
    on_signals(never)
    os.kill(os.getpid(), signal.SIGTERM)
    await draining.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)

signal.signal(signal.SIGTERM, lambda *_: None)
asyncio.run(main())
"""


def test_asked_twice_it_ends_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _ENDLESS], cwd=ROOT, capture_output=True, timeout=50, check=False
    )
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.stderr == b"Asked to end once more: ended at once.\n"


def test_streamlit_run_lets_answers_end_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with process(STREAMLIT, folder) as (service, http):
        with http.stream("POST", "/v1/chat/completions", json=chat("count to 100", stream=True)) as reply:
            lines = reply.iter_lines()
            name = ask_both_ways(http, lines)
            service.send_signal(signal.SIGTERM)
            eventually(lambda: http.get("/readyz").status_code == 503)
            assert COUNTED.endswith(text_of(lines))
        assert service.wait(60) in (0, -signal.SIGTERM)  # Streamlit raises the signal again when all is done
    assert recorded(folder)[-1][0] == Event.SERVICE_STOPPED
    assert answer_in(folder, name) == ("done", COUNTED.strip())


def test_it_does_not_wait_for_ever() -> None:
    async def drained(*, idle: bool) -> bool:
        return await Draining().until(lambda: idle, timeout_s=0)

    assert asyncio.run(drained(idle=True))
    assert not asyncio.run(drained(idle=False))
