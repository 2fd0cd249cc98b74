"""The outbox's table. What is on its way is sealed, and goes when it has arrived."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = ["deliveries"]

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("once", sa.LargeBinary(32), nullable=False, unique=True),  # keyed hash of what goes where
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(40), nullable=False),  # id of the result
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("problem", sa.String(200), nullable=False),  # of the last try; empty: there was none
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),  # of the next try
    sa.Column("body", sa.LargeBinary),  # sealed; none once it has arrived
    sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
    sa.Index("ix_deliveries_subject", "kind", "subject"),
    sa.Index("ix_deliveries_state_next_at", "state", "next_at"),
)
