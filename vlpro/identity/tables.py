"""The tables of identity. Times are Unix seconds (UTC); secrets are hashed or sealed before they come here."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.identity.labels import Level
from vlpro.identity.permissions import Role

__all__ = [
    "accounts",
    "failures",
    "key_usage",
    "keys",
    "metadata",
    "passkeys",
    "past_passwords",
    "policies",
    "recovery_codes",
    "role_grants",
    "sessions",
    "setups",
    "sign_ins",
    "totps",
]

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _account(*, primary_key: bool = False, index: bool = False) -> sa.Column[str]:
    return sa.Column(
        "account",
        sa.String(32),
        sa.ForeignKey("accounts.id"),
        nullable=False,
        primary_key=primary_key,
        index=index or None,
    )


def _time(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


# An account is never deleted, so that its login can never be given to somebody else (8.1.4.1 a).
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("login", sa.String(64), nullable=False, unique=True),  # lower case
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("department", sa.String(128), nullable=False),
    sa.Column("source", sa.String(8), nullable=False),
    sa.Column("subject", sa.String(1024)),  # in a company directory
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("password", sa.String(256)),  # Argon2id; none: of a directory, or not set yet
    _time("password_at", nullable=True),
    sa.Column("must_change", sa.Boolean, nullable=False),
    _time("created_at"),
    sa.Column("created_by", sa.String(32)),  # none: by the first start, or by a directory
    _time("active_at"),  # of the last sign-in; before there is one, of the account's creation or release
    _time("signed_in_at", nullable=True),
    _time("expires_at", nullable=True),
    sa.Column("disabled", sa.String(16)),  # why; none: it is not
    sa.CheckConstraint("login = lower(login)", name="login_lower"),
    sa.CheckConstraint("source IN ('local', 'ldap', 'oidc')", name="source"),
    sa.CheckConstraint("disabled IN ('administrator', 'idle')", name="disabled"),
    sa.CheckConstraint(f"level IN ({', '.join(str(int(level)) for level in Level)})", name="level"),
    sa.UniqueConstraint("source", "subject", name="uq_accounts_subject"),
)

# The primary key is what makes the roles exclude each other: one account has one grant (8.1.4.2 d).
role_grants = sa.Table(
    "role_grants",
    metadata,
    _account(primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("granted_by", sa.String(32), sa.ForeignKey("accounts.id")),  # none: by the first start
    _time("granted_at"),
    sa.CheckConstraint(f"role IN ({', '.join(repr(str(role)) for role in Role)})", name="role"),
    sa.CheckConstraint("granted_by <> account", name="not_oneself"),
)

past_passwords = sa.Table(
    "past_passwords",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _account(index=True),
    sa.Column("password", sa.String(256), nullable=False),
    _time("set_at"),
)

totps = sa.Table(
    "totps",
    metadata,
    _account(primary_key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),  # sealed
    sa.Column("last_step", sa.BigInteger, nullable=False),  # RFC 6238's T of the last code that was taken
    _time("created_at"),
)

passkeys = sa.Table(
    "passkeys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    _account(index=True),
    sa.Column("credential", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("sign_count", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    _time("created_at"),
    _time("used_at", nullable=True),
)

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    _account(primary_key=True),
    sa.Column("code", sa.LargeBinary(32), primary_key=True),  # its keyed hash
)

# A sign-in that is not complete: the password was right, a second factor or a new password is still to come.
sign_ins = sa.Table(
    "sign_ins",
    metadata,
    sa.Column("token", sa.LargeBinary(32), primary_key=True),  # SHA-256
    _account(index=True),
    _time("created_at"),
    _time("expires_at"),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("resume", sa.String(1024), nullable=False),  # the path to go on to
    sa.Column("proven", sa.Boolean, nullable=False),  # the second factor was given
    sa.Column("codes_kept", sa.Boolean, nullable=False),
    sa.Column("offer", sa.LargeBinary),  # sealed: the TOTP secret that is being set up
    sa.Column("challenge", sa.LargeBinary),  # of a passkey
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("token", sa.LargeBinary(32), nullable=False, unique=True),  # SHA-256
    _account(index=True),
    _time("created_at"),
    _time("seen_at"),
    _time("expires_at"),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(256), nullable=False),
    sa.Column("factor", sa.String(16), nullable=False),
    sa.Column("offer", sa.LargeBinary),  # as in sign_ins, for a factor that is added or replaced
    sa.Column("challenge", sa.LargeBinary),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("token", sa.LargeBinary(32), nullable=False, unique=True),  # SHA-256
    sa.Column("prefix", sa.String(12), nullable=False),
    _account(index=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("addresses", sa.JSON, nullable=False),
    sa.Column("requests_per_minute", sa.Integer, nullable=False),
    sa.Column("tokens_per_day", sa.BigInteger, nullable=False),  # 0: no limit
    _time("created_at"),
    _time("expires_at"),
    _time("used_at", nullable=True),
    _time("revoked_at", nullable=True),
)

key_usage = sa.Table(
    "key_usage",
    metadata,
    sa.Column("key", sa.String(32), sa.ForeignKey("keys.id"), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),  # days since 1970 (UTC)
    sa.Column("tokens", sa.BigInteger, nullable=False),
)

# Failed sign-ins, by login and by address; what was typed is kept hashed, since people type passwords there.
failures = sa.Table(
    "failures",
    metadata,
    sa.Column("subject", sa.LargeBinary(32), primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    _time("last_at"),
    _time("locked_until", nullable=True),
)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("note", sa.String(256), nullable=False),
    sa.Column("author", sa.String(32), sa.ForeignKey("accounts.id")),  # none: as the software comes
    _time("created_at"),
)

# The one-time secret of the first start; the fixed key makes it one.
setups = sa.Table(
    "setups",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("secret", sa.LargeBinary(32), nullable=False),  # SHA-256
    _time("expires_at"),
    sa.CheckConstraint("id = 1", name="only_one"),
)
