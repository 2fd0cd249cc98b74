"""The index in PostgreSQL, by pgvector: for more pages than one machine's memory holds, and ready at the start.

Every vector is compared (an exact scan), so it finds what the index in memory finds. A vector is stored in half
precision (``halfvec``, pgvector 0.7), in clear: PostgreSQL could not compute with it otherwise. A code is stored as a
keyed hash (HMAC-SHA-256). Text is not stored here at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from vlpro.db import Database
from vlpro.errors import ConfigError
from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.index.interface import Candidate, Index, IndexedPage

__all__ = ["EXTENSION", "PostgresIndex", "prepare"]

EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector"
"""What a superuser runs once, in the service's database."""

_LEAST = (0, 7)  # of pgvector: halfvec
_ROWS = 500  # of one request
_REMOVED = 20_000  # rows of one request: each ends long before the database's time limit
_CODE_BYTES = 16

_TABLE = (
    # A row stays in one piece up to a page of PostgreSQL's: who compares all vectors reads them one behind the other.
    """CREATE TABLE knowledge_vectors (
        base text NOT NULL,
        document text NOT NULL,
        page integer NOT NULL,
        passage integer NOT NULL,
        model bytea NOT NULL,
        codes bytea[] NOT NULL,
        vector halfvec NOT NULL
    ) WITH (toast_tuple_target = 8160)""",
    "CREATE INDEX knowledge_vectors_document ON knowledge_vectors (base, document)",
    "CREATE INDEX knowledge_vectors_codes ON knowledge_vectors USING gin (codes)",
)


def prepare(database: Database) -> None:
    """Make extension and table, where they are missing and this role may.

    Args:
        database: PostgreSQL.

    Raises:
        ConfigError: It may not, or pgvector is not installed or too old: says what to do.
        DatabaseError: The database does not answer.
    """
    with database.write(alone=True) as connection:
        if connection.scalar(sa.text("SELECT to_regclass('knowledge_vectors')")) is not None:
            return
    _extend(database)
    try:
        with database.write(alone=True) as connection:
            if connection.scalar(sa.text("SELECT to_regclass('knowledge_vectors')")) is None:
                for statement in _TABLE:
                    connection.exec_driver_sql(statement)
    except DBAPIError as error:
        raise ConfigError(
            "This role may not make the table of vectors: run vlpro migrate as the owner of the tables.",
            zh="当前数据库账号无权创建向量表：请以表的所有者身份运行 vlpro migrate。",
            param="knowledge.index",
        ) from error


def _extend(database: Database) -> None:
    version = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    try:
        with database.write(alone=True) as connection:
            if connection.scalar(sa.text(version)) is None:
                connection.exec_driver_sql(EXTENSION)
            found = str(connection.scalar(sa.text(version)))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == "42501":  # insufficient_privilege
            raise ConfigError(
                f"The database has not the extension vector. Have a superuser run in it: {EXTENSION};",
                zh=f"数据库尚未启用 vector 扩展。请由数据库超级用户在该库中执行：{EXTENSION};",
                param="knowledge.index",
            ) from error
        raise ConfigError(
            "The database server has no pgvector. Install its package (on Debian postgresql-NN-pgvector), or "
            "set knowledge.index to memory.",
            zh="数据库服务器未安装 pgvector。请安装（Debian：postgresql-NN-pgvector），"
            "或将 knowledge.index 设为 memory。",
            param="knowledge.index",
        ) from error
    if tuple(int(part) for part in found.split(".")[:2]) < _LEAST:
        raise ConfigError(
            f"pgvector {found} is too old: 0.7 or newer is needed. Update its package, then have a superuser "
            "run: ALTER EXTENSION vector UPDATE;",
            zh=f"pgvector {found} 过旧，需要 0.7 或更新版本。请更新软件包，并由超级用户执行："
            "ALTER EXTENSION vector UPDATE;",
            param="knowledge.index",
        )


class PostgresIndex(Index):
    """A table of vectors.

    Args:
        database: PostgreSQL, with pgvector.
        mac: Keyed hash of data for a place: :meth:`vlpro.crypto.Sealer.mac`.
        model: Of the vectors. Those of another one lie there until their document is put again, and are not found.
        dimensions: Length of its vectors.

    Raises:
        ConfigError: The database is a SQLite.
    """

    def __init__(
        self, database: Database, mac: Callable[[bytes, str], bytes], *, model: str, dimensions: int
    ) -> None:
        if database.sqlite:
            raise ConfigError(
                "knowledge.index postgres needs VLPRO_DATABASE_URL to be a PostgreSQL with pgvector.",
                zh="knowledge.index 设为 postgres 时，VLPRO_DATABASE_URL 必须是装有 pgvector 的 PostgreSQL。",
                param="knowledge.index",
            )
        self._database = database
        self._mac = mac
        self._model = hashlib.sha256(model.encode()).digest()[:8]
        # The cast lets an index serve the search that was made for vectors of this length.
        near = f"(vector::halfvec({dimensions:d}) <#> CAST(%(vector)s AS halfvec({dimensions:d})))"
        head = f"SELECT base, document, page, passage, -{near} FROM knowledge_vectors "  # noqa: S608 - of a number
        where = "WHERE base = ANY(%(bases)s::text[]) AND model = %(model)s "
        tail = f"ORDER BY {near} LIMIT %(limit)s"
        self._nearest = head + where + tail
        self._coded = head + where + "AND codes && %(codes)s::bytea[] " + tail

    def put(self, base: str, document: str, pages: Sequence[IndexedPage]) -> None:
        """In one transaction: it is found as a whole, or not at all."""
        insert = (
            "INSERT INTO knowledge_vectors (base, document, page, passage, model, codes, vector) VALUES "
            "(%(base)s, %(document)s, %(page)s, %(passage)s, %(model)s, %(codes)s::bytea[], "
            "CAST(%(vector)s AS halfvec))"
        )
        fixed = {"base": base, "document": document, "model": self._model}
        with self._database.write() as connection:
            self._remove(connection, base, document)
            batch: list[dict[str, Any]] = []
            for row in self._rows(pages):
                batch.append(fixed | row)
                if len(batch) == _ROWS:
                    connection.exec_driver_sql(insert, batch)
                    batch = []
            if batch:
                connection.exec_driver_sql(insert, batch)

    def remove(self, base: str, document: str | None = None) -> None:
        """PostgreSQL overwrites what was removed when it next vacuums."""
        with self._database.write() as connection:
            self._remove(connection, base, document)

    def kept(self) -> Mapping[tuple[str, str], int]:
        """All documents whose vectors are of the model in use."""
        statement = sa.text(
            "SELECT base, document, count(*) FROM knowledge_vectors WHERE model = :model GROUP BY base, document"
        )
        with self._database.read() as connection:
            rows = connection.execute(statement, {"model": self._model})
            return {(base, document): int(passages) for base, document, passages in rows}

    def candidates(
        self, bases: Collection[str], vector: Vectors, codes: frozenset[str], limit: int
    ) -> list[Candidate]:
        """Two statements at most: the nearest of all, and the nearest of those with a code."""
        if not bases:
            return []
        values = {
            "bases": list(bases),
            "vector": _written(vector),
            "model": self._model,
            "codes": self._hashed(codes),
            "limit": limit,
        }
        found: dict[tuple[Any, ...], Candidate] = {}
        with self._database.read() as connection:
            for statement in [self._nearest, self._coded] if codes else [self._nearest]:
                for row in connection.exec_driver_sql(statement, values):
                    candidate = Candidate(row[0], row[1], row[2], row[3], float(row[4]))
                    found.setdefault(tuple(row[:4]), candidate)
        return list(found.values())

    def _rows(self, pages: Sequence[IndexedPage]) -> Iterator[dict[str, Any]]:
        for page in pages:
            for passage, (vector, codes) in enumerate(zip(page.vectors, page.codes, strict=True)):
                yield {
                    "page": page.page,
                    "passage": passage,
                    "codes": self._hashed(codes),
                    "vector": _written(vector),
                }

    def _hashed(self, codes: frozenset[str]) -> list[bytes]:
        place = "knowledge_vectors.codes"
        return sorted(self._mac(code.encode(), place)[:_CODE_BYTES] for code in codes)

    @staticmethod
    def _remove(connection: sa.Connection, base: str, document: str | None) -> None:
        of_document = "" if document is None else "AND document = :document "
        statement = sa.text(
            "DELETE FROM knowledge_vectors WHERE ctid = ANY(ARRAY("  # noqa: S608 - of two texts above
            f"SELECT ctid FROM knowledge_vectors WHERE base = :base {of_document}LIMIT {_REMOVED}))"
        )
        while connection.execute(statement, {"base": base, "document": document}).rowcount == _REMOVED:
            pass


def _written(vector: Vectors) -> str:
    """As pgvector reads it; five digits are more than half precision holds."""
    return f"[{','.join(f'{number:.5g}' for number in vector.tolist())}]"
