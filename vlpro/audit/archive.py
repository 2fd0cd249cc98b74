"""Retention: old records move into sealed files, and leave the database only when the files were verified.

Nothing else ever deletes a record.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vlpro.audit.checkpoint import Checkpoint
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.events import Event
from vlpro.audit.leaves import checkpoint_at
from vlpro.audit.log import AuditLog
from vlpro.audit.record import FIRST, Entry
from vlpro.audit.seal import Seal, opened_seal, seal
from vlpro.audit.sources import (
    ArchiveFile,
    StoredRecord,
    StoredSeal,
    before_line,
    checkpoint_line,
    in_order,
    record_line,
    seal_line,
    snapshot,
)
from vlpro.audit.tables import archives, checkpoints, records
from vlpro.audit.tree import leaf_hash
from vlpro.audit.verify import verify
from vlpro.errors import AuditError, ConfigError

__all__ = ["LEAST_DAYS", "archive", "check_days"]

LEAST_DAYS = 180
"""GB/T 22239-2019 and the Cybersecurity Law, article 21: logs are kept for six months at least."""

_EACH = 50_000  # records in one file, about
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class _Part:
    """What goes into one file: from a record to the one that a checkpoint ends with; and the seal before, if any."""

    first: int
    end: Checkpoint
    base: Checkpoint | None
    before: Seal | None


def check_days(days: int) -> None:
    """Refuse to keep records for less than is allowed.

    Raises:
        ConfigError: It is less than 180 days.
    """
    if days < LEAST_DAYS:
        raise ConfigError(
            f"audit_days is {days}: the audit record is kept for {LEAST_DAYS} days at least.",
            zh=f"audit_days 为 {days}：审计记录至少保存 {LEAST_DAYS} 天。",
            param="audit_days",
        )


def archive(
    log: AuditLog,
    folder: Path,
    *,
    days: int = 365,
    each: int = _EACH,
    now: Callable[[], float] = time.time,
    detail: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Seal]:
    """Move what is older than some days into files, whole parts between checkpoints only.

    A file is written, read again and verified; that it was made is recorded; then, in one transaction, its seal is
    stored and its records leave the table. Checkpoints stay.

    Args:
        log: The log, started.
        folder: Where the files go.
        days: Age, 180 at least.
        each: Records in one file, about.
        now: Unix time.
        detail: What the record of it says, too.
        progress: Is given how many records were moved, and how many will be.

    Returns:
        The seals of the files, in order.

    Raises:
        ConfigError: The days are too few.
        VerificationError: The records are not what was signed: nothing is moved.
        AuditError: A file cannot be written, or what was done cannot be recorded.
        DatabaseError: The database does not answer.
    """
    check_days(days)
    before = now() - days * _DAY_S
    made: list[Seal] = []
    last = _last_old(log, before)
    while (part := _next(log, last, each)) is not None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sealed = _file(log, part, folder, before, now())
        except OSError as error:
            raise AuditError(
                f"The archive cannot be written to {folder}: {error.strerror}. Nothing was removed.",
                zh=f"归档无法写入 {folder}：{error.strerror}。没有删除任何记录。",
            ) from error
        said = {"first": sealed.first, "last": sealed.last, "sha256": sealed.sha256.hex()} | (detail or {})
        log.record(Entry(Event.LOG_ARCHIVED, object=sealed.name, detail=said))
        _remove(log, sealed)
        made.append(sealed)
        progress(sealed.last - made[0].first + 1, last - made[0].first + 1)
    return made


def _next(log: AuditLog, last: int, each: int) -> _Part | None:
    """What is to be moved next, of the records up to one; None: nothing."""
    with snapshot(log.database) as connection:
        row = connection.execute(sa.select(archives).order_by(archives.c.last.desc()).limit(1)).one_or_none()
        previous = (
            opened_seal(bytes(row.data), bytes(row.signature), [log.signer.public], log_id=log.signer.log_id)
            if row is not None
            else None
        )
        first = previous.last + 1 if previous is not None else 1
        size = checkpoints.c.size
        fits = checkpoint_at(
            connection, size >= first, size <= last, size < first + max(1, each), newest=True
        ) or checkpoint_at(connection, size >= first, size <= last, newest=False)
        if fits is None:
            return None
        base = checkpoint_at(connection, size == first - 1, newest=True)
        return _Part(first, fits, base, previous)


def _last_old(log: AuditLog, before: float) -> int:
    """The end of what is old enough: a checkpoint before the first young record. The last record always stays."""
    with snapshot(log.database) as connection:
        young = connection.execute(
            sa.select(records.c.seq).where(records.c.time >= before).order_by(records.c.seq).limit(1)
        ).scalar()
        last = connection.execute(sa.select(sa.func.max(records.c.seq))).scalar() or 0
        stays = min(young, last) if young is not None else last
        found = checkpoint_at(connection, checkpoints.c.size < stays, newest=True)
    return found.size if found is not None else 0


def _file(log: AuditLog, part: _Part, folder: Path, before: float, now: float) -> Seal:
    """Write a part, and verify what was written."""
    name = f"audit-{part.first:012}-{part.end.size:012}.jsonl.gz"
    path, unfinished = folder / name, folder / (name + ".part")
    if path.exists():  # an earlier run was interrupted before its records left the table
        return _checked(log, part, path)
    with unfinished.open("wb") as raw:
        os.fchmod(raw.fileno(), 0o400)
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
            _lines(log, part, before, now, file.write)
        raw.flush()
        os.fsync(raw.fileno())
    sealed = _checked(log, part, unfinished)
    unfinished.rename(path)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return sealed


def _lines(log: AuditLog, part: _Part, before: float, now: float, to: Callable[[bytes], object]) -> None:
    read = hashlib.sha256()
    limit = datetime.fromtimestamp(before, UTC).isoformat(timespec="microseconds")[:-6] + "Z"

    def write(line: str) -> None:
        data = line.encode()
        read.update(data)
        to(data)

    if part.base is not None:
        base = part.base.frontier()
        write(before_line(base.size, b"".join(base.roots)))
    seq, prev, end = part.first - 1, b"", b""
    with snapshot(log.database) as connection:
        for item in in_order(connection, part.first, part.end.size):
            if not isinstance(item, StoredRecord):
                write(checkpoint_line(item.data, item.signature, item.sm2))
                continue
            seq += 1
            try:
                said = json.loads(item.data)
                at, named = said["time"], bytes.fromhex(said["prev"])
            except (ValueError, KeyError, TypeError):
                raise VerificationError("its bytes are no record", seq, zh="内容无法解析为记录") from None
            if not isinstance(at, str) or at >= limit:
                raise VerificationError(
                    "the column time was altered: the record is too young to be archived",
                    seq,
                    zh="time 列被改动：该记录尚未到归档时间",
                    finding=Finding.COLUMN,
                    found=str(at),
                )
            prev, end = prev or named, leaf_hash(item.data)
            write(record_line(item.data))
    sealed = seal(
        log.signer,
        first=part.first,
        last=part.end.size,
        prev=prev,
        end=end,
        root=part.end.root,
        sha256=read.digest(),
        now=now,
    )
    write(seal_line(sealed.data, sealed.signature, sealed.sm2))


def _checked(log: AuditLog, part: _Part, path: Path) -> Seal:
    """The seal of a file, everything in it being right, and the part that it shall be."""
    source = ArchiveFile(path)
    keys, log_id = [log.signer.public], log.signer.log_id
    summary = verify(source, keys=keys, log_id=log_id, cosigned=Cosigned([log.signer.sm2]))
    *_, last = (item for item in source.items() if isinstance(item, StoredSeal))
    sealed = opened_seal(last.data, last.signature, keys, log_id=log_id, sm2=last.sm2)
    prev = part.before.end if part.before is not None else FIRST
    if (sealed.first, sealed.last, sealed.root, sealed.prev) != (
        part.first,
        part.end.size,
        part.end.root,
        prev,
    ) or (summary.root != part.end.root):
        raise VerificationError(
            f"the archive {path.name} is not the continuation of what was archived before",
            part.first,
            zh=f"归档 {path.name} 与此前的归档不衔接",
            finding=Finding.REPLACED,
        )
    return sealed


def _remove(log: AuditLog, sealed: Seal) -> None:
    """The seal is stored and its records leave the table, or nothing happens."""
    part = records.c.seq.between(sealed.first, sealed.last)
    with log.database.write(alone=True) as connection:
        connection.execute(
            sa.insert(archives).values(
                last=sealed.last, data=sealed.data, signature=sealed.signature, sm2=sealed.sm2 or None
            )
        )
        removed = connection.execute(sa.delete(records).where(part)).rowcount
        if removed != sealed.last - sealed.first + 1:
            raise VerificationError(
                "records have disappeared meanwhile: nothing is removed",
                sealed.first,
                zh="记录在归档期间减少，没有删除",
            )
