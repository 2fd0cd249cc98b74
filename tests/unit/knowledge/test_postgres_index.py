"""The index in PostgreSQL, on a real one with pgvector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from tests.postgresql import Cluster
from tests.unit.knowledge.corpus import DIMENSIONS, Corpus, fill, question
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import BadRequestError, ConfigError
from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.index import postgres
from vlpro.knowledge.index.interface import Candidate, Index, IndexedPage
from vlpro.knowledge.index.memory import MemoryIndex
from vlpro.knowledge.index.postgres import PostgresIndex, prepare

CORPUS = Corpus.made()  # 576 passages
ALL = {"base_0", "base_1", "base_2"}
SEALER = Sealer(b"k" * 32)

Opened = Callable[[str], PostgresIndex]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Makes an index at a URL; all are closed at the end."""
    databases = []

    def made(url: str, model: str = "model") -> PostgresIndex:
        databases.append(Database(url))
        return PostgresIndex(databases[-1], SEALER.mac, model=model, dimensions=DIMENSIONS)

    yield made
    for database in databases:
        database.close()


@pytest.fixture
def url(pgvector: Cluster) -> str:
    return pgvector.new()


@pytest.fixture
def index(opened: Opened, url: str) -> PostgresIndex:
    made = opened(url)
    prepare(made._database)
    return made


def places(found: list[Candidate]) -> list[tuple[str, str, int, int]]:
    return [(one.base, one.document, one.page, one.passage) for one in found]


def as_stored(vectors: Vectors) -> Vectors:
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    stored: Vectors = (np.rint(vectors / scales) * scales).astype(np.float32)
    return stored


def same(index: Index, bases: set[str], number: int, codes: frozenset[str], limit: int) -> None:
    """It finds exactly what it should, in order of its scores, each once."""
    wanted = CORPUS.exact(bases, question(number), codes, limit)
    found = index.candidates(bases, question(number), codes, limit)
    assert len(set(places(found))) == len(found)
    assert set(places(found)) == set(places(wanted))
    assert [one.score for one in found[:limit]] == sorted((one.score for one in found[:limit]), reverse=True)
    scores = dict(zip(places(wanted), (one.score for one in wanted), strict=True))
    np.testing.assert_allclose(
        [one.score for one in found], [scores[place] for place in places(found)], atol=2e-3
    )


def test_it_finds_what_comparing_all_finds(index: PostgresIndex) -> None:
    fill(index, CORPUS)
    for number in range(12):
        same(index, ALL, number, frozenset(), 20)
        same(index, {"base_1"}, number, frozenset(), 20)
        same(index, {"base_0", "base_2"}, number, frozenset({"E07", "E31"}), 30)
        same(index, ALL, number, frozenset({"E07", "no such code"}), 10)
    same(index, ALL, 0, frozenset(), 10_000)  # more than there are
    assert index.candidates([], question(0), frozenset(), 10) == []
    assert index.candidates(["base_9"], question(0), frozenset({"E07"}), 10) == []


def test_it_finds_what_the_index_in_memory_finds(index: PostgresIndex) -> None:
    """On vectors as the store keeps them: a byte a number, and a scale."""
    memory, documents = MemoryIndex(DIMENSIONS), {}
    for (base, document), pages in CORPUS.documents.items():
        documents[base, document] = [
            IndexedPage(page.page, as_stored(page.vectors), page.codes) for page in pages
        ]
        memory.put(base, document, documents[base, document])
        index.put(base, document, documents[base, document])
    for number in range(12):
        for bases, codes, limit in (
            (ALL, frozenset[str](), 20),
            ({"base_1"}, frozenset({"E07"}), 30),
            (ALL, frozenset({"E07", "E31"}), 15),
        ):
            wanted = memory.candidates(bases, question(number), codes, limit)
            found = index.candidates(bases, question(number), codes, limit)
            assert len(found) == len(wanted)
            # Half precision may exchange what lies at the end of each list within its own error, and nothing else.
            last = [one.score for one in (wanted[limit - 1], wanted[-1])]
            differ = [
                one
                for one in {*found, *wanted}
                if (places([one])[0] in places(found)) != (places([one])[0] in places(wanted))
            ]
            assert all(min(abs(one.score - score) for score in last) < 5e-4 for one in differ)
            assert len(differ) <= 2
            np.testing.assert_allclose(
                [one.score for one in found[:limit]], [one.score for one in wanted[:limit]], atol=5e-4
            )


def test_a_document_is_replaced_and_removed(index: PostgresIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_REMOVED", 7)  # so that it takes several rounds
    monkeypatch.setattr(postgres, "_ROWS", 5)
    fill(index, CORPUS)

    def documents(base: str) -> set[str]:
        return {one.document for one in index.candidates({base}, question(1), frozenset(), 10_000)}

    index.put("base_0", "doc_0_1", [IndexedPage(1, question(1)[None], [frozenset({"X1"})])])
    found = index.candidates({"base_0"}, question(1), frozenset(), 10_000)
    assert [one.page for one in found if one.document == "doc_0_1"] == [1]
    assert found[0].score == pytest.approx(1, abs=1e-3)
    index.remove("base_0", "doc_0_1")
    index.remove("base_0", "doc_0_1")
    assert documents("base_0") == {"doc_0_0", "doc_0_2", "doc_0_3"}
    index.remove("base_0")
    assert documents("base_0") == set()
    assert len(documents("base_1")) == 4


def test_it_keeps_what_it_holds_over_a_restart_but_not_another_models(
    index: PostgresIndex, opened: Callable[..., PostgresIndex], url: str
) -> None:
    fill(index, CORPUS)
    again = opened(url)
    prepare(again._database)
    assert again.kept() == dict.fromkeys(CORPUS.documents, 48)
    same(again, ALL, 3, frozenset({"E07"}), 20)
    other = opened(url, model="another model")
    assert other.kept() == {}
    assert other.candidates(ALL, question(3), frozenset({"E07"}), 20) == []
    other.put("base_0", "doc_0_0", CORPUS.documents["base_0", "doc_0_0"])
    assert other.kept() == {("base_0", "doc_0_0"): 48}
    assert ("base_0", "doc_0_0") not in again.kept()


def test_a_put_that_fails_leaves_what_was_there(index: PostgresIndex) -> None:
    pages = CORPUS.documents["base_0", "doc_0_0"]
    index.put("base_0", "doc_0_0", pages)
    wrong = [*pages[:3], IndexedPage(9, np.full((1, DIMENSIONS), np.nan, np.float32), [frozenset()])]
    with pytest.raises(BadRequestError):
        index.put("base_0", "doc_0_0", wrong)
    assert len(index.candidates({"base_0"}, question(0), frozenset(), 1000)) == 48


def test_codes_do_not_lie_there_in_clear(index: PostgresIndex, url: str) -> None:
    fill(index, CORPUS)
    database = Database(url)
    with database.read() as connection:
        codes = {
            bytes(code)
            for (row,) in connection.execute(sa.text("SELECT codes FROM knowledge_vectors"))
            for code in row
        }
    database.close()
    assert len(codes) == 40
    assert {len(code) for code in codes} == {16}
    other = Sealer(b"o" * 32).mac(b"E07", "knowledge_vectors.codes")[:16]
    assert SEALER.mac(b"E07", "knowledge_vectors.codes")[:16] in codes
    assert other not in codes
    assert not any(b"E07" in code for code in codes)


def test_an_approximate_index_serves_the_same_search(index: PostgresIndex, url: str) -> None:
    """The statement of docs/knowledge.md: what it is for is speed."""
    fill(index, CORPUS)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE INDEX ON knowledge_vectors USING hnsw ((vector::halfvec({DIMENSIONS})) halfvec_ip_ops)"
        )
        connection.execute("ANALYZE knowledge_vectors")
        for other in ("seqscan", "bitmapscan", "sort"):  # that many rows are sorted sooner
            connection.execute(f"SET enable_{other} = off")
        connection.execute("SET hnsw.ef_search = 400")
        values = {"bases": list(ALL), "vector": str(question(2).tolist()), "model": index._model, "limit": 20}
        plan = str(connection.execute("EXPLAIN " + index._nearest, values).fetchall())
        assert "knowledge_vectors_vector_idx" in plan
        found = connection.execute(index._nearest, values).fetchall()
    wanted = places(CORPUS.exact(ALL, question(2), frozenset(), 20))
    assert len(set(wanted) & {tuple(row[:4]) for row in found}) >= 19


def test_without_rights_it_says_what_to_run(pgvector: Cluster, opened: Opened) -> None:
    admin = pgvector.new()
    roles = Path(__file__).parents[3] / "deploy" / "postgresql" / "roles.sql"
    statements = roles.read_text().replace(":owner_password", "'o'").replace(":app_password", "'a'")
    owner, app = (admin.replace("postgres@", f"{role}@") for role in ("vlpro_owner", "vlpro_app"))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(statements)
        with pytest.raises(ConfigError, match="CREATE EXTENSION IF NOT EXISTS vector;") as told:
            prepare(opened(owner)._database)
        assert "CREATE EXTENSION IF NOT EXISTS vector;" in told.value.zh
        connection.execute(postgres.EXTENSION)
    with pytest.raises(ConfigError, match="vlpro migrate"):
        prepare(opened(app)._database)
    prepare(opened(owner)._database)
    service = opened(app)
    prepare(service._database)
    fill(service, CORPUS)
    same(service, ALL, 5, frozenset({"E07"}), 20)
    service.remove("base_0")


def test_a_server_without_pgvector_and_sqlite_are_refused(
    postgresql: Cluster, opened: Opened, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no pgvector"):
        prepare(opened(postgresql.new())._database)
    with pytest.raises(ConfigError, match=r"knowledge\.index"):
        opened(sqlite_url(tmp_path))
