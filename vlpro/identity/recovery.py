"""Recovery codes: a way in for who lost the second factor, each used once."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from vlpro.crypto import Sealer
from vlpro.identity.tables import recovery_codes

__all__ = ["burn", "left", "replace"]

_COUNT = 10
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 characters, without l, o, 0 and 1
_GROUPS, _GROUP = 4, 4  # 80 bits


def replace(connection: sa.Connection, sealer: Sealer, account: str) -> list[str]:
    """Make new codes; all earlier ones are void.

    Returns:
        Ten codes, such as ``k7mq-3hfd-9xwe-bt2n``, to be shown once.
    """
    codes = [_new() for _ in range(_COUNT)]
    connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.account == account))
    connection.execute(
        sa.insert(recovery_codes),
        [{"account": account, "code": _hashed(sealer, account, code)} for code in codes],
    )
    return codes


def burn(connection: sa.Connection, sealer: Sealer, account: str, code: str) -> bool:
    """Use a code up; whether it was one."""
    wanted = _hashed(sealer, account, code)
    found = connection.execute(
        sa.delete(recovery_codes).where(recovery_codes.c.account == account, recovery_codes.c.code == wanted)
    )
    return found.rowcount == 1


def left(connection: sa.Connection, account: str) -> int:
    """How many are unused."""
    counted = (
        sa.select(sa.func.count()).select_from(recovery_codes).where(recovery_codes.c.account == account)
    )
    return connection.execute(counted).scalar_one()


def _new() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _hashed(sealer: Sealer, account: str, code: str) -> bytes:
    plain = "".join(c for c in code.lower()[:64] if c in _ALPHABET)
    return sealer.mac(plain.encode(), f"recovery_codes.code:{account}")
