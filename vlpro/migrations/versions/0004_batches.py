"""Files and batches of questions, sealed.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    _owned(
        "batches",
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("total", "completed", "failed")),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("tokens_read", "tokens_cached", "tokens_written")
        ),
        sa.Column("runner", sa.String(length=32), nullable=True),
        sa.Column("runner_until", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("ix_batches_owner_created_at", "batches", ["owner", "created_at", "id"])
    op.create_index("ix_batches_ended_at", "batches", ["ended_at"])
    op.create_table(
        "batch_lines",
        sa.Column("batch", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answer_bytes", sa.Integer(), nullable=True),
        sa.CheckConstraint("state IN (0, 1, 2)", name=op.f("ck_batch_lines_state")),
        _belongs("batch_lines", "batch", "batches"),
        sa.PrimaryKeyConstraint("batch", "number", name=op.f("pk_batch_lines")),
    )
    op.create_index("ix_batch_lines_state", "batch_lines", ["batch", "state", "number"])
    _owned(
        "files",
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("batch", sa.String(length=32), nullable=True),
        sa.CheckConstraint("state IN ('uploading', 'ready')", name=op.f("ck_files_state")),
        _belongs("files", "batch", "batches"),
    )
    op.create_index("ix_files_owner_created_at", "files", ["owner", "created_at", "id"])
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    op.create_index("ix_files_batch", "files", ["batch"])
    op.create_table(
        "file_parts",
        sa.Column("file", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _belongs("file_parts", "file", "files"),
        sa.PrimaryKeyConstraint("file", "number", name=op.f("pk_file_parts")),
    )
    op.create_table(
        "batch_inputs",
        sa.Column("batch", sa.String(length=32), nullable=False),
        sa.Column("file", sa.String(length=32), nullable=False),
        _belongs("batch_inputs", "batch", "batches"),
        sa.ForeignKeyConstraint(["file"], ["files.id"], name=op.f("fk_batch_inputs_file")),
        sa.PrimaryKeyConstraint("batch", "file", name=op.f("pk_batch_inputs")),
    )
    op.create_index("ix_batch_inputs_file", "batch_inputs", ["file"])


def _owned(name: str, *own: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        *own,
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("level IN (0, 1, 2)", name=op.f(f"ck_{name}_level")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )


def _belongs(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete="CASCADE")
