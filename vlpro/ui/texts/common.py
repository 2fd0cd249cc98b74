"""Words of all pages: the product, its parts, tables, buttons, and what may befall any page."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    # the product
    "product": ("Qwen3-VL-4B Pro", "Qwen3-VL-4B Pro"),
    "tagline": ("企业内网图文助手", "Private vision-language assistant"),
    "assistant": ("助手", "Assistant"),
    # buttons
    "cancel": ("取消", "Cancel"),
    "close": ("关闭", "Close"),
    "copy": ("复制", "Copy"),
    "copied": ("已复制", "Copied"),
    "retry": ("重试", "Try again"),
    "dismiss": ("知道了", "Dismiss"),
    "copy_failed": ("无法自动复制，请手动复制", "Could not copy; copy it by hand"),
    "all": ("全部", "All"),
    "yes": ("是", "Yes"),
    "no": ("否", "No"),
    "save": ("保存", "Save"),
    "reload": ("刷新", "Refresh"),
    "done.button": ("完成", "Done"),
    # how the page looks
    "language": ("语言", "Language"),
    "theme": ("外观", "Appearance"),
    "system": ("跟随系统", "Follow the system"),
    "light": ("浅色", "Light"),
    "dark": ("深色", "Dark"),
    # what may befall any page
    "request": ("请求编号", "Request"),
    "lost": (
        "连接中断，正在重新连接。输入的内容会保留。",
        "The connection is lost and is being made again. What you typed is kept.",
    ),
    "failed.page": (
        "页面出错了。请重新加载；若再次出现，请告诉管理员发生的时间：{time}。",
        "The page failed. Load it again; if it fails again, tell your administrator the time: {time}.",
    ),
    # who is here, where there are accounts
    "sign_out": ("退出登录", "Sign out"),
    "sign_out_failed": ("没有退出：服务没有响应。", "Not signed out: no answer."),
    "signed_out": ("会话已结束，正在转到登录页面。", "The session is over. Going to the sign-in page."),
    "not_available": ("无法查看这个页面", "This page is not available"),
    "not_available.why": (
        "您的角色是 {role}，这个页面由其他角色使用。",
        "Your role is {role}; this page belongs to another role.",
    ),
    # places
    "nav.chat": ("对话", "Chat"),
    "nav.accounts": ("账号", "Accounts"),
    "nav.sessions": ("会话", "Sessions"),
    "nav.engine": ("运行状态", "Engine & GPU"),
    "nav.policy": ("策略", "Policy"),
    "nav.roles": ("角色与密级", "Roles & levels"),
    "nav.me": ("我的账号", "My account"),
    "nav.audit": ("审计记录", "Audit record"),
    # tables
    "rows": ("第 {first}–{last} 条", "{first}–{last}"),
    "rows.of": ("第 {first}–{last} 条，共 {all} 条", "{first}–{last} of {all}"),
    "page_back": ("上一页", "Previous page"),
    "page_on": ("下一页", "Next page"),
    "choose": ("选择 {name}", "Choose {name}"),
    "choose_all": ("全部选择", "Choose all"),
    "column.login": ("姓名与用户名", "Name and user name"),
    "column.department": ("部门", "Department"),
    "column.role": ("角色", "Role"),
    "column.level": ("密级", "Level"),
    "column.signed_in": ("上次登录", "Last sign-in"),
    "column.state": ("状态", "State"),
    "column.created": ("创建时间", "Created"),
    "column.address": ("地址与浏览器", "Address and browser"),
    "column.since": ("登录时间", "Signed in"),
    "column.seen": ("最近使用", "Last used"),
    "column.factor": ("二次验证", "Second factor"),
    "column.key": ("密钥", "Key"),
    "column.scopes": ("权限范围", "Scopes"),
    "column.until": ("有效期至", "Valid until"),
    "column.used": ("最近使用", "Last used"),
    "column.tokens": ("今日 token", "Tokens today"),
}
