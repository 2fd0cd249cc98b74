"""The tables of inspections. What pictures show, and what was found in them, is sealed before it comes here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.tables import metadata

__all__ = ["golden_templates", "inspection_alerts", "inspection_silences", "inspections"]


def _owned(*, id_chars: int) -> tuple[sa.Column[str], sa.Column[str], sa.Column[int], sa.Column[float]]:
    # The owner is an account, or "local" where there are none; so it refers to no table.
    return (
        sa.Column("id", sa.String(id_chars), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


inspections = sa.Table(
    "inspections",
    metadata,
    *_owned(id_chars=32),
    sa.Column("version", sa.Integer, nullable=False),  # one more with each change
    sa.Column("key", sa.LargeBinary, nullable=False),  # the data key, wrapped
    sa.Column("data", sa.LargeBinary, nullable=False),  # what was found, sealed
    sa.Column("picture", sa.LargeBinary),  # clean pixels as JPEG, sealed; none: it is not kept
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.Index("ix_inspections_owner_created_at", "owner", "created_at", "id"),
    sa.Index("ix_inspections_created_at", "created_at"),
)

golden_templates = sa.Table(
    "golden_templates",
    metadata,
    *_owned(id_chars=64),  # a keyed hash of owner and product
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("picture", sa.LargeBinary, nullable=False),  # clean pixels as PNG, sealed
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.Index("ix_golden_templates_owner", "owner"),
)

inspection_alerts = sa.Table(
    "inspection_alerts",
    metadata,
    *_owned(id_chars=64),  # a keyed hash of owner, station and picture: the same alert is never there twice
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("to_mqtt", sa.Boolean, nullable=False),  # whether it is still to be published
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("level IN (0, 1, 2)", name="level"),
    sa.CheckConstraint("state IN ('open', 'silenced', 'acknowledged')", name="state"),
    sa.Index("ix_inspection_alerts_owner_created_at", "owner", "created_at", "id"),
    sa.Index("ix_inspection_alerts_created_at", "created_at"),
)

# When an alert was last raised about a kind of defect at a station: a keyed hash of both.
inspection_silences = sa.Table(
    "inspection_silences",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("raised_at", sa.Double, nullable=False),
)
