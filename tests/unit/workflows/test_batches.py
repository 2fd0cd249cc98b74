"""Batches without HTTP: a process that dies at any point, and files that anybody may have made."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support import eventually
from vlpro.audit.record import Actor
from vlpro.audit.recorder import NullRecorder
from vlpro.chat.service import Question
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.documents.label import Label
from vlpro.engines.interface import Usage
from vlpro.errors import BadRequestError, NotFoundError
from vlpro.identity.principal import LOCAL, Person, Principal
from vlpro.imaging.ingest import Limits
from vlpro.imaging.workers import ThreadReader
from vlpro.workflows.batch import requests, results
from vlpro.workflows.batch.archive import Archive, ArchiveLimits
from vlpro.workflows.batch.asking import Reply
from vlpro.workflows.batch.batch import Batch, Head, Line
from vlpro.workflows.batch.files import FileStore
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.batch.service import BatchService
from vlpro.workflows.batch.store import BatchStore

CHAT = "/v1/chat/completions"
LINES = 12


class Killed(BaseException):
    """As if the process had ended."""


class Api:
    """Answers with what was asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: dict[str, set[str]] = {}
        self.poison = ""

    async def post(self, who: Principal, actor: Actor, path: str, body: bytes, *, once: str) -> Reply:
        what = json.loads(body)["q"]
        self.asked.append(what)
        self.keys.setdefault(what, set()).add(once)
        await asyncio.sleep(0)
        if what == self.poison:
            raise RuntimeError("a bug")
        return Reply(200, "req_1", body)

    async def ask(self, who: Principal, actor: Actor, question: Question) -> Reply:
        raise AssertionError


class World:
    """A database, and services over it that live and die."""

    def __init__(self, url: str) -> None:
        self.now = 1000.0
        self.sealer = Sealer(b"k" * 32)
        self.database = Database(url)
        self.database.migrate()
        self.api = Api()

    def service(self, **options: int) -> BatchService:
        files = FileStore(self.database, self.sealer, clock=lambda: self.now)
        store = BatchStore(self.database, self.sealer, files, clock=lambda: self.now)
        made = BatchService(
            files,
            store,
            ThreadReader(Limits()),
            BatchOptions(**{"workers": 3, **options}),
            NullRecorder(),
            owner=self.owner,
            max_line_bytes=10_000,
            max_document_bytes=1_000_000,
            picture_pixels=1_000_000,
            clock=lambda: self.now,
        )
        made.worker.asker.api = self.api
        return made

    @staticmethod
    async def owner(account: str, key: str | None) -> Principal:
        return LOCAL


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 700):
        yield data[start : start + 700]


async def begun(service: BatchService, window: str = "24h") -> str:
    lines = [
        json.dumps({"custom_id": f"r{i}", "method": "POST", "url": CHAT, "body": {"q": str(i)}})
        for i in range(LINES)
    ]
    pieces = in_pieces("\n".join(lines).encode())
    file = await service.add_file(LOCAL.person, pieces, lambda: ("a.jsonl", "batch", None))
    head = Head(endpoint=CHAT, window=window, inputs=(file.id,), jsonl=True)
    return (await service.create(LOCAL, Actor(account="local"), head)).id


# What a process does last, and whether that is still done.
POINTS = [
    ("lines.add", False, 1),
    ("lines.add", True, 1),
    ("begin", False, 1),
    ("begin", True, 1),
    ("lines.finish", False, 1),
    ("lines.finish", True, 1),
    ("lines.finish", False, 7),
    ("lines.finish", True, LINES),
    ("change", True, 2),  # to finalizing
    ("end", False, 1),
    ("end", True, 1),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("point", "done", "time"), POINTS)
async def test_whatever_a_process_did_last_no_line_is_lost_or_stands_twice(
    tmp_path: Path,
    point: str,
    done: bool,  # noqa: FBT001 - pytest passes by name
    time: int,
) -> None:
    world = World(sqlite_url(tmp_path))
    dying = world.service()
    *part, method = point.split(".")
    store = getattr(dying.store, part[0]) if part else dying.store
    real, calls, dead = getattr(store, method), 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    def last(*arguments: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls < time:
            return real(*arguments, **more)
        if calls == time and done:
            real(*arguments, **more)
        loop.call_soon_threadsafe(dead.set)
        raise Killed

    setattr(store, method, last)
    await dying.start()
    name = await begun(dying)
    await dead.wait()
    # The dead release nothing.
    for task in [*dying.worker._drivers.values(), dying.worker._loop]:
        assert task is not None
        task.cancel()
    await asyncio.gather(*dying.worker._drivers.values(), return_exceptions=True)
    heir = world.service()
    await heir.start()
    await eventually(lambda: not heir.store.load(name).going)  # type: ignore[union-attr]
    batch = heir.store.load(name)
    assert batch is not None
    assert (batch.state, batch.total, batch.completed, batch.failed) == ("completed", LINES, LINES, 0)
    told = [json.loads(line)["custom_id"] for line in heir.store.lines.results(batch, 1)]
    assert told == [f"r{i}" for i in range(LINES)]
    assert set(world.api.asked) == {str(i) for i in range(LINES)}
    # At most what was being answered was asked again, under the same key.
    assert all(len(keys) == 1 for keys in world.api.keys.values())
    assert len(world.api.keys) == LINES
    assert len(world.api.asked) <= LINES + 3
    await heir.close()
    world.database.close()


@pytest.mark.anyio
async def test_a_line_that_breaks_something_does_not_hold_up_the_others(tmp_path: Path) -> None:
    world = World(sqlite_url(tmp_path))
    world.api.poison = "5"
    service = world.service()
    await service.start()
    name = await begun(service)
    await eventually(lambda: not service.store.load(name).going)  # type: ignore[union-attr]
    batch = service.store.load(name)
    assert batch is not None
    assert (batch.state, batch.completed, batch.failed) == ("completed", LINES - 1, 1)
    told = json.loads(b"".join(service.store.lines.results(batch, 2)))
    assert (told["custom_id"], told["error"]["code"]) == ("r5", "internal_error")
    assert "a bug" not in json.dumps(told)
    await service.close()
    world.database.close()


@pytest.mark.anyio
async def test_another_process_takes_over_what_is_late_is_told_so_and_old_things_go(
    database_url: str,
) -> None:
    world = World(database_url)
    first, second = world.service(days=1), world.service(days=1)
    name = await begun(first, window="1h")
    other = await begun(first)
    assert first.store.claim() == sorted([name, other])
    assert second.store.claim() == []  # the first one is at work
    batch = first.store.load(name)
    assert batch is not None
    world.now += 31  # and then silent
    assert second.store.claim() == sorted([name, other])
    assert not first.store.lines.finish(batch, 1, 1, b"{}", Usage(1, 1))  # what it still answers is too late
    newest, more = second.store.page(LOCAL.person, after=None, limit=1)
    assert more
    rest, more = second.store.page(LOCAL.person, after=newest[0].id, limit=1)
    assert ({newest[0].id, rest[0].id}, more) == ({name, other}, False)
    files, _ = second.files.page(LOCAL.person, purpose="batch", after=None, limit=1, newest_first=False)
    assert (
        len(
            second.files.page(LOCAL.person, purpose="batch", after=files[0].id, limit=9, newest_first=False)[
                0
            ]
        )
        == 1
    )
    world.now += 3_601
    await second.start()
    await eventually(lambda: second.store.load(name).state == "expired")  # type: ignore[union-attr]
    await eventually(lambda: second.store.load(other).state == "completed")  # type: ignore[union-attr]
    done = second.store.load(other)
    assert done is not None
    assert (done.completed, len(list(second.store.lines.results(done, 1)))) == (LINES, LINES)
    with pytest.raises(NotFoundError):
        second.store.get(Person("somebody else"), name)
    await second.close()
    second.store.delete(other)
    assert second.store.load(other) is None
    world.now += 86_401
    second.worker._tidy()
    assert second.store.load(name) is None
    assert second.files.page(LOCAL.person, purpose=None, after=None, limit=9, newest_first=True) == (
        [],
        False,
    )
    world.database.close()


def spans(*parts: bytes, most: int = 50) -> list[tuple[int, int, int, bytes | None]]:
    return [tuple(span) for span in requests.spans(parts, max_bytes=most)]  # type: ignore[misc]


def test_lines_are_found_wherever_the_parts_end() -> None:
    data = b'{"a": 1}\r\n\n  \n{"b":\xe4\xb8\xad}\nlast'
    whole = spans(data)
    assert [(number, piece) for number, _, _, piece in whole] == [
        (1, b'{"a": 1}\r'),
        (4, b'{"b":\xe4\xb8\xad}'),
        (5, b"last"),
    ]
    assert all(data[start : start + length] == piece for _, start, length, piece in whole)
    for cut in range(len(data)):
        assert spans(data[:cut], data[cut:]) == whole
    assert spans(b"x" * 60 + b"\ny", most=50) == [(1, 0, 60, None), (2, 61, 1, b"y")]
    assert spans(b"", b"\n\n") == []


LIMITS = ArchiveLimits(max_files=5, max_file_bytes=2_000_000, max_bytes=4_000_000, max_ratio=100)


def archive(*files: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files:
            packed.writestr(name, data)
    return made.getvalue()


def opened(data: bytes) -> Archive:
    return Archive(io.BytesIO(data), LIMITS)


def test_archives_with_too_much_in_them_are_refused_before_anything_is_unpacked() -> None:
    many = archive(*((f"{i}", b"x") for i in range(6)))
    lying = bytearray(many)  # says that it has one file, and lists six
    at = lying.rindex(b"PK\x05\x06")
    lying[at + 8 : at + 12] = struct.pack("<HH", 1, 1)
    huge = bytearray(many)  # says that its list has four gigabytes
    huge[at + 12 : at + 16] = struct.pack("<I", 0xFFFFFFFF)
    large = archive(*((f"{i}", bytes(1_000_000) + b"x") for i in range(5)))
    for data, code in (
        (many, "too_many_archive_files"),
        (bytes(lying), "too_many_archive_files"),
        (bytes(huge), "too_many_archive_files"),
        (large, "archive_too_large"),
        (b"PK\x03\x04 nothing", "broken_archive"),
        (many[:-30], "broken_archive"),
    ):
        with pytest.raises(BadRequestError) as refused:
            opened(data)
        assert refused.value.code == code


def test_an_entry_that_has_more_in_it_than_it_says_is_refused() -> None:
    true = archive(("a.png", bytes(900_000)))
    lying = true.replace(struct.pack("<I", 900_000), struct.pack("<I", 10))
    for data in (lying, true[:60] + b"\xff" * 20 + true[80:]):
        with pytest.raises(BadRequestError) as refused:
            opened(data).read(0)
        assert refused.value.code in ("broken_archive_entry", "archive_entry_too_large")
    assert opened(true).read(0) == bytes(900_000)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "C:\\windows\\a", "..\\a"])
def test_names_that_lead_out_are_told(name: str) -> None:
    entry = next(opened(archive((name, b"x"))).entries())
    assert entry.problem is not None
    assert entry.problem.code == "unsafe_archive_name"


def test_fields_become_columns_and_texts_are_masked() -> None:
    def line(number: int, body: Mapping[str, object], status: int = 200) -> Line:
        told = requests.told(
            number,
            f"{number}.png",
            batch="batch_1",
            status=status,
            request_id="r",
            body=json.dumps(body).encode(),
        )
        return Line(number, 1 if status == 200 else 2, {"id": f"{number}.png"}, told)

    def total(value: str | None) -> dict[str, object]:
        field = {"title": "Total", "title_zh": "合计", "type": "amount", "value": value, "normalized": value}
        return {"object": "extraction", "verdict": "review", "fields": {"total": field}}

    refused = {"error": {"message": "It is broken.", "code": "x", "vlpro": {"zh": "已损坏。"}}}
    places = '\n\n```json\n[\n  {"bbox_2d": [1, 2, 3, 4], "label": "tel"}\n]\n```'
    said = {"choices": [{"message": {"content": f"call **13800138000**{places}"}}]}
    lines = [line(1, total("12.50")), line(2, total(None)), line(3, refused, 400), line(4, said)]
    found = [results.result_of(each, lambda text: text.replace("13800138000", "***")) for each in lines]
    batch = cast("Batch", SimpleNamespace(id="batch_1"))
    zh, en = (
        results.as_table(batch, lambda: found, "csv", language, None).decode("utf-8-sig").splitlines()
        for language in ("zh", "en")
    )
    assert zh == [
        "文件,状态,结论,回答,合计,错误",
        "1.png,完成,需确认,,12.50,",
        "2.png,完成,需确认,,,",
        "3.png,失败,,,,已损坏。",
        "4.png,完成,,call ***,,",
    ]
    assert en[0] == "File,Status,Verdict,Answer,Total,Error"
    assert en[3] == "3.png,Failed,,,,It is broken."
    labelled = json.loads(results.as_table(batch, lambda: found, "json", "en", Label("vlpro", "batch_1")))
    assert labelled["AIGC"]["ProduceID"] == "batch_1"
    assert [each["status"] for each in labelled["data"]] == ["completed", "completed", "failed", "completed"]
    assert "13800138000" not in json.dumps(labelled)
