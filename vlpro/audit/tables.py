"""The tables of the audit. Records are added, never altered; columns beside the bytes are there to be searched."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

__all__ = ["archives", "checkpoints", "contents", "metadata", "records", "select_signed"]

metadata = sa.MetaData()

records = sa.Table(
    "audit_records",
    metadata,
    sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("event", sa.String(48), nullable=False),
    sa.Column("outcome", sa.String(8), nullable=False),
    sa.Column("login", sa.String(64), nullable=False),
    sa.Column("session", sa.String(32), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("object", sa.String(64), nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Index("ix_audit_records_time", "time"),
    sa.Index("ix_audit_records_event", "event", "seq"),
    sa.Index("ix_audit_records_login", "login", "seq"),
    sa.Index("ix_audit_records_session", "session", "seq"),
    sa.Index("ix_audit_records_object", "object", "seq"),
)

# What people wrote, sealed, where the policy keeps it. A record holds a commitment to it, so that it can be erased.
contents = sa.Table(
    "audit_contents",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

checkpoints = sa.Table(
    "audit_checkpoints",
    metadata,
    sa.Column(
        "size", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("data", sa.LargeBinary, nullable=False),  # canonical JSON
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("roots", sa.LargeBinary, nullable=False),  # of the tree's complete subtrees, to go on from
    sa.Column("sm2", sa.LargeBinary),  # the signature with SM2, where one is made
)

# Which parts of the record were moved into archives.
archives = sa.Table(
    "audit_archives",
    metadata,
    sa.Column(
        "last", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("data", sa.LargeBinary, nullable=False),  # canonical JSON
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("sm2", sa.LargeBinary),
)


def select_signed(connection: sa.Connection, table: sa.Table) -> sa.Select[Any]:
    """All columns of checkpoints or archives, also where a database is of an older version: a backup is only read."""
    there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    columns = [column if column.name in there else sa.null().label(column.name) for column in table.c]
    return sa.select(*columns).select_from(table)
