"""Batches in the database: sealed under a key of their own, changed so that no line is lost and none stands twice.

What stands in clear is what the database needs: ids, owner, level, states, counts, times. A line changes its state
once, in the transaction that stores its answer and counts it; a process works on a batch while it holds its lease.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json

from vlpro.audit.record import Actor
from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.engines.interface import Usage
from vlpro.errors import ConflictError, NotFoundError
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.workflows.batch.batch import COMPLETED, FAILED, GOING, Batch, Head, State
from vlpro.workflows.batch.files import FileStore
from vlpro.workflows.batch.line_store import LineStore
from vlpro.workflows.batch.tables import batch_inputs, batch_lines, batches
from vlpro.workflows.paging import ordered, place_of_id

__all__ = [
    "LEASE_S",
    "BatchStore",
    "batch_key_place",
    "result_file",
]

LEASE_S = 30.0
"""A process that works on a batch says so at least this often; one that is silent for longer is taken for dead."""

_AT_ONCE = 200  # lines of a transaction
_DELETED = 0.0
_THERE = sa.or_(batches.c.ended_at.is_(None), batches.c.ended_at != _DELETED)


def batch_key_place(name: str, owner: str, level: int) -> str:
    """Of a wrapped data key: a batch that is given to somebody else, or a lower level, does not open."""
    return f"batches.key:{name}:{owner}:{Level(level).word}"


def result_file(name: str, state: int) -> str:
    """Id of the file of a batch's completed, or failed, lines."""
    return f"file-{name.removeprefix('batch_')}{'o' if state == COMPLETED else 'e'}"


class BatchStore:
    """Batches by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
        files: What batches read, and their results.
        clock: Unix time.

    Attributes:
        runner: Names this process.
        lines: Lines of batches.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        files: FileStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._files = files
        self._clock = clock
        self.runner = secrets.token_hex(16)
        self.lines = LineStore(database, self.runner)

    # --- batches

    @staticmethod
    def new_id() -> str:
        """Of a batch that is about to be made."""
        return f"batch_{secrets.token_hex(12)}"

    def count_going(self, person: Person) -> int:
        """How many batches of somebody have not ended."""
        going = sa.select(sa.func.count()).where(batches.c.owner == person.id, batches.c.state.in_(GOING))
        with self._database.read() as connection:
            return int(connection.execute(going).scalar_one())

    def add(self, name: str, person: Person, head: Head, *, window_s: float) -> Batch:
        """A new batch, of which no line is there yet.

        Args:
            name: Its id.
            person: Whose.
            head: What is asked.
            window_s: Seconds after which what is left is not answered.
        """
        now = self._clock()
        key, wrapped = self._sealer.new_data_key(batch_key_place(name, person.id, person.level))
        with self._database.write() as connection:
            connection.execute(
                sa.insert(batches).values(
                    id=name,
                    owner=person.id,
                    level=int(person.level),
                    created_at=now,
                    state="validating",
                    paused=False,
                    expires_at=now + window_s,
                    total=0,
                    completed=0,
                    failed=0,
                    tokens_read=0,
                    tokens_cached=0,
                    tokens_written=0,
                    version=1,
                    key=wrapped,
                    head=_sealed(key, name, head, 1),
                )
            )
            inputs = [{"batch": name, "file": each} for each in dict.fromkeys(head.inputs)]
            connection.execute(sa.insert(batch_inputs), inputs)
        return self.load(name) or _gone()

    def get(self, person: Person, name: str) -> Batch:
        """One's own batch.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(batches).where(batches.c.id == name, _THERE)).one_or_none()
        if row is None or row.owner != person.id or row.level > person.level:
            raise NotFoundError(
                "There is no such batch. GET /v1/batches lists yours.",
                zh="没有这个批处理，GET /v1/batches 可列出您的批处理。",
                foreign=row is not None,
            )
        return self._opened(row)

    def load(self, name: str) -> Batch | None:
        """A batch, whosever it is; None: there is none."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(batches).where(batches.c.id == name, _THERE)).one_or_none()
        return self._opened(row) if row is not None else None

    def page(self, person: Person, *, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """One's own batches, the newest first, and whether there are more.

        Args:
            person: Whose.
            after: Id of the last one of the page before.
            limit: How many at most.
        """
        c = batches.c
        query = sa.select(batches).where(c.owner == person.id, c.level <= int(person.level))
        own = sa.select(c.created_at, c.id).where(c.owner == person.id)
        with self._database.read() as connection:
            last = place_of_id(connection, own, after)
            rows = connection.execute(ordered(query, batches, last).limit(limit + 1)).all()
        return [self._opened(row) for row in rows[:limit]], len(rows) > limit

    def change(
        self,
        batch: Batch,
        *,
        state: State | None = None,
        paused: bool | None = None,
        **head: Any,
    ) -> Batch:
        """Change a batch, as it was read.

        Args:
            batch: As it was read.
            state: From now on; its time is noted.
            paused: From now on.
            **head: Fields of its head.

        Raises:
            ConflictError: It was changed since it was read: read it again.
        """
        told = replace(batch.head, **head)
        if state is not None and state != batch.state:
            told = replace(told, times={**told.times, state: self._clock()})
        version = batch.version + 1
        query = (
            sa.update(batches)
            .where(batches.c.id == batch.id, batches.c.version == batch.version)
            .values(
                version=version,
                state=state or batch.state,
                paused=batch.paused if paused is None else paused,
                head=_sealed(batch.key, batch.id, told, version),
            )
        )
        with self._database.write() as connection:
            if not connection.execute(query).rowcount:
                raise _changed()
        return self.load(batch.id) or _gone()

    def end(self, batch: Batch, state: State, *, keep_s: float, **head: Any) -> Batch:
        """A batch has ended: its results are files from now on, and its own files may go.

        Args:
            batch: As it was read; none of its lines waits.
            state: How it ended.
            keep_s: Seconds after which it is deleted.
            **head: Fields of its head.

        Raises:
            ConflictError: It was changed since it was read.
        """
        now, version = self._clock(), batch.version + 1
        times = {**batch.head.times, state: now}
        told = replace(batch.head, times=times, **head)
        sizes = sa.select(
            batch_lines.c.state, sa.func.count(), sa.func.coalesce(sa.func.sum(batch_lines.c.answer_bytes), 0)
        ).where(batch_lines.c.batch == batch.id)
        ended = (
            sa.update(batches)
            .where(batches.c.id == batch.id, batches.c.version == batch.version)
            .values(
                version=version,
                state=state,
                ended_at=now,
                runner=None,
                head=_sealed(batch.key, batch.id, told, version),
            )
        )
        with self._database.write() as connection:
            if not connection.execute(ended).rowcount:
                raise _changed()
            for kind, count, size in connection.execute(sizes.group_by(batch_lines.c.state)).all():
                if kind in (COMPLETED, FAILED) and count:
                    what = "output" if kind == COMPLETED else "error"
                    self._files.add_results(
                        connection,
                        name=result_file(batch.id, kind),
                        owner=batch.owner,
                        level=batch.level,
                        batch=batch.id,
                        called=f"{batch.id}_{what}.jsonl",
                        size=int(size),
                        expires=now + keep_s,
                    )
            connection.execute(sa.delete(batch_inputs).where(batch_inputs.c.batch == batch.id))
        return self.load(batch.id) or _gone()

    def delete(self, name: str) -> None:
        """Delete a batch with its lines and results."""
        with self._database.write() as connection:
            # From here on nobody sees it; what a crash leaves of it, :meth:`expire` deletes.
            connection.execute(sa.update(batches).where(batches.c.id == name).values(ended_at=_DELETED))
            connection.execute(sa.delete(batch_inputs).where(batch_inputs.c.batch == name))
        self._drop(name)
        self._database.overwrite()

    def expire(self, before: float) -> int:
        """Delete batches that ended before a time, or whose deletion was broken off; returns how many."""
        gone = sa.select(batches.c.id).where(batches.c.ended_at < before)
        with self._database.read() as connection:
            names = connection.execute(gone).scalars().all()
        for name in names:
            self._drop(name)
        return len(names)

    def _drop(self, name: str) -> None:
        some = sa.select(batch_lines.c.number).where(batch_lines.c.batch == name).limit(_AT_ONCE)
        while True:
            with self._database.write() as connection:
                numbers = connection.execute(some).scalars().all()
                if not numbers:
                    connection.execute(sa.delete(batches).where(batches.c.id == name))
                    return
                connection.execute(
                    sa.delete(batch_lines).where(
                        batch_lines.c.batch == name, batch_lines.c.number.in_(numbers)
                    )
                )

    # --- who works on which

    def claim(self) -> list[str]:
        """Take the batches that go on and on which no process works; returns all that this one works on."""
        now = self._clock()
        free = sa.or_(
            batches.c.runner.is_(None), batches.c.runner == self.runner, batches.c.runner_until < now
        )
        query = (
            sa.update(batches)
            .where(batches.c.state.in_(GOING), free)
            .values(runner=self.runner, runner_until=now + LEASE_S)
            .returning(batches.c.id)
        )
        with self._database.write() as connection:
            return sorted(connection.execute(query).scalars())

    def any_going(self) -> bool:
        """Whether there is something to claim; asked often, and cheap."""
        query = sa.select(batches.c.id).where(batches.c.state.in_(GOING)).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def release(self, *, all_runners: bool = False) -> None:
        """Say that this process works on nothing any more; at a start on SQLite, that no other one does."""
        if all_runners and not self._database.sqlite:
            return
        query = sa.update(batches).where(batches.c.runner.is_not(None)).values(runner=None)
        if not all_runners:
            query = query.where(batches.c.runner == self.runner)
        with self._database.write() as connection:
            connection.execute(query)

    def begin(self, batch: Batch) -> Batch:
        """All lines are there: they are answered from now on.

        Raises:
            ConflictError: The batch was changed since it was read.
        """
        count = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((batch_lines.c.state == FAILED, 1))), 0)
        ).where(batch_lines.c.batch == batch.id)
        with self._database.write() as connection:
            total, failed = connection.execute(count).one()
            connection.execute(
                sa.update(batches).where(batches.c.id == batch.id).values(total=total, failed=int(failed))
            )
        return self.change(batch, state="in_progress")

    def _opened(self, row: Any) -> Batch:
        key = self._sealer.data_key(row.key, batch_key_place(row.id, row.owner, row.level))
        told = from_json(key.open(row.head, _head_place(row.id), row.version))
        head = Head(
            **{
                **told,
                "inputs": tuple(told["inputs"]),
                "errors": tuple(told["errors"]),
                "actor": Actor(**told["actor"]),
            }
        )
        return Batch(
            id=row.id,
            owner=row.owner,
            level=Level(row.level),
            created=row.created_at,
            expires=row.expires_at,
            ended=row.ended_at,
            state=row.state,
            paused=row.paused,
            total=row.total,
            completed=row.completed,
            failed=row.failed,
            usage=Usage(row.tokens_read, row.tokens_written, row.tokens_cached),
            version=row.version,
            key=key,
            head=head,
        )


def _changed() -> ConflictError:
    return ConflictError(
        "The batch was changed at the same time. Try again.", zh="该批处理刚刚被更改，请重试。"
    )


def _gone() -> Batch:
    raise NotFoundError("The batch was deleted.", zh="该批处理已被删除。")


def _sealed(key: DataKey, name: str, head: Head, version: int) -> bytes:
    return key.seal(_json(asdict(head)), _head_place(name), version)


def _head_place(name: str) -> str:
    return f"batches.head:{name}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
