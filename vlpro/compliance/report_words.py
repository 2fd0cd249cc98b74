"""The words of a compliance report, in both languages: of its HTML and of its PDF."""

from __future__ import annotations

import re

__all__ = ["SCOPES", "VERDICTS", "WORDS", "group_of", "group_title"]

Pair = dict[str, str]


def _pair(zh: str, en: str) -> Pair:
    return {"zh": zh, "en": en}


VERDICTS: dict[str, Pair] = {
    "pass": _pair("通过", "Pass"),
    "fail": _pair("不通过", "Fail"),
    "not_evaluated": _pair("未评估", "Not evaluated"),
    "outside": _pair("范围之外", "Outside"),
}

SCOPES: dict[str, Pair] = {
    "A": _pair("应用", "Application"),
    "D": _pair("部署", "Deployment"),
    "A/D": _pair("应用与部署", "Application and deployment"),
    "A/O": _pair("应用，部分在范围之外", "Application, in part outside"),
    "O": _pair("范围之外，由部署方负责", "Outside: the deployer's"),
}

WORDS: dict[str, Pair] = {
    "title": _pair("等级保护第三级合规报告", "MLPS level 3 compliance report"),
    "about": _pair("报告信息", "About this report"),
    "id": _pair("报告编号", "Report"),
    "created": _pair("完成时间", "Made"),
    "by": _pair("发起人", "Asked for by"),
    "host": _pair("主机", "Machine"),
    "product": _pair("产品与版本", "Product and version"),
    "profile": _pair("运行模式", "Profile"),
    "standard": _pair("依据", "Standard"),
    "settings": _pair("设置摘要 SHA-256（不含秘密）", "Settings, SHA-256 (without secrets)"),
    "key": _pair("签名公钥 Ed25519", "Signing key, Ed25519"),
    "sm2": _pair("签名公钥 SM2", "Signing key, SM2"),
    "summary": _pair("结论汇总", "Summary"),
    "result": _pair("结论", "Verdict"),
    "count": _pair("条款数", "Clauses"),
    "clauses": _pair("逐条结果", "Clause by clause"),
    "clause": _pair("条款", "Clause"),
    "asked": _pair("要求", "What is asked"),
    "scope": _pair("责任", "Whose it is"),
    "how": _pair("检查方法", "How it was checked"),
    "found": _pair("检查结果", "What was found"),
    "check": _pair("检查项", "Check"),
    "seconds": _pair("耗时（秒）", "Seconds"),
    "evidence": _pair("证据", "Evidence"),
    "duty": _pair("部署方须做", "What the deployer must do"),
    "no_checks": _pair(
        "软件无法检查此条，须由部署方提供证明。",
        "The software cannot check this clause; the deployer must show it.",
    ),
    "duties": _pair("范围之外与部署方须做的事项", "What lies outside, and what the deployer must do"),
    "duties.about": _pair(
        "以下条款不由或不完全由本软件承担。本报告对它们不作合规结论。",
        "These clauses are not the software's, or not all of them. This report makes no claim about that part.",
    ),
    "changes": _pair("与上一份报告相比", "Compared with the report before"),
    "changes.none": _pair("没有条款的结论发生变化。", "No clause has another verdict."),
    "changes.first": _pair("没有更早的有效报告可比较。", "There is no earlier valid report to compare with."),
    "since": _pair("上一份报告", "Report before"),
    "from": _pair("原结论", "Before"),
    "to": _pair("现结论", "Now"),
    "absent": _pair("无此条款", "No such clause"),
    "meaning": _pair("结论的含义", "What the verdicts mean"),
    "meaning.pass": _pair(
        "该条款的每一项检查都已执行并通过，且留有证据。",
        "Every check of the clause was run and passed, with evidence.",
    ),
    "meaning.fail": _pair(
        "至少一项检查不通过，或检查本身出错。", "At least one check did not pass, or itself broke."
    ),
    "meaning.not_evaluated": _pair(
        "没有不通过的检查，但至少一项在此环境中无法执行；原因写在检查结果中。它不等于通过。",
        "No check failed, but at least one could not be run here; the finding says why. It is no pass.",
    ),
    "meaning.outside": _pair("不属于本软件，由部署方负责。", "Not the software's: the deployer's."),
    "verify": _pair("如何核验本报告", "How to verify this report"),
    "verify.about": _pair(
        "本文件是报告文件夹的一部分。report.json 列出每个文件的摘要，report.sig 是对 report.json 的签名。"
        "请从下载的 report.zip 解出文件夹，离线运行下面的命令；公钥须由运维方另行提供（vlpro audit key），"
        "并与上面的公钥一致。",
        "This file is part of the report's folder. report.json lists the hash of every file, and report.sig signs "
        "report.json. Unpack report.zip and run this command, offline; the operator tells the public key by another "
        "way (vlpro audit key), and it must be the one above.",
    ),
    "verify.command": _pair("命令", "Command"),
    "no_pdf": _pair(
        "本机没有中文字体，因此没有 PDF。", "This machine has no Chinese font, so there is no PDF."
    ),
    "language": _pair("语言", "Language"),
    "both": _pair("双语", "Both"),
    "show": _pair("显示", "Show"),
    "all": _pair("全部", "All"),
    "disclaimer": _pair(
        "本报告由软件自检生成，供测评参考，不代替测评机构的结论。",
        "The software made this report about itself, for assessors; it does not replace their judgement.",
    ),
}

_GROUPS: dict[str, Pair] = {
    "F": _pair("本产品自身的要求", "The product's own requirements"),
    "8.1.1": _pair("安全物理环境", "Physical environment"),
    "8.1.2": _pair("安全通信网络", "Communication network"),
    "8.1.3": _pair("安全区域边界", "Area boundary"),
    "8.1.4.1": _pair("身份鉴别", "Identification and authentication"),
    "8.1.4.2": _pair("访问控制", "Access control"),
    "8.1.4.3": _pair("安全审计", "Security audit"),
    "8.1.4.4": _pair("入侵防范", "Intrusion prevention"),
    "8.1.4.5": _pair("恶意代码防范", "Malicious code"),
    "8.1.4.6": _pair("可信验证", "Trusted verification"),
    "8.1.4.7": _pair("数据完整性", "Data integrity"),
    "8.1.4.8": _pair("数据保密性", "Data confidentiality"),
    "8.1.4.9": _pair("数据备份恢复", "Backup and recovery"),
    "8.1.4.10": _pair("剩余信息保护", "Residual information"),
    "8.1.4.11": _pair("个人信息保护", "Personal information"),
    "8.1.5": _pair("安全管理中心", "Security management centre"),
}
_OTHER = _pair("其他要求", "Other requirements")


def group_of(clause: str) -> str:
    """The part of the standard that a clause is in: ``8.1.4.1`` of ``8.1.4.1 a``; ``F``, of the product's own."""
    if clause.startswith("F"):
        return "F"
    numbers = re.findall(r"\d+", clause.partition(" ")[0])
    for length in (4, 3):
        group = ".".join(numbers[:length])
        if group in _GROUPS:
            return group
    return "other"


def group_title(group: str) -> Pair:
    """What a part of the standard is about."""
    return _GROUPS.get(group, _OTHER)
