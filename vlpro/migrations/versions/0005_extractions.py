"""Extractions with their pages, what identifies an invoice, and the outbox of results.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "extractions",
        *_text("id", "owner"),
        sa.Column("level", sa.Integer(), nullable=False),
        *_times("created_at", "updated_at"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_text("state", "verdict", length=16),
        sa.Column("handed_over", sa.Boolean(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("level IN (0, 1, 2)", name=op.f("ck_extractions_level")),
        sa.CheckConstraint("state IN ('open', 'approved', 'returned')", name=op.f("ck_extractions_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extractions")),
    )
    op.create_index("ix_extractions_owner_created_at", "extractions", ["owner", "created_at", "id"])
    op.create_index("ix_extractions_handed_over", "extractions", ["handed_over", "state", "created_at"])
    op.create_index("ix_extractions_updated_at", "extractions", ["updated_at"])
    op.create_table(
        "extraction_pages",
        *_text("extraction"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["extraction"],
            ["extractions.id"],
            name=op.f("fk_extraction_pages_extraction"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("extraction", "number", name=op.f("pk_extraction_pages")),
    )
    op.create_table(
        "extraction_marks",
        sa.Column("mark", sa.LargeBinary(length=32), nullable=False),
        *_text("extraction", "owner"),
        *_times("created_at"),
        sa.PrimaryKeyConstraint("mark", "extraction", name=op.f("pk_extraction_marks")),
    )
    op.create_index("ix_extraction_marks_extraction", "extraction_marks", ["extraction"])
    op.create_table(
        "deliveries",
        *_text("id"),
        sa.Column("once", sa.LargeBinary(length=32), nullable=False),
        *_text("kind", length=16),
        *_text("subject", length=40),
        *_text("target", length=64),
        *_text("owner"),
        *_text("state", length=16),
        sa.Column("tries", sa.Integer(), nullable=False),
        *_text("problem", length=200),
        *_times("created_at", "updated_at", "next_at"),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_deliveries_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("once", name=op.f("uq_deliveries_once")),
    )
    op.create_index("ix_deliveries_subject", "deliveries", ["kind", "subject"])
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"])


def _text(*names: str, length: int = 32) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(length=length), nullable=False) for name in names]


def _times(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]
