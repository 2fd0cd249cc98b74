"""Make a backup: a point in time of all that is stored, in one sealed file that is there as a whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vlpro
from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog
from vlpro.audit.record import Entry
from vlpro.backup import state
from vlpro.backup.manifest import Manifest, Member, check_names
from vlpro.backup.retention import SUFFIX, UNFINISHED, remove_old, remove_unfinished
from vlpro.backup.snapshot import Progress, Snapshot, taken
from vlpro.backup.stores import Stores
from vlpro.backup.stream import SealedWriter
from vlpro.crypto import Sealer
from vlpro.errors import BackupError, VlproError

__all__ = ["Made", "make"]

_PIECE = 2**20
_SMALL = 2**20  # a file of up to so many bytes is read at once, so that it may change meanwhile
_MARGIN = 64 * 2**20  # bytes that stay free for the service


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    Args:
        path: Of the file.
        size: Bytes.
        sha256: Of the file, hexadecimal.
        manifest: What is in it.
        removed: Older ones that were deleted.
    """

    path: Path
    size: int
    sha256: str
    manifest: Manifest
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to be packed: where it is, or its bytes; and what the manifest says of it."""

    member: Member
    path: Path
    content: bytes | None

    def pieces(self) -> Iterator[bytes]:
        with io.BytesIO(self.content) if self.content is not None else self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def make(
    stores: Stores,
    sealer: Sealer,
    audit: AuditLog,
    target: Path,
    *,
    keep: int | None = None,
    detail: Mapping[str, Any] | None = None,
    progress: Progress = lambda *_: None,
    clock: Callable[[], float] = time.time,
) -> Made:
    """Back up what is stored, while the service may be running.

    Args:
        stores: Where it is stored.
        sealer: The service's keys; they are not in the backup.
        audit: The service's log, started: that a backup was made, or failed, is recorded there.
        target: A folder that there is, for a file named by the time; or the file.
        keep: In a folder: how many backups stay; None: all.
        detail: What the record says, too.
        progress: Is given how many bytes are done, and how many there are about.
        clock: Unix time.

    Raises:
        BackupError: It cannot be made; nothing is left behind.
        ConflictError: Another one is running.
        AuditError: It cannot be recorded; then there is none.
    """
    now = clock()
    if target.is_dir():
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        path = target / f"vlpro-{stamp}{SUFFIX}"
    else:
        path = target
    said = dict(detail or {})
    try:
        with state.alone(stores.data_dir):
            if path is not target:
                remove_unfinished(target)
            made = _make(stores, sealer, audit, path, said=said, progress=progress, now=now)
            state.remember(
                stores.data_dir,
                at=now,
                file=str(made.path.resolve()),
                audit_sequence=made.manifest.audit.sequence,
            )
    except (VlproError, OSError) as error:
        code = error.code if isinstance(error, VlproError) else type(error).__name__
        audit.record(
            Entry(
                Event.BACKUP_CREATED, outcome=Outcome.FAILED, object=path.name, detail=said | {"error": code}
            )
        )
        if isinstance(error, VlproError):
            raise
        raise BackupError(
            f"The backup cannot be written: {error.filename or path}: {error.strerror}. Nothing of it is left; "
            "put that right, and make it again.",
            zh=f"备份无法写入：{error.filename or path}：{error.strerror}。未留下任何内容，请排除后重新备份。",
            param="to",
        ) from error
    if keep is None or path is target:
        return made
    removed = remove_old(target, keep, verified=state.known(stores.data_dir).get("verified", {}).get("file"))
    return Made(made.path, made.size, made.sha256, made.manifest, removed)


def _make(
    stores: Stores,
    sealer: Sealer,
    audit: AuditLog,
    path: Path,
    *,
    said: dict[str, Any],
    progress: Progress,
    now: float,
) -> Made:
    _check_target(stores, path)
    with _staging(stores.data_dir) as folder:
        total = _needed(stores)
        _check_room(stores.data_dir, total)

        def copied(done: int, size: int) -> None:
            progress(done, 3 * size)

        snapshot = taken(stores, folder, copied)
        sources = _sources(stores, snapshot)
        manifest = Manifest(
            version=vlpro.__version__,
            at=now,
            store="sqlite" if stores.sqlite else "postgresql",
            schema=snapshot.schema,
            audit=snapshot.audit,
            members=tuple(source.member for source in sources),
        )
        check_names(member.name for member in manifest.members)
        _check_room(path.parent, manifest.size)
        unfinished = path.with_name(path.name + UNFINISHED)
        try:
            digest = _write(
                unfinished,
                manifest,
                sources,
                sealer,
                lambda done: progress(2 * manifest.size + done, 3 * manifest.size),
            )
            size = unfinished.stat().st_size
            about = {"sha256": digest, "bytes": size, "sequence": manifest.audit.sequence}
            audit.record(Entry(Event.BACKUP_CREATED, object=path.name, detail=said | about))
            unfinished.rename(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        state.sync_folder(path.parent)
    return Made(path, size, digest, manifest)


def _check_target(stores: Stores, path: Path) -> None:
    folder = path.parent.resolve()
    if not folder.is_dir():
        raise BackupError(
            f"There is no folder {folder}. Make it, or name another one with --to.",
            zh=f"没有文件夹 {folder}。请创建，或用 --to 指定其他位置。",
            param="to",
        )
    if folder.is_relative_to(stores.data_dir):
        raise BackupError(
            f"{folder} lies in the data folder. Put backups elsewhere, best on another machine's disk.",
            zh=f"{folder} 位于数据文件夹内。请把备份放在别处，最好是另一台机器的磁盘。",
            param="to",
        )
    if path.exists():
        raise BackupError(
            f"{path} exists. A backup is never overwritten: name another file.",
            zh=f"{path} 已存在。备份不会被覆盖，请指定其他文件名。",
            param="to",
        )


@contextmanager
def _staging(data_dir: Path) -> Iterator[Path]:
    """A folder for copies: in the data folder, so that they are nowhere where the originals would not be."""
    folder = data_dir / "backup.part"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _needed(stores: Stores) -> int:
    """Bytes that copies of the databases take, about."""
    if not stores.sqlite:
        return 0  # a dump is compressed; how far, nobody knows before
    return sum(path.stat().st_size for path in stores.database_files if path.is_file())


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN:
        raise BackupError(
            f"There is too little room in {folder}: {size + _MARGIN:,} bytes are needed, {free:,} are free. Make "
            "room there, and make the backup again.",
            zh=f"{folder} 空间不足：需要 {size + _MARGIN:,} 字节，可用 {free:,} 字节。请腾出空间后重新备份。",
            param="to",
        )


def _sources(stores: Stores, snapshot: Snapshot) -> list[_Source]:
    """What is packed, with its hashes."""
    found = []
    for name, path in (*snapshot.files.items(), *stores.files()):
        content = path.read_bytes() if path.stat().st_size <= _SMALL else None
        hashed, size = hashlib.sha256(content or b""), len(content or b"")
        if content is None:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    hashed.update(piece)
                    size += len(piece)
        found.append(_Source(Member(name, size, hashed.hexdigest()), path, content))
    return found


def _write(
    path: Path, manifest: Manifest, sources: list[_Source], sealer: Sealer, progress: Callable[[int], None]
) -> str:
    """Write the file; its SHA-256."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        os.fchmod(raw.fileno(), 0o600)
        with suppress(OSError):  # where the file system has no locks, a killed run's file is not cleared away
            fcntl.flock(raw, fcntl.LOCK_EX)
        hashing = _Hashing(raw)
        sealed = SealedWriter(hashing, sealer)
        head = manifest.as_json()
        sealed.write(struct.pack(">I", len(head)) + head)
        done = 0
        for source in sources:
            hashed = hashlib.sha256()
            for piece in source.pieces():
                hashed.update(piece)
                sealed.write(piece)
                done += len(piece)
                progress(done)
            if hashed.hexdigest() != source.member.sha256:
                raise BackupError(
                    f"{source.member.name} changed while it was read. Make the backup again.",
                    zh=f"{source.member.name} 在读取期间发生变化，请重新备份。",
                )
        sealed.finish()
        raw.flush()
        os.fsync(raw.fileno())
    return hashing.sha256.hexdigest()


class _Hashing:
    """Writes to a file, and hashes what it writes."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)
