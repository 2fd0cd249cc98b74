"""Compares what is here with what is at the destination."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vlpro.audit.ship.destination import Destination
from vlpro.audit.ship.documents import Kind, of_checkpoint
from vlpro.audit.ship.store import Store

__all__ = ["Findings", "compare", "ranges"]

_STEP = 10_000


@dataclass(slots=True)
class Findings:
    """The difference.

    Args:
        kind: Of what.
        here: How many the store has.
        there: How many documents the destination has.
        missing: Are here, and not there.
        extra: Are there, and not here, though the store begins earlier.
        different: Have another hash there.
        twice: Are there more than once.
        older: How many are there from before the store's beginning.
    """

    kind: Kind
    here: int = 0
    there: int = 0
    missing: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    older: int = 0

    @property
    def same(self) -> bool:
        """Whether everything here is there once, and nothing else."""
        return not (self.missing or self.extra or self.different or self.twice)


def compare(store: Store, destination: Destination) -> list[Findings]:
    """Compare number by number, and hash by hash.

    What is recorded meanwhile may count as missing, and never as anything else.

    Raises:
        ShippingError: The destination does not answer.
        DatabaseError: The store cannot be read.
    """
    log = store.log_id()
    if log is None:
        return []
    return [_compared(store, destination, log, kind) for kind in Kind]


def _compared(store: Store, destination: Destination, log: str, kind: Kind) -> Findings:
    findings = Findings(kind)
    first, last = store.ends()
    for low in range(1, max(last, destination.last(kind, log)) + 1, _STEP):
        high = low + _STEP - 1
        before = _local(store, kind, low, high)
        there = destination.present(kind, log, low, high)
        after = _local(store, kind, low, high) if there.keys() - before.keys() else before
        findings.here += len(before)
        findings.there += sum(map(len, there.values()))
        findings.missing += sorted(before.keys() - there.keys())
        gone = sorted(there.keys() - after.keys())
        findings.older += sum(number < first for number in gone)
        findings.extra += [number for number in gone if number >= first]
        findings.different += [n for n, digest in after.items() if set(there.get(n, [digest])) != {digest}]
        findings.twice += sorted(number for number, found in there.items() if len(found) > 1)
    return findings


def _local(store: Store, kind: Kind, low: int, high: int) -> dict[int, str]:
    if kind is Kind.RECORD:
        return store.hashes(low, high)
    return {
        one.size: of_checkpoint(one.size, one.data, one.signature, one.sm2, log="", labels={}).hash
        for one in store.checkpoints(low - 1, high, _STEP)
    }


def ranges(numbers: Iterable[int], most: int = 20) -> str:
    """Numbers in words, such as ``3, 7-9``; ``…`` stands for the rest."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    words = [str(low) if low == high else f"{low}-{high}" for low, high in parts[:most]]
    return ", ".join([*words, *(["…"] if len(parts) > most else [])])
