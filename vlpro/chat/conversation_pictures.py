"""Pictures of conversations, as people give them, look at them and delete them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from vlpro.chat.conversations import Conversation, StoredMessage, question_of
from vlpro.chat.forgetting import Forgetting
from vlpro.chat.history import History
from vlpro.chat.pictures import KeptPicture, PictureNote, PictureStore
from vlpro.chat.service import ChatService, Upload
from vlpro.errors import BadRequestError, NotFoundError
from vlpro.identity.principal import Person
from vlpro.imaging.encode import pixels_to_jpeg, thumbnail, to_jpeg
from vlpro.imaging.ingest import Limits
from vlpro.imaging.overlay import Drawn, draw
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader

__all__ = ["ConversationPictures", "original_jpeg"]

_MOST_AHEAD = 64
"""Pictures that are being read ahead at once; each is held in memory meanwhile."""


class ConversationPictures:
    """Pictures that conversations have, or will have.

    Args:
        chat: Reads them in.
        pictures: Those in memory.
        history: Those that are stored.
        forgetting: Tells the engine of what is gone.
        limits: For pictures.
        reads_ahead: Whether the engine reads pictures before they are asked about.
    """

    def __init__(
        self,
        chat: ChatService,
        pictures: PictureStore,
        history: History,
        forgetting: Forgetting,
        *,
        limits: Limits,
        reads_ahead: bool,
    ) -> None:
        self._chat = chat
        self._pictures = pictures
        self._history = history
        self._forgetting = forgetting
        self._limits = limits
        self._reads_ahead = reads_ahead
        self._reading_ahead: set[asyncio.Task[None]] = set()
        self._drawing = asyncio.Semaphore(2)  # each holds a whole picture at its original size

    async def add(
        self, person: Person, data: bytes, *, conversation_id: str = "", after: Sequence[str] = ()
    ) -> KeptPicture:
        """Read a picture in and keep it; the engine reads it too, while the person types.

        Args:
            person: Whose it is.
            data: The file.
            conversation_id: In which it will be asked about; empty: in a new one.
            after: Ids of the pictures that come before it in the same question.

        Raises:
            NotFoundError: No such conversation or picture.
            ImageError: It is no usable picture.
            BusyError: The memory for pictures is full.
        """
        conversation = await self._history.get(person, conversation_id) if conversation_id else None
        before = [self._pictures.get(person.id, image, param="after") for image in after]
        picture = await self._chat.read_picture(Upload(data, "body"))
        kept = self._pictures.add(person.id, data, picture)
        if self._reads_ahead and len(self._reading_ahead) < _MOST_AHEAD:
            stored = [*conversation.messages] if conversation is not None and not conversation.busy else []
            expected, messages = question_of((*stored, StoredMessage("user", pictures=(*before, kept))))
            expected = replace(expected, owner=person.id, conversation=conversation_id)
            task = asyncio.create_task(self._chat.read_ahead(expected, messages))
            self._reading_ahead.add(task)
            task.add_done_callback(self._reading_ahead.discard)
        return kept

    @property
    def reading_ahead(self) -> int:
        """Pictures that the engine reads, or will when it has nothing else to do, before they are asked about."""
        return len(self._reading_ahead)

    def get(self, person: Person, picture_id: str) -> KeptPicture:
        """One's own picture. Raises: NotFoundError."""
        return self._pictures.get(person.id, picture_id)

    async def content(self, person: Person, picture_id: str, size: int | None) -> bytes:
        """A picture to look at, encoded anew from clean pixels.

        Args:
            person: Who asks.
            picture_id: Which.
            size: Longest side in pixels; None: the original size.

        Returns:
            A JPEG file.

        Raises:
            NotFoundError: There is none of this id.
        """
        kept = self._pictures.find(person.id, picture_id)
        file = await self._history.picture_file(person, picture_id) if kept is None else None
        async with self._drawing:
            if file is not None and size is None:
                return file
            if file is not None:
                picture = await self._chat.read_picture(Upload(file))
            else:
                kept = self._pictures.get(person.id, picture_id)
                picture = kept.picture
            if size is None:
                assert kept is not None  # noqa: S101 - for the type checker
                return await original_jpeg(self._chat.reader, kept)
            return await asyncio.to_thread(thumbnail, picture, size)

    async def annotated(
        self, person: Person, conversation_id: str, message_id: str, image: int | None
    ) -> bytes:
        """A picture at its original size with the places that an answer names, numbered as in its grounding.

        Args:
            person: Who asks.
            conversation_id: Of the conversation.
            message_id: Of the answer.
            image: Which picture of the conversation, from 1; None: that of the answer's first place.

        Returns:
            A JPEG file.

        Raises:
            NotFoundError: No such conversation or message, or the answer names no place in this picture.
        """
        conversation = await self._history.get(person, conversation_id)
        places = conversation.message(message_id).grounding
        if image is None and places:
            image = places[0].image
        drawn = [
            Drawn(number, place.box or place.point or (), place.label)
            for number, place in enumerate(places, 1)
            if place.image == image
        ]
        if image is None or not drawn:
            raise NotFoundError(
                "This answer names no place in this picture, or is not complete yet. Ask for boxes or points.",
                zh="这个回答没有指出图中的位置，或尚未生成完。请在提问时要求给出框或点。",
                param="image",
                code="no_places",
            )
        picture = conversation.pictures[image - 1]
        async with self._drawing:
            pixels = (await self._original(picture, person)).pixels
            return await asyncio.to_thread(lambda: pixels_to_jpeg(draw(pixels, drawn)))

    async def restore(self, person: Person, conversation: Conversation) -> None:
        """Take the pictures of a conversation that are stored into memory again, for the engine to see.

        Raises:
            BusyError: The memory for pictures is full.
        """
        for message in list(conversation.messages):
            for at, note in enumerate(message.pictures):
                if not isinstance(note, PictureNote) or not note.stored:
                    continue
                again = self._pictures.find(person.id, note.id)
                if again is None and (file := await self._history.picture_file(person, note.id)) is not None:
                    read = await self._chat.read_picture(Upload(file))
                    # Known by the file that came, of which this one was made.
                    as_it_came = replace(
                        read,
                        sha256=note.sha256,
                        format=note.format,
                        size=note.size,
                        original_width=note.original_width,
                        original_height=note.original_height,
                    )
                    again = self._pictures.find(person.id, note.id) or self._pictures.add(
                        person.id, file, as_it_came, again=note
                    )
                if again is not None:
                    again.held += 1
                    message.pictures = (*message.pictures[:at], again, *message.pictures[at + 1 :])

    async def delete(self, person: Person, picture_id: str) -> None:
        """Drop a picture that no conversation holds.

        Raises:
            NotFoundError: There is none of this id.
            BadRequestError: A conversation holds it.
        """
        kept = self._pictures.get(person.id, picture_id)
        if kept.held:
            raise BadRequestError(
                "This picture belongs to a conversation. Clear the conversation to remove it.",
                zh="这张图片属于一个对话，清空对话即可删除。",
                param="image_id",
            )
        self._pictures.discard(picture_id)
        await self._forgetting.told()

    async def close(self) -> None:
        """Read nothing ahead any more."""
        tasks = list(self._reading_ahead)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _original(self, picture: KeptPicture | PictureNote, person: Person) -> Picture:
        """A picture at its original size; slow where it was shrunk.

        Raises:
            NotFoundError: It is not kept.
        """
        if isinstance(picture, KeptPicture) and not picture.picture.shrunk:
            return picture.picture
        if isinstance(picture, KeptPicture):
            file: bytes | None = picture.data
        else:
            file = await self._history.picture_file(person, picture.id)
        if file is None:
            raise _not_kept()
        return await self._chat.reader.read(file, max_pixels_used=self._limits.max_pixels)


async def original_jpeg(reader: PictureReader, kept: KeptPicture) -> bytes:
    """A picture at its original size, without metadata, as a JPEG file.

    Args:
        reader: Reads its file again, where it was shrunk.
        kept: The picture.
    """
    if kept.picture.shrunk:
        return await reader.jpeg(kept.data)
    return await asyncio.to_thread(to_jpeg, kept.picture)


def _not_kept() -> NotFoundError:
    return NotFoundError(
        "This picture was not kept, as your organisation's policy has it. Add it again.",
        zh="按本单位策略，这张图片没有保存，请重新添加。",
        code="image_not_found",
    )
