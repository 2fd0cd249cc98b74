"""Conversations in the database: sealed under a data key of their own, which is deleted with them.

What stands in clear is what the database needs: ids, owner, level, times, versions. Each sealed value is bound to
its table, row and version; the head of a conversation names the versions of all its messages, and the wrapped key is
bound to owner and level. So a value that was altered, moved, removed or exchanged for an older one is found when
somebody opens the conversation.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from vlpro.chat import sealed
from vlpro.chat.conversations import Conversation, StoredMessage, no_such_conversation
from vlpro.chat.tables import conversations, kept_pictures, messages
from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.errors import ConflictError, VlproError
from vlpro.identity.labels import Level

__all__ = ["ConversationStore", "Head", "Row", "Standing", "Texts"]

LEASE_S = 30.0
"""A process that is answering says so at least this often; one that is silent for longer is taken for dead."""

Row = tuple[str, int, float, float, int]
"""Of a conversation: id, version, created, updated, level."""

_CHUNK = 200  # conversations that are read at once, at most
_MOST_TOLD = 10_000  # damaged conversations that were told of, and are remembered
_DAMAGED = "integrity_error"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of a conversation, unopened; ``running``: a process is answering in it."""

    owner: str
    level: Level
    version: int
    running: bool


@dataclass(frozen=True, slots=True)
class Head:
    """A conversation as it is listed; ``damaged``: it does not open, and its title is not known."""

    id: str
    owner: str
    level: Level
    title: str
    created: float
    updated: float
    version: int
    running: bool
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Texts:
    """What can be read in a conversation: of each message its id, who speaks, and the text."""

    id: str
    title: str
    messages: tuple[tuple[str, Literal["user", "assistant"], str], ...]


class ConversationStore:
    """Conversations by id. Blocks: not for the event loop, :meth:`standing` excepted.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
        clock: Unix time.

    Attributes:
        damaged: Is given the id of a conversation that does not open, once; may be called in any thread.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self.damaged: Callable[[str], None] = lambda _: None
        self._told: dict[str, None] = {}  # oldest first
        self._telling_lock = threading.Lock()
        self._database = self.database = database
        self._sealer = sealer
        self._clock = clock
        self.runner = secrets.token_hex(16)
        self._left = False  # deleted rows may still stand in the log

    # --- writing

    def add(self, conversation: Conversation) -> None:
        """Store a new conversation, which has no messages yet.

        Raises:
            DatabaseError: The database does not answer.
        """
        place = sealed.key_place(conversation.id, conversation.owner, conversation.level)
        key, wrapped = self._sealer.new_data_key(place)
        with self._database.write() as connection:
            connection.execute(
                sa.insert(conversations).values(
                    id=conversation.id,
                    owner=conversation.owner,
                    level=int(conversation.level),
                    created_at=conversation.created,
                    updated_at=conversation.updated,
                    version=conversation.version,
                    key=wrapped,
                    head=_head(key, conversation.id, conversation.version, conversation.title, []),
                )
            )
        conversation.key = key

    def save(
        self,
        conversation: Conversation,
        turns: Sequence[StoredMessage],
        since: int,
        *,
        title: str,
        updated: float,
        answering: bool = False,
        pictures: Mapping[str, bytes] | None = None,
    ) -> int:
        """Store a changed conversation, all of the change or nothing.

        Args:
            conversation: As it was read; nothing of it is changed here.
            turns: All its messages from now on.
            since: The first that is new or another than before; what was stored from there on goes.
            title: From now on.
            updated: Unix time of the last question.
            answering: Whether this process is writing the last answer.
            pictures: JPEG files to be kept, by id. Kept ones that no message has any more go.

        Returns:
            The new version, also of the messages from ``since`` on.

        Raises:
            ConflictError: It was changed since it was read.
            NotFoundError: It was deleted.
            DatabaseError: The database does not answer.
        """
        key, name = _key_of(conversation), conversation.id
        version = conversation.version + 1
        versions = [message.version for message in turns[:since]] + [version] * (len(turns) - since)
        rows = [
            {
                "conversation": name,
                "number": number,
                "version": version,
                "data": key.seal(
                    sealed.message_bytes(turns[number]), sealed.message_place(name, number), version
                ),
            }
            for number in range(since, len(turns))
        ]
        files = [
            {"conversation": name, "id": each, "data": key.seal(data, sealed.picture_place(name, each))}
            for each, data in (pictures or {}).items()
        ]
        changed = (
            sa.update(conversations)
            .where(conversations.c.id == name, conversations.c.version == conversation.version)
            .values(
                version=version,
                updated_at=updated,
                head=_head(key, name, version, title, versions),
                runner=self.runner if answering else None,
                runner_until=self._clock() + LEASE_S if answering else None,
            )
        )
        replaced = any(message.pictures for message in conversation.messages[since:])
        with self._database.write() as connection:
            if not connection.execute(changed).rowcount:
                there = connection.execute(sa.select(conversations.c.id).where(conversations.c.id == name))
                raise _changed() if there.scalar() is not None else no_such_conversation()
            if len(conversation.messages) > since:
                connection.execute(
                    sa.delete(messages).where(messages.c.conversation == name, messages.c.number >= since)
                )
                self._left = True
            if rows:
                connection.execute(sa.insert(messages), rows)
            if replaced or files:
                wanted = {picture.id for message in turns for picture in message.pictures} - set(
                    pictures or ()
                )
                connection.execute(
                    sa.delete(kept_pictures).where(
                        kept_pictures.c.conversation == name, kept_pictures.c.id.not_in(sorted(wanted))
                    )
                )
            if files:
                connection.execute(sa.insert(kept_pictures), files)
        return version

    def delete(self, names: Sequence[str], *, unused_since: float | None = None) -> list[str]:
        """Delete conversations with their keys, which erases them also where copies of their rows are left.

        Args:
            names: Their ids.
            unused_since: Unix time; those in which something was asked since stay. None: all go.

        Returns:
            Those that went.
        """
        with self._database.write() as connection:
            gone = self.delete_in(connection, names, unused_since)
        if gone:
            self.overwrite()
        return gone

    def overwrite(self) -> None:
        """See that what was deleted is gone from the files; what could not be is for the next time."""
        self._left = not self._database.overwrite()

    @staticmethod
    def delete_in(
        connection: sa.Connection, names: Sequence[str], unused_since: float | None = None
    ) -> list[str]:
        """As :meth:`delete`, in a transaction of the caller's."""
        query = sa.delete(conversations).where(conversations.c.id.in_(names))
        if unused_since is not None:
            query = query.where(conversations.c.updated_at < unused_since)
        return list(connection.execute(query.returning(conversations.c.id)).scalars())

    def tidy(self) -> None:
        """Do what :meth:`overwrite` could not do before, and for messages that were replaced."""
        if self._left:
            self.overwrite()

    def drop_pictures(self, limit: int) -> int:
        """Delete kept pictures; returns how many, ``limit`` at most."""
        some = sa.select(kept_pictures.c.conversation, kept_pictures.c.id).limit(limit)
        with self._database.read() as connection:
            found = connection.execute(some).all()
        if found:
            with self._database.write() as connection:
                for conversation, picture in found:
                    connection.execute(
                        sa.delete(kept_pictures).where(
                            kept_pictures.c.conversation == conversation, kept_pictures.c.id == picture
                        )
                    )
            self._left = True
        return len(found)

    # --- who answers where

    def still_answering(self, names: Sequence[str]) -> set[str]:
        """Say that this process goes on answering; returns in which conversations it may."""
        query = (
            sa.update(conversations)
            .where(conversations.c.id.in_(names), conversations.c.runner == self.runner)
            .values(runner_until=self._clock() + LEASE_S)
            .returning(conversations.c.id)
        )
        with self._database.write() as connection:
            return set(connection.execute(query).scalars())

    def end_answer(self, name: str) -> None:
        """Have the process that answers in a conversation, whichever it is, end that."""
        with self._database.write() as connection:
            connection.execute(sa.update(conversations).where(conversations.c.id == name).values(runner=None))

    def end_earlier_answers(self) -> None:
        """At the start: on SQLite no other process is answering, so what seems so was broken off."""
        if self._database.sqlite:
            with self._database.write() as connection:
                connection.execute(
                    sa.update(conversations).where(conversations.c.runner.is_not(None)).values(runner=None)
                )

    # --- reading

    async def standing(self, name: str) -> Standing | None:
        """What there is of a conversation; None: nothing. For the event loop."""
        row = await self._database.aone(_STANDING, {"id": name})
        if row is None:
            return None
        return Standing(row.owner, Level(row.level), row.version, self._running(row))

    def _running(self, row: Any) -> bool:
        return row.runner is not None and row.runner_until > self._clock()

    def load(self, name: str, *, pictures: bool) -> Conversation | None:
        """A conversation with all its messages; None: there is none.

        Args:
            name: Its id.
            pictures: Whether kept pictures may be had.

        Raises:
            VlproError: ``integrity_error``: something of it was altered.
        """
        with self._database.read() as connection:
            # One statement after the other: what is written between them is found by the version.
            row: Any = None
            for _ in range(5):
                row = connection.execute(
                    sa.select(conversations).where(conversations.c.id == name)
                ).one_or_none()
                if row is None:
                    return None
                found = connection.execute(_MESSAGES, {"id": name}).all()
                kept: frozenset[str] = frozenset()
                if pictures:
                    ids = sa.select(kept_pictures.c.id).where(kept_pictures.c.conversation == name)
                    kept = frozenset(connection.execute(ids).scalars())
                again = connection.execute(_VERSION, {"id": name}).scalar()
                if again == row.version:
                    break
            else:
                raise _changed()
        with self._telling(name):
            key, title = self._opened(row, [(each.number, each.version) for each in found])
            read = []
            for each in found:
                place = sealed.message_place(name, each.number)
                data = self._open(key, name, each.data, place, each.version)
                read.append(sealed.message_of(data, each.version, kept))
        running = self._running(row)
        for number, message in enumerate(read, 1):
            if message.busy and not (running and number == len(read)):
                message.state, message.error = "failed", sealed.broken_off()
        return Conversation(
            id=name,
            owner=row.owner,
            level=Level(row.level),
            title=title,
            created=row.created_at,
            updated=row.updated_at,
            messages=read,
            version=row.version,
            key=key,
        )

    def page(
        self, owner: str, level: Level, *, before: tuple[float, str] | None = None, limit: int
    ) -> list[Head]:
        """Conversations of one person up to a level, last used first.

        Args:
            owner: Whose.
            level: The highest.
            before: When the last one of the page before was used, and its id.
            limit: How many at most.
        """
        query = sa.select(conversations).where(_own(owner, level))
        if before is not None:
            used, name = before
            query = query.where(
                sa.or_(
                    conversations.c.updated_at < used,
                    sa.and_(conversations.c.updated_at == used, conversations.c.id < name),
                )
            )
        query = query.order_by(conversations.c.updated_at.desc(), conversations.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [self._listed(row) for row in rows]

    def count(self, owner: str, level: Level) -> int:
        """How many there are of one person up to a level."""
        query = sa.select(sa.func.count()).select_from(conversations).where(_own(owner, level))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def names(self, owner: str, level: Level) -> list[str]:
        """Ids of all of one person up to a level."""
        with self._database.read() as connection:
            return list(connection.execute(sa.select(conversations.c.id).where(_own(owner, level))).scalars())

    def those_there(self, names: Sequence[str]) -> set[str]:
        """Which of some ids there are."""
        found: set[str] = set()
        with self._database.read() as connection:
            for start in range(0, len(names), _CHUNK):
                some = conversations.c.id.in_(names[start : start + _CHUNK])
                found.update(connection.execute(sa.select(conversations.c.id).where(some)).scalars())
        return found

    def versions(self, owner: str, level: Level) -> list[Row]:
        """All of one person up to a level, last used first."""
        c = conversations.c
        query = sa.select(c.id, c.version, c.created_at, c.updated_at, c.level).where(_own(owner, level))
        query = query.order_by(c.updated_at.desc(), c.id.desc())
        with self._database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def texts(self, names: Iterable[str]) -> Iterator[tuple[str, int, Texts | None]]:
        """What can be read in conversations, a few at a time in memory.

        Yields:
            Id, version and text of each that is still there; None where it does not open.
        """
        wanted = list(names)
        for start in range(0, len(wanted), _CHUNK):
            some = wanted[start : start + _CHUNK]
            with self._database.read() as connection:
                c = conversations.c
                rows = connection.execute(
                    sa.select(c.id, c.owner, c.level, c.version, c.key, c.head).where(c.id.in_(some))
                ).all()
                found: dict[str, list[tuple[int, int, bytes]]] = {row.id: [] for row in rows}
                for name, number, version, data in connection.execute(_SEARCHED, {"some": some}):
                    if name in found:
                        found[name].append((number, version, data))
            for row in rows:
                yield row.id, row.version, self._texts(row, found[row.id])

    def _texts(self, row: Any, found: Sequence[tuple[int, int, bytes]]) -> Texts | None:
        try:
            key, title = self._opened(row, [(number, version) for number, version, _ in found])
            said = tuple(
                sealed.said_in(key.open(data, sealed.message_place(row.id, number), version))
                for number, version, data in found
            )
        except VlproError:
            return self._texts_again(row.id)
        return Texts(row.id, title, said)

    def _texts_again(self, name: str) -> Texts | None:
        """Of one that did not open: it may have been changed between two statements."""
        try:
            loaded = self.load(name, pictures=False)
        except VlproError:
            return None
        if loaded is None:
            return None
        said = tuple((message.id, message.role, sealed.readable(message)) for message in loaded.messages)
        return Texts(name, loaded.title, said)

    def picture(self, owner: str, level: Level, picture: str) -> bytes | None:
        """The JPEG file of a kept picture of one person; None: there is none.

        Raises:
            VlproError: ``integrity_error``: it was altered.
        """
        query = (
            sa.select(conversations, kept_pictures.c.data)
            .join(kept_pictures, kept_pictures.c.conversation == conversations.c.id)
            .where(kept_pictures.c.id == picture, _own(owner, level))
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        with self._telling(row.id):
            return self._open(self._key(row), row.id, row.data, sealed.picture_place(row.id, picture), 1)

    def unused(self, before: float, limit: int) -> list[str]:
        """Ids of conversations whose last question is older, the oldest first."""
        query = (
            sa.select(conversations.c.id)
            .where(conversations.c.updated_at < before)
            .order_by(conversations.c.updated_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def close(self) -> None:
        """Give the database's connections back."""
        self._database.close()

    # --- opening

    def _listed(self, row: Any) -> Head:
        try:
            with self._telling(row.id):
                title, damaged = str(self._read_head(row)[1]["title"]), False
        except VlproError:
            title, damaged = "", True
        return Head(
            row.id, row.owner, Level(row.level), title, row.created_at, row.updated_at, row.version,
            self._running(row), damaged,
        )  # fmt: skip

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Tell of a conversation that does not open in this block."""
        try:
            yield
        except VlproError as error:
            if error.code == _DAMAGED and self._is_new(name):
                self.damaged(name)
            raise

    def _is_new(self, name: str) -> bool:
        with self._telling_lock:
            new = name not in self._told
            self._told[name] = None
            if len(self._told) > _MOST_TOLD:
                del self._told[next(iter(self._told))]
            return new

    def _key(self, row: Any) -> DataKey:
        try:
            return self._sealer.data_key(row.key, sealed.key_place(row.id, row.owner, row.level))
        except VlproError as error:
            raise _damaged(row.id) from error

    def _read_head(self, row: Any) -> tuple[DataKey, dict[str, Any]]:
        key = self._key(row)
        data = self._open(key, row.id, row.head, sealed.head_place(row.id), row.version)
        return key, sealed.read(data)

    def _opened(self, row: Any, found: Sequence[tuple[int, int]]) -> tuple[DataKey, str]:
        """Key and title, when the messages are all there and of the versions that the head names."""
        key, told = self._read_head(row)
        if list(found) != list(enumerate(told["messages"])):
            raise _damaged(row.id)
        return key, str(told["title"])

    @staticmethod
    def _open(key: DataKey, name: str, data: bytes, place: str, version: int) -> bytes:
        try:
            return key.open(data, place, version)
        except VlproError as error:
            raise _damaged(name) from error


def _own(owner: str, level: Level) -> sa.ColumnElement[bool]:
    return sa.and_(conversations.c.owner == owner, conversations.c.level <= int(level))


def _head(key: DataKey, name: str, version: int, title: str, versions: Sequence[int]) -> bytes:
    told = json.dumps({"title": title, "messages": list(versions)}, separators=(",", ":"))
    return key.seal(told.encode(), sealed.head_place(name), version)


def _key_of(conversation: Conversation) -> DataKey:
    if conversation.key is None:
        raise AssertionError("a conversation that lives in memory only is not stored")
    return conversation.key


def _changed() -> ConflictError:
    return ConflictError(
        "This conversation was changed elsewhere meanwhile. Load it again, then ask.",
        zh="这段对话刚刚在别处有改动，请重新打开后再提问。",
        code="conversation_changed",
    )


def _damaged(name: str) -> VlproError:
    return VlproError(
        f"Conversation {name} cannot be opened: what is stored of it was altered, or the key file is another one. "
        "Other conversations are not affected. Tell your administrator.",
        zh=f"对话 {name} 无法打开：存储的内容被改动，或密钥文件不对。其他对话不受影响，请告知管理员。",
        code=_DAMAGED,
    )


_STANDING = sa.select(
    conversations.c.owner,
    conversations.c.level,
    conversations.c.version,
    conversations.c.runner,
    conversations.c.runner_until,
).where(conversations.c.id == sa.bindparam("id"))
_VERSION = sa.select(conversations.c.version).where(conversations.c.id == sa.bindparam("id"))
_MESSAGES = (
    sa.select(messages.c.number, messages.c.version, messages.c.data)
    .where(messages.c.conversation == sa.bindparam("id"))
    .order_by(messages.c.number)
)
_SEARCHED = (
    sa.select(messages.c.conversation, messages.c.number, messages.c.version, messages.c.data)
    .where(messages.c.conversation.in_(sa.bindparam("some", expanding=True)))
    .order_by(messages.c.conversation, messages.c.number)
)
