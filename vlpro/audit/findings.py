"""Each thing that verification may find wrong: what it is called, in both languages, and what it can mean."""

from __future__ import annotations

from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.events import Event

__all__ = [
    "altered",
    "altered_archive",
    "altered_with_hash",
    "column",
    "cut",
    "early_checkpoint",
    "hash_column",
    "late_checkpoint",
    "missing",
    "missing_archive",
    "missing_seal",
    "moved",
    "no_beginning",
    "no_checkpoint",
    "no_place",
    "not_archived",
    "other_checkpoint",
    "other_end",
    "other_log",
    "other_seal",
    "repeated",
    "rewritten",
    "subtrees",
    "unknown_before",
    "unlinked",
    "unlinked_archive",
    "unlinked_checkpoint",
    "unreadable",
]

# --- records


def unreadable(seq: int, data: bytes) -> VerificationError:
    """The bytes of a record are none."""
    return VerificationError(
        "its bytes are no record",
        seq,
        zh="内容无法解析为记录",
        finding=Finding.UNREADABLE,
        found=repr(data)[:200],
        meaning="It was overwritten, or the disk is damaged. Compare with a copy or an archive.",
        meaning_zh="内容被覆盖或磁盘损坏。请与副本或归档比对。",
    )


def no_beginning() -> VerificationError:
    """The first record says of no log that it has begun."""
    return VerificationError(
        "it is not the beginning of a log",
        1,
        zh="不是日志的开始",
        finding=Finding.ALTERED,
        expected=f"event {Event.LOG_BEGUN}",
        meaning="The first record was replaced.",
        meaning_zh="第一条记录被替换。",
    )


def other_log(expected: str, found: str, signed: str | None = None) -> VerificationError:
    """The record is of another log than it should be.

    Args:
        expected: Id of the log that it should be.
        found: Of the one that it is.
        signed: When the copy of a checkpoint was signed that says so; None: not by a copy.
    """
    of = f"the copies ({signed}) are" if signed is not None else "expected is"
    of_zh = f"副本（{signed}）属于" if signed is not None else "应为"
    return VerificationError(
        f"the record was replaced by that of another log: {of} {expected}, it is {found}",
        zh=f"记录被另一份日志替换：{of_zh} {expected}，实为 {found}",
        finding=Finding.REPLACED,
        expected=expected,
        found=found,
        meaning="Another database was put in the place of this one; or the copies are of another installation.",
        meaning_zh="数据库被换成另一个；或副本属于另一套部署。",
    )


def no_place(seq: int, expected: int) -> VerificationError:
    """A record has a number that came before."""
    return VerificationError(
        "it stands where no record may be",
        seq,
        zh="出现在不应有记录的位置",
        finding=Finding.INSERTED,
        expected=f"record {expected}",
        found=f"record {seq}",
        meaning="It was inserted, or is there twice.",
        meaning_zh="被插入，或重复出现。",
    )


def missing(seq: int, found: int) -> VerificationError:
    """Records are missing, from this one to the one before that which was found."""
    through = f" to {found - 1}" if found - 1 > seq else ""
    through_zh = f"至第 {found - 1} 条" if through else ""
    return VerificationError(
        f"it is missing{', and all' + through if through else ''}",
        seq,
        zh=f"{through_zh}缺失",
        finding=Finding.MISSING,
        expected=f"record {seq}",
        found=f"record {found}",
        meaning="Records were deleted. Copies elsewhere (Elasticsearch, exports, archives) may still have them.",
        meaning_zh="记录被删除。其他副本（Elasticsearch、导出、归档）中可能仍有。",
    )


def repeated(seq: int, expected: int, *, same: bool) -> VerificationError:
    """The record before stands here again, or another one with its number."""
    return VerificationError(
        "it stands here twice"
        if same
        else "it was inserted: what comes after it follows from the one before",
        seq,
        zh="重复出现" if same else "是插入的：其后的记录紧接在它之前的那条",
        finding=Finding.DUPLICATE if same else Finding.INSERTED,
        expected=f"seq {expected}",
        found=f"seq {seq}",
    )


def moved(seq: int, told: int) -> VerificationError:
    """The bytes are those of another record."""
    return VerificationError(
        f"its bytes are those of record {told}",
        seq,
        zh=f"内容是第 {told} 条记录的",
        finding=Finding.MOVED,
        expected=f"seq {seq}",
        found=f"seq {told}",
        meaning="It was moved or copied here" + (", or one was inserted before." if told < seq else "."),
        meaning_zh="记录被移动或复制到此处" + ("，或此前插入了一条。" if told < seq else "。"),
    )


def unlinked(seq: int, prev: str) -> VerificationError:
    """A record does not follow from the one before."""
    return VerificationError(
        "it does not follow from the one before: it was altered, or both were",
        seq,
        zh="与前一条不衔接：该记录被改动，或两条都被改动",
        finding=Finding.ALTERED,
        expected=f"prev {prev}",
        meaning="Its hash was altered with it. A copy elsewhere tells what it said.",
        meaning_zh="其哈希也一并被改动。其他副本可以说明原文。",
    )


def altered_with_hash(seq: int, found: str) -> VerificationError:
    """A record was altered with its hash, as the next one tells."""
    return VerificationError(
        f"it was altered, and its hash with it: record {seq + 1} follows from another one",
        seq,
        zh=f"该记录连同其哈希被改动：第 {seq + 1} 条所衔接的是另一条",
        finding=Finding.ALTERED,
        expected=f"hash as record {seq + 1} names it",
        found=f"hash {found}",
        meaning="What the record says is not what was written. A copy elsewhere tells what it said.",
        meaning_zh="记录内容不是当初写入的内容。其他副本可以说明原文。",
    )


def column(seq: int, name: str, expected: object, found: object) -> VerificationError:
    """A column says something else than the record."""
    return VerificationError(
        f"the column {name} was altered: it says something else than the record's bytes",
        seq,
        zh=f"{name} 列被改动：与记录内容不一致",
        finding=Finding.COLUMN,
        expected=repr(expected),
        found=repr(found),
        meaning="A search would not find it, or find it wrongly. The record itself is right.",
        meaning_zh="检索会找不到或误找到它。记录本身未变。",
    )


def hash_column(seq: int, leaf: bytes, found: str) -> VerificationError:
    """The hash beside a record is not its own; the next record names the right one."""
    return VerificationError(
        "the hash beside it was altered; its bytes are right",
        seq,
        zh="其哈希列被改动，内容未变",
        finding=Finding.COLUMN,
        expected=f"hash {leaf.hex()}",
        found=f"hash {found}",
    )


def altered(seq: int, leaf: bytes, found: str) -> VerificationError:
    """A record is not the one that was hashed."""
    return VerificationError(
        "it was altered: its bytes are not those that were hashed",
        seq,
        zh="内容被改动：与写入时的哈希不符",
        finding=Finding.ALTERED,
        expected=f"hash {leaf.hex()}",
        found=f"hash {found}",
        meaning="What the record says is not what was written. A copy elsewhere tells what it said.",
        meaning_zh="记录内容不是当初写入的内容。其他副本可以说明原文。",
    )


# --- checkpoints


def late_checkpoint(size: int) -> VerificationError:
    """A checkpoint stands behind records that it does not count."""
    return VerificationError(
        "the checkpoint stands behind records that it does not count",
        size,
        zh="检查点位于它不包含的记录之后",
        finding=Finding.REPLAYED,
    )


def early_checkpoint(size: int) -> VerificationError:
    """A checkpoint stands before records that it counts."""
    return VerificationError(
        "a checkpoint stands before records that it counts",
        size,
        zh="检查点位于它所包含的记录之前",
        finding=Finding.REPLAYED,
    )


def no_checkpoint(size: int) -> VerificationError:
    """The checkpoint at the end of archives that were not read is missing."""
    return VerificationError(
        "the checkpoint at the end of the archives is missing",
        size,
        zh="归档末尾处的检查点缺失",
        finding=Finding.MISSING,
    )


def other_checkpoint(stored: int, size: int) -> VerificationError:
    """The checkpoint in one place is that of another."""
    return VerificationError(
        f"the checkpoint stored for {stored} records is the one of {size}",
        stored,
        zh=f"为 {stored} 条记录保存的检查点实为 {size} 条的",
        finding=Finding.REPLAYED,
        meaning="An older checkpoint was put in the place of another.",
        meaning_zh="较早的检查点被放到了另一个的位置。",
    )


def unlinked_checkpoint(size: int, expected: str, found: object, finding: Finding) -> VerificationError:
    """A checkpoint does not name the one before."""
    return VerificationError(
        "the checkpoint does not follow from the one before",
        size,
        zh="检查点与前一个检查点不衔接",
        finding=finding,
        expected=f"prev {expected}",
        found=f"prev {found}",
        meaning="A checkpoint before it was removed or put in the place of another.",
        meaning_zh="此前有检查点被删除，或被放到另一个的位置。",
    )


def not_archived(size: int) -> VerificationError:
    """The archives have another checkpoint than the database, or none."""
    return VerificationError(
        "the archives hold another checkpoint for it, or none",
        size,
        zh="归档中此处的检查点不同或不存在",
        finding=Finding.REPLAYED,
    )


def rewritten(first: int, last: int, signed: bytes, found: bytes) -> VerificationError:
    """The tree over the records is not the one that was signed: one of them at least was altered."""
    return VerificationError(
        f"from here to record {last} at least one was altered, and all hashes after it made to fit: the "
        "signed root is another one",
        first,
        zh=f"从此条至第 {last} 条中至少有一条被改动，其后的哈希全部重算：签名的根与之不符",
        finding=Finding.REWRITTEN,
        expected=f"root {signed.hex()}",
        found=f"root {found.hex()}",
        meaning="Somebody rewrote the record but has no key. A copy elsewhere tells which record.",
        meaning_zh="有人重写了记录但没有密钥。其他副本可以说明是哪一条。",
    )


def subtrees(size: int) -> VerificationError:
    """What stands beside a checkpoint for later ones is not of its tree."""
    return VerificationError(
        "the subtrees beside a checkpoint were altered",
        size,
        zh="检查点旁保存的子树被改动",
        finding=Finding.COLUMN,
    )


def cut(seq: int, counted: int) -> VerificationError:
    """The end is missing, and a checkpoint counts it."""
    return VerificationError(
        f"it is missing, and all after it: the tail was cut. A checkpoint counts {counted} records",
        seq,
        zh=f"该条及其后的记录缺失：尾部被截断。检查点计有 {counted} 条",
        finding=Finding.CUT,
        expected=f"{counted} records",
        found=f"{seq - 1} records",
    )


# --- archives


def unknown_before() -> VerificationError:
    """What a part says of the tree before it is nothing."""
    return VerificationError(
        "what is said of the records before it is nothing", zh="对此前记录的说明无法解析"
    )


def unlinked_archive(seq: int) -> VerificationError:
    """An archive does not begin where the one before ends."""
    return VerificationError(
        "its archive does not follow from the one before",
        seq,
        zh="其归档与前一个不衔接",
        finding=Finding.MISSING,
    )


def other_seal(stored: int, last: int) -> VerificationError:
    """The seal in one place is that of another."""
    return VerificationError(
        f"the seal stored for record {stored} is that of {last}",
        stored,
        zh=f"为第 {stored} 条保存的封印实为第 {last} 条的",
        finding=Finding.REPLAYED,
    )


def missing_seal(seq: int, first: int) -> VerificationError:
    """Between two seals one is missing."""
    return VerificationError(
        f"the seal of the archive that has it is missing; the next one begins with record {first}",
        seq,
        zh=f"包含该记录的归档封印缺失，下一个从第 {first} 条开始",
        finding=Finding.MISSING,
    )


def missing_archive(seq: int, name: str) -> VerificationError:
    """An archive that was sealed is not among those that were given."""
    return VerificationError(
        f"it lies in the archive {name}, which is not among those given",
        seq,
        zh=f"该记录在归档 {name} 中，但所给归档里没有",
        finding=Finding.MISSING,
        meaning="Put the archive back, or verify without --archives, which tells what is missing.",
        meaning_zh="请放回该归档，或不带 --archives 校验（会说明缺少哪些）。",
    )


def altered_archive(seq: int, name: str) -> VerificationError:
    """An archive has other bytes than those that were sealed."""
    return VerificationError(
        f"the archive {name} is not what was sealed",
        seq,
        zh=f"归档 {name} 与封印不符",
        finding=Finding.ALTERED,
    )


def other_end(seq: int, name: str) -> VerificationError:
    """The records of an archive are not those that its seal tells of."""
    return VerificationError(
        f"the archive {name} does not end as its seal says",
        seq,
        zh=f"归档 {name} 的结尾与封印不符",
        finding=Finding.REPLAYED,
    )
