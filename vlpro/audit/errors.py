"""What verification finds."""

from __future__ import annotations

__all__ = ["VerificationError"]


class VerificationError(Exception):
    """The record, or a proof about it, is not what it must be.

    Args:
        reason: What is wrong, in a sentence.
        seq: The first record at which it shows; None where it is not one record's.
    """

    def __init__(self, reason: str, seq: int | None = None) -> None:
        super().__init__(reason if seq is None else f"record {seq}: {reason}")
        self.reason = reason
        self.seq = seq
