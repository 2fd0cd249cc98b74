"""Zip archives that anybody may have made: looked at before anything is unpacked, and unpacked in memory only.

Bombs are told by the sizes that the archive states, and by what really comes out: an entry that gives more than it
states, or than it may, is an error of that entry. Nothing is written under an entry's name.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from vlpro.errors import BadRequestError, VlproError

__all__ = ["Archive", "ArchiveLimits", "Entry", "is_archive"]

_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_PACKED = (*_STARTS, b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b")
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_TAIL = 65_557  # bytes that the end of an archive may take: 22, and a comment of 65,535
_LIST_BYTES = 1_000  # of the archive's list, for each file that it may have
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SMALL = 1_000_000  # bytes of an entry that may be packed as well as it likes
_START_BYTES = 1_100
_BROKEN = (  # what zipfile raises for archives that are
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_ENCRYPTED, _UTF8 = 0x1, 0x800
_LEFTOVERS = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Caps on an archive.

    Args:
        max_files: Most entries.
        max_file_bytes: Of one entry, unpacked.
        max_bytes: Of all entries together, unpacked.
        max_ratio: Most times that an entry is larger than its packed form.
    """

    max_files: int
    max_file_bytes: int
    max_bytes: int
    max_ratio: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive.

    Args:
        index: Its place in the archive's list.
        name: As a person reads it.
        problem: Why it cannot be used; None: it may.
    """

    index: int
    name: str
    problem: VlproError | None = None


def is_archive(start: bytes) -> bool:
    """Whether a file is a zip by its first bytes."""
    return start.startswith(_STARTS)


class Archive:
    """A zip that is read from a file.

    Args:
        file: To read and seek in.
        limits: Caps on it.

    Raises:
        BadRequestError: It is no usable zip, or has more in it than may be.
    """

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        self._limits = limits
        _check_list(file, limits)
        try:
            self._zip = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise _broken() from error
        self._infos = self._zip.infolist()
        if len(self._infos) > limits.max_files:
            raise _too_many(limits)
        if sum(info.file_size for info in self._infos) > limits.max_bytes:
            raise BadRequestError(
                f"The files of this archive have more than {limits.max_bytes / 1e9:g} GB unpacked. Send fewer.",
                zh=f"压缩包解压后超过 {limits.max_bytes / 1e9:g} GB，请减少文件。",
                code="archive_too_large",
            )

    def entries(self) -> Iterator[Entry]:
        """Its files in their order; folders, and what systems leave behind, are passed over."""
        for index, info in enumerate(self._infos):
            name = _name(info)
            parts = PurePosixPath(name).parts
            if info.is_dir() or name.startswith(_LEFTOVERS[0]) or (parts and parts[-1] in _LEFTOVERS[1:]):
                continue
            shown = "".join(c if c.isprintable() else "�" for c in name)[:200] or "?"
            yield Entry(index, shown, self._problem(info, name))

    def start(self, index: int) -> bytes:
        """The first bytes of an entry, by which its kind is told; none where it does not unpack."""
        try:
            with self._zip.open(self._infos[index]) as packed:
                return packed.read(_START_BYTES)
        except _BROKEN:
            return b""

    def read(self, index: int) -> bytes:
        """Unpack one entry.

        Raises:
            BadRequestError: It is broken, packed again, or has more in it than may be.
        """
        info = self._infos[index]
        problem = self._problem(info, _name(info))
        if problem is not None:
            raise problem
        most = min(info.file_size, self._limits.max_file_bytes)
        try:
            with self._zip.open(info) as packed:
                data = packed.read(most + 1)
                if len(data) <= most and packed.read(1):
                    data += b"\0"
        except _BROKEN as error:
            raise BadRequestError(
                "This file of the archive is broken. Pack it anew.",
                zh="压缩包中的该文件已损坏，请重新打包。",
                code="broken_archive_entry",
            ) from error
        if len(data) > most:
            raise _too_large(self._limits)
        if data.startswith(_PACKED):
            raise BadRequestError(
                "This file of the archive is an archive itself. Unpack it first.",
                zh="压缩包中的该文件本身也是压缩包，请先解压。",
                code="nested_archive",
            )
        return data

    def _problem(self, info: zipfile.ZipInfo, name: str) -> VlproError | None:
        kind, parts = info.external_attr >> 16, PurePosixPath(name).parts
        ratio, most = info.file_size / max(1, info.compress_size), self._limits.max_ratio
        outside = not parts or ".." in parts or name.startswith("/") or parts[0].endswith(":")
        for wrong, code, message, zh in (
            (
                bool(kind and stat.S_ISLNK(kind)),
                "archive_link",
                "This entry of the archive is a link, not a file. Pack the file itself.",
                "压缩包中的该条目是链接而不是文件，请打包文件本身。",
            ),
            (
                outside,
                "unsafe_archive_name",
                "This entry of the archive has a name that leads out of it. Pack the folder itself.",
                "压缩包中该条目的路径超出了压缩包，请直接打包文件夹。",
            ),
            (
                bool(info.flag_bits & _ENCRYPTED),
                "encrypted_archive",
                "This file of the archive has a password. Pack it without one.",
                "压缩包中的该文件设有密码，请去掉密码后重新打包。",
            ),
            (
                info.compress_type not in _METHODS,
                "unsupported_archive",
                "This file of the archive is packed in a way that is not read here. Use plain zip (deflate).",
                "压缩包中的该文件采用了不支持的压缩方式，请使用普通 zip（deflate）。",
            ),
            (
                info.file_size > _SMALL and ratio > most,
                "archive_ratio",
                f"This file is {ratio:.0f} times as large as its packed form; at most {most} is read. Send it alone.",
                f"压缩包中该文件的压缩比为 {ratio:.0f}，最多 {most}，请直接上传该文件。",
            ),
        ):
            if wrong:
                return BadRequestError(message, zh=zh, code=code)
        return _too_large(self._limits) if info.file_size > self._limits.max_file_bytes else None


def _check_list(file: BinaryIO, limits: ArchiveLimits) -> None:
    """Refuse a list of entries that would fill the memory, before it is read."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL - 76))
    tail = file.read(_TAIL + 76)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise _broken()
    count, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    if tail[at - 20 : at - 16] == _LOCATOR64 and at >= 76:
        record = tail.rfind(_END64, 0, at)
        if record < 0 or len(tail) < record + 56:
            raise _broken()
        count, length = struct.unpack("<QQ", tail[record + 32 : record + 48])
    if count > limits.max_files or length > limits.max_files * _LIST_BYTES:
        raise _too_many(limits)


def _name(info: zipfile.ZipInfo) -> str:
    """An entry's name; where it does not say that it is UTF-8, as Chinese programs write it (GBK)."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return name.replace("\\", "/").split("\0", 1)[0]


def _broken() -> BadRequestError:
    return BadRequestError(
        "This is no zip archive that can be read. Pack it anew.",
        zh="这不是可以读取的 zip 压缩包，请重新打包。",
        code="broken_archive",
    )


def _too_many(limits: ArchiveLimits) -> BadRequestError:
    return BadRequestError(
        f"The archive has more than {limits.max_files} files. Split it.",
        zh=f"压缩包中的文件超过 {limits.max_files} 个，请拆分。",
        code="too_many_archive_files",
    )


def _too_large(limits: ArchiveLimits) -> BadRequestError:
    return BadRequestError(
        f"This file of the archive is larger than {limits.max_file_bytes / 1e6:g} MB, or than the archive says.",
        zh=f"压缩包中的该文件超过 {limits.max_file_bytes / 1e6:g} MB，或大于压缩包所声明的大小。",
        code="archive_entry_too_large",
    )
