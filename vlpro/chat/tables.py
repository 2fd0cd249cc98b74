"""The tables of conversations. What people wrote, and pictures, are sealed before they come here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = ["conversations", "kept_pictures", "messages"]


def _conversation() -> sa.Column[str]:
    belongs = sa.ForeignKey("conversations.id", ondelete="CASCADE")
    return sa.Column("conversation", sa.String(32), belongs, primary_key=True)


# The owner is an account, or "local" where there are none; so it refers to no table.
conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # one more with each change
    sa.Column("runner", sa.String(32)),  # the process that writes an answer
    sa.Column("runner_until", sa.Double),  # after which it is taken for dead
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("head", sa.LargeBinary, nullable=False),  # title and versions of the messages, sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.Index("ix_conversations_owner_updated_at", "owner", "updated_at", "id"),
    sa.Index("ix_conversations_updated_at", "updated_at"),
)

messages = sa.Table(
    "messages",
    metadata,
    _conversation(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),  # of the conversation, when it was written
    sa.Column("data", sa.LargeBinary, nullable=False),
)

kept_pictures = sa.Table(
    "kept_pictures",
    metadata,
    _conversation(),
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
