"""Reports with their pictures.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("level IN (0, 1, 2)", name=op.f("ck_reports_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_owner_created_at", "reports", ["owner", "created_at", "id"])
    op.create_index("ix_reports_created_at", "reports", ["created_at"])
    op.create_table(
        "report_pictures",
        sa.Column("report", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report"], ["reports.id"], name=op.f("fk_report_pictures_report"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("report", "number", name=op.f("pk_report_pictures")),
    )
