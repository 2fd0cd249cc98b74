"""The tables of files and batches. What people sent, and what was answered, is sealed before it comes here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = ["batch_inputs", "batch_lines", "batches", "file_parts", "files"]


def _owned() -> tuple[sa.Column[str], sa.Column[str], sa.Column[int], sa.Column[float]]:
    # The owner is an account, or "local" where there are none; so it refers to no table.
    return (
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


def _of(table: str, name: str) -> sa.Column[str]:
    belongs = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.String(32), belongs, primary_key=True)


batches = sa.Table(
    "batches",
    metadata,
    *_owned(),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),  # what is not answered by then is not answered
    sa.Column("ended_at", sa.Double),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("completed", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("tokens_read", sa.BigInteger, nullable=False),
    sa.Column("tokens_cached", sa.BigInteger, nullable=False),
    sa.Column("tokens_written", sa.BigInteger, nullable=False),
    sa.Column("runner", sa.String(32)),  # the process that works on it
    sa.Column("runner_until", sa.Double),  # after which it is taken for dead
    sa.Column("version", sa.Integer, nullable=False),  # of the head
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column(
        "head", sa.LargeBinary, nullable=False
    ),  # what is asked, by whom, and what became of it; sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.Index("ix_batches_owner_created_at", "owner", "created_at", "id"),
    sa.Index("ix_batches_ended_at", "ended_at"),
)

batch_lines = sa.Table(
    "batch_lines",
    metadata,
    _of("batches", "batch"),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("state", sa.Integer, nullable=False),  # 0 waits, 1 completed, 2 failed
    sa.Column("source", sa.LargeBinary, nullable=False),  # where its request is, sealed
    sa.Column("answer", sa.LargeBinary),  # sealed
    sa.Column("answer_bytes", sa.Integer),  # of its line in a file of results
    sa.CheckConstraint("state IN (0, 1, 2)", name="state"),
    sa.Index("ix_batch_lines_state", "batch", "state", "number"),
)

files = sa.Table(
    "files",
    metadata,
    *_owned(),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("batch", sa.String(32), sa.ForeignKey("batches.id", ondelete="CASCADE")),  # whose results it is
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("head", sa.LargeBinary, nullable=False),  # name and digest, sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.CheckConstraint("state IN ('uploading', 'ready')", name="state"),
    sa.Index("ix_files_owner_created_at", "owner", "created_at", "id"),
    sa.Index("ix_files_expires_at", "expires_at"),
    sa.Index("ix_files_batch", "batch"),
)

file_parts = sa.Table(
    "file_parts",
    metadata,
    _of("files", "file"),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),  # a mebibyte but for the last, sealed
)

# Which files a batch still reads; a file that is in it is not deleted.
batch_inputs = sa.Table(
    "batch_inputs",
    metadata,
    _of("batches", "batch"),
    sa.Column("file", sa.String(32), sa.ForeignKey("files.id"), primary_key=True),
    sa.Index("ix_batch_inputs_file", "file"),
)
