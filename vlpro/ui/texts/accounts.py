"""The words of the page "Accounts"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "accounts.about": (
        "创建和维护账号。角色与密级由安全管理员授予。",
        "Make and maintain accounts. Roles and levels are given by the security administrator.",
    ),
    "accounts.find": ("查找姓名、用户名或部门", "Find a name, user name or department"),
    "accounts.none": ("没有符合的账号", "No account matches"),
    "accounts.role": ("角色", "Role"),
    "accounts.new": ("新建账号", "New account"),
    "accounts.create": ("创建", "Create"),
    "accounts.login": ("用户名", "User name"),
    "accounts.login.help": (
        "3–64 个小写字母、数字或 . _ - @。创建后不能更改，也不会再给其他人使用。",
        "3–64 letters a–z, digits and . _ - @. It cannot be changed, and is never given to anybody else.",
    ),
    "accounts.name": ("姓名", "Name"),
    "accounts.department": ("部门", "Department"),
    "accounts.source": ("来源", "Source"),
    "accounts.since": ("创建时间", "Created"),
    "accounts.until": ("账号有效期至", "Valid until"),
    "accounts.until.help": (
        "这一天结束后不能再登录。留空表示长期有效。",
        "After this day nobody signs in with it. Left empty: no end.",
    ),
    "accounts.made": ("已为 {name} 创建账号 {login}。", "The account {login} was made for {name}."),
    "accounts.password": ("一次性密码", "One-time password"),
    "accounts.password.once": (
        "只显示这一次。请通过可靠的方式交给本人，首次登录时须更改。",
        "Shown this once only. Hand it over by a safe way; it must be changed at the first sign-in.",
    ),
    "accounts.role.next": (
        "账号还没有角色，安全管理员授予后才能登录。",
        "The account has no role yet: it can sign in once the security administrator has given one.",
    ),
    "accounts.edit": ("编辑", "Edit"),
    "accounts.saved": ("{name} 的资料已保存。", "{name} was saved."),
    "accounts.unlock": ("解锁", "Unlock"),
    "accounts.unlocked": ("{name} 已解锁。", "{name} is unlocked."),
    "accounts.enable": ("启用", "Enable"),
    "accounts.enabled": ("{name} 已启用。", "{name} is enabled."),
    "accounts.disable": ("停用", "Disable"),
    "accounts.disable.ask": (
        "停用后，该账号的会话立即结束，API 密钥作废，不能再登录。",
        "Its sessions end at once, its API keys are revoked, and it signs in no more.",
    ),
    "accounts.disabled": ("{name} 已停用。", "{name} is disabled."),
    "accounts.reset_password": ("重置密码", "Reset password"),
    "accounts.reset_password.ask": (
        "原密码失效，会话立即结束。将生成一次性密码，须交给本人。",
        "The password stops working and all sessions end. A one-time password is made for you to hand over.",
    ),
    "accounts.password_reset": ("{name} 的密码已重置。", "The password of {name} was reset."),
    "accounts.reset_factors": ("重置二次验证", "Reset second factors"),
    "accounts.reset_factors.ask": (
        "验证器、通行密钥和恢复码全部作废，会话立即结束。本人下次登录时重新设置。",
        (
            "Authenticator, passkeys and recovery codes stop working and all sessions end. New ones are set up at "
            "the next sign-in."
        ),
    ),
    "accounts.factors_reset": ("{name} 的二次验证已重置。", "The second factors of {name} were reset."),
    "accounts.end_sessions": ("结束所有会话", "End all sessions"),
    "accounts.end_sessions.ask": (
        "该账号在所有设备上立即退出，正在输入的内容可能丢失。",
        "The person is signed out on all devices at once and may lose what they are typing.",
    ),
    "accounts.sessions_ended": ("{name} 的会话已全部结束。", "All sessions of {name} have ended."),
    "accounts.administrator": (
        "管理员的密码和二次验证只能在服务器上重置：vlpro user reset",
        "An administrator's password and second factors are reset at the machine only: vlpro user reset",
    ),
}
