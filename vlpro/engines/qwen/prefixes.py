"""What has been computed and may be wanted again: key/value prefixes of conversations, features of pictures.

Everything has an owner, and is found again by that owner only: another person's question takes as long as if nothing
were kept, so that its time tells nothing of what others asked (Gu et al., 2025: auditing prompt caching).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vlpro.engines.interface import Forgotten
from vlpro.engines.qwen.answers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Features", "Prefix", "PrefixStore", "State", "common"]

_NAMES = 4096  # numbers that may be kept before those that nothing shows are given up


class State(Protocol):
    """Keys and values of the tokens that a sequence has read, in the model's own memory."""

    length: int
    """Tokens."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""

    def cut(self, length: int) -> None:
        """Forget all tokens from here on."""

    def copy(self, length: int) -> State:
        """The same, up to a length, whatever becomes of the other."""

    def free(self) -> None:
        """Let go of all memory; it is not used any more."""


class Features(Protocol):
    """What the vision tower made of one picture."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""


@dataclass(slots=True, eq=False)
class Prefix:
    """Tokens that were read, with their state.

    Args:
        owner: Whose they are.
        conversation: Of which conversation; empty where the caller keeps it.
        keys: ``(tokens,)``: what each token is; equal keys, equal state.
        state: Keys and values.
        pictures: Digests of the pictures among them.
        used: When, seconds of the store's clock.
    """

    owner: str
    conversation: str
    keys: NDArray[np.int64]
    state: State
    pictures: frozenset[str] = field(default_factory=frozenset)
    used: float = 0.0


class PrefixStore:
    """Keeps prefixes and features, the least recently used first to go, and the tokens of answers.

    Args:
        max_bytes: Memory for all together.
        ttl_s: Seconds after which what was not used goes.
        clock: Seconds.
    """

    def __init__(
        self, max_bytes: int, *, ttl_s: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self.answers = Answers(ttl_s=ttl_s, clock=clock)
        self._seen: dict[tuple[str, str, int, int], float] = {}
        self._prefixes: OrderedDict[int, Prefix] = OrderedDict()
        self._features: OrderedDict[tuple[str, str, int, int], Features] = OrderedDict()
        self._names: dict[tuple[str, int, int], int] = {}
        self._next_name = 1

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        prefixes = sum(prefix.state.nbytes for prefix in self._prefixes.values())
        return prefixes + sum(features.nbytes for features in self._features.values())

    def name(self, picture: tuple[str, int, int]) -> int:
        """A number for a picture of a size, the same each time: part of the keys of its cells."""
        if picture not in self._names:
            self._names[picture] = self._next_name  # never used twice, also after it was forgotten
            self._next_name += 1
        return self._names[picture]

    def take(self, owner: str, keys: NDArray[np.int64]) -> tuple[State | None, int]:
        """The state of the longest beginning of a prompt that this owner had read before.

        A conversation that goes on takes its own state along; one that branches off gets a copy, and the other
        stays as it is.

        Args:
            owner: Who asks.
            keys: ``(tokens,)``, the whole prompt.

        Returns:
            The state, and how many tokens it holds; at least one token is always left to read, since the answer
            begins with what it gives. None where nothing fits.
        """
        best, length = self._best(owner, keys)
        if best is None:
            return None, 0
        if 2 * length < len(best.keys):
            self._prefixes.move_to_end(id(best))
            return best.state.copy(length), length
        del self._prefixes[id(best)]
        best.state.cut(length)
        return best.state, length

    def known(self, owner: str, keys: NDArray[np.int64]) -> int:
        """How many tokens :meth:`take` would give; they are the last that are let go of now."""
        best, length = self._best(owner, keys)
        if best is not None:
            self._prefixes.move_to_end(id(best))
        return length

    def _best(self, owner: str, keys: NDArray[np.int64]) -> tuple[Prefix | None, int]:
        best, length = None, 0
        for prefix in self._prefixes.values():
            if prefix.owner == owner and (shared := common(prefix.keys, keys[:-1])) > length:
                best, length = prefix, shared
        return best, length

    def keep(self, prefix: Prefix) -> None:
        """Keep what a sequence has read."""
        prefix.used = self._clock()
        self._prefixes[id(prefix)] = prefix
        self.make_room(0)

    def features(self, owner: str, picture: tuple[str, int, int]) -> Features | None:
        """Features of a picture of a size, where this owner's have been computed."""
        found = self._features.get((owner, *picture))
        if found is not None:
            self._features.move_to_end((owner, *picture))
            self._seen[(owner, *picture)] = self._clock()
        return found

    def keep_features(self, owner: str, picture: tuple[str, int, int], features: Features) -> None:
        """Keep what the vision tower made."""
        self._features[(owner, *picture)] = features
        self._seen[(owner, *picture)] = self._clock()
        self.make_room(0)

    def make_room(self, nbytes: int) -> bool:
        """Let go of what was not used for longest until so many bytes are free.

        Prefixes go before features, of which many prefixes can be made again.

        Returns:
            Whether there is room now.
        """
        while self.nbytes + nbytes > self.max_bytes:
            if not self.evict():
                return False
        return True

    def evict(self) -> bool:
        """Let go of what was not used for longest; False where nothing is kept."""
        if self._prefixes:
            self._prefixes.popitem(last=False)[1].state.free()
        elif self._features:
            name, _ = self._features.popitem(last=False)
            del self._seen[name]
        else:
            return False
        return True

    def forget(self, pictures: frozenset[str], conversations: frozenset[str]) -> Forgotten:
        """Drop all that came of these pictures (``pixels_sha256``) and conversations; returns how much that was."""
        forgotten = Forgotten()
        for key, prefix in tuple(self._prefixes.items()):
            if prefix.conversation in conversations or prefix.pictures & pictures:
                state = self._prefixes.pop(key).state
                forgotten += Forgotten(1, state.length, state.nbytes)
                state.free()
        for name in tuple(self._features):
            if name[1] in pictures:
                forgotten += Forgotten(1, 0, self._features[name].nbytes)
                del self._features[name], self._seen[name]
        self.answers.forget(pictures, conversations)
        self._names = {picture: name for picture, name in self._names.items() if picture[0] not in pictures}
        return forgotten

    def expire(self) -> None:
        """Drop what was not used for too long, and the numbers of pictures that no prefix shows any more."""
        since = self._clock() - self._ttl_s
        for key, prefix in tuple(self._prefixes.items()):
            if prefix.used < since:
                self._prefixes.pop(key).state.free()
        for name, used in tuple(self._seen.items()):
            if used < since:
                del self._features[name], self._seen[name]
        self.answers.expire()
        if len(self._names) > _NAMES:
            shown = frozenset[str]().union(*(prefix.pictures for prefix in self._prefixes.values()))
            self._names = {picture: name for picture, name in self._names.items() if picture[0] in shown}

    def clear(self) -> None:
        """Drop everything."""
        self._seen.clear()
        while self._prefixes:
            self._prefixes.popitem()[1].state.free()
        self._features.clear()
        self._names.clear()
        self.answers.clear()


def common(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """How many keys at the beginning are equal."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    return int(differs.argmax()) if differs.any() else length
