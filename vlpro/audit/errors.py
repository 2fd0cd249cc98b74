"""What verification finds."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Finding", "VerificationError"]


class Finding(StrEnum):
    """What was done to a record, as far as it shows."""

    UNREADABLE = "unreadable"  # the bytes are no record, no checkpoint
    ALTERED = "altered"  # the bytes are not those that were written
    COLUMN = "column"  # a column beside the bytes says something else
    MISSING = "missing"
    INSERTED = "inserted"
    DUPLICATE = "duplicate"
    MOVED = "moved"
    REWRITTEN = "rewritten"  # the chain holds, but the signed root says that it is another one
    CUT = "cut"  # the end is missing, its checkpoints are there
    SHORTER = "shorter"  # cut with its checkpoints, or put back to an older copy
    REPLACED = "replaced"  # by another log, or by another course of this one
    FORGED = "forged"  # a signature that is wrong, or of somebody who is not trusted
    REPLAYED = "replayed"  # a checkpoint of another place
    PROOF = "proof"  # a proof that does not hold


class VerificationError(Exception):
    """The record, or a proof about it, is not what it must be.

    Args:
        reason: What is wrong, in a sentence.
        seq: The first record at which it shows; None where it is not one record's.
        zh: The same in Chinese; the English sentence where it is left out.
        finding: What was done, as far as it shows.
        expected: What should be there.
        found: What is there.
        meaning: What it can mean, and what to do.
        meaning_zh: The same in Chinese.
    """

    def __init__(
        self,
        reason: str,
        seq: int | None = None,
        *,
        zh: str = "",
        finding: Finding = Finding.UNREADABLE,
        expected: str = "",
        found: str = "",
        meaning: str = "",
        meaning_zh: str = "",
    ) -> None:
        super().__init__(reason if seq is None else f"record {seq}: {reason}")
        self.reason = reason
        self.seq = seq
        self.zh = zh or reason
        if seq is not None:
            self.zh = f"第 {seq} 条记录：{self.zh}"
        self.finding = finding
        self.expected = expected
        self.found = found
        self.meaning = meaning
        self.meaning_zh = meaning_zh or meaning

    def diagnostics(self, *, chinese: bool = False) -> str:
        """Several lines for a person: the sentence, what was expected and found, what it can mean."""
        names = ("应为", "实为", "含义") if chinese else ("Expected", "Found", "Meaning")
        values = (self.expected, self.found, self.meaning_zh if chinese else self.meaning)
        lines = [f"{name}: {value}" for name, value in zip(names, values, strict=True) if value]
        return "\n".join([self.zh if chinese else str(self), *lines])
