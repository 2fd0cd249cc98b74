"""What alerts say, in English and Chinese: what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SENTENCES"]

SENTENCES: Mapping[str, tuple[str, str]] = {
    "login_guessed": (
        (
            "Somebody may be guessing the password of {subject}: {count} refused sign-ins within {minutes} min, from "
            "{more}. Ask the person; if it was not they, leave the account locked and look into these addresses."
        ),
        (
            "可能有人在猜测 {subject} 的密码：{minutes} 分钟内登录被拒 {count} 次，来自 {more}。"
            "请向本人核实；若非本人所为，请保持账号锁定并排查这些地址。"
        ),
    ),
    "address_guesses": (
        (
            "Passwords may be guessed from {subject}: {count} refused sign-ins within {minutes} min. Find out which "
            "machine it is, and block it if nobody there can explain it."
        ),
        (
            "可能有人从 {subject} 猜测密码：{minutes} 分钟内登录被拒 {count} 次。"
            "请确认是哪台机器；无法说明原因的，请封禁该地址。"
        ),
    ),
    "address_tries_logins": (
        (
            "Somebody tries one login after another from {subject}: {count} different ones were refused within "
            "{minutes} min ({more}). Find out which machine it is, and block it."
        ),
        (
            "有人从 {subject} 逐个尝试账号：{minutes} 分钟内有 {count} 个不同账号登录被拒（{more}）。"
            "请确认是哪台机器并封禁该地址。"
        ),
    ),
    "somebody_elses": (
        (
            "{subject} tried {count} times within {minutes} min to reach what is somebody else's, from {more}. All "
            "were refused. Ask the person; if it was not they, end the sessions and revoke the keys."
        ),
        (
            "{subject} 在 {minutes} 分钟内 {count} 次尝试访问他人的内容，来自 {more}，均已拒绝。"
            "请向本人核实；若非本人所为，请结束其会话并撤销其密钥。"
        ),
    ),
    "mass_export": (
        (
            "{subject} took much out: {count} exports or texts viewed within {minutes} min, from {more}. Ask for the "
            "reason; if there is none, disable the account and keep the record."
        ),
        (
            "{subject} 大量导出：{minutes} 分钟内导出或查看原文 {count} 次，来自 {more}。"
            "请核实理由；没有正当理由的，请停用账号并保全记录。"
        ),
    ),
    "pictures_exported": (
        (
            "{subject} took many pictures out: {count} within {minutes} min, from {more}. Ask for the reason; if "
            "there is none, disable the account and keep the record."
        ),
        (
            "{subject} 大量导出图片：{minutes} 分钟内 {count} 张，来自 {more}。"
            "请核实理由；没有正当理由的，请停用账号并保全记录。"
        ),
    ),
    "refusals": (
        (
            "{count} requests of {subject} were refused within {minutes} min ({more}). Look whether a program is set "
            "up wrongly, or somebody is trying out what is open."
        ),
        "{subject} 在 {minutes} 分钟内有 {count} 个请求被拒绝（{more}）。请确认是程序配置有误，还是有人在试探。",
    ),
    "egress": (
        (
            "The service tried to reach {subject}, which is outside of what is allowed ({more}; {count}×); it was "
            "refused. This must not happen: isolate the machine, and find out which part tried."
        ),
        (
            "服务有 {count} 次试图连接允许范围之外的 {subject}（{more}），已阻断。"
            "这不应发生：请隔离该机器，查明是哪个部件发起的连接。"
        ),
    ),
    "conversation_damaged": (
        (
            "What is stored of {subject} does not open, as {more} found: it was altered in the database, or the key "
            "file is another one. Find out who can write to the database, and restore it from a backup."
        ),
        (
            "{more} 打开时发现，{subject} 的存储内容无法解开：数据库中的内容被改动，或密钥文件不对。"
            "请查明谁能写入数据库，并从备份恢复。"
        ),
    ),
    "chain_broken": (
        (
            "The audit record was tampered with: {more}. Keep the machine as it is, run vlpro audit verify, and "
            "compare with the copy outside."
        ),
        "审计记录遭到改动：{more}。请保持机器现状，运行 vlpro audit verify，并与外部副本比对。",
    ),
    "log_fails": (
        (
            "The audit record cannot be written or signed: {more}. Nothing is answered without it: look at the disk "
            "and the database."
        ),
        "审计记录无法写入或签署：{more}。没有审计就不会提供服务：请检查磁盘和数据库。",
    ),
    "*": (
        (
            "There are too many alerts of the kind {rule}: for {minutes} min no further ones are raised. Look at the "
            "record itself."
        ),
        "{rule} 类告警过多，{minutes} 分钟内不再逐条告警。请直接查看审计记录。",
    ),
}
