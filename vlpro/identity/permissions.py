"""Roles and what each may do: one table. What is not in it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["ADMINISTRATORS", "KEY_SCOPES", "PERMISSIONS", "Permission", "Role"]


class Role(StrEnum):
    """Whose work somebody does. An account has one of them or none, and none of them may do everything."""

    USER = "user"  # 普通用户
    SYSTEM = "system"  # 系统管理员
    SECURITY = "security"  # 安全管理员
    AUDIT = "audit"  # 审计管理员


class Permission(StrEnum):
    """What can be permitted, as ``scope:resource:action``."""

    ANSWER_CREATE = "chat:answer:create"
    CONVERSATION_USE = "chat:conversation:use"
    WORKFLOW_USE = "workflow:run:use"
    WORKFLOW_REVIEW = "workflow:result:review"
    KNOWLEDGE_USE = "knowledge:base:use"
    KNOWLEDGE_WRITE = "knowledge:base:write"
    STATUS_READ = "engine:status:read"
    SELF_USE = "identity:self:use"
    ACCOUNT_READ = "identity:account:read"
    ACCOUNT_WRITE = "identity:account:write"
    SESSION_READ = "identity:session:read"
    SESSION_REVOKE = "identity:session:revoke"
    ROLE_GRANT = "identity:role:grant"
    LEVEL_SET = "identity:level:set"
    POLICY_READ = "policy:version:read"
    POLICY_WRITE = "policy:version:write"
    AUDIT_READ = "audit:record:read"
    COMPLIANCE_READ = "compliance:report:read"
    COMPLIANCE_CREATE = "compliance:report:create"


_EVERYBODY = frozenset({Permission.STATUS_READ, Permission.SELF_USE})

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.USER: _EVERYBODY
    | {
        Permission.ANSWER_CREATE,
        Permission.CONVERSATION_USE,
        Permission.WORKFLOW_USE,
        Permission.WORKFLOW_REVIEW,
        Permission.KNOWLEDGE_USE,
        Permission.KNOWLEDGE_WRITE,
    },
    Role.SYSTEM: _EVERYBODY
    | {
        Permission.ACCOUNT_READ,
        Permission.ACCOUNT_WRITE,
        Permission.SESSION_READ,
        Permission.SESSION_REVOKE,
    },
    Role.SECURITY: _EVERYBODY
    | {
        Permission.ACCOUNT_READ,
        Permission.ROLE_GRANT,
        Permission.LEVEL_SET,
        Permission.POLICY_READ,
        Permission.POLICY_WRITE,
        Permission.COMPLIANCE_READ,
        Permission.COMPLIANCE_CREATE,
    },
    Role.AUDIT: _EVERYBODY
    | {Permission.AUDIT_READ, Permission.COMPLIANCE_READ, Permission.COMPLIANCE_CREATE},
}

ADMINISTRATORS = frozenset({Role.SYSTEM, Role.SECURITY, Role.AUDIT})

# What a key can be given, within its owner's role. A key administers nothing and makes no further keys.
KEY_SCOPES = frozenset(
    {
        Permission.ANSWER_CREATE,
        Permission.CONVERSATION_USE,
        Permission.WORKFLOW_USE,
        Permission.KNOWLEDGE_USE,
        Permission.KNOWLEDGE_WRITE,
        Permission.STATUS_READ,
        Permission.AUDIT_READ,
    }
)
