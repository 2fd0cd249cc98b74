"""A model's folder is what its manifest says, byte for byte, or it is not loaded.

Nothing in the folder is executed, and formats that could execute (pickle, Python) are in no manifest. Only the
folder's own files are looked at; a link to a file counts as the file, which is how the Hugging Face cache keeps them.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes

from vlpro.errors import ModelFilesError

__all__ = [
    "FileEntry",
    "Manifest",
    "Stamps",
    "find_manifest",
    "make_manifest",
    "read",
    "sm3",
    "stamps",
    "verify",
]

_BLOCK = 8 * 2**20
_THREADS = 4
_OFFICIAL = "qwen3-vl-4b-instruct.json"
_LOADABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(safetensors|json|txt|jinja)")
_HARMLESS = re.compile(
    r"LICENSE[A-Za-z0-9_-]*(\.txt)?|.+\.(md|png|jpe?g|gif|webp|svg)|\.gitattributes|\.gitignore"
)
_HARMLESS_FOLDERS = frozenset({".cache", ".git"})

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]
Stamps = Mapping[str, str]
"""Of each file what the file system tells of it; see :func:`stamps`."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a file must be.

    Args:
        size: Bytes.
        sha256: Hex digest of its content.
        required: Whether it must be there; if not, it may be absent, but not differ.
    """

    size: int
    sha256: str
    required: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder must be.

    Args:
        name: Of the model.
        revision: Of its repository; may be empty.
        files: By their name in the folder.
    """

    name: str
    revision: str
    files: Mapping[str, FileEntry]

    def to_json(self) -> str:
        """The manifest as it is stored."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Manifest:
        """Read a manifest.

        Args:
            text: JSON.
            source: What to call it where it is wrong.

        Raises:
            ModelFilesError: It is no manifest, or names a file that could execute or lies elsewhere.
        """
        try:
            data = json.loads(text)
            files = {str(name): _entry(value) for name, value in data["files"].items()}
            manifest = cls(_string(data["name"]), _string(data["revision"]), files)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelFilesError(
                f"{source} is not a manifest of a model. Make one with: vlpro model manifest FOLDER --name NAME.",
                zh=f"{source} 不是模型清单。请用 vlpro model manifest FOLDER --name NAME 生成。",
                param="model_manifest",
            ) from error
        for name in manifest.files:
            if not _LOADABLE.fullmatch(name):
                raise _not_loadable(name)
        return manifest


def find_manifest(path: str, folder: Path) -> Manifest:
    """The manifest to verify a folder against.

    Args:
        path: Of an own manifest; empty: the official one of Qwen3-VL-4B-Instruct, which is part of this package.
        folder: The model's. Who may write there could write the manifest too, so it must lie elsewhere.

    Raises:
        ModelFilesError: It cannot be read, is none, or lies in the folder.
    """
    if not path:
        source = importlib.resources.files("vlpro.engines") / "manifests" / _OFFICIAL
        return Manifest.from_json(source.read_text(encoding="utf-8"), _OFFICIAL)
    if Path(path).resolve().is_relative_to(folder.resolve()):
        raise ModelFilesError(
            f"The manifest {path} lies in the model's own folder, where it proves nothing. Keep it elsewhere.",
            zh=f"清单 {path} 位于模型文件夹内，不能作为依据。请放到别处。",
            param="model_manifest",
        )
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFilesError(
            f"The manifest {path} cannot be read. Check the path in VLPRO_MODEL_MANIFEST or --manifest.",
            zh=f"无法读取清单 {path}。请检查 VLPRO_MODEL_MANIFEST 或 --manifest 中的路径。",
            param="model_manifest",
        ) from error
    return Manifest.from_json(text, path)


def verify(
    folder: Path,
    manifest: Manifest,
    *,
    known: Stamps | None = None,
    progress: Progress = lambda _done, _total: None,
    cancelled: Cancelled = lambda: False,
) -> None:
    """Check that a folder is what a manifest says: names and sizes at once, then every byte.

    Args:
        folder: The model's.
        manifest: What it must be.
        known: Of files that were found right before; the bytes of one that is stamped the same are not read again.
        progress: Is told bytes done and in all, from the reading threads, one call at a time.
        cancelled: Asked between blocks.

    Raises:
        ModelFilesError: Names the first file that is missing, of another size, altered or unexpected.
        CancelledError: ``cancelled`` said so.
    """
    sizes = _sizes(folder)
    for name, entry in manifest.files.items():
        if name not in sizes and entry.required:
            raise _wrong(name, "is missing", "缺失")
        if name in sizes and sizes[name] != entry.size:
            raise _wrong(
                name,
                f"has {sizes[name]} bytes instead of {entry.size}",
                f"的大小是 {sizes[name]} 字节，应为 {entry.size} 字节",
            )
    for name in sorted(sizes.keys() - manifest.files.keys()):
        if not _HARMLESS.fullmatch(name):
            raise ModelFilesError(
                f"The model's folder holds {_shown(name)}, which is not in the manifest of "
                f"{_shown(manifest.name)}. Remove it.",
                zh=f"模型文件夹中的 {_shown(name)} 不在 {_shown(manifest.name)} 的清单里，请移除。",
                param=name,
            )

    def check(name: str, digest: str) -> None:
        if digest != manifest.files[name].sha256:
            raise _wrong(
                name, "was altered: its SHA-256 is not the expected one", "被改动：SHA-256 与清单不符"
            )

    now = stamps(folder, manifest) if known else {}
    listed = {
        name: sizes[name]
        for name in manifest.files
        if name in sizes and not (known and name in now and now[name] == known.get(name))
    }
    _hash_all(folder, listed, check, progress, cancelled)


def stamps(folder: Path, manifest: Manifest) -> dict[str, str]:
    """What the file system tells of each file that is there: size, times of change in ns, inode and device.

    The time of the inode's change (``ctime``) is set by the kernel alone: who writes to a file, or puts another one
    in its place, changes it, whatever becomes of the other times. Only who may set the clock or write to the disk
    itself can keep it.
    """
    found: dict[str, str] = {}
    for name in manifest.files:
        try:
            state = (folder / name).stat()
        except OSError:
            continue
        values = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev)
        found[name] = ":".join(map(str, values))
    return found


def sm3(
    folder: Path, manifest: Manifest, *, progress: Progress = lambda _done, _total: None
) -> dict[str, str]:
    """The files' SM3 (GB/T 32905-2016), hexadecimal, by name; for a folder that was verified.

    Raises:
        ModelFilesError: A file cannot be read any more.
    """
    sizes = _sizes(folder)
    digests: dict[str, str] = {}
    listed = {name: sizes[name] for name in manifest.files if name in sizes}
    _hash_all(folder, listed, digests.__setitem__, progress, lambda: False, algorithm=_Sm3)
    return digests


class _Sm3:
    """SM3 with the methods of :mod:`hashlib`."""

    def __init__(self) -> None:
        self._digest = hashes.Hash(hashes.SM3())

    def update(self, data: memoryview) -> None:
        self._digest.update(data)

    def hexdigest(self) -> str:
        return self._digest.finalize().hex()


def read(folder: Path, manifest: Manifest, name: str) -> bytes:
    """A file's content, which is what the manifest says: for what is needed before the whole folder is verified.

    Args:
        folder: The model's.
        manifest: What it must be.
        name: Of the file, in the manifest.

    Raises:
        ModelFilesError: It is missing, altered, or not in the manifest.
    """
    entry = manifest.files.get(name)
    if entry is None:
        raise _wrong(name, "is needed, but not in the manifest", "是必需的，但不在清单里")
    try:
        with (folder / name).open("rb") as file:
            content = file.read(entry.size + 1)
    except OSError as error:
        raise _wrong(name, f"cannot be read ({error.strerror})", f"无法读取（{error.strerror}）") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _wrong(name, "was altered: its SHA-256 is not the expected one", "被改动：SHA-256 与清单不符")
    return content


def make_manifest(
    folder: Path,
    name: str,
    *,
    progress: Progress = lambda _done, _total: None,
    cancelled: Cancelled = lambda: False,
) -> Manifest:
    """Take down what a folder is now, for a model that has no official manifest.

    Args:
        folder: The model's; it is trusted.
        name: Of the model.
        progress: As for :func:`verify`.
        cancelled: As for :func:`verify`.

    Raises:
        ModelFilesError: It is no folder, has no ``config.json``, or holds a file that could execute.
        CancelledError: As for :func:`verify`.
    """
    sizes = {file: size for file, size in _sizes(folder).items() if not _HARMLESS.fullmatch(file)}
    for file in sizes:
        if not _LOADABLE.fullmatch(file):
            raise _not_loadable(file)
    if "config.json" not in sizes:
        raise _wrong("config.json", "is missing", "缺失")
    digests: dict[str, str] = {}
    _hash_all(folder, sizes, digests.__setitem__, progress, cancelled)
    files = {file: FileEntry(size, digests[file], required=True) for file, size in sizes.items()}
    return Manifest(name, "", files)


def _sizes(folder: Path) -> dict[str, int]:
    """All files of a folder with their sizes, by name.

    Raises:
        ModelFilesError: It cannot be listed, or holds a folder or something that is no file.
    """
    sizes = {}
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    if entry.name not in _HARMLESS_FOLDERS:
                        raise _wrong(
                            entry.name, "is a folder, which does not belong there", "是文件夹，不应存在"
                        )
                elif entry.is_file():
                    sizes[entry.name] = entry.stat().st_size
                else:
                    raise _wrong(entry.name, "is no file", "不是文件")
    except OSError as error:
        raise ModelFilesError(
            f"The model's folder {folder} cannot be read: {error.strerror}. Check VLPRO_MODEL_DIR.",
            zh=f"无法读取模型文件夹 {folder}：{error.strerror}。请检查 VLPRO_MODEL_DIR。",
            param="model_dir",
        ) from error
    return sizes


def _hash_all(
    folder: Path,
    sizes: Mapping[str, int],
    take: Callable[[str, str], None],
    progress: Progress,
    cancelled: Cancelled,
    *,
    algorithm: Callable[[], Any] = hashlib.sha256,
) -> None:
    """Hash files in several threads, largest first; the first failure ends them all.

    Args:
        folder: Where the files are.
        sizes: Their names and sizes.
        take: Is given each name and digest, from the threads; may raise.
        progress: As for :func:`verify`.
        cancelled: As for :func:`verify`.
        algorithm: Makes a digest.
    """
    total, done = sum(sizes.values()), 0
    lock, stop = threading.Lock(), threading.Event()

    def advance(count: int) -> None:
        nonlocal done
        if stop.is_set() or cancelled():
            raise CancelledError
        with lock:
            done += count
            progress(done, total)

    def work(name: str) -> None:
        take(name, _digest(folder / name, sizes[name], advance, algorithm()))

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="model-files") as pool:
        try:  # from the first thread on, whatever interrupts this one ends them
            futures = [pool.submit(work, name) for name in sorted(sizes, key=lambda name: -sizes[name])]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    # Threads that were stopped because another failed are the consequence, not the cause.
    failures = [error for future in futures if not future.cancelled() and (error := future.exception())]
    for error in sorted(failures, key=lambda error: isinstance(error, CancelledError)):
        raise error


def _digest(path: Path, size: int, advance: Callable[[int], None], digest: Any) -> str:
    """Digest of a file, hexadecimal; reads no more than one block beyond its size."""
    block, read = bytearray(_BLOCK), 0
    try:
        with path.open("rb", buffering=0) as file:
            while read <= size and (count := file.readinto(block)):
                digest.update(memoryview(block)[:count])
                read += count
                advance(count)
    except OSError as error:
        raise _wrong(
            path.name, f"cannot be read ({error.strerror})", f"无法读取（{error.strerror}）"
        ) from error
    return str(digest.hexdigest())


def _wrong(name: str, what: str, what_zh: str) -> ModelFilesError:
    return ModelFilesError(
        f"In the model's folder, {_shown(name)} {what}. Copy the folder again from a source that you trust, then "
        "run: vlpro model verify.",
        zh=f"模型文件夹中的 {_shown(name)} {what_zh}。请从可信来源重新复制，然后运行 vlpro model verify。",
        param=name,
    )


def _not_loadable(name: str) -> ModelFilesError:
    return ModelFilesError(
        f"{_shown(name)} cannot be part of a model here: only .safetensors, .json, .txt and .jinja files, which "
        "are read and never run, can. Remove it.",
        zh=f"{_shown(name)} 不能作为模型文件：只允许只读不执行的 .safetensors、.json、.txt、.jinja 文件。请移除。",
        param=name,
    )


def _shown(name: str) -> str:
    """A file's name for a terminal; what could steer the terminal is escaped."""
    return name[:120] if name.isprintable() else ascii(name[:120])


def _entry(value: object) -> FileEntry:
    if not isinstance(value, dict) or value.keys() != {"size", "sha256", "required"}:
        raise ValueError("not an entry")
    size, digest, required = value["size"], _string(value["sha256"]), value["required"]
    if type(size) is not int or type(required) is not bool or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("not an entry")
    return FileEntry(size, digest, required)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
