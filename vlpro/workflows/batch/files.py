"""Files that batches read, in the database: sealed in parts of a mebibyte, under a key of their own."""

from __future__ import annotations

import io
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from pydantic_core import from_json

from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.errors import ConflictError, NotFoundError
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.workflows.batch.tables import batch_inputs, batch_lines, file_parts, files
from vlpro.workflows.paging import ordered, place_of_id

__all__ = ["FileStore", "NewFile", "Purpose", "StoredFile", "file_key_place"]

Purpose = Literal["batch", "user_data", "vision", "batch_output"]

PART_BYTES = 1 << 20
_DROPPED = 32  # parts that are deleted at once
_BROKEN_OFF_S = 3_600.0  # an upload that has taken longer is not being made any more


def file_key_place(name: str, owner: str, level: int) -> str:
    """Of a wrapped data key: a file that is given to somebody else, or a lower level, does not open."""
    return f"files.key:{name}:{owner}:{Level(level).word}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file; times are Unix seconds.

    Args:
        id: Its name in the API.
        owner: Whose it is.
        level: How confidential.
        name: As it was called where it came from, without folders.
        purpose: What it is for.
        bytes: Its size.
        sha256: Of its bytes, hexadecimal; empty for results.
        created: When.
        expires: When it is deleted.
        batch: Whose results it is; None: somebody sent it.
        key: Opens its parts.
    """

    id: str
    owner: str
    level: Level
    name: str
    purpose: Purpose
    bytes: int
    sha256: str
    created: float
    expires: float
    batch: str | None
    key: DataKey


@dataclass(slots=True)
class NewFile:
    """A file that is being written."""

    id: str
    owner: str
    level: Level
    key: DataKey
    parts: int = 0
    bytes: int = 0


class FileStore:
    """Files by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    # --- writing

    def begin(self, person: Person, max_owner_bytes: int) -> NewFile:
        """A new file, of which nothing is there yet.

        Raises:
            ConflictError: The person's files take as much as they may.
        """
        name, now = f"file-{secrets.token_hex(12)}", self._clock()
        key, wrapped = self._sealer.new_data_key(file_key_place(name, person.id, person.level))
        used = sa.select(sa.func.coalesce(sa.func.sum(files.c.bytes), 0)).where(files.c.owner == person.id)
        with self._database.write() as connection:
            if int(connection.execute(used).scalar_one()) >= max_owner_bytes:
                raise ConflictError(
                    f"Your files take {max_owner_bytes / 1e9:g} GB, which is all they may. Delete some.",
                    zh=f"您的文件已占满 {max_owner_bytes / 1e9:g} GB，请先删除一些。",
                    code="storage_full",
                )
            connection.execute(
                sa.insert(files).values(
                    id=name,
                    owner=person.id,
                    level=int(person.level),
                    created_at=now,
                    purpose="user_data",
                    state="uploading",
                    bytes=0,
                    expires_at=now + _BROKEN_OFF_S,
                    key=wrapped,
                    head=b"",
                )
            )
        return NewFile(name, person.id, person.level, key)

    def append(self, new: NewFile, data: bytes) -> None:
        """Write the next part: a mebibyte, but for the last."""
        sealed = new.key.seal(data, _part_place(new.id, new.parts))
        with self._database.write() as connection:
            connection.execute(sa.insert(file_parts).values(file=new.id, number=new.parts, data=sealed))
            # Counted at once: uploads that go on beside each other share what their person may store.
            connection.execute(
                sa.update(files).where(files.c.id == new.id).values(bytes=files.c.bytes + len(data))
            )
        new.parts += 1
        new.bytes += len(data)

    def finish(self, new: NewFile, name: str, purpose: Purpose, sha256: str, *, keep_s: float) -> StoredFile:
        """The file is complete.

        Args:
            new: All of it is written.
            name: As it was called.
            purpose: What it is for.
            sha256: Of its bytes, hexadecimal.
            keep_s: Seconds after which it is deleted.
        """
        now = self._clock()
        head = new.key.seal(_json({"name": name, "sha256": sha256}), _head_place(new.id))
        with self._database.write() as connection:
            connection.execute(
                sa.update(files)
                .where(files.c.id == new.id)
                .values(purpose=purpose, state="ready", head=head, created_at=now, expires_at=now + keep_s)
            )
        return StoredFile(
            new.id,
            new.owner,
            new.level,
            name,
            purpose,
            new.bytes,
            sha256,
            now,
            now + keep_s,
            None,
            new.key,
        )

    def discard(self, new: NewFile) -> None:
        """Drop a file that did not become complete."""
        self._drop(new.id)

    def delete(self, person: Person, name: str) -> None:
        """Delete one's own file; results go from their batch with it.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
            ConflictError: A batch that has not ended reads it.
        """
        found = self.get(person, name)
        with self._database.write() as connection:
            used = sa.select(batch_inputs.c.batch).where(batch_inputs.c.file == name).limit(1)
            batch = connection.execute(used).scalar()
            if batch is not None:
                raise ConflictError(
                    f"{batch} still reads this file. Cancel the batch, or wait until it has ended.",
                    zh=f"批处理 {batch} 仍在使用该文件，请先取消或等待其结束。",
                    code="file_in_use",
                )
            if found.batch is not None:
                state = 1 if name.endswith("o") else 2
                connection.execute(
                    sa.update(batch_lines)
                    .where(batch_lines.c.batch == found.batch, batch_lines.c.state == state)
                    .values(answer=None, answer_bytes=None)
                )
            connection.execute(
                sa.update(files).where(files.c.id == name).values(state="uploading", expires_at=0)
            )
        self._drop(name)
        self._database.overwrite()

    def expire(self) -> int:
        """Delete what has stood its time, or was broken off, and is read by no batch; returns how many."""
        gone = sa.select(files.c.id).where(
            files.c.expires_at < self._clock(),
            files.c.batch.is_(None),
            files.c.id.not_in(sa.select(batch_inputs.c.file)),
        )
        with self._database.read() as connection:
            names = connection.execute(gone).scalars().all()
        for name in names:
            self._drop(name)
        return len(names)

    def _drop(self, name: str) -> None:
        """Delete some parts a transaction, so that nobody else who writes waits for long; then the file."""
        while True:
            some = sa.select(file_parts.c.number).where(file_parts.c.file == name).limit(_DROPPED)
            with self._database.write() as connection:
                numbers = connection.execute(some).scalars().all()
                if not numbers:
                    connection.execute(sa.delete(files).where(files.c.id == name))
                    return
                connection.execute(
                    sa.delete(file_parts).where(file_parts.c.file == name, file_parts.c.number.in_(numbers))
                )

    # --- reading

    def get(self, person: Person, name: str, *, param: str | None = None) -> StoredFile:
        """One's own file.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
        """
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(files).where(files.c.id == name, files.c.state == "ready")
            ).one_or_none()
        if row is None or row.owner != person.id or row.level > person.level:
            raise NotFoundError(
                "There is no such file. GET /v1/files lists yours.",
                zh="没有这个文件，GET /v1/files 可列出您的文件。",
                param=param,
                foreign=row is not None,
            )
        return self._opened(row)

    def page(
        self, person: Person, *, purpose: str | None, after: str | None, limit: int, newest_first: bool
    ) -> tuple[list[StoredFile], bool]:
        """One's own files, and whether there are more.

        Args:
            person: Whose.
            purpose: Only those; None: all.
            after: Id of the last one of the page before.
            limit: How many at most.
            newest_first: In which order.
        """
        query = sa.select(files).where(
            files.c.owner == person.id, files.c.level <= int(person.level), files.c.state == "ready"
        )
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        own = sa.select(files.c.created_at, files.c.id).where(files.c.owner == person.id)
        with self._database.read() as connection:
            last = place_of_id(connection, own, after)
            rows = connection.execute(
                ordered(query, files, last, newest_first=newest_first).limit(limit + 1)
            ).all()
        return [self._opened(row) for row in rows[:limit]], len(rows) > limit

    def parts(self, file: StoredFile) -> Iterator[bytes]:
        """A file's bytes, a part at a time."""
        for number in range(-(-file.bytes // PART_BYTES)):
            yield self.part(file, number)

    def part(self, file: StoredFile, number: int) -> bytes:
        """One part. Raises: VlproError, ``integrity_error``: it was altered; NotFoundError: it was deleted."""
        query = sa.select(file_parts.c.data).where(
            file_parts.c.file == file.id, file_parts.c.number == number
        )
        with self._database.read() as connection:
            data = connection.execute(query).scalar()
        if data is None:
            raise NotFoundError("The file was deleted.", zh="文件已被删除。")
        return file.key.open(data, _part_place(file.id, number))

    def open(self, file: StoredFile) -> io.BufferedReader:
        """A file to read and seek in, decrypted as it is read."""
        return io.BufferedReader(_Reader(self, file), PART_BYTES)

    def _opened(self, row: Any) -> StoredFile:
        key = self._sealer.data_key(row.key, file_key_place(row.id, row.owner, row.level))
        told = from_json(key.open(row.head, _head_place(row.id)))
        return StoredFile(
            id=row.id,
            owner=row.owner,
            level=Level(row.level),
            name=told["name"],
            purpose=row.purpose,
            bytes=row.bytes,
            sha256=told["sha256"],
            created=row.created_at,
            expires=row.expires_at,
            batch=row.batch,
            key=key,
        )

    def add_results(
        self,
        connection: sa.Connection,
        *,
        name: str,
        owner: str,
        level: Level,
        batch: str,
        called: str,
        size: int,
        expires: float,
    ) -> None:
        """Put down, in a transaction of the caller's, that a batch has results: they stay with its lines."""
        key, wrapped = self._sealer.new_data_key(file_key_place(name, owner, level))
        connection.execute(sa.delete(files).where(files.c.id == name))
        connection.execute(
            sa.insert(files).values(
                id=name,
                owner=owner,
                level=int(level),
                created_at=self._clock(),
                purpose="batch_output",
                state="ready",
                bytes=size,
                expires_at=expires,
                batch=batch,
                key=wrapped,
                head=key.seal(_json({"name": called, "sha256": ""}), _head_place(name)),
            )
        )


class _Reader(io.RawIOBase):
    """Reads a stored file at any place; the last parts that were read stay open."""

    _KEPT = 3

    def __init__(self, store: FileStore, file: StoredFile) -> None:
        super().__init__()
        self._store = store
        self._file = file
        self._at = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.bytes}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        number, start = divmod(self._at, PART_BYTES)
        if self._at >= self._file.bytes:
            return 0
        if number not in self._kept:
            self._kept[number] = self._store.part(self._file, number)
            if len(self._kept) > self._KEPT:
                self._kept.popitem(last=False)
        piece = self._kept[number][start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _part_place(name: str, number: int) -> str:
    return f"file_parts.data:{name}:{number}"


def _head_place(name: str) -> str:
    return f"files.head:{name}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
