"""What a batch is, and a line of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from vlpro.audit.record import Actor
from vlpro.crypto import DataKey
from vlpro.engines.interface import Usage
from vlpro.identity.labels import Level

__all__ = ["COMPLETED", "FAILED", "GOING", "WAITING", "Batch", "Head", "Line", "State"]

State = Literal[
    "validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"
]
GOING: tuple[State, ...] = ("validating", "in_progress", "finalizing", "cancelling")

WAITING, COMPLETED, FAILED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Head:
    """What is asked, by whom, and what became of it.

    Args:
        endpoint: Path that each line goes to.
        window: How long it may take, as it was asked for.
        inputs: Ids of the files, in the order that they were named.
        jsonl: Whether the file holds requests, one a line; otherwise files are asked about one by one.
        instruction: What is asked about each file.
        template: What is extracted from each file.
        model: That the instruction goes to.
        metadata: The caller's own.
        actor: Who asked; whose permissions each line needs.
        why: Code of what it was paused for, or failed of.
        errors: What is wrong with its input: code, message, param, line, zh.
        times: Unix seconds by state.
    """

    endpoint: str
    window: str
    inputs: tuple[str, ...]
    jsonl: bool
    instruction: str = ""
    template: str = ""
    model: str = ""
    metadata: Mapping[str, str] | None = None
    actor: Actor = field(default_factory=Actor)
    why: str = ""
    errors: tuple[Mapping[str, Any], ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stands; times are Unix seconds."""

    id: str
    owner: str
    level: Level
    created: float
    expires: float
    ended: float | None
    state: State
    paused: bool
    total: int
    completed: int
    failed: int
    usage: Usage
    version: int
    key: DataKey
    head: Head

    @property
    def going(self) -> bool:
        """Whether it has not ended."""
        return self.state in GOING


class Line(NamedTuple):
    """One line; its source is where its request is, its answer as it stands in a file of results."""

    number: int
    state: int
    source: dict[str, Any]
    answer: bytes | None = None
