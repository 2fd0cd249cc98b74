"""The words of the page "Policy", but for the settings themselves."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "policy.about": (
        "保存后形成新的一版，几秒内生效。旧版本不会被改动。",
        "Saving makes a new version, in force within seconds. Earlier versions stay as they are.",
    ),
    "policy.version": ("当前版本", "In force"),
    "policy.number": ("第 {number} 版", "Version {number}"),
    "policy.since": ("生效时间", "Since"),
    "policy.author": ("制定人", "By"),
    "policy.shipped": ("随软件提供", "As the software comes"),
    "policy.passwords": ("密码", "Passwords"),
    "policy.sign_in": ("登录", "Sign-in"),
    "policy.sessions": ("会话", "Sessions"),
    "policy.accounts": ("账号", "Accounts"),
    "policy.conversations": ("对话", "Conversations"),
    "policy.addresses": ("访问地址", "Addresses"),
    "policy.keys": ("API 密钥", "API keys"),
    "policy.pages": ("页面", "Pages"),
    "policy.privacy": ("个人信息", "Personal data"),
    "policy.bounds": ("可设 {least}–{most}。", " From {least} to {most}."),
    "policy.nothing": ("（空）", "(none)"),
    "policy.order": ("顺序改变", "Another order"),
    "policy.line": (
        "第 {line} 行“{text}”不是地址或网段，例如 10.1.0.0/16。",
        "Line {line}, “{text}”, is no address and no network such as 10.1.0.0/16.",
    ),
    "policy.line.names": (
        "第 {line} 行“{text}”应为 2 至 40 个字。",
        "Line {line}, “{text}”, must have 2 to 40 characters.",
    ),
    "policy.changed": ("{count} 项更改未保存", "Changes not saved: {count}"),
    "policy.wrong": ("有一项填写不正确，改正后才能保存", "Something is wrong; correct it before saving"),
    "policy.discard": ("放弃", "Discard"),
    "policy.save": ("核对并保存", "Review and save"),
    "policy.save.ask": ("保存为新版本？", "Save as a new version?"),
    "policy.save.do": ("保存并生效", "Save and put in force"),
    "policy.why": ("更改原因", "Why"),
    "policy.why.example": ("例如：按 2026 年测评意见调整", "For example: after the assessment of 2026"),
    "policy.shut_out": (
        "您当前的地址 {address} 不在管理地址中：保存后，您和其他管理员将无法从这里登录。",
        (
            "Your own address, {address}, is not among the addresses of administrators: once saved, neither you nor "
            "other administrators can sign in from here."
        ),
    ),
    "policy.saved": ("第 {number} 版已保存并生效。", "Version {number} is saved and in force."),
    "policy.lost": (
        "页面已载入最新版本。您的更改没有保存：{changes}",
        "The newest version is shown now. Your changes were not saved: {changes}",
    ),
    "policy.newer": (
        "{author} 已保存第 {number} 版，下面的更改基于较早的一版，不能直接保存。",
        "{author} has saved version {number}. The changes below are made from an earlier one and cannot be saved.",
    ),
    "policy.versions": ("历史版本", "Versions"),
    "policy.every": ("显示全部 {count} 版", "Show all {count}"),
    "policy.same": ("没有差别。", "No difference."),
    "policy.compare": ("比较版本", "Compare versions"),
    "policy.compare.old": ("从", "From"),
    "policy.compare.new": ("到", "To"),
    "policy.none": ("不比较", "None"),
    "policy.between": ("第 {old} 版与第 {new} 版的差别", "From version {old} to version {new}"),
}
