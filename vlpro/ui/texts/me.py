"""The words of the page "My account": one's sessions, keys and what keys may."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    # sessions and factors
    "me.about": ("个人资料、登录会话和 API 密钥。", "What is known of you, your sign-ins and your API keys."),
    "me.password": ("更改密码", "Change password"),
    "me.factors": ("二次验证方式", "Second factors"),
    "me.idle": ("空闲退出", "Signed out when idle"),
    "me.minutes": ("超过 {minutes} 分钟没有操作", "for {minutes} min"),
    "me.sessions": ("我的会话", "My sessions"),
    "me.end_others": ("结束其他会话", "End all others"),
    "me.end_others.ask": ("结束其他会话？", "End all other sessions?"),
    "me.end_others.body": (
        "其他设备和浏览器上的登录立即结束，这里不受影响。",
        "Sign-ins on other devices and browsers end at once; this one stays.",
    ),
    "me.others_ended": ("已结束 {count} 个会话。", "Sessions ended: {count}."),
    # keys
    "keys.title": ("API 密钥", "API keys"),
    "keys.about": (
        "程序以本人名义调用 API 时使用，权限不超过本人。",
        "For programs that use the API in your name, within what you may do yourself.",
    ),
    "keys.none": ("还没有密钥", "No keys yet"),
    "keys.new": ("新建密钥", "New key"),
    "keys.create": ("创建", "Create"),
    "keys.name": ("用途", "What it is for"),
    "keys.name.example": ("例如：报销系统", "For example: expenses system"),
    "keys.days": ("有效期（天）", "Valid for (days)"),
    "keys.rate": ("每分钟请求数", "Requests a minute"),
    "keys.rate.policy": ("按策略", "Policy"),
    "keys.tokens": ("每日 token 上限", "Tokens a day"),
    "keys.tokens.help": ("0 表示不限。按 UTC 零点重新计算。", "0: no limit. Counted anew at midnight UTC."),
    "keys.no_limit": ("不限", "No limit"),
    "keys.addresses": ("允许的地址", "Addresses"),
    "keys.addresses.help": (
        "只能从这些网段使用，每行一个。留空表示策略允许的所有地址。",
        "Networks from which it works, one a line. Empty: all that the policy allows.",
    ),
    "keys.anywhere": ("策略允许的所有地址", "All that the policy allows"),
    "keys.made": ("密钥“{name}”已创建。", "The key “{name}” was made."),
    "keys.secret": ("密钥", "Key"),
    "keys.once": (
        "只显示这一次，请立即保存。遗失后只能新建。",
        "Shown this once only: keep it now. If it is lost, make another one.",
    ),
    "keys.revoke": ("撤销密钥", "Revoke key"),
    "keys.revoke.body": (
        "撤销后，使用它的程序立即无法访问，不能恢复。",
        "Programs that use it are refused at once. It cannot be brought back.",
    ),
    "keys.revoked": ("密钥“{name}”已撤销。", "The key “{name}” is revoked."),
    # what a key may
    "scope.chat:answer:create": ("调用问答接口", "Ask (OpenAI interface)"),
    "scope.chat:conversation:use": ("使用对话", "Use chats"),
    "scope.workflow:run:use": ("使用业务流程", "Use workflows"),
    "scope.knowledge:base:use": ("检索知识库", "Search knowledge bases"),
    "scope.knowledge:base:write": ("维护知识库", "Keep knowledge bases"),
    "scope.engine:status:read": ("查看运行状态", "Read the status"),
    "scope.audit:record:read": ("查看审计记录", "Read audit records"),
}
