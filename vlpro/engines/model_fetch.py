"""A model's files brought in from a folder, a mounted medium or an archive, each verified while it is copied.

Nothing is asked of a network: a model arrives as files that somebody carried here. What is copied is what the
manifest names and nothing else; a file stands under its name only when all its bytes are those of the manifest. Until
then it is ``NAME.part``, with which no folder verifies, and from which a later run goes on.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vlpro.engines.model_files import FileEntry, Manifest
from vlpro.engines.model_sources import SOURCE_ERRORS, Source, open_source
from vlpro.errors import ConfigError, ModelFilesError

__all__ = ["Fetched", "fetch"]

_BLOCK = 8 * 2**20
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z0-9-]+@[A-Za-z0-9.-]+:")
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a file.

    Args:
        name: Of the file.
        size: Bytes.
        copied: Bytes of it that were copied now; 0: it was there already, whole.
    """

    name: str
    size: int
    copied: int


def fetch(
    source: str, target: Path, manifest: Manifest, progress: Progress = lambda _done, _total: None
) -> list[Fetched]:
    """Copy a model's files, verified; what an earlier run has copied is verified and kept.

    Args:
        source: A folder, or an archive (zip, tar).
        target: The new folder, or that of an earlier run.
        manifest: What the files must be.
        progress: Called with bytes done and in all.

    Returns:
        The files that are there now, as the manifest lists them.

    Raises:
        ConfigError: The source is a URL, a model's name or nothing at all; or the target cannot be written.
        ModelFilesError: Names the file of the source that is missing, of another size or altered.
    """
    place = _place(source)
    with _readable(place):
        opened = open_source(place)
    with closing(opened):
        with _readable(place):
            found = opened.sizes()
        _check(found, manifest, place)
        files = {name: entry for name, entry in manifest.files.items() if name in found}
        with _writable(target):
            _prepare(target, manifest, files)
            return _copy_all(_Reader(opened, place), target, files, progress)


class _Reader:
    """The source's files in blocks; what goes wrong there is told as the source's."""

    def __init__(self, source: Source, place: Path) -> None:
        self._source, self._place = source, place

    def blocks(self, name: str, offset: int, size: int) -> Iterator[bytes]:
        """A file from a byte on, up to its size."""
        with _readable(self._place), closing(self._source.open(name, offset)) as data:
            while offset < size and (block := data.read(min(_BLOCK, size - offset))):
                offset += len(block)
                yield block


@contextmanager
def _readable(place: Path) -> Iterator[None]:
    try:
        yield
    except SOURCE_ERRORS as error:
        raise ModelFilesError(
            f"{place} cannot be read: {error}. Copy it again from where it was made.",
            zh=f"无法读取 {place}：{error}。请从来源处重新复制。",
            param="source",
        ) from error


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{error.filename or target} cannot be written: {error.strerror}.",
            zh=f"无法写入 {error.filename or target}：{error.strerror}。",
            param="output",
        ) from error


def _place(source: str) -> Path:
    path = Path(source)
    if path.exists():
        return path
    if _URL.match(source) or _MODEL_ID.fullmatch(source):
        raise ConfigError(
            f"{source} is not on this machine, and nothing is fetched over a network. Download the model on a "
            "connected machine, carry it here, and name its folder or archive: vlpro model fetch /media/usb/MODEL "
            "--output FOLDER.",
            zh=f"{source} 不在本机上，而本产品不会从网络下载任何内容。请在联网的机器上下载模型，用介质带入，"
            "然后指定其文件夹或归档：vlpro model fetch /media/usb/MODEL --output FOLDER。",
            param="source",
        )
    raise ConfigError(
        f"There is no folder or archive {source}. Is the medium mounted?",
        zh=f"没有文件夹或归档 {source}。介质挂载了吗？",
        param="source",
    )


def _check(found: dict[str, int], manifest: Manifest, place: Path) -> None:
    """Refuse at once what cannot come right: names and sizes."""
    for name, entry in manifest.files.items():
        if name not in found and entry.required:
            raise _wrong(name, f"is not in {place}", f"不在 {place} 中")
        if name in found and found[name] != entry.size:
            raise _wrong(
                name,
                f"has {found[name]} bytes in {place} instead of {entry.size}",
                f"在 {place} 中有 {found[name]} 字节，应为 {entry.size} 字节",
            )


def _prepare(target: Path, manifest: Manifest, files: dict[str, FileEntry]) -> None:
    """Make the folder, and see that nothing else lies there and that there is room."""
    target.mkdir(parents=True, exist_ok=True)
    there = {path.name: path.stat().st_size for path in target.iterdir()}
    ours = {*manifest.files, *(_part(name) for name in manifest.files)}
    if foreign := sorted(there.keys() - ours):
        shown = foreign[0] if foreign[0].isprintable() else ascii(foreign[0])
        raise ConfigError(
            f"{target} holds {shown}, which is no part of this model. Name a new folder.",
            zh=f"{target} 中有 {shown}，不属于该模型。请指定新的文件夹。",
            param="output",
        )
    missing = sum(
        entry.size - there.get(_part(name), 0) for name, entry in files.items() if name not in there
    )
    free = shutil.disk_usage(target).free
    if missing > free:
        raise ConfigError(
            f"{target} has room for {free / 1e9:.1f} GB, and {missing / 1e9:.1f} GB are missing. Make room, or name "
            "a folder on a larger disk.",
            zh=f"{target} 剩余 {free / 1e9:.1f} GB，还需要 {missing / 1e9:.1f} GB。请腾出空间，或换到更大的磁盘。",
            param="output",
        )


def _copy_all(
    source: _Reader, target: Path, files: dict[str, FileEntry], progress: Progress
) -> list[Fetched]:
    total, before = sum(entry.size for entry in files.values()), 0
    made = []
    for name, entry in files.items():

        def show(done: int, before: int = before) -> None:
            progress(before + done, total)

        made.append(_copy(source, target, name, entry, show))
        before += entry.size
        progress(before, total)
    return made


def _copy(source: _Reader, target: Path, name: str, entry: FileEntry, show: Callable[[int], None]) -> Fetched:
    """One file: kept where it is whole, gone on with where a part is there, else copied."""
    whole, part = target / name, target / _part(name)
    if whole.exists():
        with whole.open("rb") as file:
            digest = _read(file, entry.size, show)
        if digest.hexdigest() == entry.sha256 and whole.stat().st_size == entry.size:
            return Fetched(name, entry.size, 0)
        whole.unlink()
    kept = part.stat().st_size if part.exists() else 0
    if 0 < kept <= entry.size:
        copied = _append(source, part, name, entry, show)
        if copied is not None:
            part.replace(whole)
            return Fetched(name, entry.size, copied)
    part.unlink(missing_ok=True)  # what was kept is not the beginning of this file
    copied = _append(source, part, name, entry, show)
    if copied is None:
        part.unlink(missing_ok=True)
        raise _wrong(name, "was altered: its SHA-256 is not the expected one", "被改动：SHA-256 与清单不符")
    part.replace(whole)
    return Fetched(name, entry.size, copied)


def _append(
    source: _Reader, part: Path, name: str, entry: FileEntry, show: Callable[[int], None]
) -> int | None:
    """Copy what is missing behind what is there; how many bytes, or None where the whole is not the file."""
    with part.open("a+b") as file:
        file.seek(0)
        digest = _read(file, entry.size, show)
        done = kept = file.tell()
        for block in source.blocks(name, kept, entry.size):
            digest.update(block)
            file.write(block)
            done += len(block)
            show(done)
        file.flush()
        os.fsync(file.fileno())
    return done - kept if done == entry.size and digest.hexdigest() == entry.sha256 else None


def _read(file: IO[bytes], most: int, show: Callable[[int], None]) -> hashlib._Hash:
    digest, done = hashlib.sha256(), 0
    while done <= most and (block := file.read(_BLOCK)):
        digest.update(block)
        done += len(block)
        show(min(done, most))
    return digest


def _part(name: str) -> str:
    return name + ".part"


def _wrong(name: str, what: str, what_zh: str) -> ModelFilesError:
    return ModelFilesError(
        f"{name} {what}. Copy the model again from a source that you trust.",
        zh=f"{name} {what_zh}。请从可信来源重新复制模型。",
        param=name,
    )
