"""Where a record can be read from, to be verified: the database, an export, archives, the copy in Elasticsearch.

A source only reads. Whether what it reads is right is for :mod:`vlpro.audit.verify`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
import zlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from json.encoder import encode_basestring as quoted
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from vlpro.audit.errors import VerificationError
from vlpro.audit.tables import archives, checkpoints, records, select_signed
from vlpro.db import Database

__all__ = [
    "ArchiveFile",
    "DatabaseSource",
    "DocumentsSource",
    "ExportFile",
    "Item",
    "Source",
    "StoredBefore",
    "StoredCheckpoint",
    "StoredRecord",
    "StoredSeal",
    "archive_files",
    "before_line",
    "checkpoint_line",
    "in_order",
    "record_line",
    "seal_line",
    "sm2_of",
    "snapshot",
]

_PAGE = 5000
_MOST_LINE = 16 * 2**20  # bytes; a record is far smaller


class StoredRecord(NamedTuple):
    """A record, and what is stored beside its bytes; None where this source has no such column."""

    seq: int | None
    data: bytes
    hash: bytes | None = None
    time: float | None = None
    event: str | None = None
    outcome: str | None = None
    login: str | None = None
    session: str | None = None
    address: str | None = None
    object: str | None = None


class StoredCheckpoint(NamedTuple):
    """A checkpoint; the size and the subtrees' roots are None where this source has them not beside it.

    ``sm2`` is None where it has no signature with SM2.
    """

    size: int | None
    data: bytes
    signature: bytes
    roots: bytes | None = None
    sm2: bytes | None = None


class StoredBefore(NamedTuple):
    """The tree before the first record of a part: its size, and the roots of its complete subtrees."""

    size: int
    roots: bytes


class StoredSeal(NamedTuple):
    """A seal of an archive; ``sha256`` is of the lines that came before it, None in the database.

    ``sm2`` is None where it has no signature with SM2.
    """

    last: int | None
    data: bytes
    signature: bytes
    sha256: bytes | None = None
    sm2: bytes | None = None


Item = StoredRecord | StoredCheckpoint | StoredBefore | StoredSeal


class Source(ABC):
    """Something that holds a record, or a part of one.

    Attributes:
        part: Whether it may begin with any record, and not only with the first one, or after an archive.
    """

    part = False

    @abstractmethod
    def items(self) -> Generator[Item]:
        """Everything in order: seals first (in an archive: last), a checkpoint behind the last record that it counts.

        Raises:
            VerificationError: Something cannot be read.
        """

    def count(self) -> int:
        """About how many records there are, to tell how far the work is; 0: not known."""
        return 0


class DatabaseSource(Source):
    """The tables, as they are at one moment; the log may go on meanwhile.

    Args:
        database: Of the audit; it need not have the newest schema.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> int:
        """How many records there are."""
        with snapshot(self._database) as connection:
            if not sa.inspect(connection).has_table(records.name):
                return 0
            first, last = connection.execute(
                sa.select(sa.func.min(records.c.seq), sa.func.max(records.c.seq))
            ).one()
            return last - first + 1 if last is not None else 0

    def items(self) -> Generator[Item]:
        """Everything in order."""
        with snapshot(self._database) as connection:
            tables = sa.inspect(connection).get_table_names()
            if archives.name in tables:
                for row in _rows(connection, select_signed(connection, archives), archives.c.last):
                    yield StoredSeal(row.last, row.data, row.signature, sm2=row.sm2)
            if records.name in tables:
                yield from in_order(connection)

    def checkpoints(self) -> Generator[StoredCheckpoint]:
        """The checkpoints alone, to verify a copy without any."""
        with snapshot(self._database) as connection:
            for row in _rows(connection, select_signed(connection, checkpoints), checkpoints.c.size):
                yield StoredCheckpoint._make(row)


@contextmanager
def snapshot(database: Database) -> Iterator[sa.Connection]:
    """A connection that sees one moment, whatever is written meanwhile.

    Raises:
        VerificationError: The file is damaged.
        DatabaseError: The database does not answer.
    """
    try:
        with database.read() as connection:
            if database.sqlite:
                yield connection
                return
            with connection.execution_options(isolation_level="REPEATABLE READ").begin():
                yield connection
    except DBAPIError as error:
        raise VerificationError(
            f"the database cannot be read: {error.orig}",
            zh=f"数据库无法读取：{error.orig}",
            meaning="Its file is damaged. Look at the disk, and verify a copy (--export, --archives).",
            meaning_zh="数据库文件损坏。请检查磁盘，并校验副本（--export、--archives）。",
        ) from error


def in_order(
    connection: sa.Connection, first: int | None = None, last: int | None = None
) -> Iterator[StoredRecord | StoredCheckpoint]:
    """Records, each checkpoint behind the last record that it counts.

    Args:
        connection: As of :func:`snapshot`.
        first: From this record; None: from whatever there is.
        last: To this one.
    """

    def between(statement: sa.Select[Any], key: sa.Column[Any]) -> Iterator[Any]:
        if first is not None:
            statement = statement.where(key >= first)
        if last is not None:
            statement = statement.where(key <= last)
        return _rows(connection, statement, key)

    signed = between(select_signed(connection, checkpoints), checkpoints.c.size)
    following = next(signed, None)
    columns = [records.c[name] for name in StoredRecord._fields]
    for row in between(sa.select(*columns), records.c.seq):
        while following is not None and following[0] < row[0]:
            yield StoredCheckpoint._make(following)
            following = next(signed, None)
        yield StoredRecord._make(row)
    while following is not None:
        yield StoredCheckpoint._make(following)
        following = next(signed, None)


def _rows(connection: sa.Connection, select: sa.Select[Any], key: sa.Column[Any]) -> Iterator[Any]:
    """Rows in the order of their key, a page at a time, whatever the key's sign."""
    statement, last = select.order_by(key).limit(_PAGE), None
    position = list(select.selected_columns).index(select.selected_columns[key.name])
    while True:
        page = statement if last is None else statement.where(key > last)
        try:
            found = connection.execute(page).all()
        except DBAPIError as error:
            found = _as_bytes(connection, page, error)
        yield from found
        if len(found) < _PAGE:
            return
        last = found[-1][position]


def _as_bytes(connection: sa.Connection, page: sa.Select[Any], error: DBAPIError) -> Any:
    """A page in which some text is no UTF-8, as SQLite allows, with that text as it is."""
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection) and "decode to UTF-8" in str(error.orig):
        usual = raw.text_factory
        raw.text_factory = lambda data: data.decode(errors="surrogateescape")
        try:
            return connection.execute(page).all()
        finally:
            raw.text_factory = usual
    raise error


class DocumentsSource(Source):
    """The copy in Elasticsearch: documents with ``event.original`` and ``event.sequence``, in that order.

    Args:
        documents: As a search returns them (``_source`` around them or not, nested or with dots in the names).
        checkpoints: From the database; the copy has none.
    """

    part = True

    def __init__(
        self, documents: Iterable[Mapping[str, Any]], checkpoints: Iterable[StoredCheckpoint] = ()
    ) -> None:
        self._documents = documents
        self._checkpoints = checkpoints

    def items(self) -> Generator[Item]:
        """Everything in order."""
        signed = iter(self._checkpoints)
        following = next(signed, None)
        for document in self._documents:
            source = document.get("_source", document)
            event = source.get("event", source)
            seq = event.get("sequence", event.get("event.sequence"))
            text = event.get("original", event.get("event.original"))
            own = source.get("vlpro", {})
            if own.get("masked"):
                raise VerificationError(
                    "the copy is masked: its text is not the record's. Compare hashes: vlpro audit ship --check",
                    seq,
                    zh="副本经过脱敏，文本与记录不同。请比对哈希：vlpro audit ship --check",
                )
            if type(seq) is not int or not isinstance(text, str):
                raise VerificationError(
                    "a document has no event.original or no event.sequence",
                    seq if type(seq) is int else None,
                    zh="文档缺少 event.original 或 event.sequence",
                )
            while following is not None and following.size is not None and following.size < seq:
                yield following
                following = next(signed, None)
            yield StoredRecord(seq, text.encode("utf-8", "surrogatepass"))
        while following is not None:
            yield following
            following = next(signed, None)


class ExportFile(Source):
    """A file of lines that ``vlpro audit export`` wrote, gzipped or not.

    Args:
        path: The file.
    """

    part = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """A guess from the file's size."""
        try:
            return self._path.stat().st_size // (120 if self._path.suffix == ".gz" else 480)
        except OSError:
            return 0

    def items(self) -> Generator[Item]:
        """Everything in order."""
        read = hashlib.sha256()
        try:
            with _opened(self._path) as file:
                number = 0
                while line := file.readline(_MOST_LINE):
                    number += 1
                    yield _item(line, read, f"{self._path.name}:{number}")
                    read.update(line)
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or error
            raise VerificationError(
                f"{self._path} cannot be read: {why}", zh=f"{self._path} 无法读取：{why}"
            ) from error


class ArchiveFile(ExportFile):
    """A file of lines that ``vlpro audit archive`` wrote; its last line is its seal.

    Args:
        path: The file.
    """

    def items(self) -> Generator[Item]:
        """Everything in order."""
        last: Item | None = None
        for item in super().items():
            if isinstance(last, StoredSeal):
                break
            last = item
            yield item
        else:
            if isinstance(last, StoredSeal):
                return
        raise VerificationError(
            f"{self._path.name} does not end with its seal: it was cut, or something was added",
            zh=f"{self._path.name} 末尾不是封印：文件被截断，或被添加了内容",
        )


def archive_files(folder: Path) -> list[ArchiveFile]:
    """The archives of a folder, in order."""
    return [ArchiveFile(path) for path in sorted(folder.glob("audit-*-*.jsonl.gz"))]


# --- lines


def record_line(data: bytes) -> str:
    """A record as a line of an export."""
    return '{"record": ' + quoted(data.decode()) + "}\n"


def checkpoint_line(data: bytes, signature: bytes, sm2: bytes | None = None) -> str:
    """A checkpoint as a line; as :meth:`Checkpoint.as_json` writes it."""
    return _signed_line("checkpoint", data, signature, sm2)


def before_line(size: int, roots: bytes) -> str:
    """The tree before a part, as a line."""
    return json.dumps({"before": size, "roots": roots.hex()}) + "\n"


def seal_line(data: bytes, signature: bytes, sm2: bytes | None = None) -> str:
    """A seal as a line."""
    return _signed_line("seal", data, signature, sm2)


def _signed_line(kind: str, data: bytes, signature: bytes, sm2: bytes | None) -> str:
    more = {"sm2": sm2.hex()} if sm2 else {}
    return json.dumps({kind: data.decode(), "signature": signature.hex()} | more) + "\n"


def _opened(path: Path) -> gzip.GzipFile | BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def sm2_of(line: Mapping[str, Any]) -> bytes | None:
    """The signature with SM2 in a line, if there is one. Raises: ValueError, TypeError."""
    return bytes.fromhex(line["sm2"]) if "sm2" in line else None


def _item(line: bytes, read: Any, place: str) -> Item:
    """What a line says; it must be byte for byte what would be written."""
    try:
        content = json.loads(line)
        match content:
            case {"record": str(text)}:
                data = text.encode()
                item: Item = StoredRecord(None, data)
                written = record_line(data)
            case {"checkpoint": str(text), "signature": str(signature)}:
                item = StoredCheckpoint(None, text.encode(), bytes.fromhex(signature), sm2=sm2_of(content))
                written = checkpoint_line(item.data, item.signature, item.sm2)
            case {"seal": str(text), "signature": str(signature)}:
                item = StoredSeal(
                    None, text.encode(), bytes.fromhex(signature), read.digest(), sm2_of(content)
                )
                written = seal_line(item.data, item.signature, item.sm2)
            case {"before": int(size), "roots": str(roots)}:
                item = StoredBefore(size, bytes.fromhex(roots))
                written = before_line(*item)
            case _:
                written = ""
        if written.encode() == line:
            return item
    except (ValueError, TypeError, RecursionError):
        pass
    raise VerificationError(
        f"line {place} is none that an export writes: it was altered or cut",
        zh=f"{place} 行不是导出文件应有的内容：被改动或截断",
        found=repr(line[:200]),
    )
