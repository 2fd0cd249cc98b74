"""Lines of batches in the database: each changes its state once, in the transaction that stores its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

import sqlalchemy as sa
from pydantic_core import from_json

from vlpro.db import Database
from vlpro.engines.interface import Usage
from vlpro.workflows.batch.batch import COMPLETED, FAILED, WAITING, Batch, Line
from vlpro.workflows.batch.tables import batch_lines, batches

__all__ = ["LineStore"]

_AT_ONCE = 200  # lines of a transaction


class LineStore:
    """Lines by batch and number. Blocks: not for the event loop.

    Args:
        database: Migrated.
        runner: Names this process: it stores answers of batches that it works on.
    """

    def __init__(self, database: Database, runner: str) -> None:
        self._database = database
        self._runner = runner

    def clear(self, batch: Batch) -> None:
        """Forget lines of a reading of the input that was broken off."""
        with self._database.write() as connection:
            connection.execute(sa.delete(batch_lines).where(batch_lines.c.batch == batch.id))

    def add(self, batch: Batch, lines: Sequence[Line]) -> None:
        """Add lines; those with an answer have failed already."""
        rows = [
            {
                "batch": batch.id,
                "number": line.number,
                "state": line.state,
                "source": batch.key.seal(_json(line.source), _source_place(batch.id, line.number)),
                "answer": self._sealed_answer(batch, line.number, line.answer),
                "answer_bytes": None if line.answer is None else len(line.answer) + 1,
            }
            for line in lines
        ]
        if rows:
            with self._database.write() as connection:
                connection.execute(sa.insert(batch_lines), rows)

    def finish(self, batch: Batch, number: int, state: int, answer: bytes, used: Usage) -> bool:
        """Store the answer of a line that waits.

        Returns:
            Whether it was stored; False: another process did before, or works on the batch now.
        """
        sealed = self._sealed_answer(batch, number, answer)
        mine = sa.exists().where(batches.c.id == batch.id, batches.c.runner == self._runner)
        query = (
            sa.update(batch_lines)
            .where(
                batch_lines.c.batch == batch.id,
                batch_lines.c.number == number,
                batch_lines.c.state == WAITING,
                mine,
            )
            .values(state=state, answer=sealed, answer_bytes=len(answer) + 1)
        )
        counted = batches.c.completed if state == COMPLETED else batches.c.failed
        with self._database.write() as connection:
            if not connection.execute(query).rowcount:
                return False
            connection.execute(
                sa.update(batches)
                .where(batches.c.id == batch.id)
                .values(
                    {
                        counted: counted + 1,
                        batches.c.tokens_read: batches.c.tokens_read + used.prompt_tokens,
                        batches.c.tokens_cached: batches.c.tokens_cached + used.cached_tokens,
                        batches.c.tokens_written: batches.c.tokens_written + used.completion_tokens,
                    }
                )
            )
        return True

    def give_up(self, batch: Batch, answer: Callable[[Line], bytes]) -> None:
        """No line that waits is answered any more; some a transaction, so that nobody else waits for long."""
        while waiting := self.some(batch, state=WAITING, limit=_AT_ONCE):
            told = {line.number: answer(line) for line in waiting}
            with self._database.write() as connection:
                for number, data in told.items():
                    connection.execute(
                        sa.update(batch_lines)
                        .where(batch_lines.c.batch == batch.id, batch_lines.c.number == number)
                        .values(
                            state=FAILED,
                            answer=self._sealed_answer(batch, number, data),
                            answer_bytes=len(data) + 1,
                        )
                    )
                connection.execute(
                    sa.update(batches)
                    .where(batches.c.id == batch.id)
                    .values(failed=batches.c.failed + len(told))
                )

    def some(
        self, batch: Batch, *, after: int = 0, limit: int = _AT_ONCE, state: int | None = None
    ) -> list[Line]:
        """Some lines in their order, opened.

        Args:
            batch: Whose.
            after: Number of the last one before.
            limit: How many at most.
            state: Only those; None: all.
        """
        query = sa.select(batch_lines).where(batch_lines.c.batch == batch.id, batch_lines.c.number > after)
        if state is not None:
            query = query.where(batch_lines.c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(batch_lines.c.number).limit(limit)).all()
        return [
            Line(
                row.number,
                row.state,
                from_json(batch.key.open(row.source, _source_place(batch.id, row.number))),
                None
                if row.answer is None
                else batch.key.open(row.answer, _answer_place(batch.id, row.number)),
            )
            for row in rows
        ]

    def all(self, batch: Batch, *, state: int | None = None) -> Iterator[Line]:
        """All lines in their order, opened some at a time."""
        after = 0
        while some := self.some(batch, after=after, limit=50, state=state):
            yield from some
            after = some[-1].number

    def results(self, batch: Batch, state: int) -> Iterable[bytes]:
        """A file of results, a line at a time (JSON Lines, UTF-8)."""
        for line in self.all(batch, state=state):
            if line.answer is not None:
                yield line.answer + b"\n"

    @staticmethod
    def _sealed_answer(batch: Batch, number: int, answer: bytes | None) -> bytes | None:
        return None if answer is None else batch.key.seal(answer, _answer_place(batch.id, number))


def _source_place(name: str, number: int) -> str:
    return f"batch_lines.source:{name}:{number}"


def _answer_place(name: str, number: int) -> str:
    return f"batch_lines.answer:{name}:{number}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
