"""Pictures are read by processes of their own: what happens to them costs one picture, and the service nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from asyncio.unix_events import ThreadedChildWatcher
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.support import alone, eventually, left_open, opened
from tests.unit.imaging.samples import PLENTY, bmp, exif, file, plain, png, quarters, take
from vlpro.crypto.sm3 import sm3
from vlpro.errors import BusyError, ImageError
from vlpro.imaging import workers
from vlpro.imaging.budget import reduce
from vlpro.imaging.ingest import Limits
from vlpro.imaging.workers import ThreadReader, WorkerPool

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
SMALL = file(quarters(), "PNG")
KINDS = {
    "JPEG": file(quarters(), "JPEG"),
    "JPEG, progressive": file(quarters(), "JPEG", progressive=True),
    "JPEG, turned": file(quarters(), "JPEG", exif=exif(6)),
    "JPEG, CMYK": file(quarters().convert("CMYK"), "JPEG"),
    "JPEG, grey": file(quarters().convert("L"), "JPEG"),
    "PNG": SMALL,
    "PNG, palette": file(quarters().quantize(4), "PNG"),
    "PNG, palette with transparency": file(quarters().quantize(4), "PNG", transparency=1),
    "PNG, transparent": file(quarters().convert("RGBA"), "PNG"),
    "PNG, grey and transparent": file(quarters().convert("LA"), "PNG"),
    "PNG, 16 bits": png(3, 2, 16, 0, plain(np.arange(6, dtype=">u2").reshape(2, 3))),
    "PNG, 1 bit": file(quarters().convert("1"), "PNG"),
    "PNG, interlaced, turned": file(quarters(), "PNG", exif=exif(3)),
    "BMP": file(quarters(), "BMP"),
    "BMP, palette": file(quarters().quantize(4), "BMP"),
    "BMP, run-length": bmp(4, 1, 8, b"\x04\x01\x00\x01", compression=1, palette=bytes(8)),
    "WebP": file(quarters(), "WEBP"),
    "WebP, lossless, transparent": file(quarters().convert("RGBA"), "WEBP", lossless=True),
    "WebP, animated": file(quarters(), "WEBP", save_all=True, append_images=[quarters(96, 64)]),
}


@functools.cache
def large() -> bytes:
    """It takes longer to read than a test to find its process: 48 megapixels in ten scans, none of them left out."""
    noise = Image.effect_noise((8000, 6000), 80).convert("RGB")
    return file(noise, "JPEG", quality=30, progressive=True)


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(Limits(), seconds=20)
    yield pool
    await pool.stop()


def children(pool: WorkerPool) -> list[psutil.Process]:
    """Its workers, those of the service that wait included."""
    return [] if pool.pid is None else psutil.Process(pool.pid).children()


async def busy(pool: WorkerPool) -> psutil.Process:
    """A worker in the middle of reading, stopped there: as long as it waits it takes no time."""
    found: list[psutil.Process] = []

    def reading() -> bool:
        found[:] = [child for child in children(pool) if _spent(child) > 0.1]
        for child in found:
            child.suspend()  # it would end soon by itself
        return bool(found)

    await eventually(reading)
    return found[0]


def _spent(process: psutil.Process) -> float:
    try:
        return float(process.cpu_times().user + process.cpu_times().system)
    except psutil.NoSuchProcess:
        return 0.0


@pytest.mark.parametrize("pixels", [PLENTY, 1000])
async def test_a_worker_reads_what_a_thread_reads(pool: WorkerPool, pixels: int) -> None:
    for kind, data in KINDS.items():
        picture, same = await pool.read(data, max_pixels_used=pixels), take(data, pixels=pixels)
        assert np.array_equal(picture.pixels, same.pixels), kind
        assert not picture.pixels.flags.writeable
        for name in ("sha256", "pixels_sha256", "format", "size", "original_width", "original_height"):
            assert getattr(picture, name) == getattr(same, name), (kind, name)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_file_is_named_by_sm3_where_that_is_wanted(*, wanted: bool) -> None:
    pool = WorkerPool(Limits(), seconds=20, with_sm3=wanted)
    picture = await pool.read(SMALL, max_pixels_used=PLENTY)
    assert picture.sm3 == (sm3(SMALL).hex() if wanted else "")
    assert reduce(picture, 100).sm3 == picture.sm3
    await pool.stop()


async def test_a_jpeg_is_made_by_a_worker_too(pool: WorkerPool) -> None:
    assert await pool.jpeg(SMALL) == await ThreadReader(Limits()).jpeg(SMALL)


async def test_what_is_no_picture_is_refused_in_the_same_words(pool: WorkerPool) -> None:
    for data in (b"", b"hello", SMALL[:100], SMALL[:-20], b"GIF89a" + bytes(20), bytes(20_000_001)):
        told = []
        for reader in (pool, ThreadReader(Limits())):
            with pytest.raises(ImageError) as refused:
                await reader.read(data, max_pixels_used=PLENTY, param="messages[0]")
            told.append((refused.value.message, refused.value.zh, refused.value.code, refused.value.param))
        assert told[0] == told[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_a_worker_that_dies_is_one_refused_picture(pool: WorkerPool, number: signal.Signals) -> None:
    reading = asyncio.ensure_future(pool.read(large(), max_pixels_used=PLENTY, param="messages[3]"))
    worker = await busy(pool)
    worker.send_signal(number)
    with contextlib.suppress(psutil.NoSuchProcess):  # SIGKILL needs none
        worker.resume()
    with pytest.raises(ImageError) as refused:
        await reading
    assert refused.value.param == "messages[3]"
    assert (await pool.read(SMALL, max_pixels_used=PLENTY)).width == 96


async def test_a_worker_that_hangs_is_ended(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.read(SMALL, max_pixels_used=PLENTY)
    with monkeypatch.context() as impatient:  # with the one that hangs only
        impatient.setattr(pool, "_seconds", 3.5)
        reading = asyncio.ensure_future(pool.read(large(), max_pixels_used=PLENTY, param="body"))
        stuck = await busy(pool)
        with pytest.raises(ImageError, match=r"longer than 3\.5 seconds") as refused:
            await reading
    assert refused.value.param == "body"
    await eventually(lambda: not stuck.is_running())
    assert (await pool.read(SMALL, max_pixels_used=PLENTY)).width == 96


async def test_a_client_that_goes_ends_its_worker(pool: WorkerPool) -> None:
    reading = asyncio.ensure_future(pool.read(large(), max_pixels_used=PLENTY))
    worker = await busy(pool)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await eventually(lambda: not worker.is_running())


async def test_a_picture_that_takes_more_memory_than_it_may_is_refused(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "memory_needed", lambda *_: 8_000_000)
    flat = file(Image.new("RGB", (4000, 3000)), "WEBP", method=0)
    with pytest.raises(ImageError) as refused:
        await pool.read(flat, max_pixels_used=PLENTY, param="body")
    assert refused.value.param == "body"
    assert (await pool.read(SMALL, max_pixels_used=PLENTY)).width == 96


async def test_the_largest_pictures_that_are_allowed_have_room(pool: WorkerPool) -> None:
    flat = file(Image.new("RGB", (5000, 5000), "red"), "WEBP", method=0)  # 400 MB to decode, the most allowed
    picture = await pool.read(flat, max_pixels_used=Limits().max_pixels)
    assert picture.width == picture.height == 5000


async def test_who_makes_workers_may_end(pool: WorkerPool) -> None:
    await pool.read(SMALL, max_pixels_used=PLENTY)
    for _ in range(3):
        old = pool.pid
        assert old is not None
        os.kill(old, signal.SIGKILL)
        assert (await pool.read(SMALL, max_pixels_used=PLENTY)).width == 96  # by who is left, or by a new one
        await eventually(lambda gone=old: not psutil.pid_exists(gone))  # type: ignore[misc]
        assert (await pool.read(SMALL, max_pixels_used=PLENTY)).width == 96
        assert pool.pid != old


async def test_their_maker_may_end_while_a_worker_holds_its_socket(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asyncio tells its end late, since the thread that tells it has to wait, as it may."""
    asked = threading.Event()
    pair, gone = socket.socketpair, pool._maker_gone
    tell = ThreadedChildWatcher._do_waitpid  # type: ignore[attr-defined]
    held: list[socket.socket] = []

    def held_pair(family: int, kind: int) -> tuple[socket.socket, socket.socket]:
        ours, theirs = pair(family, kind)
        if not held:
            held.append(theirs.dup())  # as a worker does that was just forked
        return ours, theirs

    def late(watcher: ThreadedChildWatcher, loop: object, process: int, *more: object) -> None:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        asked.wait(20)
        tell(watcher, loop, process, *more)

    async def ask() -> bool:
        try:
            return await gone()
        finally:
            held[0].close()
            asked.set()

    monkeypatch.setattr(ThreadedChildWatcher, "_do_waitpid", late)
    monkeypatch.setattr(pool, "_maker_gone", ask)
    with monkeypatch.context() as here:
        here.setattr(socket, "socketpair", held_pair)
        await pool.start()
    await pool.read(SMALL, max_pixels_used=PLENTY)
    assert pool.pid is not None
    await eventually(lambda: len(children(pool)) == 2)
    waiting = children(pool)
    os.kill(pool.pid, signal.SIGKILL)
    await eventually(lambda: not any(worker.is_running() for worker in waiting))
    several = [pool.read(SMALL, max_pixels_used=PLENTY) for _ in range(3)]
    assert [picture.width for picture in await asyncio.gather(*several)] == [96] * 3
    assert asked.is_set()


async def test_where_every_worker_dies_others_are_made(pool: WorkerPool) -> None:
    await pool.read(SMALL, max_pixels_used=10_000)
    first = pool.pid
    assert first is not None
    maker = psutil.Process(first)
    all_of_it = maker.memory_info().vms
    await eventually(lambda: len(children(pool)) == 2)  # those that wait have been made without the limit
    maker.rlimit(psutil.RLIMIT_AS, (all_of_it, all_of_it))  # its workers can have no more
    for worker in children(pool):
        with contextlib.suppress(psutil.NoSuchProcess):  # the one that has just read a picture
            worker.kill()
    outcomes = []
    for _ in range(6):
        try:
            await pool.read(SMALL, max_pixels_used=10_000)
            outcomes.append("read")
        except ImageError:
            outcomes.append("refused")
    assert outcomes.count("refused") <= 2, outcomes
    assert outcomes[-1] == "read"
    assert pool.pid != first


async def test_where_no_process_can_be_made_it_is_nobodys_picture(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BusyError):
        await pool.read(SMALL, max_pixels_used=PLENTY)


@pytest.mark.parametrize("where", ["while the process starts", "while the worker starts"])
async def test_who_goes_before_a_worker_is_there_leaves_nothing_open(where: str) -> None:
    with alone() as process:
        assert not process.submit(_left_by_who_goes, where).result(60)


def _left_by_who_goes(where: str) -> set[str]:
    async def go() -> None:
        pool = WorkerPool(Limits(), seconds=20)
        reading = asyncio.ensure_future(pool.read(SMALL, max_pixels_used=PLENTY))
        if where == "while the worker starts":
            await eventually(lambda: pool.pid is not None)
        else:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not reading.done()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await pool.stop()

    before = opened()
    asyncio.run(go())
    return left_open(before)


async def test_what_others_of_this_user_send_each_other_takes_no_room(pool: WorkerPool) -> None:
    """The kernel counts descriptors under way by user, against each sender's own limit (unix(7), ETOOMANYREFS)."""
    with contextlib.ExitStack() as opened:
        for _ in range(40):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.enter_context(ours)
            opened.enter_context(theirs)
            socket.send_fds(ours, [b"not received"], [0])
        code = (
            "import asyncio, sys; from vlpro.imaging.ingest import Limits; from vlpro.imaging.workers import *\n"
            "async def read(data):\n"
            "    pool = WorkerPool(Limits(), seconds=20)\n"
            "    print((await pool.read(data, max_pixels_used=10_000)).width)\n"
            "    await pool.stop()\n"
            "asyncio.run(read(sys.stdin.buffer.read()))"
        )
        # Root is not limited, so without its powers.
        plain_user = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        done = await asyncio.to_thread(
            subprocess.run,
            [*plain_user, sys.executable, "-c", code],
            cwd=ROOT,
            input=SMALL,
            capture_output=True,
            check=False,
        )
    assert done.stdout.strip() == b"96", done.stderr.decode()


async def test_many_at_once_are_read_two_at_a_time(pool: WorkerPool) -> None:
    most = made = 0
    readings = [asyncio.ensure_future(pool.read(SMALL, max_pixels_used=PLENTY)) for _ in range(40)]
    while not all(reading.done() for reading in readings):
        most, made = max(most, pool.busy), max(made, len(children(pool)))
        await asyncio.sleep(0.001)
    assert {reading.result().width for reading in readings} == {96}
    assert most == 2
    assert 0 < made < 20  # two that read, two that wait, and those that are ending


async def test_no_picture_leaves_anything_open_or_behind() -> None:
    with alone() as process:
        assert not process.submit(_left_by_pictures).result(120)


def _left_by_pictures() -> set[str]:
    """What stays open here; what their processes leave is looked at on the way."""

    async def read() -> None:
        pool = WorkerPool(Limits(), seconds=20)
        await pool.read(SMALL, max_pixels_used=PLENTY)
        assert pool.pid is not None
        maker = psutil.Process(pool.pid)
        await eventually(lambda: len(children(pool)) == 2)
        here, there = opened(), maker.num_fds()
        for data in (SMALL, b"hello", SMALL[:100]) * 20:
            with contextlib.suppress(ImageError):
                await pool.read(data, max_pixels_used=PLENTY)
        await eventually(lambda: len(opened()) <= len(here) and maker.num_fds() <= there)
        await eventually(lambda: len(children(pool)) == 2)
        await pool.stop()

    before = opened()
    asyncio.run(read())
    return left_open(before)


def test_none_is_left_when_the_service_is_killed(tmp_path: Path) -> None:
    script = """
import asyncio
from vlpro.imaging.ingest import Limits
from vlpro.imaging.workers import WorkerPool
from tests.unit.imaging.samples import file, quarters

async def main():
    pool = WorkerPool(Limits(), seconds=5)
    await pool.read(file(quarters(), "PNG"), max_pixels_used=100)
    print(pool.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        maker = psutil.Process(int(service.stdout.readline()))
        asyncio.run(eventually(lambda: len(maker.children()) >= 2))  # those that wait
        processes = [maker, *maker.children()]
        service.kill()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


TRIES = """
import os, resource, socket, subprocess, sys
from vlpro.imaging import worker

def tries(name, what):
    try:
        what()
    except OSError:
        return
    print(name)

if sys.argv[1] == "worker":
    worker.confine()
folder, port = sys.argv[2], int(sys.argv[3])
tries("reads", lambda: open("/etc/passwd").close())
tries("lists", lambda: os.listdir("/"))
tries("deletes", lambda: os.rmdir(folder + "/empty"))
tries("makes", lambda: os.mkdir(folder + "/folder"))
tries("writes", lambda: open(folder + "/file", "w").write("canary"))
tries("runs", lambda: subprocess.run(["/bin/true"], check=True))
tries("connects", lambda: socket.create_connection(("127.0.0.1", port)).close())
tries("sends", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)))
"""


@pytest.mark.parametrize("who", ["anybody", "worker"])
def test_a_worker_reads_no_file_writes_none_and_reaches_nobody(tmp_path: Path, who: str) -> None:
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-c", TRIES, who, str(tmp_path), port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    possible = ["reads", "lists", "deletes", "makes", "writes", "runs", "connects", "sends"]
    assert done.stdout.split() == (possible if who == "anybody" else [])


async def test_the_kernel_holds_a_worker_to_its_limits(pool: WorkerPool) -> None:
    reading = asyncio.ensure_future(pool.read(large(), max_pixels_used=PLENTY))
    worker = await busy(pool)
    core, file_size, files = (
        worker.rlimit(n) for n in (psutil.RLIMIT_CORE, psutil.RLIMIT_FSIZE, psutil.RLIMIT_NOFILE)
    )
    assert (core, file_size) == ((0, 0), (0, 0))
    assert files[1] <= 32
    memory, seconds = worker.rlimit(psutil.RLIMIT_AS)[1], worker.rlimit(psutil.RLIMIT_CPU)[1]
    assert memory < 3_000_000_000
    assert seconds <= 30
    with Path(f"/proc/{worker.pid}/status").open() as status:
        told = set(status)
    assert {"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} <= told
    worker.resume()
    assert (await reading).width == 8000


LIES: dict[str, dict[str, Any]] = {
    "more pixels than were asked for": {"size": [20, 20], "original": [20, 20], "bytes": 1200},
    "larger than its original": {"size": [8, 8], "original": [4, 4], "bytes": 192},
    "fewer bytes than pixels": {"bytes": 100},
    "no pixels": {"size": [0, 8], "bytes": 0},
    "sides below zero": {"size": [-8, -8]},
    "half a pixel": {"size": [8.0, 8.0]},
    "another kind": {"format": "gif"},
    "nothing": {"size": None},
}


async def test_a_worker_that_was_taken_over_is_not_believed(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    async def ask(*_: object) -> bytes:
        return json.dumps(told).encode()

    monkeypatch.setattr(workers._Worker, "ask", ask)
    for lie, parts in LIES.items():
        told.update({"format": "png", "size": [8, 8], "original": [96, 64], "bytes": 192} | parts)
        with pytest.raises(ImageError) as refused:
            await pool.read(SMALL, max_pixels_used=100, param="body")
        assert refused.value.param == "body", lie
