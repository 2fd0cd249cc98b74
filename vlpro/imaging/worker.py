"""``python -m vlpro.imaging.worker CONTROL PARENT``: reads pictures; started by the service, not by people.

This process imports and warms up the decoders once, and reads no picture. For each picture it forks a worker, which
takes milliseconds. A worker gives up its files, its network and most of its memory, reads one picture, and ends: what
a picture left in its memory goes back to the system, and what a crafted file took over goes with it.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import resource
import signal
import socket
import sys
import sysconfig
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

import vlpro
from vlpro.errors import ConfigError, ImageError
from vlpro.imaging import pdf
from vlpro.imaging.encode import pixels_to_jpeg
from vlpro.imaging.ingest import Clean, Limits, clean
from vlpro.process import die_with_parent, keep_memory_private
from vlpro.sealing import landlock, seccomp

__all__ = ["JPEG", "MAX_PACKET", "PDF_PAGE", "PDF_PAGES", "PDF_TEXT", "PIXELS", "READY", "WORKER", "main"]

WORKER, READY = b"worker", b"ready"
"""Packets: a worker is wanted, with its socket; a worker waits, with a descriptor of its process."""

PIXELS, JPEG = "pixels", "jpeg"
"""What is wanted of a picture: clean pixels, or a JPEG of them."""

PDF_PAGES, PDF_PAGE, PDF_TEXT = "pdf pages", "pdf page", "pdf text"
"""What is wanted of a PDF: the sizes of its pages; of one page its pixels, or its text."""

MAX_PACKET = 65_536
_OPEN_FILES = 16
_OF_PDF = (PDF_PAGES, PDF_PAGE, PDF_TEXT)


def main() -> None:
    """Fork workers until the service goes."""
    control_number, parent = map(int, sys.argv[1:3])
    die_with_parent(parent)
    keep_memory_private()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the service, which then ends this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended: its socket tells
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    cv2.setNumThreads(1)
    _warm_up()
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, what all workers share
    myself, mapped = os.getpid(), _address_space()
    confine()  # once for all: a worker inherits it
    with socket.socket(fileno=control_number) as control:
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, MAX_PACKET, 1)
            if not data:
                return
            try:
                child = os.fork()
            except OSError:  # no more processes, or no memory: the service sees the socket close
                child = -1
            if child == 0:
                control.close()
                die_with_parent(myself)
                _worker(socket.socket(fileno=descriptors[0]), mapped)
            for descriptor in descriptors:
                os.close(descriptor)


def _warm_up() -> None:
    """Load what each kind of picture takes, so that no worker has to."""
    Image.preinit()
    noise = np.arange(48 * 32 * 3, dtype=np.uint8).reshape(32, 48, 3)
    for mode in ("RGB", "RGBA", "P", "L"):
        for kind in ("JPEG", "PNG", "BMP", "WEBP"):
            if kind == "JPEG" and mode in ("RGBA", "P"):
                continue
            out = BytesIO()
            Image.fromarray(noise).convert(mode).save(out, kind)
            for budget in (100, 10_000):
                clean(out.getvalue(), limits=Limits(), max_pixels_used=budget)
    pixels_to_jpeg(noise)
    pdf.warm_up()


def _worker(stream: socket.socket, mapped: int) -> None:
    """Be a worker: one picture, and the end.

    Args:
        stream: To the service.
        mapped: Bytes of address space that every worker begins with.
    """
    status = 1
    try:
        me = os.pidfd_open(os.getpid())
        # Before the limit: it would count what all processes of this user have sent to each other (unix(7)).
        socket.send_fds(stream, [READY], [me])
        os.close(me)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
        data, descriptors, _, _ = socket.recv_fds(stream, MAX_PACKET, 2)
        if data:
            job = json.loads(data)
            most = mapped + job["memory"]
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            stream.send(json.dumps(_read(job, *descriptors)).encode())
        status = 0
    except BrokenPipeError:
        status = 0  # the service has given this picture up
    finally:
        os._exit(status)


def confine() -> None:
    """Keep only what reading takes: no file but the interpreter's own and fonts, no network, no new program.

    As far as the kernel goes along: Landlock came with Linux 5.13, and the filter of calls is for two machines.
    """
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(sysconfig.get_path(name)) for name in names}
    with suppress(ConfigError, OSError):
        landlock.confine(read=[*folders, Path(vlpro.__file__).parent, *pdf.FONT_FOLDERS])
    with suppress(ConfigError, OSError):
        seccomp.install(seccomp.PROCESS)


def _read(job: dict[str, Any], source: int, target: int) -> dict[str, Any]:
    """Read one picture, or one page of a PDF.

    Args:
        job: From :mod:`vlpro.imaging.workers`.
        source: Descriptor of the file's bytes.
        target: Descriptor of the memory for the result, large enough.

    Returns:
        What it is, or what is wrong with it.
    """
    seconds = job["seconds"]
    # Where the service itself hangs: the kernel ends this worker, in the middle of a decoder too.
    signal.setitimer(signal.ITIMER_REAL, 1.2 * seconds + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 3))
    data = os.pread(source, job["size"], 0)
    os.close(source)
    try:
        told, result = _pdf(job, data) if job["wanted"] in _OF_PDF else _picture(job, data)
    except ImageError as error:
        return {"error": error.message, "zh": error.zh, "code": error.code}
    raw = result.cast("B")
    told["bytes"] = raw.nbytes
    if raw.nbytes:
        with mmap.mmap(target, raw.nbytes) as memory:
            memory[:] = raw
    return told


def _picture(job: dict[str, Any], data: bytes) -> tuple[dict[str, Any], memoryview]:
    found = clean(data, limits=Limits(**job["limits"]), max_pixels_used=job["max_pixels_used"])
    pixels = found.pixels.data if job["wanted"] == PIXELS else memoryview(pixels_to_jpeg(found.pixels))
    return _sizes(found), pixels


def _pdf(job: dict[str, Any], data: bytes) -> tuple[dict[str, Any], memoryview]:
    limits = pdf.PdfLimits(**job["limits"])
    if job["wanted"] == PDF_PAGES:
        return {"pages": pdf.page_sizes(data, limits=limits)}, memoryview(b"")
    if job["wanted"] == PDF_TEXT:
        lines = [[line.text, line.box] for line in pdf.page_text(data, job["number"], limits=limits)]
        return {}, memoryview(json.dumps(lines).encode())
    found = pdf.clean_page(data, job["number"], limits=limits, max_pixels_used=job["max_pixels_used"])
    return _sizes(found), found.pixels.data


def _sizes(found: Clean) -> dict[str, Any]:
    return {
        "format": found.format,
        "original": [found.original_width, found.original_height],
        "size": [int(found.pixels.shape[1]), int(found.pixels.shape[0])],
    }


def _address_space() -> int:
    """Bytes that this process has mapped (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


if __name__ == "__main__":
    main()
