"""The tables of reports. What was found, and the pictures, are sealed before they come here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = ["report_pictures", "reports"]

# The owner is an account, or "local" where there are none; so it refers to no table.
reports = sa.Table(
    "reports",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("data", sa.LargeBinary, nullable=False),  # all else, sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.Index("ix_reports_owner_created_at", "owner", "created_at", "id"),
    sa.Index("ix_reports_created_at", "created_at"),
)

report_pictures = sa.Table(
    "report_pictures",
    metadata,
    sa.Column("report", sa.String(32), sa.ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("data", sa.LargeBinary, nullable=False),  # a JPEG, sealed
)
