"""Knowledge bases: who sees and writes what, documents that are read in, replaced, broken off and deleted."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa
from PIL import Image

from tests.functional.manuals import pdf
from tests.unit.knowledge.world import LI, WANG, Words, World, until
from vlpro.audit.record import Entry
from vlpro.audit.recorder import NullRecorder
from vlpro.db import sqlite_url
from vlpro.errors import (
    AuditError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    VlproError,
)
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.knowledge.document import Base
from vlpro.knowledge.service import KnowledgeService
from vlpro.knowledge.tables import (
    knowledge_bases,
    knowledge_documents,
    knowledge_pages,
    knowledge_parts,
    knowledge_pictures,
)

pytestmark = pytest.mark.anyio

TABLES = (knowledge_documents, knowledge_parts, knowledge_pages, knowledge_pictures)
PUMP = pdf(["Fault E11 means no water flows"], ["Clean the filter monthly"], ["Oil the bearing yearly"])
NEWER = pdf(["Fault E11 means the valve sticks"], ["Clean the sieve weekly"])


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    with closing(made.database):
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    """On SQLite only: where the database makes no difference."""
    made = World(sqlite_url(tmp_path))
    with closing(made.database):
        yield made


async def made(service: KnowledgeService, person: Person = LI, **fields: object) -> Base:
    told: dict[str, object] = {"name": "Manuals", "shared": False, "level": Level.INTERNAL}
    return await service.create(person, **(told | fields))  # type: ignore[arg-type]


async def put(service: KnowledgeService, base: Base, name: str = "pump.pdf", data: bytes = PUMP) -> str:
    await service.put(LI, base.id, name, data)
    found = await until(service, base, name, "ready", "failed")
    assert found.error is None
    return found.id


async def texts(service: KnowledgeService, base: Base, query: str = "fault E11") -> list[str]:
    return [hit.text for hit in (await service.finder.search(LI, [base.id], query)).hits]


def rows(world: World, table: sa.Table) -> int:
    with world.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


# --- documents


async def test_a_document_is_read_in_found_and_recorded(world: World) -> None:
    async with world.running() as service:
        base = await made(service)
        version = await put(service, base)
        found = await service.finder.search(LI, [base.id], "What is fault E11?", limit=2)

        best = found.hits[0]
        assert (best.document, best.version, best.page) == ("pump.pdf", version, 1)
        assert "no water" in best.text
        marked = Image.open(io.BytesIO(await service.finder.page(LI, base.id, "pump.pdf", 1, best.boxes)))
        picture = await service.finder.page_picture(LI, best)
        assert marked.size == (picture.width, picture.height) == best.page_size
        assert (await service.base(LI, base.id)).pages == service.status().pages == 3
    told = [(entry.event, entry.detail.get("change")) for entry in world.recorder.entries]
    assert told == [
        ("knowledge:base:changed", "created"),
        ("knowledge:document:changed", "put"),
        ("knowledge:document:changed", "ready"),
        ("knowledge:base:searched", None),
        ("knowledge:page:viewed", None),
    ]
    assert "E11" not in str(world.recorder.entries)
    assert "pump" not in str(world.recorder.entries)
    assert rows(world, knowledge_parts) == 0  # the file itself is not kept


async def test_the_same_bytes_are_not_read_again(alone: World) -> None:
    async with alone.running() as service:
        base = await made(service)
        version = await put(service, base)
        read = len(alone.embedder.read)
        again = await service.put(LI, base.id, "pump.pdf", PUMP)
        assert (again.id, again.state, again.version) == (version, "ready", 1)
        assert len(alone.embedder.read) == read
        other = await put(service, base, "copy.pdf")
        assert other != version


async def test_the_old_version_answers_until_the_new_one_is_ready(world: World) -> None:
    async with world.running() as service:
        base = await made(service)
        await put(service, base)
        old = await service.finder.page(LI, base.id, "pump.pdf", 1)
        world.embedder.stops_at = "sieve"
        await service.put(LI, base.id, "pump.pdf", NEWER)
        async with asyncio.timeout(60):
            await world.embedder.stopped.wait()

        reading = await service.document(LI, base.id, "pump.pdf")
        assert (reading.state, reading.version, reading.pages_done, reading.pages) == ("reading", 2, 1, 2)
        assert "no water" in (await texts(service, base))[0]
        assert await service.finder.page(LI, base.id, "pump.pdf", 1) == old  # which the hit's boxes are of
        world.embedder.goes_on.set()
        await until(service, base, "pump.pdf", "ready")

        assert "the valve sticks" in (await texts(service, base))[0]
        assert not any("no water" in text for text in await texts(service, base))
        assert await service.finder.page(LI, base.id, "pump.pdf", 1) != old
        with pytest.raises(NotFoundError):
            await service.finder.page(LI, base.id, "pump.pdf", 3)
        await asyncio.to_thread(world.store.drop_deleted)
        assert (rows(world, knowledge_documents), rows(world, knowledge_pages)) == (1, 2)


async def test_after_a_restart_reading_goes_on_at_the_next_page(world: World) -> None:
    world.embedder.stops_at = "bearing"
    async with world.running() as service:
        base = await made(service)
        await service.put(LI, base.id, "pump.pdf", PUMP)
        async with asyncio.timeout(60):
            await world.embedder.stopped.wait()
    assert "Clean the filter monthly" in world.embedder.read
    world.embedder = Words()

    async with world.running() as service:
        found = await until(service, base, "pump.pdf", "ready")
        assert (found.version, found.pages_done) == (1, 3)
        assert world.embedder.read == ["Oil the bearing yearly"]
        assert "no water" in (await texts(service, base))[0]


async def test_a_process_that_dies_leaves_its_document_to_the_next(alone: World) -> None:
    service = alone.service()
    base = await made(service)
    await service.put(LI, base.id, "pump.pdf", PUMP)
    assert await asyncio.to_thread(alone.store.claim) is not None
    assert await asyncio.to_thread(alone.store.claim) is None  # it is at work, as far as anybody knows
    async with alone.running() as service:
        await until(service, base, "pump.pdf", "ready")


async def test_what_takes_long_is_not_taken_by_another_replica(world: World) -> None:
    service = world.service()
    base = await made(service)
    await service.put(LI, base.id, "pump.pdf", PUMP)
    claimed = await asyncio.to_thread(world.store.claim)
    assert claimed is not None
    for _ in range(20):  # LibreOffice may take minutes
        world.now += 20
        await asyncio.to_thread(world.store.hold, claimed.id)
        assert await asyncio.to_thread(world.store.claim) is None
    world.now += 40
    again = await asyncio.to_thread(world.store.claim)
    assert again is not None
    assert again.id == claimed.id


async def test_reading_is_stopped_and_the_version_before_stays(alone: World) -> None:
    async with alone.running() as service:
        base = await made(service)
        await put(service, base)
        assert (await service.cancel(LI, base.id, "pump.pdf")).state == "ready"
        alone.embedder.stops_at = "sieve"
        await service.put(LI, base.id, "pump.pdf", NEWER)
        async with asyncio.timeout(60):
            await alone.embedder.stopped.wait()
        stopped = await service.cancel(LI, base.id, "pump.pdf")
        assert (stopped.state, stopped.version) == ("cancelled", 2)
        assert "no water" in (await texts(service, base))[0]
        assert rows(alone, knowledge_pages) == 3
        alone.embedder.stops_at = ""
        again = await service.put(LI, base.id, "pump.pdf", NEWER)  # a stopped one is read after all
        assert again.version == 3
        await until(service, base, "pump.pdf", "ready")
    assert alone.changes() == ["put", "ready", "put", "cancelled", "put", "ready"]


async def test_several_at_once_and_no_more_than_a_base_takes(alone: World) -> None:
    alone.embedder.stops_at = "bearing"
    async with alone.running(max_base_pages=6) as service:
        base = await made(service)
        names = [f"{number}.pdf" for number in range(4)]
        for name in names[:2]:
            await service.put(LI, base.id, name, PUMP)
        async with asyncio.timeout(60):
            await alone.embedder.stopped.wait()
        alone.embedder.goes_on.set()
        for name in names[:2]:
            await until(service, base, name, "ready")  # the base is full with both, whichever was first
        for name in names[2:]:
            await service.put(LI, base.id, name, NEWER)
        found = [await until(service, base, name, "ready", "failed") for name in names]
        assert [one.state for one in found] == ["ready", "ready", "failed", "failed"]
        error = found[3].error
        assert error is not None
        assert error.code == "too_many_pages"
        assert "6" in error.message
        assert "6" in error.zh
        assert len((await service.documents(LI, base.id))[0]) == 4
        assert rows(alone, knowledge_parts) == 0


async def test_a_document_that_is_deleted_while_it_is_read_is_gone(world: World) -> None:
    world.embedder.stops_at = "filter"
    async with world.running() as service:
        base = await made(service)
        await service.put(LI, base.id, "pump.pdf", PUMP)
        async with asyncio.timeout(60):
            await world.embedder.stopped.wait()
        await service.remove(LI, base.id, "pump.pdf")
        world.embedder.goes_on.set()
        world.embedder.stops_at = ""
        await put(service, base, "other.pdf", NEWER)
        assert [one.name for one in (await service.documents(LI, base.id))[0]] == ["other.pdf"]
        assert (rows(world, knowledge_documents), rows(world, knowledge_pages)) == (1, 2)


async def test_documents_are_listed_by_name_in_parts(alone: World) -> None:
    service = alone.service()
    base = await made(service)
    for name in ("b.pdf", "C.pdf", "a.pdf", "泵.pdf"):
        await service.put(LI, base.id, name, PUMP)
    first, after = await service.documents(LI, base.id, limit=3)
    assert ([one.name for one in first], after) == (["a.pdf", "b.pdf", "C.pdf"], "C.pdf")
    rest, end = await service.documents(LI, base.id, after=after or "", limit=3)
    assert ([one.name for one in rest], end) == (["泵.pdf"], None)


# --- scans and pictures


async def test_scans_are_read_in_the_background_and_nothing_of_them_is_kept_by_the_engine(
    alone: World,
) -> None:
    alone.scans.lines = (("Fault F0-28 motor too hot", (100, 100, 700, 140)),)
    page = Image.new("RGB", (800, 600), "white")
    scan, photo = io.BytesIO(), io.BytesIO()
    page.save(scan, "PDF")
    page.save(photo, "PNG")
    async with alone.running() as service:
        base = await made(service)
        await put(service, base, "scan.pdf", scan.getvalue())
        await put(service, base, "photo.png", photo.getvalue())
        await put(service, base)  # has all as text: nobody reads it
        found = await service.finder.search(LI, [base.id], "F0-28")
        assert {(hit.document, hit.page) for hit in found.hits[:2]} == {("scan.pdf", 1), ("photo.png", 1)}
        photo_hit = next(hit for hit in found.hits if hit.document == "photo.png")
        assert photo_hit.page_size == (800, 600)
        assert photo_hit.boxes[0] == (100, 100, 700, 140)
    assert alone.scans.in_background == [True, True]
    assert alone.scans.held == set()


# --- what cannot be read


def _zipped(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return out.getvalue()


BOMB = _zipped(word__document_xml=b"", big=bytes(20_000_000))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "invalid_document", "empty"),
        (b"MZ\x90\x00" * 500, "invalid_document", "no document"),
        (b"just some text", "invalid_document", "Send PDF"),
        (_zipped(a=b"b"), "invalid_document", "Send PDF"),
        (OLE, "invalid_document", "password"),
        (BOMB[: len(BOMB) // 2], "invalid_document", "broken"),
        (b"%PDF-1.4\nnothing", "invalid_pdf", "broken"),
        (PUMP[: len(PUMP) // 2].replace(b"/Page", b"/Pgae"), "invalid_pdf", "broken"),
        (pdf(*[["x"]] * 21), "pdf_too_many_pages", "20"),
        (PUMP + bytes(1_000_001), "document_too_large", "Split it"),
    ],
)
async def test_what_cannot_be_read_is_refused_at_once_and_harms_nothing(
    alone: World, data: bytes, code: str, says: str
) -> None:
    async with alone.running(max_pages=20, max_bytes=1_000_000) as service:
        base = await made(service)
        await put(service, base)
        with pytest.raises(BadRequestError, match=says) as refused:
            await service.put(LI, base.id, "pump.pdf", data)
        assert (refused.value.code, refused.value.param) == (code, "file")
        assert refused.value.zh
        assert "no water" in (await texts(service, base))[0]
        assert rows(alone, knowledge_documents) == 1


async def test_a_page_without_anything_is_a_page(alone: World) -> None:
    async with alone.running() as service:
        base = await made(service)
        await put(service, base, "empty.pdf", pdf([], ["Fault E11 here"]))
        found = await service.finder.search(LI, [base.id], "fault E11")
        assert [hit.page for hit in found.hits] == [2]
        assert (await service.finder.page(LI, base.id, "empty.pdf", 1))[:2] == b"\xff\xd8"


# --- whose they are


async def test_somebody_elses_base_is_no_base(world: World) -> None:
    async with world.running() as service:
        own = await made(service)
        shared = await made(service, shared=True, name="For all")
        for base in (own, shared):
            await put(service, base)
        assert [one.id for one in await service.bases(WANG)] == [shared.id]
        assert (await service.finder.search(WANG, [shared.id], "E11")).hits
        assert (await service.finder.page(WANG, shared.id, "pump.pdf", 1))[:2] == b"\xff\xd8"
        for base, refusal in ((own, NotFoundError), (shared, ForbiddenError)):
            for write in (
                service.change(WANG, base.id, name="mine"),
                service.put(WANG, base.id, "pump.pdf", NEWER),
                service.cancel(WANG, base.id, "pump.pdf"),
                service.remove(WANG, base.id, "pump.pdf"),
                service.delete(WANG, base.id),
            ):
                with pytest.raises(refusal):
                    await write
        await _unseen(service, own, WANG)
        with pytest.raises(NotFoundError):
            await service.finder.search(WANG, [shared.id, own.id], "E11")
        await service.change(LI, shared.id, shared=False)
        await _unseen(service, shared, WANG)
        assert "no water" in (await texts(service, own))[0]


async def test_nobody_reads_up(world: World) -> None:
    async with world.running() as service:
        base = await made(service, shared=True, level=Level.SECRET)
        await put(service, base)
        hit = (await service.finder.search(WANG, [base.id], "E11")).hits[0]
        lowered = Person(WANG.id, Level.INTERNAL)
        await _unseen(service, base, lowered)
        with pytest.raises(NotFoundError):
            await service.finder.page_picture(lowered, hit)
        await _unseen(service, base, Person(LI.id, Level.INTERNAL))  # its owner neither
        with pytest.raises(ForbiddenError):
            await made(service, lowered, level=Level.SECRET)


async def _unseen(service: KnowledgeService, base: Base, person: Person) -> None:
    assert base.id not in [one.id for one in await service.bases(person)]
    for name in (base.id, "kb_" + "0" * 24):
        told = set()
        for read in (
            service.base(person, name),
            service.document(person, name, "pump.pdf"),
            service.documents(person, name),
            service.finder.search(person, [name], "E11"),
            service.finder.page(person, name, "pump.pdf", 1),
        ):
            with pytest.raises(NotFoundError) as unknown:
                await read
            told.add((str(unknown.value), unknown.value.code, unknown.value.param))
        assert len(told) == 1


async def test_there_is_a_most_of_everything(alone: World) -> None:
    service = alone.service(max_bases=2, max_documents=1)
    base = await made(service)
    await made(service)
    with pytest.raises(ConflictError, match="2"):
        await made(service)
    await made(service, WANG)
    await service.put(LI, base.id, "pump.pdf", PUMP)
    await service.put(LI, base.id, "pump.pdf", NEWER)  # a version is no document more
    with pytest.raises(ConflictError, match="1"):
        await service.put(LI, base.id, "other.pdf", PUMP)
    await service.delete(LI, base.id)
    with pytest.raises(NotFoundError):
        await service.put(LI, base.id, "pump.pdf", PUMP)
    await made(service)


# --- the record


class Broken(NullRecorder):
    def submit(self, entry: Entry) -> Future[int]:
        raise AuditError("The audit does not write.", zh="审计无法写入。")

    async def arecord(self, entry: Entry) -> NoReturn:
        raise AuditError("The audit does not write.", zh="审计无法写入。")


async def test_what_cannot_be_recorded_is_not_done(alone: World) -> None:
    async with alone.running() as service:
        base = await made(service)
        await put(service, base)
        whole, alone.recorder = alone.recorder, Broken()
    async with alone.running() as service:
        for act in (
            service.finder.search(LI, [base.id], "E11"),
            service.finder.page(LI, base.id, "pump.pdf", 1),
            service.put(LI, base.id, "pump.pdf", NEWER),
            service.change(LI, base.id, shared=True),
            service.remove(LI, base.id, "pump.pdf"),
            service.delete(LI, base.id),
            service.create(LI, name="x", shared=True, level=Level.PUBLIC),
        ):
            with pytest.raises(AuditError):
                await act
        alone.recorder = whole
    async with alone.running() as service:
        assert [(one.id, one.shared, one.documents) for one in await service.bases(LI)] == [
            (base.id, False, 1)
        ]
        assert (await service.document(LI, base.id, "pump.pdf")).version == 1


# --- the index


async def test_after_a_restart_all_is_found_again(alone: World) -> None:
    async with alone.running() as service:
        base = await made(service)
        await put(service, base)
        before = await service.finder.search(LI, [base.id], "fault E11")
    async with alone.running() as service:
        after = await service.finder.search(LI, [base.id], "fault E11")
        assert [hit.text for hit in after.hits] == [hit.text for hit in before.hits]
        assert service.status().loading is None
        assert service.status().pages == 3


async def test_another_model_makes_all_vectors_anew(world: World) -> None:
    async with world.running() as service:
        base = await made(service)
        await put(service, base)
    world.embedder = Words("words 2")
    async with world.running() as service:
        async with asyncio.timeout(60):
            while service.status().pages < 3:
                await asyncio.sleep(0.01)
        assert "no water" in (await texts(service, base))[0]
        assert (await service.document(LI, base.id, "pump.pdf")).model == "words 2"
        assert (await service.document(LI, base.id, "pump.pdf")).version == 1


async def test_searches_go_on_while_vectors_are_made_anew(alone: World) -> None:
    async with alone.running() as service:
        base = await made(service)
        await put(service, base)
    alone.embedder = Words("words 2")
    alone.embedder.stops_at = "filter"
    async with alone.running() as service:
        await service.put(LI, base.id, "new.pdf", NEWER)
        await until(service, base, "new.pdf", "ready")
        assert "the valve sticks" in (await texts(service, base))[0]
        alone.embedder.goes_on.set()


# --- nothing in clear, and nothing left


CANARIES = (b"canary-name-77", b"canary-base-31", b"canary-what-12", b"canary-words-55", b"F0-9931")


def _holding(folder: Path, wanted: tuple[bytes, ...]) -> set[bytes]:
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {one for one in wanted for data in files if one in data}


async def test_nothing_is_in_clear_in_the_files_and_keys_go_with_what_they_seal(tmp_path: Path) -> None:
    world = World(sqlite_url(tmp_path))
    file = pdf(["canary-words-55 of F0-9931"])
    async with world.running() as service:
        base = await made(service, name="canary-base-31", description="canary-what-12")
        await put(service, base, "canary-name-77.pdf", file)
        jpeg = await service.finder.page(LI, base.id, "canary-name-77.pdf", 1)
        world.embedder.stops_at = "second"
        await service.put(LI, base.id, "other.pdf", pdf(["canary-words-55 second"]))
        async with asyncio.timeout(60):
            await world.embedder.stopped.wait()  # its file is there, sealed
        pieces = (*CANARIES, file[:40], jpeg[200:240])
        assert (tmp_path / "vlpro.db-wal").exists()
        assert _holding(tmp_path, pieces) == set()
        assert _holding(tmp_path, (base.id.encode(),))  # the search itself works
        with world.database.read() as connection:
            wrapped = connection.execute(sa.select(knowledge_documents.c.key)).scalars().all()
            of_base = connection.execute(sa.select(knowledge_bases.c.key)).scalars().all()
        assert len(_holding(tmp_path, tuple(wrapped))) == 2

        await service.remove(LI, base.id, "canary-name-77.pdf")
        assert len(_holding(tmp_path, tuple(wrapped))) == 1
        assert service.status().pages == 0
        assert world.index.candidates([base.id], world.embedder._vector("F0-9931"), frozenset(), 10) == []
        await service.delete(LI, base.id)
        assert _holding(tmp_path, (*wrapped, *of_base)) == set()
        assert [rows(world, table) for table in TABLES] == [0, 0, 0, 0]
    world.database.close()


async def test_what_is_put_in_another_place_does_not_open(world: World) -> None:
    async with world.running() as service:
        base = await made(service, level=Level.SECRET)
        await put(service, base)
        for change in (
            sa.update(knowledge_pictures).where(knowledge_pictures.c.number == 1).values(number=9),
            sa.update(knowledge_bases).values(level=0),
        ):
            with world.database.write() as connection:
                connection.execute(change)
            with pytest.raises(VlproError, match="altered"):
                await service.finder.page(LI, base.id, "pump.pdf", 9, [(1, 1, 9, 9)])
