"""The tables of extractions. What was read, and the pictures, are sealed before they come here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = ["extraction_marks", "extraction_pages", "extractions"]

# The owner is an account, or "local" where there are none; so it refers to no table.
extractions = sa.Table(
    "extractions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # one more with each change
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("handed_over", sa.Boolean, nullable=False),  # to whoever may review, up to its level
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("data", sa.LargeBinary, nullable=False),  # all else, sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.CheckConstraint("state IN ('open', 'approved', 'returned')", name="state"),
    sa.Index("ix_extractions_owner_created_at", "owner", "created_at", "id"),
    sa.Index("ix_extractions_handed_over", "handed_over", "state", "created_at"),
    sa.Index("ix_extractions_updated_at", "updated_at"),
)

extraction_pages = sa.Table(
    "extraction_pages",
    metadata,
    sa.Column(
        "extraction", sa.String(32), sa.ForeignKey("extractions.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("data", sa.LargeBinary, nullable=False),  # a JPEG, sealed
)

# What identifies an invoice, as a keyed hash: it outlives an approved result, so that nobody is paid twice.
extraction_marks = sa.Table(
    "extraction_marks",
    metadata,
    sa.Column("mark", sa.LargeBinary(32), primary_key=True),
    sa.Column("extraction", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("ix_extraction_marks_extraction", "extraction"),
)
