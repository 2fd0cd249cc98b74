"""Knowledge bases: documents, their pages and pictures.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "knowledge_bases",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("level IN (0, 1, 2)", name=op.f("ck_knowledge_bases_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_bases")),
    )
    op.create_index("ix_knowledge_bases_owner", "knowledge_bases", ["owner"])
    op.create_table(
        "knowledge_documents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("base", sa.String(length=32), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("held_until", sa.Double(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("pages_done", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'reading', 'ready', 'failed', 'cancelled', 'deleted')",
            name=op.f("ck_knowledge_documents_state"),
        ),
        sa.ForeignKeyConstraint(
            ["base"], ["knowledge_bases.id"], name=op.f("fk_knowledge_documents_base"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_documents")),
        sa.UniqueConstraint("base", "name", "version", name=op.f("uq_knowledge_documents_base")),
    )
    op.create_index("ix_knowledge_documents_state", "knowledge_documents", ["state"])
    for table, columns in (
        ("knowledge_parts", ("data",)),
        ("knowledge_pages", ("vectors", "content")),
        ("knowledge_pictures", ("data",)),
    ):
        op.create_table(
            table,
            sa.Column("document", sa.String(length=32), nullable=False),
            sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
            *(sa.Column(column, sa.LargeBinary(), nullable=False) for column in columns),
            sa.ForeignKeyConstraint(
                ["document"],
                ["knowledge_documents.id"],
                name=op.f(f"fk_{table}_document"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("document", "number", name=op.f(f"pk_{table}")),
        )
