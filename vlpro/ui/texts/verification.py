"""The words of the verification of the whole record."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "verify": ("核验全部记录", "Verification of the whole record"),
    "verify.begin": ("开始核验", "Verify"),
    "verify.again": ("重新核验", "Verify again"),
    "verify.never": (
        "还没有核验过。核验会逐条检查哈希、链和签名，在后台进行，不影响使用。",
        (
            "It was not verified yet. Every hash, link and signature is checked, in the background, while people go "
            "on working."
        ),
    ),
    "verify.running": ("正在核验", "Running"),
    "verify.starting": ("正在启动…", "Starting…"),
    "verify.progress": ("已核验 {read} / {of} 条", "{read} of {of} records"),
    "verify.began": ("{who} 于 {time} 开始", "Begun by {who}, {time}"),
    "verify.stop": ("停止核验", "Stop"),
    "verify.whole": ("完整、未被改动", "Whole and unaltered"),
    "verify.wrong": ("与写入时不符", "Not what was written"),
    "verify.stopped": ("已停止", "Stopped"),
    "verify.failed": ("未能核验", "Could not be verified"),
    "verify.told": (
        "第 {first} 至 {last} 条记录完整，未被改动。",
        "Records {first} to {last} are whole and unaltered.",
    ),
    "verify.told.none": (
        "数据库中没有记录，全部在归档中。",
        "The database has no records: all are in archives.",
    ),
    "verify.signed": (
        "检查点 {checkpoints} 个，签名至第 {signed} 条；其后 {unsigned} 条仅由链保护。",
        (
            "{checkpoints} checkpoints, signed up to record {signed}; {unsigned} after it are bound by the chain "
            "alone."
        ),
    ),
    "verify.copies": (
        "与别处保存的 {count} 个检查点副本一致。",
        "{count} copies of checkpoints kept elsewhere agree.",
    ),
    "verify.copies.none": (
        "没有检查点副本：尾部被截断或恢复到旧副本时无法发现。请设置 VLPRO_AUDIT_COPY。",
        (
            "No copies of checkpoints: a cut tail, or an older copy put back, would not show. Set VLPRO_AUDIT_COPY."
        ),
    ),
    "verify.sm2": ("SM2 签名 {count} 个，全部正确。", "{count} SM2 signatures are right."),
    "verify.sm2.unchecked": (
        "{count} 个 SM2 签名未校验：本机的 OpenSSL 不支持 SM2。",
        "{count} SM2 signatures were not checked: this machine's OpenSSL has no SM2.",
    ),
    "verify.archived": (
        "第 1 至 {last} 条在归档中，未核验。请在服务器上运行 vlpro audit verify --archives。",
        (
            "Records 1 to {last} are in archives and were not verified: run vlpro audit verify --archives at the "
            "machine."
        ),
    ),
    "verify.clock": ("时钟回拨 {count} 次。", "The clock went back {count} times."),
    "verify.root": ("根哈希", "Root hash"),
    "verify.expected": ("应为", "Expected"),
    "verify.found": ("实为", "Found"),
    "verify.meaning": ("含义", "Meaning"),
    "verify.wrong.do": (
        "请保留数据库原样，对照异地副本查明原因，并报告安全负责人。",
        "Keep the database as it is, compare with the remote copy, and report it to whoever answers for security.",
    ),
    "verify.stopped.by": (
        "{who} 停止了核验，没有得出结论。",
        "{who} stopped it; it found nothing either way.",
    ),
    "verify.stopped.service": (
        "服务停止，核验没有完成。请重新核验。",
        "The service stopped before it was done. Verify again.",
    ),
    "verify.by": (
        "{who} · {time} · 用时 {seconds} 秒 · 第 {seq} 条记录",
        "{who} · {time} · took {seconds} s · record {seq}",
    ),
}
