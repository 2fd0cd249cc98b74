"""How people and accounts are spoken of: roles, levels, states, second factors, where an account is from."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "role.none": ("无角色", "No role"),
    "role.user": ("普通用户", "User"),
    "role.system": ("系统管理员", "System administrator"),
    "role.security": ("安全管理员", "Security administrator"),
    "role.audit": ("审计管理员", "Audit administrator"),
    "level.public": ("公开", "Public"),
    "level.internal": ("内部", "Internal"),
    "level.secret": ("秘密", "Secret"),
    "state.active": ("正常", "Active"),
    "state.locked": ("已锁定", "Locked"),
    "state.disabled": ("已停用", "Disabled"),
    "state.idle": ("久未使用", "Unused"),
    "state.expired": ("已到期", "Expired"),
    "state.no_role": ("待授权", "Awaiting role"),
    "factor.totp": ("动态口令", "One-time code"),
    "factor.passkey": ("通行密钥", "Passkey"),
    "factor.recovery": ("恢复码", "Recovery code"),
    "factor.none": ("无", "None"),
    "source.local": ("本系统", "This system"),
    "source.ldap": ("企业目录（LDAP）", "Company directory (LDAP)"),
    "source.oidc": ("统一登录（OIDC）", "Company sign-in (OIDC)"),
}
