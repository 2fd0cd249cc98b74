"""The words of the page "Roles & levels"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "roles.about": (
        "授予角色，设定可读的最高密级。不能更改本人的。",
        "Give roles and the highest level that somebody may read. Your own cannot be changed.",
    ),
    "roles.waiting": ("等待授权（{count}）", "Awaiting a role ({count})"),
    "roles.everybody": ("所有账号", "All accounts"),
    "roles.choose": ("勾选后授予普通用户", "Choose people to make users"),
    "roles.grant": ("授予普通用户（{count}）", "Make users ({count})"),
    "roles.grant.ask": ("授予普通用户？", "Make them users?"),
    "roles.grant.body": (
        "这 {count} 人可以登录并使用对话。",
        "They can sign in and chat: {count} people.",
    ),
    "roles.grant.do": ("授予", "Give the role"),
    "roles.granted": ("已授予 {count} 人。", "Role given to {count}."),
    "roles.own": ("本人", "yourself"),
    "roles.role.help": (
        "一个账号只有一个角色，管理员之间互不兼任。",
        "An account has one role; nobody holds two of the administrators' roles.",
    ),
    "roles.level.help": ("可以查看的最高密级。", "The highest level that the person may read."),
    "roles.change.body": (
        "更改角色后，对方的会话立即结束，API 密钥作废。",
        "With another role, all sessions end at once and API keys are revoked.",
    ),
    "roles.change.do": ("确认更改", "Change"),
    "roles.changed": ("{name} 的角色和密级已更新。", "Role and level of {name} are changed."),
}
