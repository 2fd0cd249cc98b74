"""The tables of knowledge bases. Names, text, vectors and pictures are sealed before they come here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = [
    "knowledge_bases",
    "knowledge_documents",
    "knowledge_pages",
    "knowledge_parts",
    "knowledge_pictures",
]

# The owner is an account, or "local" where there are none; so it refers to no table.
knowledge_bases = sa.Table(
    "knowledge_bases",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("data", sa.LargeBinary, nullable=False),  # name and description, sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.Index("ix_knowledge_bases_owner", "owner"),
)

# A row is one version of a document.
knowledge_documents = sa.Table(
    "knowledge_documents",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("base", sa.String(32), sa.ForeignKey("knowledge_bases.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.LargeBinary, nullable=False),  # a keyed hash of it, to find it by
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("held_until", sa.Double, nullable=False),  # by whoever reads it in, unless it ends
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("pages", sa.Integer, nullable=False),
    sa.Column("pages_done", sa.Integer, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("data", sa.LargeBinary, nullable=False),  # all else, sealed
    sa.CheckConstraint(
        "state IN ('queued', 'reading', 'ready', 'failed', 'cancelled', 'deleted')", name="state"
    ),
    sa.UniqueConstraint("base", "name", "version"),
    sa.Index("ix_knowledge_documents_state", "state"),
)

knowledge_parts = sa.Table(  # of the file, until it is read in
    "knowledge_parts",
    metadata,
    sa.Column(
        "document",
        sa.String(32),
        sa.ForeignKey("knowledge_documents.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

knowledge_pages = sa.Table(
    "knowledge_pages",
    metadata,
    sa.Column(
        "document",
        sa.String(32),
        sa.ForeignKey("knowledge_documents.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("vectors", sa.LargeBinary, nullable=False),  # sealed
    sa.Column("content", sa.LargeBinary, nullable=False),  # passages, sealed
)

knowledge_pictures = sa.Table(
    "knowledge_pictures",
    metadata,
    sa.Column(
        "document",
        sa.String(32),
        sa.ForeignKey("knowledge_documents.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # of the page, from 1
    sa.Column("data", sa.LargeBinary, nullable=False),  # a JPEG, sealed
)
