"""A log that is filled by the product, and then attacked behind its back."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.people import Clock
from vlpro.audit.canonical import encode
from vlpro.audit.checkpoint import Checkpoint, public_key
from vlpro.audit.copies import Copy
from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog, _Waiting
from vlpro.audit.record import Actor, Entry
from vlpro.audit.service import open_log
from vlpro.audit.sources import DatabaseSource, Source
from vlpro.audit.summary import Summary
from vlpro.audit.tables import checkpoints, metadata, records
from vlpro.audit.tree import Frontier, leaf_hash
from vlpro.audit.verify import verify
from vlpro.crypto import Sealer
from vlpro.db import Database

__all__ = ["Victim", "entry"]

EVERY = 10
_JUMP_S = 600


def entry(number: int) -> Entry:
    """Something that happened."""
    return Entry(
        Event.ASKED,
        Actor("acc_1", f"李伟{number % 7}", "user", f"ses_{number % 3}", "", f"req_{number}", "10.0.0.7"),
        Outcome.REFUSED if number % 5 == 0 else Outcome.OK,
        f"msg_{number}",
        {"sha256": "00" * 32, "tokens": number, "temperature": 0.7},
    )


@dataclass
class Victim:
    """A log in a database, the copies of its checkpoints, and the ways to tamper with it."""

    url: str
    key: bytes = b"k" * 32
    clock: Clock = field(default_factory=Clock)
    copied: list[Checkpoint] = field(default_factory=list)
    gm: bool = False

    def __post_init__(self) -> None:
        self.database = Database(self.url)

    @property
    def keys(self) -> list[bytes]:
        """The public key that is trusted."""
        return [public_key(Sealer(self.key).signing_seed)]

    def open(self, *, every_records: int = EVERY) -> AuditLog:
        """The log; not started."""
        sealer = Sealer(self.key)
        log = open_log(self.database, sealer, gm=self.gm, every_records=every_records, clock=self.clock)
        log._copied = self.copied.append
        write = log._write

        def patient(batch: Sequence[_Waiting]) -> None:
            """This clock stands still: without, a machine that stalls for 5 seconds is a jump, and a record more."""
            drift = self.clock() - time.monotonic()
            if abs(drift - log._drift) < _JUMP_S:
                log._drift = drift
            write(batch)

        log._write = patient  # type: ignore[method-assign]
        return log

    def fill(self, number: int, *, seconds: float = 0.05, sign: bool = True) -> None:
        """Record, one by one; a checkpoint after each ten, and at the end."""
        log = self.open(every_records=EVERY if sign else 10**9)
        log.start()
        for _ in range(number):
            self.clock.pass_(seconds=seconds)
            log.record(entry(self.last() + 1))
        if not sign:
            log._unsigned = 0
        log.stop()

    def last(self) -> int:
        """Number of the last record."""
        with self.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(records.c.seq))).scalar() or 0)

    def copies(self) -> list[Copy]:
        """The copies of its checkpoints, as a file of them would be read."""
        said = [(checkpoint, json.loads(checkpoint.data)) for checkpoint in self.copied]
        return [Copy(checkpoint.size, checkpoint.root, one["log"], one["time"]) for checkpoint, one in said]

    def verify(self, source: Source | None = None, *, copies: bool = False, **options: Any) -> Summary:
        """Verify it."""
        found = self.copies() if copies else []
        return verify(source or DatabaseSource(self.database), keys=self.keys, copies=found, **options)

    # --- attacks

    def row(self, seq: int) -> dict[str, Any]:
        """A record as it is stored."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(records).where(records.c.seq == seq)).one()
        return dict(row._mapping)

    def set(self, at: int, /, **values: Any) -> None:
        """Alter columns of a record."""
        with self.database.write() as connection:
            connection.execute(sa.update(records).where(records.c.seq == at).values(values))

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        with self.database.write() as connection:
            connection.execute(sa.insert(records).values(row))

    def delete(self, *where: sa.ColumnElement[bool]) -> None:
        """Delete records."""
        with self.database.write() as connection:
            connection.execute(sa.delete(records).where(*where))

    def shift(self, since: int, by: int) -> None:
        """Renumber the column ``seq`` of all records from one on."""
        with self.database.write() as connection:
            for step in (10_000, by - 10_000):  # by way of numbers that are free
                where = records.c.seq >= (since if step > 0 else since + 10_000)
                connection.execute(sa.update(records).where(where).values(seq=records.c.seq + step))

    def edit(self, at: int, /, *, fix: bool = False, **said: Any) -> None:
        """Alter what a record says; with its hash and columns made to fit, or not."""
        row = self.row(at)
        content = json.loads(row["data"]) | said
        data = encode(content)
        values: dict[str, Any] = {"data": data}
        if fix:
            values |= {name: said[name] for name in said if name in records.c} | {"hash": leaf_hash(data)}
        self.set(at, **values)

    def rehash(self, since: int) -> None:
        """Make all records from one on follow from the ones before."""
        for seq in range(since, self.last() + 1):
            self.edit(seq, fix=True, prev=self.row(seq - 1)["hash"].hex())

    def checkpoint(self, size: int) -> dict[str, Any]:
        """A checkpoint as it is stored."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(checkpoints).where(checkpoints.c.size == size)).one()
        return dict(row._mapping)

    def sizes(self) -> list[int]:
        """Sizes of the stored checkpoints."""
        with self.database.read() as connection:
            select = sa.select(checkpoints.c.size).order_by(checkpoints.c.size)
            return [int(size) for size in connection.execute(select).scalars()]

    def set_checkpoint(self, at: int, /, **values: Any) -> None:
        """Alter a checkpoint."""
        with self.database.write() as connection:
            connection.execute(sa.update(checkpoints).where(checkpoints.c.size == at).values(values))

    def remove_checkpoints(self, *where: sa.ColumnElement[bool]) -> None:
        """Remove checkpoints."""
        with self.database.write() as connection:
            connection.execute(sa.delete(checkpoints).where(*where))

    def frontier(self, size: int) -> Frontier:
        """The tree over the first records as they are stored."""
        frontier = Frontier()
        for seq in range(1, size + 1):
            frontier.append(leaf_hash(self.row(seq)["data"]))
        return frontier

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Everything in its tables: a backup."""
        with self.database.read() as connection:
            return {
                table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
                for table in metadata.sorted_tables
            }

    def restore(self, dumped: dict[str, list[dict[str, Any]]]) -> None:
        """Put a backup in the place of everything."""
        with self.database.write() as connection:
            for table in metadata.sorted_tables:
                connection.execute(sa.delete(table))
                if dumped[table.name]:
                    connection.execute(sa.insert(table), dumped[table.name])


def write_copies(path: Path, copied: Sequence[Checkpoint]) -> Path:
    """A file of copies."""
    path.write_text("".join(checkpoint.as_json() + "\n" for checkpoint in copied), encoding="utf-8")
    return path
