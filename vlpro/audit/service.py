"""Opens the audit of a service: its database, its keys, its log."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from vlpro.audit import sm2
from vlpro.audit.checkpoint import Checkpoint, Signer, sm2_key_said
from vlpro.audit.events import Event
from vlpro.audit.log import AuditLog, last_record
from vlpro.audit.record import FIRST, Actor, Entry, make
from vlpro.audit.tables import checkpoints, records
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import AuditError, ConfigError

__all__ = ["MIGRATIONS", "log_id", "open_log", "to_file"]

MIGRATIONS = Path(__file__).parent / "migrations"


def open_log(
    database: Database,
    sealer: Sealer,
    *,
    gm: bool = False,
    settle: bool = True,
    every_records: int = 1000,
    every_s: float = 300.0,
    copy: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> AuditLog:
    """The log, not yet started; a new database gets its first record.

    Args:
        database: Of the audit.
        sealer: Gives the keys that sign checkpoints.
        gm: Whether they are signed with SM2 as well.
        settle: Whether that may differ from what the log says so far: a record of the change is then written. Only
            the service itself decides it.
        every_records: Records after which a checkpoint is signed.
        every_s: Seconds after which one is.
        copy: File to which each checkpoint is appended; None: nowhere.
        clock: Unix time.

    Raises:
        ConfigError: The database is of a newer version; or this machine has no SM2; or the log is signed otherwise.
        DatabaseError: It does not answer.
    """
    if gm:
        sm2.self_test()
    signer = Signer(sealer.signing_seed, "", sm2.Sm2Key.derived(sealer.signing_seed) if gm else None)
    keys = {"key": signer.public.hex()} | ({"sm2": signer.sm2.hex()} if gm else {})
    database.migrate(folder=MIGRATIONS)
    with database.write(alone=True) as connection:
        known = log_id(connection)
        if known is None:
            known = f"log_{secrets.token_hex(12)}"
            begun = Entry(Event.LOG_BEGUN, Actor(), object=known, detail=keys)
            first = make(begun, seq=1, prev=FIRST, now=clock())
            connection.execute(sa.insert(records).values(AuditLog.row(first)))
        elif sm2_key_said(connection) != signer.sm2.hex():
            if not settle:
                raise _otherwise()
            changed = Entry(Event.SIGNING_CHANGED, Actor(), object=known, detail=keys)
            seq, prev = last_record(connection)
            record = make(changed, seq=seq + 1, prev=prev, now=clock())
            connection.execute(sa.insert(records).values(AuditLog.row(record)))
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


def _otherwise() -> ConfigError:
    return ConfigError(
        "The service signs its audit record otherwise than VLPRO_CRYPTO says here. Run this with the service's own "
        "settings.",
        zh="服务对审计记录的签名方式与此处的 VLPRO_CRYPTO 不符。请使用与服务相同的设置运行。",
        param="crypto",
    )


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
