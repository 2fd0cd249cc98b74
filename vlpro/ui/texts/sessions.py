"""The words of the page "Sessions"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "sessions.about": (
        "当前登录的会话。结束后，对方的页面会在几秒内退出。",
        "Who is signed in now. When a session is ended, that page leaves within seconds.",
    ),
    "sessions.find": ("查找姓名、用户名或地址", "Find a name, user name or address"),
    "sessions.none": ("没有符合的会话", "No session matches"),
    "sessions.more": (
        "只列出最近使用的 {most} 个会话。要找其他人，请在“账号”中打开该账号。",
        "Only the {most} sessions last used are listed. For others, open the person under Accounts.",
    ),
    "sessions.current": ("当前会话", "This session"),
    "sessions.browser": ("浏览器", "Browser"),
    "sessions.until": ("最迟结束", "Ends at the latest"),
    "sessions.end": ("结束会话", "End session"),
    "sessions.end.ask": ("结束这个会话？", "End this session?"),
    "sessions.end.body": (
        "对方会立即退出，未发送的内容留在其浏览器中。",
        "That page is signed out at once; what was not sent stays in its browser.",
    ),
    "sessions.ended": ("{name} 的会话已结束。", "The session of {name} has ended."),
}
