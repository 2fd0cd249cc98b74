"""The words of the page "Compliance"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "compliance.nav": ("合规", "Compliance"),
    "compliance.about": (
        "逐条检查等级保护第三级（GB/T 22239-2019），附证据与签名。",
        "Every clause of MLPS level 3 (GB/T 22239-2019), checked, with evidence and a signature.",
    ),
    "compliance.begin": ("开始检查", "Check now"),
    "compliance.begin.help": (
        "在后台进行，不影响其他人使用；可随时停止。",
        "Goes on in the background, and gives way to everybody's work; it can be stopped.",
    ),
    "compliance.list": ("报告", "Reports"),
    "compliance.none": ("还没有报告。", "No report yet."),
    "compliance.first": (
        "点击“开始检查”生成第一份报告。",
        "Press “Check now” to make the first report.",
    ),
    # one that is being made, or came to nothing
    "compliance.is.running": ("检查中", "Checking"),
    "compliance.is.made": ("已完成", "Made"),
    "compliance.is.failed": ("中断", "Broke off"),
    "compliance.is.stopped": ("已停止", "Stopped"),
    "compliance.is.altered": ("被改动", "Altered"),
    "compliance.starting": ("正在准备临时系统", "Setting up the scratch system"),
    "compliance.progress": (
        "已完成 {done} / {total} 项检查，刚完成 {check}",
        "{done} of {total} checks, the last one {check}",
    ),
    "compliance.stop": ("停止检查", "Stop checking"),
    "compliance.began": ("{who} 于 {time} 发起", "Begun by {who}, {time}"),
    "compliance.stopped": (
        "检查已停止，没有生成报告。",
        "Checking was stopped; there is no report of it.",
    ),
    "compliance.altered": (
        "这份报告与签名时不同，不再提供：{why}。请查明改动者。",
        "This report is not as it was signed, and is not given out: {why}. Find out who altered it.",
    ),
    # one that was made
    "compliance.pass": ("通过", "Pass"),
    "compliance.fail": ("不通过", "Fail"),
    "compliance.not_evaluated": ("未评估", "Not evaluated"),
    "compliance.outside": ("范围之外", "Outside"),
    "compliance.short": ("{fail} 项不通过", "{fail} fail"),
    "compliance.short.none": ("无不通过", "None fail"),
    "compliance.made": (
        "{time} 由 {who} 完成，主机 {host}，版本 {version}，模式 {profile}",
        "Made {time} for {who}, machine {host}, version {version}, profile {profile}",
    ),
    "compliance.show": ("显示", "Show"),
    "compliance.filter.all": ("全部 {count}", "All {count}"),
    "compliance.filter.fail": ("不通过 {count}", "Fail {count}"),
    "compliance.filter.not_evaluated": ("未评估 {count}", "Not evaluated {count}"),
    "compliance.filter.changed": ("有变化 {count}", "Changed {count}"),
    "compliance.filter.none": ("没有这样的条款。", "There is no such clause."),
    "compliance.changes": (
        "与上一份报告 {since} 相比：{count} 条结论有变化。",
        "Compared with the report before, {since}: {count} clauses with another verdict.",
    ),
    "compliance.changes.first": ("没有更早的报告可比较。", "There is no earlier report to compare with."),
    "compliance.change": ("{before} → {now}", "{before} → {now}"),
    "compliance.new": ("无此条款", "no such clause"),
    "compliance.asked": ("要求", "Asked"),
    "compliance.how": ("检查方法", "How"),
    "compliance.found": ("检查结果", "Found"),
    "compliance.evidence": ("证据", "Evidence"),
    "compliance.duty": ("部署方须做", "The deployer must"),
    "compliance.no_checks": (
        "软件无法检查此条，须由部署方提供证明。",
        "The software cannot check this clause; the deployer must show it.",
    ),
    "compliance.download": ("下载 {name}", "Download {name}"),
    "compliance.file.report.html": ("网页", "HTML"),
    "compliance.file.report.pdf": ("PDF", "PDF"),
    "compliance.file.report.json": ("JSON", "JSON"),
    "compliance.file.report.sig": ("签名", "Signature"),
    "compliance.file.report.zip": ("全部文件与证据", "All files and evidence"),
    "compliance.verify": ("核验报告", "Verify the report"),
    "compliance.verify.about": (
        "解压“全部文件与证据”，在任何装有本软件的机器上离线运行：",
        "Unpack “All files and evidence”, and run this on any machine with this software, offline:",
    ),
    "compliance.key": ("签名公钥", "Signing key"),
    "compliance.settings": ("设置摘要 SHA-256", "Settings, SHA-256"),
}
"""Chinese and English, by key."""
