"""A watched folder: each picture in it is inspected, and moved or removed when that is done.

Nothing is remembered but in the folder itself, so whatever lies there after a restart is taken up then. A file is
taken when it has not changed for a while; one that is written under another name and renamed is whole at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlpro.chat.queue import in_background
from vlpro.chat.service import Upload
from vlpro.errors import BadRequestError, ConfigError, ImageError, VlproError
from vlpro.workflows.inspection.messages import inspection_message
from vlpro.workflows.inspection.method import Asked
from vlpro.workflows.inspection.operator import Operator
from vlpro.workflows.inspection.options import NAME, FolderOptions
from vlpro.workflows.inspection.service import InspectionService, Shown

__all__ = ["DONE", "FAILED", "WatchedFolder"]

log = logging.getLogger(__name__)

DONE, FAILED = "done", "failed"
"""Sub folders for pictures that were inspected, and for those that could not be."""

_NOT_YET = (".part", ".tmp", ".crdownload", ".filepart", "~")  # how programs name what they still write
_EMPTY_S = 10.0  # a file without bytes is probably about to be written
_MOST = 1_000  # files of one look
_PAUSE_S = 5.0  # before what failed through no fault of the picture is tried again
_MOST_PAUSE_S = 300.0

_Stamp = tuple[int, int, int]
"""Inode, size and time of the last change: another one is another file."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    station: str
    product: str
    stamp: _Stamp


class WatchedFolder:
    """Inspects what is put into a folder.

    Args:
        service: Inspects.
        options: Which folder.
        operator: In whose name.
        data_dir: Where the service keeps its own files.
        max_bytes: Of a picture.

    Raises:
        ConfigError: The folder is not there, cannot be written, or lies in the data folder.
    """

    def __init__(
        self,
        service: InspectionService,
        options: FolderOptions,
        operator: Operator,
        *,
        data_dir: Path,
        max_bytes: int,
    ) -> None:
        self._service = service
        self._options = options
        self._operator = operator
        self._max_bytes = max_bytes
        self._seen: dict[Path, tuple[_Stamp, float]] = {}  # since when it is so
        self._stuck: set[tuple[Path, _Stamp]] = set()  # inspected, but could not be moved
        folder, data = options.path.resolve(), data_dir.resolve()
        if folder == data or data in folder.parents or folder in data.parents:
            raise _unfit(folder, "and the data folder may not contain each other", "与数据文件夹不能互相包含")
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise _unfit(folder, "is no folder that the service may read and write", "不是服务可读写的文件夹")
        self._root = folder

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = _PAUSE_S
        while True:
            try:
                for file in await asyncio.to_thread(self._look):
                    await self._handle(file)
                pause = _PAUSE_S
            except (VlproError, OSError) as error:
                said = error.message if isinstance(error, VlproError) else f"{type(error).__name__}: {error}"
                log.warning("the watched folder is left alone for %g s: %s", pause, said)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MOST_PAUSE_S)
            await asyncio.sleep(self._options.poll_s)

    def _look(self) -> list[_File]:
        """The files that are whole, the oldest first."""
        now, seen, whole = time.monotonic(), {}, []
        for file in self._found():
            stamp, since = self._seen.get(file.path, (None, now))
            if stamp != file.stamp:
                since = now
            seen[file.path] = (file.stamp, since)
            settled = max(self._options.settle_s, _EMPTY_S if file.stamp[1] == 0 else 0.0)
            if now - since >= settled and (file.path, file.stamp) not in self._stuck:
                whole.append(file)
        self._seen = seen
        return sorted(whole, key=lambda file: file.stamp[2])

    def _found(self) -> Iterator[_File]:
        left = _MOST
        for station, folder in self._stations(self._root):
            for product, lower in self._stations(folder) if station else [("", folder)]:
                for entry in self._entries(lower):
                    if not _is_taken(entry):
                        continue
                    try:
                        told = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # taken away meanwhile
                    if stat.S_ISREG(told.st_mode):
                        stamp = (told.st_ino, told.st_size, told.st_mtime_ns)
                        yield _File(Path(entry.path), station, product or self._options.product, stamp)
                        left -= 1
                        if not left:
                            return

    def _stations(self, folder: Path) -> list[tuple[str, Path]]:
        """A folder itself, without a name, and its sub folders that may be a station or a product."""
        found = [("", folder)]
        found += [
            (entry.name, Path(entry.path))
            for entry in self._entries(folder)
            if entry.is_dir(follow_symlinks=False)
            and re.fullmatch(NAME, entry.name)
            and not (folder == self._root and entry.name in (DONE, FAILED))
        ]
        return found

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What lies in it; of a sub folder that was taken away meanwhile nothing."""
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except FileNotFoundError:
            if folder == self._root:
                raise
            return []

    async def _handle(self, file: _File) -> None:
        """Inspect a file, and put it away.

        Raises:
            VlproError: It could not be inspected through no fault of its own: it stays where it is.
        """
        try:
            shown = await self._inspected(file)
        except FileNotFoundError:
            return  # whoever put it there took it back
        except BadRequestError as error:
            log.warning("%s was not inspected: %s", ascii(file.path.name), error.code)
            await asyncio.to_thread(self._put_away, file, FAILED, f"{error.zh}\n{error.message}\n", ".txt")
            return
        if self._options.done == "remove":
            await asyncio.to_thread(self._remove, file)
        else:
            text = inspection_message(shown).model_dump_json(indent=1) + "\n"
            await asyncio.to_thread(self._put_away, file, DONE, text, ".json")

    async def _inspected(self, file: _File) -> Shown:
        person = await self._operator.act()
        data = await asyncio.to_thread(self._read, file)
        asked = Asked(
            image=Upload(data),
            product=file.product,
            station=file.station,
            method=self._options.method,
            source="folder",
        )
        return await in_background(lambda: self._service.inspect(person, asked))

    def _read(self, file: _File) -> bytes:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            told = os.fstat(descriptor)
            if (told.st_ino, told.st_size, told.st_mtime_ns) != file.stamp:
                raise FileNotFoundError(file.path)  # it is another one by now, which the next look finds
            if told.st_size > self._max_bytes:
                raise ImageError(
                    f"The picture is larger than {self._max_bytes / 1e6:g} MB.",
                    zh=f"图片超过 {self._max_bytes / 1e6:g} MB。",
                    code="image_too_large",
                )
            return opened.read()

    def _put_away(self, file: _File, where: str, text: str, suffix: str) -> None:
        """Move a file into a sub folder, with a text beside it; another file of this name stays."""
        try:
            folder = self._root / where / file.path.parent.relative_to(self._root)
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(10_000):
                name = file.path.name if not number else f"{file.path.stem}-{number}{file.path.suffix}"
                if not os.path.lexists(folder / name):
                    break
            else:
                raise FileExistsError(folder / file.path.name)
            (folder / f"{name}{suffix}").write_text(text, encoding="utf-8")
            file.path.rename(folder / name)
        except OSError as error:
            self._leave(file, error)

    def _remove(self, file: _File) -> None:
        try:
            file.path.unlink()
        except OSError as error:
            self._leave(file, error)

    def _leave(self, file: _File, error: OSError) -> None:
        """What cannot be put away is not inspected again and again."""
        log.error("%s was inspected, but cannot be put away: %s", ascii(str(file.path)), error.strerror)
        self._stuck.add((file.path, file.stamp))


def _is_taken(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and not entry.name.lower().endswith(_NOT_YET)


def _unfit(folder: Path, en: str, zh: str) -> ConfigError:
    return ConfigError(
        f"inspection.folder.path {folder} {en}. Name another one.",
        zh=f"inspection.folder.path {folder} {zh}，请另设文件夹。",
        param="inspection.folder.path",
    )
