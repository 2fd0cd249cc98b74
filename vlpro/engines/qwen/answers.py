"""Own answers as the tokens that they were written in.

A text can be cut into tokens in several ways, and a model does not always write the one that a tokenizer makes of it.
Read again in other tokens, an answer would fit no kept prefix from there on, and all that followed it would be read
anew.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["Answer", "Answers"]


@dataclass(slots=True, eq=False)
class Answer:
    """What was written.

    Args:
        conversation: In which conversation; empty where the caller keeps it.
        pictures: Digests of the pictures that it was written about.
        ids: ``(tokens,)``, the end not among them.
        used: When, seconds of the store's clock.
    """

    conversation: str
    pictures: frozenset[str]
    ids: NDArray[np.int32]
    used: float = field(default=0.0)


class Answers:
    """Keeps answers, the least recently used first to go. May be asked from any thread.

    Args:
        most: How many.
        ttl_s: Seconds after which what was not used goes.
        clock: Seconds.
    """

    def __init__(
        self, most: int = 4096, *, ttl_s: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._ttl_s = ttl_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Answer] = OrderedDict()

    def keep(
        self, owner: str, text: str, ids: Sequence[int], *, conversation: str, pictures: frozenset[str]
    ) -> None:
        """Keep an answer.

        Args:
            owner: Whose it is; found again for this owner only.
            text: As it was given out.
            ids: As it was written.
            conversation: In which conversation.
            pictures: Digests of the pictures that it was written about.
        """
        with self._lock:
            self._kept[owner, text] = Answer(conversation, pictures, np.asarray(ids, np.int32), self._clock())
            self._kept.move_to_end((owner, text))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def find(self, owner: str, text: str) -> list[int] | None:
        """The tokens that this owner's answer of this text was written in, where it is known."""
        with self._lock:
            answer = self._kept.get((owner, text))
            if answer is None:
                return None
            answer.used = self._clock()
            self._kept.move_to_end((owner, text))
            ids: list[int] = answer.ids.tolist()
            return ids

    def forget(self, pictures: frozenset[str], conversations: frozenset[str]) -> None:
        """Drop what was written about these pictures and in these conversations."""
        self._drop(lambda answer: answer.conversation in conversations or bool(answer.pictures & pictures))

    def expire(self) -> None:
        """Drop what was not used for too long."""
        since = self._clock() - self._ttl_s
        self._drop(lambda answer: answer.used < since)

    def clear(self) -> None:
        """Drop everything."""
        self._drop(lambda _: True)

    def _drop(self, of: Callable[[Answer], bool]) -> None:
        with self._lock:
            for key in [key for key, answer in self._kept.items() if of(answer)]:
                del self._kept[key]
