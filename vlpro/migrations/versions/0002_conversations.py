"""Conversations: their sealed messages, and sealed pictures where the policy keeps them.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("runner", sa.String(length=32), nullable=True),
        sa.Column("runner_until", sa.Double(), nullable=True),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("level IN (0, 1, 2)", name=op.f("ck_conversations_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    op.create_index("ix_conversations_owner_updated_at", "conversations", ["owner", "updated_at", "id"])
    op.create_index("ix_conversations_updated_at", "conversations", ["updated_at"])
    for name, own in (
        (
            "messages",
            (
                sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
                sa.Column("version", sa.Integer(), nullable=False),
            ),
        ),
        ("kept_pictures", (sa.Column("id", sa.String(length=32), nullable=False),)),
    ):
        op.create_table(
            name,
            sa.Column("conversation", sa.String(length=32), nullable=False),
            *own,
            sa.Column("data", sa.LargeBinary(), nullable=False),
            sa.ForeignKeyConstraint(
                ["conversation"],
                ["conversations.id"],
                name=op.f(f"fk_{name}_conversation"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("conversation", own[0].name, name=op.f(f"pk_{name}")),
        )
