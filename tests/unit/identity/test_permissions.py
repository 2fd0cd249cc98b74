from __future__ import annotations

from dataclasses import replace

import pytest

from vlpro.errors import ForbiddenError
from vlpro.identity.permissions import ADMINISTRATORS, KEY_SCOPES, PERMISSIONS, Permission, Role
from vlpro.identity.principal import LOCAL

# Written out, so that a change of the table is seen twice. Columns: user, system, security, audit.
MATRIX = """
chat:answer:create        x . . .
chat:conversation:use     x . . .
workflow:run:use          x . . .
workflow:result:review    x . . .
knowledge:base:use        x . . .
knowledge:base:write      x . . .
engine:status:read        x x x x
identity:self:use         x x x x
identity:account:read     . x x .
identity:account:write    . x . .
identity:session:read     . x . .
identity:session:revoke   . x . .
identity:role:grant       . . x .
identity:level:set        . . x .
policy:version:read       . . x .
policy:version:write      . . x .
audit:record:read         . . . x
compliance:report:read    . . x x
compliance:report:create  . . x x
"""
ROLES = (Role.USER, Role.SYSTEM, Role.SECURITY, Role.AUDIT)


def _matrix() -> dict[tuple[str, Role], bool]:
    rows = [line.split() for line in MATRIX.strip().splitlines()]
    return {
        (name, role): mark == "x" for name, *marks in rows for role, mark in zip(ROLES, marks, strict=True)
    }


def test_the_whole_matrix() -> None:
    found = {(str(p), role): p in PERMISSIONS[role] for p in Permission for role in Role}
    assert found == _matrix()


def test_no_role_may_do_everything_and_administrators_share_nothing_that_administers() -> None:
    assert all(granted != set(Permission) for granted in PERMISSIONS.values())
    everybody = frozenset.intersection(*PERMISSIONS.values())
    # Looking at accounts, and checking compliance, alter nothing.
    looks = {Permission.ACCOUNT_READ, Permission.COMPLIANCE_READ, Permission.COMPLIANCE_CREATE}
    own = [PERMISSIONS[role] - everybody - looks for role in sorted(ADMINISTRATORS)]
    assert sum(map(len, own)) == len(frozenset.union(*own))
    assert all("chat:" not in permission for granted in own for permission in granted)


def test_keys_administer_nothing() -> None:
    assert all(not scope.startswith(("identity:", "policy:")) for scope in KEY_SCOPES)


@pytest.mark.parametrize("permission", sorted(Permission))
def test_what_is_not_granted_is_refused(permission: Permission) -> None:
    nobody = replace(LOCAL, permissions=frozenset())
    with pytest.raises(ForbiddenError):
        nobody.require(permission)
    replace(nobody, permissions=frozenset({permission})).require(permission)
