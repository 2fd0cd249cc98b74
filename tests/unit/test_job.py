"""Work in a process of its own: what it is given, what it tells, how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from vlpro import job

GOOD = """
import os, signal
from vlpro import job
work = job.received()
settings = [name for name in os.environ if name.startswith(("VLPRO_", "CREDENTIALS"))]
job.tell(pid=os.getpid(), nice=os.nice(0), settings=settings, more=os.environ.get("MORE"))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the job runs."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("VLPRO_UPSTREAM_KEY", "secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    return tmp_path / "a_job.py"


def nothing(_: dict[str, Any]) -> None:
    raise AssertionError


def test_it_is_given_its_work_and_no_setting_and_tells_how_far_it_is_and_how_it_ended(
    program: Path,
) -> None:
    program.write_text(GOOD + 'job.end("made", work)\njob.tell(too="late")')
    told: list[dict[str, Any]] = []
    ended = asyncio.run(job.run("a_job", {"a": ["深", 1]}, told.append, environment={"MORE": "yes"}))
    assert ended == ("made", {"a": ["深", 1]})
    (progress,) = told
    assert (progress["settings"], progress["more"]) == ([], "yes")
    assert progress["nice"] >= 10


def test_one_that_ends_without_a_word_has_failed(program: Path) -> None:
    program.write_text("raise SystemExit(3)")
    how, what = asyncio.run(job.run("a_job", {}, nothing))
    assert (how, what["message"]) == (job.FAILED, "The process ended with 3.")


@pytest.mark.parametrize("line", ["hello", "3", "[]", '{"made": 1}', '{"made": {}, "more": {}}'])
def test_what_is_no_line_of_a_job_is_none(program: Path, line: str) -> None:
    program.write_text(f"print({line!r})")
    with pytest.raises(ValueError, match=r"what no job tells|Expecting value"):
        asyncio.run(job.run("a_job", {}, nothing))


def test_whoever_is_cancelled_leaves_no_process(program: Path) -> None:
    program.write_text(GOOD + "signal.pause()")

    async def cancelled() -> int:
        heard: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(job.run("a_job", {}, heard.set_result))
        pid = (await heard)["pid"]
        running.cancel()
        await asyncio.wait((running,))
        assert running.cancelled()
        return int(pid)

    assert not Path(f"/proc/{asyncio.run(cancelled())}").exists()
