"""The index is what the store is: after a start, where it keeps what it holds, and where the model is another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.postgresql import Cluster
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.knowledge.document import Document
from vlpro.knowledge.embedding.interface import Embedder, Vectors
from vlpro.knowledge.index.interface import Index, IndexedPage
from vlpro.knowledge.index.postgres import PostgresIndex, prepare
from vlpro.knowledge.ingest import vectors_of
from vlpro.knowledge.keeping import IndexKeeper
from vlpro.knowledge.passages import Clause, PageContent, Passage
from vlpro.knowledge.store import KnowledgeStore

pytestmark = pytest.mark.anyio

SEALER = Sealer(b"k" * 32)
BOX = (0, 0, 10, 10)


class Letters(Embedder):
    """A vector is how often each letter is there."""

    def __init__(self, model: str = "letters") -> None:
        self._model = model
        self.asked = 0

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimensions(self) -> int:
        return 26

    async def query(self, text: str) -> Vectors:
        found: Vectors = (await self.passages([text]))[0]
        return found

    async def passages(self, texts: Sequence[str]) -> Vectors:
        self.asked += 1
        counts = [[text.count(chr(97 + place)) + 0.01 for place in range(26)] for text in texts]
        made = np.array(counts, np.float32).reshape(-1, 26)
        unit: Vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
        return unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KnowledgeStore]:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    yield KnowledgeStore(database, SEALER)
    database.close()


@pytest.fixture
def elsewhere(pgvector: Cluster) -> Iterator[Database]:
    database = Database(pgvector.new())
    prepare(database)
    yield database
    database.close()


async def put(store: KnowledgeStore, name: str, text: str) -> Document:
    """A document of one page that says one thing."""
    bases = store.bases(Person("local"))
    base = (
        bases[0]
        if bases
        else store.add_base(
            Person("local"), name="b", description="", shared=False, level=Level.INTERNAL, most=9
        )
    )
    store.add_document(base, name, b"%PDF-", "0" * 64, most=9)
    claimed = store.claim()
    assert claimed is not None
    document = store.begin(claimed, pages=1, model="letters")
    content = PageContent(100, 100, (Passage(text, (BOX,), "text", (Clause(text, (BOX,)),)),))
    assert store.add_page(document, 1, content, await vectors_of(content, Letters(), None), b"jpeg")
    assert store.finish(document)
    return document


class Watched(PostgresIndex):
    """Counts what is put."""

    puts = 0

    def put(self, base: str, document: str, pages: Sequence[IndexedPage]) -> None:
        self.puts += 1
        super().put(base, document, pages)


def index(database: Database, model: str = "letters") -> Watched:
    return Watched(database, SEALER.mac, model=model, dimensions=26)


def found(of: Index, base: str, vector: Vectors) -> list[str]:
    return [one.document for one in of.candidates({base}, vector, frozenset(), 10)]


async def test_what_an_index_keeps_is_not_put_again(store: KnowledgeStore, elsewhere: Database) -> None:
    first, second = await put(store, "a.pdf", "aaa"), await put(store, "b.pdf", "bbb")
    model, before = Letters(), index(elsewhere)
    await IndexKeeper(store, before, model).look()
    assert before.puts == 2

    store.delete_document(first.base, "a.pdf")  # while nobody looks
    third = await put(store, "c.pdf", "ccc")
    after = index(elsewhere)
    keeper = IndexKeeper(store, after, model)
    await keeper.look()
    assert after.puts == 1
    assert found(after, first.base, await model.query("bbb")) == [second.id, third.id]
    assert (keeper.pages, keeper.passages) == (2, 2)


async def test_another_models_vectors_are_made_anew(store: KnowledgeStore, elsewhere: Database) -> None:
    document = await put(store, "a.pdf", "aaa")
    await IndexKeeper(store, index(elsewhere), Letters()).look()
    other, after = Letters("more letters"), index(elsewhere, "more letters")
    assert found(after, document.base, await other.query("aaa")) == []
    keeper = IndexKeeper(store, after, other)
    for version in await keeper.look():
        await keeper._embed_anew(version)
    await keeper.look()
    assert found(after, document.base, await other.query("aaa")) == [document.id]
    held = store.version(document.id)
    assert held is not None
    assert held.model == "more letters"
    made = other.asked
    assert await IndexKeeper(store, index(elsewhere, "more letters"), other).look() == []
    assert other.asked == made
