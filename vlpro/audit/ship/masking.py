"""What of a record is masked in its copy: as the policy has it, whose decisions are on the record themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vlpro.audit.events import Event
from vlpro.masking import Masking

__all__ = ["Masked", "MaskingRule", "mask"]

_FIXED = frozenset({"prev", "time", "seq", "v", "event", "outcome", "address"})
_DECIDED = f'"event":"{Event.POLICY_DECIDED}"'.encode()


@dataclass(frozen=True, slots=True)
class Masked:
    """What the policy says at some record: whether copies are masked, and which names."""

    on: bool = False
    names: tuple[str, ...] = ()

    def after(self, changes: Mapping[str, Any], side: str = "new") -> Masked:
        """With a decision's changes; ``side`` old: as it was before them."""
        on = _value(changes, "mask_shipped", side)
        names = _value(changes, "mask_names", side)
        return Masked(
            on if isinstance(on, bool) else self.on,
            tuple(map(str, names)) if isinstance(names, list) else self.names,
        )


class MaskingRule:
    """Follows the policy from record to record, so that the same record always gives the same copy.

    Args:
        always: Whether copies are masked whatever the policy says.
    """

    def __init__(self, *, always: bool) -> None:
        self._always = always
        self.now = Masked(on=True)

    def begin(self, decisions: Iterable[tuple[int, bytes]], seq: int, known: Masked | None) -> None:
        """Find out what holds at a record.

        Args:
            decisions: All of the policy that the store has: their numbers and bytes, in order.
            seq: The record's number.
            known: What holds where no decision says anything; None: that was lost, and copies are masked.
        """
        earlier: dict[str, Any] = {}
        later: dict[str, Any] = {}
        for number, data in decisions:
            changes = _changes(data)
            if number <= seq:
                earlier |= changes
            else:
                later = changes | later
        # A later decision tells what held before it.
        self.now = (known or Masked(on=True)).after(later, "old").after(earlier)

    def of(self, data: bytes, *, sound: bool) -> Masking | None:
        """How a record's copy is masked; None: not at all. To be asked for each record, in order.

        Args:
            data: The record.
            sound: Whether it is what it must be: an altered one decides nothing.
        """
        before = self.now
        if sound and _DECIDED in data:
            self.now = before.after(_changes(data))
        if not (self._always or self.now.on or before.on):
            return None
        # A name that is taken off the list stands in the decision itself.
        return Masking(tuple(dict.fromkeys((*before.names, *self.now.names))))


def mask(content: dict[str, Any], masking: Masking) -> dict[str, Any]:
    """A record's content with personal data masked; equal to what was given where there is none."""
    return {name: value if name in _FIXED else _masked(value, masking) for name, value in content.items()}


def _masked(value: Any, masking: Masking) -> Any:
    if isinstance(value, str):
        return masking.text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        text = masking.text(str(value))
        return value if text == str(value) else text
    if isinstance(value, dict):
        return {masking.text(name): _masked(inner, masking) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, masking) for inner in value]
    return value


def _changes(data: bytes) -> dict[str, Any]:
    """What a decision changed; nothing where it does not say so."""
    try:
        content = json.loads(data)
        changes = content["detail"]["changes"] if content["event"] == Event.POLICY_DECIDED else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return changes if isinstance(changes, dict) else {}


def _value(changes: Mapping[str, Any], name: str, side: str) -> Any:
    change = changes.get(name)
    return change.get(side) if isinstance(change, dict) else None
