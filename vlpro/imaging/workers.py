"""Who reads pictures: a process for each, beside the service.

A decoder is a large C program that reads what anybody sends. So it runs in a worker that has no files, no network,
and bounded memory and time (:mod:`vlpro.imaging.worker`). A picture that breaks its worker, or hangs it, is one
refused picture. Worker and service share two memory files (memfd_create(2)), sealed against changes of size: the file
goes in and the pixels come out without passing through a pipe.

What a worker says is not believed: sizes are checked, and the digests that the audit and the engines go by are made
on this side.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import mmap
import os
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from vlpro.crypto.sm3 import sm3
from vlpro.errors import BusyError, ImageError
from vlpro.imaging import pdf as pdf_reading
from vlpro.imaging.encode import pixels_to_jpeg
from vlpro.imaging.ingest import Clean, Limits, ingest, picture_of
from vlpro.imaging.pdf import Pdf, PdfLimits, TextLine
from vlpro.imaging.worker import JPEG, MAX_PACKET, PDF_PAGE, PDF_PAGES, PDF_TEXT, PIXELS, READY, WORKER
from vlpro.process import package_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from vlpro.imaging.picture import Picture

__all__ = ["PictureReader", "ThreadReader", "WorkerPool", "memory_for_pdf", "memory_needed"]

_T = TypeVar("_T")

_AT_ONCE = 2  # each may hold a whole decoded picture beside the result
_SMALL = 64_000  # bytes that are copied and hashed faster than a thread is asked to
_DEATHS = 3  # in a row, after which the process that makes workers is replaced
_GONE_S = 0.05  # between the end of a worker and that of its maker, where one is for the other
_START_S = 60.0  # importing the decoders from a cold disk
_FORMATS = ("jpeg", "png", "bmp", "webp")
_TEXT_ROOM = 3_000_000  # pixels whose bytes have room for a page's text with its places
_SLACK = 64_000_000  # bytes: the interpreter's own objects, tables of the decoders
_FIXED_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_SEALED = _FIXED_SIZE | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def memory_needed(limits: Limits, max_pixels_used: int) -> int:
    """Bytes of address space that a worker may take beside what it begins with.

    The file twice; what decoding may take; and the result five times, since it may be decoded at up to twice its
    width and height.
    """
    return 2 * limits.max_bytes + limits.max_decode_bytes + 15 * max_pixels_used + _SLACK


def memory_for_pdf(limits: PdfLimits, max_pixels_used: int) -> int:
    """The same for a PDF: the file twice, the largest picture inside as colours, and the page five times."""
    return 2 * limits.max_bytes + 4 * limits.max_picture_pixels + 15 * max_pixels_used + _SLACK


class PictureReader(ABC):
    """Turns uploaded files into clean pixels, off the event loop."""

    async def start(self) -> None:  # noqa: B027 - not all have something to start
        """Be ready for the first picture."""

    async def stop(self) -> None:  # noqa: B027 - likewise
        """End, and give all memory back."""

    @abstractmethod
    async def read(self, data: bytes, *, max_pixels_used: int, param: str | None = None) -> Picture:
        """Read a picture in.

        Args:
            data: The whole file.
            max_pixels_used: The most pixels the result may have.
            param: The request's field that the file came in, for the error.

        Raises:
            ImageError: It is no usable picture; as :func:`vlpro.imaging.ingest.clean`.
            BusyError: The machine has no room for another process.
        """

    @abstractmethod
    async def jpeg(self, data: bytes) -> bytes:
        """A JPEG of a file's clean pixels at their original size. Raises: as :meth:`read`."""

    @abstractmethod
    async def pdf_pages(self, data: bytes, *, param: str | None = None) -> Pdf:
        """Tell how many pages a PDF has, and how large they are.

        Args:
            data: The whole file.
            param: The request's field that the file came in, for the error.

        Raises:
            ImageError: It is no usable PDF; as :func:`vlpro.imaging.pdf.page_sizes`.
            BusyError: The machine has no room for another process.
        """

    @abstractmethod
    async def pdf_page(self, pdf: Pdf, number: int, *, max_pixels_used: int) -> Picture:
        """Draw a page of a PDF; the picture's digest is that of the whole file, its original the page as drawn.

        Args:
            pdf: From :meth:`pdf_pages`.
            number: Of the page, from 1.
            max_pixels_used: The most pixels the result may have.

        Raises:
            ImageError: As :meth:`pdf_pages`; it then names the page where it can.
            BusyError: As :meth:`pdf_pages`.
        """

    @abstractmethod
    async def pdf_text(self, pdf: Pdf, number: int) -> list[TextLine]:
        """What a page holds as text, nothing where it is a scan. Arguments and errors: as :meth:`pdf_page`."""


class ThreadReader(PictureReader):
    """Reads in a thread of this process, without any guard: for tests.

    Args:
        limits: Caps on a picture.
        pdf_limits: Caps on a PDF.
    """

    def __init__(self, limits: Limits, pdf_limits: PdfLimits | None = None) -> None:
        self._limits = limits
        self._pdf_limits = pdf_limits or PdfLimits()

    async def read(self, data: bytes, *, max_pixels_used: int, param: str | None = None) -> Picture:
        """See :meth:`PictureReader.read`."""
        return await asyncio.to_thread(
            ingest, data, limits=self._limits, max_pixels_used=max_pixels_used, param=param
        )

    async def jpeg(self, data: bytes) -> bytes:
        """See :meth:`PictureReader.jpeg`."""
        picture = await self.read(data, max_pixels_used=self._limits.max_pixels)
        return await asyncio.to_thread(pixels_to_jpeg, picture.pixels)

    async def pdf_pages(self, data: bytes, *, param: str | None = None) -> Pdf:
        """See :meth:`PictureReader.pdf_pages`."""
        with _at(param):
            pages = await asyncio.to_thread(pdf_reading.page_sizes, data, limits=self._pdf_limits)
        return Pdf(data, hashlib.sha256(data).hexdigest(), tuple(pages), param=param)

    async def pdf_page(self, pdf: Pdf, number: int, *, max_pixels_used: int) -> Picture:
        """See :meth:`PictureReader.pdf_page`."""
        limits = self._pdf_limits
        with _at(pdf.param):
            found = await asyncio.to_thread(
                pdf_reading.clean_page, pdf.data, number, limits=limits, max_pixels_used=max_pixels_used
            )
        return picture_of(found, sha256=pdf.sha256, size=len(pdf.data))

    async def pdf_text(self, pdf: Pdf, number: int) -> list[TextLine]:
        """See :meth:`PictureReader.pdf_text`."""
        with _at(pdf.param):
            return await asyncio.to_thread(pdf_reading.page_text, pdf.data, number, limits=self._pdf_limits)


class WorkerPool(PictureReader):
    """Reads each picture in a process of its own, two at once, with the next ones waiting ready.

    Args:
        limits: Caps on a picture.
        seconds: That reading one picture, or one page, may take.
        with_sm3: Whether files are named by SM3 as well as by SHA-256.
        pdf_limits: Caps on a PDF.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        seconds: float,
        with_sm3: bool = False,
        pdf_limits: PdfLimits | None = None,
    ) -> None:
        self._limits = limits
        self._pdf_limits = pdf_limits or PdfLimits()
        self._with_sm3 = with_sm3
        self._seconds = seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._waiting: deque[_Worker] = deque()
        self._busy = 0
        self._deaths = 0  # of workers, one after another

    @property
    def pid(self) -> int | None:
        """Of the process that makes workers, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def ready(self) -> int:
        """Workers that wait for a picture."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """Workers that read one."""
        return self._busy

    async def start(self) -> None:
        """Start the process that makes workers; returns at once, while it imports the decoders."""
        async with self._starting:
            if self._control is not None:
                return
            await self._end_process()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs, contextlib.ExitStack() as unless_it_starts:
                unless_it_starts.enter_context(ours)
                ours.setblocking(False)  # noqa: FBT003 - the name says it
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # nothing is imported from the folder that the service was started in
                    "-m",
                    "vlpro.imaging.worker",
                    str(theirs.fileno()),
                    str(os.getpid()),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=_environment(),
                )
                unless_it_starts.pop_all()
            self._control = ours
            self._prepare()

    async def stop(self) -> None:
        """End all workers, and the process that makes them."""
        self._lose_process()
        await self._end_process()

    async def _end_process(self) -> None:
        while self._waiting:
            self._waiting.popleft().close()
        if self._process is not None:
            process, self._process = self._process, None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def read(self, data: bytes, *, max_pixels_used: int, param: str | None = None) -> Picture:
        """See :meth:`PictureReader.read`."""
        if len(data) > self._limits.max_bytes:  # refused before it is copied, in the same words
            return ingest(data, limits=self._limits, max_pixels_used=max_pixels_used, param=param)
        digests = asyncio.ensure_future(_aside(len(data), lambda: self._digests(data)))
        try:
            job = self._picture_job(PIXELS, max_pixels_used)
            async with self._turns, self._job(data, job, param) as (told, result):

                def take() -> Picture:
                    found = _pixels(told, result, max_pixels_used, _FORMATS)
                    return picture_of(found, sha256=sha256, sm3=by_sm3, size=len(data))

                sha256, by_sm3 = await digests
                with _refused(param):
                    return await _aside(told["bytes"], take)
        finally:
            digests.cancel()

    def _digests(self, data: bytes) -> tuple[str, str]:
        """What a file is named by: SHA-256; and SM3, or nothing."""
        return hashlib.sha256(data).hexdigest(), sm3(data).hex() if self._with_sm3 else ""

    async def jpeg(self, data: bytes) -> bytes:
        """See :meth:`PictureReader.jpeg`."""
        job = self._picture_job(JPEG, self._limits.max_pixels)
        async with self._turns, self._job(data, job, None) as (told, result):
            return await _aside(told["bytes"], lambda: os.pread(result, told["bytes"], 0))

    async def pdf_pages(self, data: bytes, *, param: str | None = None) -> Pdf:
        """See :meth:`PictureReader.pdf_pages`."""
        if len(data) > self._pdf_limits.max_bytes:  # refused before it is copied
            with _at(param):
                raise pdf_reading.too_long(len(data), self._pdf_limits)
        async with self._turns, self._job(data, self._pdf_job(PDF_PAGES), param) as (told, _):
            with _refused(param, _PAGE):
                pages = _page_sizes(told["pages"], self._pdf_limits)
        sha256, by_sm3 = await _aside(len(data), lambda: self._digests(data))
        return Pdf(data, sha256, pages, by_sm3, param)

    async def pdf_page(self, pdf: Pdf, number: int, *, max_pixels_used: int) -> Picture:
        """See :meth:`PictureReader.pdf_page`."""
        job = self._pdf_job(PDF_PAGE, number, max_pixels_used)
        async with self._turns, self._job(pdf.data, job, pdf.param) as (told, result):

            def take() -> Picture:
                found = _pixels(told, result, max_pixels_used, ("pdf",))
                return picture_of(found, sha256=pdf.sha256, sm3=pdf.sm3, size=len(pdf.data))

            with _refused(pdf.param, _PAGE):
                return await _aside(told["bytes"], take)

    async def pdf_text(self, pdf: Pdf, number: int) -> list[TextLine]:
        """See :meth:`PictureReader.pdf_text`."""
        job = self._pdf_job(PDF_TEXT, number)
        async with self._turns, self._job(pdf.data, job, pdf.param) as (told, result):
            with _refused(pdf.param, _PAGE):
                return [
                    TextLine(str(text), _box(box))
                    for text, box in json.loads(os.pread(result, told["bytes"], 0))
                ]

    def _picture_job(self, wanted: str, max_pixels_used: int) -> dict[str, Any]:
        return {
            "wanted": wanted,
            "limits": asdict(self._limits),
            "max_pixels_used": max_pixels_used,
            "memory": memory_needed(self._limits, max_pixels_used),
        }

    def _pdf_job(self, wanted: str, number: int = 0, max_pixels_used: int = _TEXT_ROOM) -> dict[str, Any]:
        return {
            "wanted": wanted,
            "limits": asdict(self._pdf_limits),
            "number": number,
            "max_pixels_used": max_pixels_used,
            "memory": memory_for_pdf(self._pdf_limits, max_pixels_used),
        }

    @contextlib.asynccontextmanager
    async def _job(
        self, data: bytes, job: dict[str, Any], param: str | None
    ) -> AsyncIterator[tuple[dict[str, Any], int]]:
        """Let a worker read a file; what it says, and the descriptor of the result."""
        what = _PICTURE if job["wanted"] in (PIXELS, JPEG) else _PAGE
        # A JPEG of noise is no larger than its pixels, but for its tables.
        most = 3 * job["max_pixels_used"] + (1 << 20)
        with contextlib.ExitStack() as opened:
            source = await _aside(len(data), lambda: _memory_of(data))
            opened.callback(os.close, source)
            result = _memory(most)
            opened.callback(os.close, result)
            packet = json.dumps({**job, "size": len(data), "seconds": self._seconds}).encode()
            reply = await self._ask(packet, source, result, param, what)
            self._deaths = 0 if reply else self._deaths + 1
            if self._deaths >= _DEATHS:  # it may be what makes the workers, such as for want of memory
                self._deaths = 0
                self._lose_process()
            if not reply and await self._maker_gone():  # no fault of the picture
                reply = await self._ask(packet, source, result, param, what)
            with _refused(param, what):
                told: dict[str, Any] = json.loads(reply)
            if "error" in told:
                raise ImageError(told["error"], zh=told["zh"], code=told["code"], param=param)
            if not (0 if job["wanted"] == PDF_PAGES else 1) <= told["bytes"] <= most:
                raise _broken(param, what)
            yield told, result

    async def _ask(self, job: bytes, source: int, result: int, param: str | None, what: _What) -> bytes:
        """What a worker says of a file; empty where it died of it."""
        worker = await self._worker()
        self._busy += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await worker.ask(job, (source, result))
        except TimeoutError as error:
            raise ImageError(
                f"Reading this {what.name} takes longer than {self._seconds:g} seconds. {what.cure}",
                zh=f"读取{what.name_zh}超过 {self._seconds:g} 秒，{what.cure_zh}",
                param=param,
                code=what.code,
            ) from error
        finally:
            self._busy -= 1
            worker.close()  # it ends by itself, or is killed
            self._prepare()

    async def _worker(self) -> _Worker:
        """One that waits; of a new process, where the one that makes them has ended."""
        for _ in range(3):
            if self._control is None:
                await self.start()
            self._prepare()
            while self._waiting:
                worker = self._waiting.popleft()
                waits = False
                try:
                    async with asyncio.timeout(_START_S):
                        waits = await worker.ready()
                except TimeoutError:
                    self._lose_process()
                finally:  # whoever asked may have gone
                    if not waits:
                        worker.close()
                if waits:
                    return worker
        raise BusyError(
            "There is no room for a process that reads pictures now. Try again shortly.",
            zh="当前无法启动读取图片的进程，请稍后再试。",
            retry_after=5,
        )

    def _prepare(self) -> None:
        """Have workers made, so that the next pictures find one each."""
        while self._control is not None and len(self._waiting) < _AT_ONCE:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)  # noqa: FBT003 - the name says it
            with theirs:
                try:
                    socket.send_fds(self._control, [WORKER], [theirs.fileno()])
                except OSError:  # it has ended: whoever needs a worker starts another
                    ours.close()
                    self._lose_process()
                    return
            self._waiting.append(_Worker(ours))

    async def _maker_gone(self) -> bool:
        """Whether the process that makes workers has ended, and its workers with it; then they are given up.

        Its end of the socket does not tell: a worker that was just forked holds it for a moment longer. It is given
        a moment, since the end of a worker may be seen before the end of its maker is.
        """
        process = self._process
        if self._control is None or process is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GONE_S):
                await process.wait()
        if process.returncode is None and not _ended(process.pid):
            return False
        if self._process is process:  # another reader may have started the next one meanwhile
            self._lose_process()
        return True

    def _lose_process(self) -> None:
        """The process that makes workers has ended, or does not answer."""
        if self._control is not None:
            self._control.close()
            self._control = None


def _ended(child: int) -> bool:
    """Whether a child has, by the kernel: asyncio tells it by a thread, which a busy machine makes wait."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True  # and its status was fetched


class _Worker:
    """The service's end of one worker."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._process = -1  # a descriptor: a number could be somebody else's by the time it is killed

    async def ready(self) -> bool:
        """Wait until it waits; False where it has ended."""
        await _readable(self._stream)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._stream, len(READY), 1)
        except OSError:
            return False
        if data != READY or not descriptors:
            return False
        self._process = descriptors[0]
        return True

    async def ask(self, job: bytes, memory: tuple[int, int]) -> bytes:
        """Give it a picture; its answer, empty where it has ended."""
        try:
            socket.send_fds(self._stream, [job], memory)
            return await asyncio.get_running_loop().sock_recv(self._stream, MAX_PACKET)
        except OSError:
            return b""

    def close(self) -> None:
        """Let it go; in the middle of a picture, too."""
        self._stream.close()
        if self._process >= 0:
            with contextlib.suppress(OSError):  # it has ended by itself
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
            os.close(self._process)
            self._process = -1


@dataclass(frozen=True, slots=True)
class _What:
    """What was read, for the sentences about it."""

    name: str
    cure: str
    name_zh: str
    cure_zh: str
    code: str


_PICTURE = _What(
    "picture",
    "Open it, save it again as JPEG or PNG, and send that.",
    "这张图片",
    "请打开后另存为 JPEG 或 PNG 再上传。",
    ImageError.default_code,
)
_PAGE = _What(
    "PDF",
    "Open it, print it to a new PDF, and send that.",
    "这个 PDF",
    "请打开后另存为新的 PDF 再上传。",
    "invalid_pdf",
)


@contextlib.contextmanager
def _at(param: str | None) -> Iterator[None]:
    """Name the field that a file came in."""
    try:
        yield
    except ImageError as error:
        error.param = param
        raise


@contextlib.contextmanager
def _refused(param: str | None, what: _What = _PICTURE) -> Iterator[None]:
    """Nonsense of a worker is what its file made of it."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(param, what) from error


def _broken(param: str | None, what: _What) -> ImageError:
    return ImageError(
        f"This {what.name} broke the program that reads it. {what.cure}",
        zh=f"{what.name_zh}使读取程序出错，{what.cure_zh}",
        param=param,
        code=what.code,
    )


def _page_sizes(pages: list[list[int]], limits: PdfLimits) -> tuple[tuple[int, int], ...]:
    """Sizes of pages as a worker tells them. Raises ValueError: they are none, or beyond the limits."""
    if not 1 <= len(pages) <= limits.max_pages:
        raise ValueError("not so many pages")
    for width, height in pages:
        if type(width) is not int or type(height) is not int or min(width, height) < 1:
            raise ValueError("no size")
        if width * height > limits.max_page_pixels:
            raise ValueError("a larger page than is drawn")
    return tuple((width, height) for width, height in pages)


def _box(sides: list[int]) -> tuple[int, int, int, int]:
    if len(sides) != 4 or not all(type(side) is int and 0 <= side < 1 << 31 for side in sides):
        raise ValueError("no box")
    return sides[0], sides[1], sides[2], sides[3]


def _pixels(told: dict[str, Any], result: int, most: int, formats: tuple[str, ...]) -> Clean:
    """A copy of the pixels that a worker has left, which it can change no more.

    Raises:
        ValueError: They are not what it says, or not what was asked for.
    """
    (width, height), (original_width, original_height) = told["size"], told["original"]
    sizes = (width, height, original_width, original_height)
    if not all(type(side) is int and 0 < side < 1 << 31 for side in sizes) or told["format"] not in formats:
        raise ValueError("not a picture")
    if width * height > most or width > original_width or height > original_height:
        raise ValueError("more pixels than were asked for")
    if told["bytes"] != width * height * 3:
        raise ValueError("not so many pixels")
    with mmap.mmap(result, told["bytes"], prot=mmap.PROT_READ) as memory:
        pixels = np.empty((height, width, 3), np.uint8)
        pixels.data.cast("B")[:] = memory
    return Clean(pixels, told["format"], original_width, original_height)


async def _aside(size: int, work: Callable[[], _T]) -> _T:
    """Do what takes time in proportion to a size; in a thread where it is much."""
    return work() if size < _SMALL else await asyncio.to_thread(work)


async def _readable(stream: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    found: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        if not found.done():
            found.set_result(None)

    loop.add_reader(stream, readable)
    try:
        await found
    finally:
        loop.remove_reader(stream)


def _memory(size: int) -> int:
    """A memory file of a fixed size."""
    memory = os.memfd_create("vlpro-picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, size)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _FIXED_SIZE)
    except OSError:
        os.close(memory)
        raise
    return memory


def _memory_of(data: bytes) -> int:
    """A memory file with these bytes, which nobody can change."""
    memory = os.memfd_create("vlpro-upload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(memory, rest) :]
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALED)
    except OSError:
        os.close(memory)
        raise
    return memory


def _environment() -> dict[str, str]:
    """No setting and no secret of the service, but the same package; one thread a worker."""
    environment = {
        name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
    }
    return {
        **environment,
        "PYTHONPATH": package_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
