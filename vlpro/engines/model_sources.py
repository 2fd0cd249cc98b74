"""Where a model's files may come from: a folder, a zip, a tar. What is in there is somebody's: only read, by name."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from vlpro.errors import ConfigError

__all__ = ["SOURCE_ERRORS", "Source", "open_source"]

SOURCE_ERRORS = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    NotImplementedError,  # zipfile: a compression that Python lacks
    RuntimeError,  # zipfile: an encrypted file
)
"""What reading a source may raise."""

_CONFIG = "config.json"
_Member = TypeVar("_Member")


class Source(ABC):
    """Files with names, from one folder of theirs."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """The files beside ``config.json``, in bytes by name."""

    @abstractmethod
    def open(self, name: str, offset: int) -> IO[bytes]:
        """A file, from a byte on; whoever takes it closes it."""

    @abstractmethod
    def close(self) -> None:
        """No more is read."""


def open_source(place: Path) -> Source:
    """What is there.

    Args:
        place: A folder or a file.

    Raises:
        ConfigError: The file is no archive that can be read here.
        OSError: It cannot be read; as whatever else is among :data:`SOURCE_ERRORS`.
    """
    if place.is_dir():
        return _Folder(place)
    if zipfile.is_zipfile(place):
        return _Zip(place)
    if tarfile.is_tarfile(place):
        return _Tar(place)
    raise ConfigError(
        f"{place} is neither a folder nor an archive: zip, tar, tar.gz, tar.bz2 or tar.xz.",
        zh=f"{place} 既不是文件夹，也不是归档（zip、tar、tar.gz、tar.bz2、tar.xz）。",
        param="source",
    )


class _Folder(Source):
    def __init__(self, place: Path) -> None:
        self._place = place

    def sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self._place.iterdir() if path.is_file()}

    def open(self, name: str, offset: int) -> IO[bytes]:
        file = (self._place / name).open("rb")
        file.seek(offset)
        return file

    def close(self) -> None:
        pass


class _Zip(Source):
    def __init__(self, place: Path) -> None:
        self._archive = zipfile.ZipFile(place)
        listed = {one.filename: one for one in self._archive.infolist() if not one.is_dir()}
        self._members = _beside_config(listed)

    def sizes(self) -> dict[str, int]:
        return {name: member.file_size for name, member in self._members.items()}

    def open(self, name: str, offset: int) -> IO[bytes]:
        file = self._archive.open(self._members[name])
        file.seek(offset)
        return file

    def close(self) -> None:
        self._archive.close()


class _Tar(Source):
    def __init__(self, place: Path) -> None:
        self._archive = tarfile.open(place)  # noqa: SIM115 - closed by close()
        listed = {one.name: one for one in self._archive.getmembers() if one.isreg()}
        self._members = _beside_config(listed)

    def sizes(self) -> dict[str, int]:
        return {name: member.size for name, member in self._members.items()}

    def open(self, name: str, offset: int) -> IO[bytes]:
        file = self._archive.extractfile(self._members[name])
        assert file is not None  # noqa: S101 - a regular file
        file.seek(offset)
        return file

    def close(self) -> None:
        self._archive.close()


def _beside_config(listed: dict[str, _Member]) -> dict[str, _Member]:
    """Of an archive's members those of the model's folder: the outermost that has a ``config.json``."""
    folders = [PurePosixPath(name).parent for name in listed if PurePosixPath(name).name == _CONFIG]
    if not folders:
        return {}
    folder = min(folders, key=lambda path: (len(path.parts), str(path)))
    return {
        PurePosixPath(name).name: member
        for name, member in listed.items()
        if PurePosixPath(name).parent == folder
    }
