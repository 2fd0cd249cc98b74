"""What left memory, or was deleted, the engine must not remember either."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vlpro.chat.fitting import Shown
from vlpro.chat.pictures import KeptPicture, PictureStore
from vlpro.chat.service import ChatService, Question
from vlpro.engines.interface import Forgotten
from vlpro.errors import VlproError
from vlpro.imaging.picture import Picture

__all__ = ["Forgetting", "Receipt"]

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Receipt:
    """What went with a conversation.

    Args:
        messages: Of it.
        images: That left memory.
        image_bytes: Memory that they held: their files, and their pixels.
        engine: What the engine dropped; None: it keeps nothing.
    """

    messages: int = 0
    images: int = 0
    image_bytes: int = 0
    engine: Forgotten | None = None


class Forgetting:
    """Tells the engine, in the background, of pictures and conversations that are gone.

    Args:
        chat: Has the engine.
        pictures: Those in memory; one that leaves it is told of.
    """

    def __init__(self, chat: ChatService, pictures: PictureStore) -> None:
        self._chat = chat
        self._pictures = pictures
        self._gone: set[str] = set()
        self._ended: set[str] = set()
        self._copies: dict[str, set[str]] = {}  # pixels_sha256 of a picture: of its smaller copies
        self._receipts: set[Receipt] = set()
        self._telling: asyncio.Task[None] | None = None
        pictures.dropped = self._picture_gone

    def remember_reduced(self, question: Question, shown: Sequence[Shown]) -> None:
        """Note under which digests the engine knows smaller copies of pictures."""
        pictures = (part for turn in question.turns for part in turn.parts if isinstance(part, Picture))
        for picture, given in zip(pictures, shown, strict=True):
            if given.reduced:
                self._copies.setdefault(picture.pixels_sha256, set()).add(given.pixels_sha256)

    def conversation_gone(self, conversation_id: str) -> None:
        """A conversation ended; the engine is told with :meth:`tell`."""
        self._ended.add(conversation_id)

    def tell(self) -> None:
        """Begin to tell the engine, if there is anything that it was not told."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._forget())

    async def told(self) -> None:
        """Wait until the engine was told of all that is gone."""
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    @contextmanager
    def counted(self, receipt: Receipt) -> Iterator[None]:
        """Count on a receipt what the engine drops until the end of the block."""
        self._receipts.add(receipt)
        try:
            yield
        finally:
            self._receipts.discard(receipt)

    async def close(self) -> None:
        """Tell nothing more."""
        if self._telling is not None:
            self._telling.cancel()
            await self.told()

    def _picture_gone(self, kept: KeptPicture) -> None:
        """A picture left memory, for whatever reason."""
        digest = kept.picture.pixels_sha256
        self._gone |= {digest} | self._copies.pop(digest, set())
        self.tell()

    async def _forget(self) -> None:
        while self._gone or self._ended:
            digests = frozenset(self._gone - self._pictures.digests())
            ended = frozenset(self._ended)
            self._gone.clear()
            self._ended.clear()
            try:
                if digests or ended:
                    forgotten = await self._chat.engine.forget(digests, ended)
                    if forgotten is not None:
                        for receipt in self._receipts:
                            receipt.engine = (receipt.engine or Forgotten()) + forgotten
            except VlproError as error:
                log.warning(
                    "the engine was not told to forget %d pictures and %d conversations: %s",
                    len(digests),
                    len(ended),
                    error.message,
                )
