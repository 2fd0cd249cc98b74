"""What a verification that found nothing wrong tells."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was verified.

    Args:
        log_id: Which log; empty where nothing tells.
        first: Number of the first record that was read; 0: there was none.
        last: Of the last one.
        checkpoints: How many.
        signed: Size that the last checkpoint signs.
        root: Of the tree over all records, 32 bytes; None for a part whose beginning is not known.
        since: Time of the first record that was read, as it says it.
        until: Time of the last one.
        sealed: Archives that were told of, or read.
        archived: Last record that lies in an archive and was not read; 0: none.
        copies: Copies of checkpoints that agree.
        backwards: Times that the clock went back: the record, and by how many seconds; the first few.
        times_backwards: How often it did.
        sm2: Signatures with SM2 that are right, those of copies included.
        sm2_unchecked: Signatures with SM2 that could not be checked, since this machine has no SM2.
    """

    log_id: str
    first: int
    last: int
    checkpoints: int
    signed: int
    root: bytes | None
    since: str
    until: str
    sealed: int
    archived: int
    copies: int
    backwards: tuple[tuple[int, float], ...]
    times_backwards: int
    sm2: int = 0
    sm2_unchecked: int = 0

    @property
    def records(self) -> int:
        """How many records were read."""
        return self.last - self.first + 1 if self.first else 0

    @property
    def unsigned(self) -> int:
        """Records after the last checkpoint: for them only the chain speaks."""
        return self.last - max(self.signed, self.first - 1) if self.first else 0
