"""Opens the audit of a service: its database, its keys, its log."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from vlpro.audit.checkpoint import Checkpoint, Signer
from vlpro.audit.events import Event
from vlpro.audit.log import AuditLog
from vlpro.audit.record import FIRST, Actor, Entry, make
from vlpro.audit.tables import checkpoints, records
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import AuditError

__all__ = ["MIGRATIONS", "log_id", "open_log", "to_file"]

MIGRATIONS = Path(__file__).parent / "migrations"


def open_log(
    database: Database,
    sealer: Sealer,
    *,
    every_records: int = 1000,
    every_s: float = 300.0,
    copy: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> AuditLog:
    """The log, not yet started; a new database gets its first record.

    Args:
        database: Of the audit.
        sealer: Gives the key that signs checkpoints.
        every_records: Records after which a checkpoint is signed.
        every_s: Seconds after which one is.
        copy: File to which each checkpoint is appended; None: nowhere.
        clock: Unix time.

    Raises:
        ConfigError: The database is of a newer version.
        DatabaseError: It does not answer.
    """
    database.migrate(folder=MIGRATIONS)
    signer = Signer(sealer.signing_seed, "")
    with database.write(alone=True) as connection:
        known = log_id(connection)
        if known is None:
            known = f"log_{secrets.token_hex(12)}"
            begun = Entry(Event.LOG_BEGUN, Actor(), object=known, detail={"key": signer.public.hex()})
            first = make(begun, seq=1, prev=FIRST, now=clock())
            connection.execute(sa.insert(records).values(AuditLog.row(first)))
    signer.log_id = known
    copied = to_file(copy) if copy is not None else lambda _: None
    return AuditLog(
        database, signer, every_records=every_records, every_s=every_s, copied=copied, clock=clock
    )


def log_id(connection: sa.Connection) -> str | None:
    """The id of the log in a database; None where it is empty.

    Raises:
        AuditError: There are records, but not the first one, nor a checkpoint that tells.
    """
    data = connection.execute(sa.select(records.c.data).where(records.c.seq == 1)).scalar()
    if data is not None:
        return str(json.loads(data)["object"])
    # The first ones may lie in archives.
    data = connection.execute(sa.select(checkpoints.c.data).order_by(checkpoints.c.size).limit(1)).scalar()
    if data is not None:
        return str(json.loads(data)["log"])
    if connection.execute(sa.select(records.c.seq).limit(1)).scalar() is not None:
        raise AuditError(
            "The audit's first record is missing: nothing is recorded behind it. Run vlpro audit verify.",
            zh="缺少第一条审计记录，不再继续写入。请运行 vlpro audit verify。",
        )
    return None


def to_file(path: Path) -> Callable[[Checkpoint], None]:
    """Appends checkpoints to a file, one a line; it should lie on another disk, or another machine's.

    Raises:
        AuditError: From what is returned: the file cannot be written.
    """

    def append(checkpoint: Checkpoint) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(checkpoint.as_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AuditError(
                f"The copy of the audit's checkpoints {path} cannot be written: {error.strerror}.",
                zh=f"审计检查点的副本 {path} 无法写入：{error.strerror}。",
            ) from error

    return append
