"""The audit: signatures with SM2 beside those with Ed25519.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    for table in ("audit_checkpoints", "audit_archives"):
        op.add_column(table, sa.Column("sm2", sa.LargeBinary(), nullable=True))
