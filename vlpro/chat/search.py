"""Search in one person's conversations: over the text that is opened for it, in memory only.

What was opened stays for a while, within a bound, so that the next search need not open it again. Nothing of it, and
nothing of what is looked for, is written anywhere.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vlpro.chat.conversations import Conversation
from vlpro.chat.sealed import readable
from vlpro.chat.store import ConversationStore, Row, Texts
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person

__all__ = ["Excerpt", "Found", "Hit", "Search", "folded"]

_IDLE_S = 600.0
_BEFORE, _AFTER = 40, 80  # characters around a hit, at most
_USUAL = tuple((chr(ord(narrow) + 0xFEE0), narrow) for narrow in ",:;!?()")
_ENDS = "。！？；!?;\n"


def folded(text: str) -> str:
    """A text as it is compared: full width as half, capitals as small (Unicode NFKC and case folding)."""
    if text.isascii():
        return text.lower()
    for wide, narrow in _USUAL:  # most texts have these and no others: quicker than normalising them
        text = text.replace(wide, narrow)
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return text.casefold()


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The sentence around what was found.

    Args:
        message: Id of the message.
        role: Who speaks.
        text: The sentence, or the part of it around the hit.
        begin: Where the hit begins in it.
        end: Where it ends.
    """

    message: str
    role: Literal["user", "assistant"]
    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A conversation in which everything stands that was looked for; ``excerpt`` None: in its title only."""

    id: str
    title: str
    level: Level
    created: float
    updated: float
    excerpt: Excerpt | None


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, last used first.

    Args:
        hits: As many as were wanted.
        total: How many there are.
        damaged: How many conversations could not be looked into.
    """

    hits: tuple[Hit, ...]
    total: int
    damaged: int


class _Opened:
    """One conversation's text in three strings: title and messages with NUL between, the same folded, the ids."""

    __slots__ = ("cost", "folded", "ids", "text", "version")

    def __init__(self, texts: Texts, version: int) -> None:
        parts = [texts.title, *(text for _, _, text in texts.messages)]
        self.text = "\0".join(part.replace("\0", " ") for part in parts)
        self.folded = folded(self.text)
        if self.folded == self.text:
            self.folded = self.text
        self.ids = "\0".join(f"{role[0]}{name}" for name, role, _ in texts.messages)
        self.version = version
        # CPython: a string has 1, 2 or 4 bytes a character, and some 80 of its own.
        self.cost = 400 + self.text.__sizeof__() + self.ids.__sizeof__()
        self.cost += self.folded.__sizeof__() if self.folded is not self.text else 0

    @property
    def title(self) -> str:
        return self.text.partition("\0")[0]

    def has(self, words: Sequence[str]) -> bool:
        return all(word in self.folded for word in words)

    def excerpt(self, words: Sequence[str]) -> Excerpt | None:
        """Around the first place after the title where the words stand together, or else where one stands."""
        first = self.folded.find("\0") + 1
        for word in (" ".join(words), *words):
            at = self.folded.find(word, first) if first else -1
            if at >= 0:
                return self._around(at, len(word))
        return None

    def _around(self, at: int, length: int) -> Excerpt:
        number = self.folded.count("\0", 0, at)
        start = self.folded.rfind("\0", 0, at) + 1
        part = self.text.split("\0", number + 1)[number]
        begin, end = _unfolded(part, at - start, at - start + length)
        left = max((part.rfind(mark, max(0, begin - _BEFORE), begin) for mark in _ENDS), default=-1) + 1
        left = left or max(0, begin - _BEFORE)
        rights = [found for mark in _ENDS if (found := part.find(mark, end, end + _AFTER)) >= 0]
        right = min(rights) + 1 if rights else min(len(part), end + _AFTER)
        said = self.ids.split("\0", number)[number - 1]
        return Excerpt(
            said[1:],
            "user" if said[0] == "u" else "assistant",
            part[left:right].replace("\n", " ").rstrip(),
            begin - left,
            end - left,
        )


@dataclass(slots=True)
class _Mine:
    """What is open of one person."""

    by_id: dict[str, _Opened] = field(default_factory=dict)
    cost: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Search:
    """Finds what a person wrote or was told. Blocks: not for the event loop.

    Args:
        store: Where conversations are stored; None: nowhere.
        max_bytes: Memory for opened text of all people together. What is more is opened for each search anew.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        store: ConversationStore | None,
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._clock = clock
        self._people: dict[str, _Mine] = {}
        self._lock = threading.Lock()

    @property
    def bytes_used(self) -> int:
        """Memory of all opened text together."""
        return sum(mine.cost for mine in list(self._people.values()))

    def find(self, person: Person, text: str, *, limit: int, others: Sequence[Conversation] = ()) -> Found:
        """Look for words that all stand in a conversation, in its title or in what was said.

        Args:
            person: Whose conversations, up to the level that the person may read.
            text: The words.
            limit: How many hits are wanted.
            others: Conversations of the person that are not stored.
        """
        words = folded(text).replace("\0", " ").split()
        hits: list[tuple[Row, _Opened]] = []
        damaged = 0
        for held in others:
            said = tuple((message.id, message.role, readable(message)) for message in held.messages)
            opened = _Opened(Texts(held.id, held.title, said), held.version)
            if opened.has(words):
                row = held.id, held.version, held.created, held.updated, held.level
                hits.append((row, opened))
        if self._store is not None:
            with self._lock:
                mine = self._people.setdefault(person.id, _Mine())
            with mine.lock:
                mine.used = self._clock()
                damaged = self._stored(mine, person, words, hits)
        hits.sort(key=lambda hit: (hit[0][3], hit[0][0]), reverse=True)
        return Found(tuple(_hit(row, opened, words) for row, opened in hits[:limit]), len(hits), damaged)

    def _stored(
        self, mine: _Mine, person: Person, words: Sequence[str], hits: list[tuple[Row, _Opened]]
    ) -> int:
        assert self._store is not None  # noqa: S101 - for the type checker
        rows = {row[0]: row for row in self._store.versions(person.id, person.level)}
        for name in [name for name in mine.by_id if name not in rows]:
            self._close(mine, name)  # deleted, or above the person's level by now
        stale = []
        for name, version, *_ in rows.values():
            opened = mine.by_id.get(name)
            if opened is None or opened.version != version:
                stale.append(name)
            elif opened.has(words):
                hits.append((rows[name], opened))
        damaged = 0
        for name, version, texts in self._store.texts(stale):
            self._close(mine, name)
            if texts is None:
                damaged += 1
                continue
            opened = _Opened(texts, version)
            if opened.has(words):
                hits.append((rows[name], opened))
            self._keep(mine, name, opened)
        return damaged

    def _keep(self, mine: _Mine, name: str, opened: _Opened) -> None:
        if self.bytes_used + opened.cost > self._max_bytes:
            with self._lock:
                others = [(other.used, who) for who, other in self._people.items() if other is not mine]
                if others:
                    del self._people[min(others)[1]]
        if self.bytes_used + opened.cost <= self._max_bytes:
            mine.by_id[name] = opened
            mine.cost += opened.cost

    @staticmethod
    def _close(mine: _Mine, name: str) -> None:
        if (opened := mine.by_id.pop(name, None)) is not None:
            mine.cost -= opened.cost

    def forget(self, owner: str) -> None:
        """Close everything of a person."""
        with self._lock:
            self._people.pop(owner, None)

    def expire(self) -> None:
        """Close everything of people who have not searched for a while."""
        oldest = self._clock() - _IDLE_S
        with self._lock:
            for owner in [owner for owner, mine in self._people.items() if mine.used < oldest]:
                del self._people[owner]


def _hit(row: Row, opened: _Opened, words: Sequence[str]) -> Hit:
    name, _, created, updated, level = row
    return Hit(name, opened.title, Level(level), created, updated, opened.excerpt(words))


def _unfolded(part: str, begin: int, end: int) -> tuple[int, int]:
    """Where a place in the folded text is in the text itself: folding may make it longer or shorter."""
    if len(folded(part)) == len(part):
        return begin, end
    steps = range(len(part) + 1)
    left = bisect_left(steps, begin + 1, key=lambda at: len(folded(part[:at]))) - 1
    right = bisect_left(steps, end, key=lambda at: len(folded(part[:at])))
    return max(0, left), right
