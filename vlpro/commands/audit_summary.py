"""What ``vlpro audit verify`` says of a record that it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vlpro.audit.sm2 import why_not
from vlpro.commands.terminal import t

if TYPE_CHECKING:
    from vlpro.audit.summary import Summary

__all__ = ["as_json", "as_text"]


def as_json(found: Summary) -> dict[str, Any]:
    """What was verified, and what was not, for programs."""
    return {
        "log_id": found.log_id,
        "first": found.first,
        "last": found.last,
        "since": found.since,
        "until": found.until,
        "checkpoints": found.checkpoints,
        "signed": found.signed,
        "unsigned": found.unsigned,
        "root": found.root.hex() if found.root is not None else None,
        "copies": found.copies,
        "archives": found.sealed,
        "archived_unread": found.archived,
        "sm2": found.sm2,
        "sm2_unchecked": found.sm2_unchecked,
        "clock_went_back": found.times_backwards,
    }


def as_text(found: Summary) -> str:
    """What was verified, and what was not."""
    lines = [
        t(
            f"第 {found.first} 至 {found.last} 条审计记录完整、未被改动（{found.since} 至 {found.until}）。",
            f"Audit records {found.first} to {found.last} are whole and unaltered ({found.since} to {found.until}).",
        )
        if found.first
        else t("数据库中没有记录，全部在归档中。", "The database has no records: all are in archives."),
        t(
            f"检查点 {found.checkpoints} 个，签名至第 {found.signed} 条；其后 {found.unsigned} 条仅由链保护。",
            f"{found.checkpoints} checkpoints, signed up to record {found.signed}; {found.unsigned} after it are "
            "bound by the chain alone.",
        ),
        t(
            f"与别处保存的 {found.copies} 个检查点副本一致。",
            f"{found.copies} copies of checkpoints kept elsewhere agree.",
        )
        if found.copies
        else t(
            "没有检查点副本：尾部被截断或恢复到旧副本时无法发现（--copies）。",
            "No copies of checkpoints: a cut tail, or an older copy put back, would not show (--copies).",
        ),
    ]
    if found.sm2:
        lines.append(t(f"SM2 签名 {found.sm2} 个，全部正确。", f"{found.sm2} SM2 signatures are right."))
    if found.sm2_unchecked:
        why, why_zh = why_not()
        lines.append(
            t(
                f"{found.sm2_unchecked} 个 SM2 签名未校验：{why_zh}。",
                f"{found.sm2_unchecked} SM2 signatures were NOT checked: {why}.",
            )
        )
    return "\n".join(lines + _limits(found))


def _limits(found: Summary) -> list[str]:
    """What was not read, what the clock did, and what the record comes to."""
    lines = []
    if found.archived:
        lines.append(
            t(
                f"第 1 至 {found.archived} 条在 {found.sealed} 个归档中，未校验（--archives）。",
                f"Records 1 to {found.archived} are in {found.sealed} archives and were not verified (--archives).",
            )
        )
    elif found.first > 1:
        lines.append(
            t("这是一部分：更早的记录不在其中。", "This is a part: the records before it are not in it.")
        )
    if found.root is None and found.first:
        lines.append(
            t("起始状态未知，未比对根哈希。", "Its beginning is not known: roots were not compared.")
        )
    if found.times_backwards:
        first = ", ".join(f"{seq} (−{seconds:g} s)" for seq, seconds in found.backwards)
        lines.append(
            t(
                f"时钟回拨 {found.times_backwards} 次：{first}。",
                f"The clock went back {found.times_backwards} times: {first}.",
            )
        )
    if found.root is not None:
        lines.append(f"{t('日志', 'Log')} {found.log_id}, {t('根', 'root')} {found.root.hex()}")
    return lines
