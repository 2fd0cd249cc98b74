"""Inspections, golden templates and alerts, sealed.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_STATES = "state IN ('open', 'silenced', 'acknowledged')"


def upgrade() -> None:
    """Make the tables."""
    for name, id_chars, own in (
        (
            "inspections",
            32,
            (
                sa.Column("version", sa.Integer(), nullable=False),
                sa.Column("key", sa.LargeBinary(), nullable=False),
                sa.Column("data", sa.LargeBinary(), nullable=False),
                sa.Column("picture", sa.LargeBinary(), nullable=True),
            ),
        ),
        (
            "golden_templates",
            64,
            (
                sa.Column("key", sa.LargeBinary(), nullable=False),
                sa.Column("data", sa.LargeBinary(), nullable=False),
                sa.Column("picture", sa.LargeBinary(), nullable=False),
            ),
        ),
        (
            "inspection_alerts",
            64,
            (
                sa.Column("state", sa.String(length=16), nullable=False),
                sa.Column("to_mqtt", sa.Boolean(), nullable=False),
                sa.Column("data", sa.LargeBinary(), nullable=False),
                sa.CheckConstraint(_STATES, name=op.f("ck_inspection_alerts_state")),
            ),
        ),
    ):
        op.create_table(
            name,
            sa.Column("id", sa.String(length=id_chars), nullable=False),
            sa.Column("owner", sa.String(length=32), nullable=False),
            sa.Column("level", sa.Integer(), nullable=False),
            sa.Column("created_at", sa.Double(), nullable=False),
            *own,
            sa.CheckConstraint("level IN (0, 1, 2)", name=op.f(f"ck_{name}_level")),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        )
    for name in ("inspections", "inspection_alerts"):
        op.create_index(f"ix_{name}_owner_created_at", name, ["owner", "created_at", "id"])
        op.create_index(f"ix_{name}_created_at", name, ["created_at"])
    op.create_index("ix_golden_templates_owner", "golden_templates", ["owner"])
    op.create_table(
        "inspection_silences",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("raised_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection_silences")),
    )
