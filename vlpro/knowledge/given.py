"""Which pages an engine was given, by the digests that it keeps them under: what is deleted, it is to forget."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from vlpro.engines.interface import Forgotten
from vlpro.errors import VlproError

__all__ = ["GivenPages"]

log = logging.getLogger(__name__)

_MOST = 20_000  # versions; far more than any engine keeps pages of


@dataclass(slots=True)
class _Given:
    """Of one version: digests of pictures, also of smaller copies; conversations, "" for those that have no name."""

    pictures: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)


class GivenPages:
    """Remembers what was given, and has it forgotten.

    Args:
        forget: Of the engine; None: nobody is given anything.
    """

    def __init__(
        self, forget: Callable[[frozenset[str], frozenset[str]], Awaitable[Forgotten | None]] | None = None
    ) -> None:
        self._forget = forget
        self._given: OrderedDict[tuple[str, str], _Given] = OrderedDict()

    def add(
        self, versions: Collection[tuple[str, str]], pictures: Collection[str], conversation: str
    ) -> None:
        """Note what a question was answered from, before the engine hears of it.

        Args:
            versions: Base and version of each document.
            pictures: ``pixels_sha256`` of their pages, as the engine is given them.
            conversation: Of the question.
        """
        for version in versions:
            given = self._given.setdefault(version, _Given())
            self._given.move_to_end(version)
            given.pictures |= set(pictures)
            given.conversations.add(conversation)
        while len(self._given) > _MOST:
            self._given.popitem(last=False)

    async def forget(self, base: str, document: str | None = None) -> None:
        """Have the engine drop all that it was given of a version, or of a whole base.

        Pictures of pages go by their digests, passages with the prefixes of the questions that they stood in.
        """
        if self._forget is None:
            return
        gone = [one for one in self._given if one[0] == base and document in (None, one[1])]
        told = [self._given.pop(one) for one in gone]
        if not told:
            return
        pictures = frozenset[str]().union(*(one.pictures for one in told))
        conversations = frozenset[str]().union(*(one.conversations for one in told))
        try:
            await self._forget(pictures, conversations)
        except VlproError as error:
            log.warning("the engine was not told to forget %d pages: %s", len(pictures), error.message)
