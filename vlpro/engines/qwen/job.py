"""One question on its way through a network."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vlpro.engines.qwen.form import Form
    from vlpro.engines.qwen.prefixes import Features, State
    from vlpro.engines.qwen.prompt import Prompt, Shown
    from vlpro.engines.qwen.sampling import Sampler

__all__ = ["Job"]

_FORESEEN = 256  # tokens that an answer is given room for before it begins; few are longer


@dataclass(slots=True, eq=False)
class Job:
    """One question on its way.

    Args:
        prompt: As numbers.
        sampler: Chooses tokens.
        form: What the answer must keep to, if anything.
        max_tokens: Length of the answer, tokens.
        ends: Tokens that end it.
        owner: Whose it is.
        conversation: Of which conversation.
        tell: Called from the scheduler's thread with each token, then with None, or with what went wrong.
        words: The text that was made of the answer's tokens; None where these may not stand in a prompt.
    """

    prompt: Prompt
    sampler: Sampler
    form: Form | None
    max_tokens: int
    ends: frozenset[int]
    owner: str
    conversation: str
    tell: Callable[[int | Exception | None], None]
    words: Callable[[], str | None]
    ahead: bool = False
    """Whether it is only read, for a question that is likely to come: when nobody waits for anything else."""
    keep: bool = True
    """Whether what it read may be wanted again."""
    cut: bool = False
    """Whether the answer ended at ``max_tokens``; known when it has ended."""
    reused: int = 0
    """Tokens of the prompt that were not read again."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    positions: NDArray[np.int64] = field(default_factory=lambda: np.empty((3, 0), np.int64))
    state: State | None = None
    features: dict[int, Features] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)

    @property
    def pictures(self) -> frozenset[str]:
        """Digests of its pictures."""
        return frozenset(shown.picture.pixels_sha256 for shown in self.prompt.shown)

    @property
    def need(self) -> int:
        """Tokens that there must be room for before it begins."""
        return self.to_read + min(self.max_tokens, len(self.written) + _FORESEEN)

    @property
    def to_read(self) -> int:
        """Tokens that come before the next one is written; more than the prompt where it was interrupted."""
        return len(self.prompt.ids) + max(len(self.written) - 1, 0)

    @property
    def read(self) -> int:
        """Tokens that it has read."""
        return 0 if self.state is None else self.state.length

    @property
    def reading(self) -> bool:
        """Whether there is something left to read."""
        return self.state is None or self.state.length < self.to_read

    def unseen(self) -> Shown | None:
        """The first picture whose cells are to be read and whose features are not there."""
        for shown in self.prompt.shown:
            if shown.begin + shown.rows * shown.columns > self.read and shown.begin not in self.features:
                return shown
        return None
