"""Documents as fields over HTTP, in a company: whose they are, what a person decides, what leaves, and what stays."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from PIL import Image

from bench.invoices import Specimen, specimen
from tests.browser.receipt import chinese_font
from tests.functional.company import Company, company
from tests.functional.server import Json, data_url, eventually, picture_file
from tests.receivers import SECRET, HookServer, hook
from tests.unit.imaging.pdfs import pdf
from vlpro.db import sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.errors import AuditError, BusyError
from vlpro.gateway import app as gateway
from vlpro.identity.permissions import Permission, Role

LIMIT = 4  # pages


@pytest.fixture(scope="module")
def oa() -> Iterator[HookServer]:
    with hook() as running:
        yield running


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory, oa: HookServer) -> Iterator[Company]:
    """With the fake engine, which neither reads nor sees here: the pages' text comes from the second one."""
    folder = tmp_path_factory.mktemp("firm")
    engine = FakeEngine()
    engine.capabilities = replace(engine.capabilities, sees=False)
    delivery = {"targets": {"oa": {"url": oa.url, "secret": SECRET}}, "approved": "oa"}
    with (
        mock.patch.object(gateway, "engine_of", return_value=engine),
        company(folder, sqlite_url(folder), delivery=delivery, max_images=LIMIT) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def liwei(firm: Company) -> Iterator[httpx.Client]:
    with firm.client(Role.USER) as client:
        client.timeout = httpx.Timeout(120)
        yield client


@pytest.fixture(scope="module")
def wanglei(firm: Company) -> Iterator[httpx.Client]:
    with firm.client(firm.other) as client:
        client.timeout = httpx.Timeout(120)
        yield client


def drawn(seed: int) -> tuple[Specimen, bytes]:
    """An invoice that nobody drew before, as PNG; no two tests share one, or the second were a duplicate."""
    chinese_font()
    made = specimen("digital_ordinary", seed)
    out = io.BytesIO()
    Image.fromarray(made.pixels).save(out, "PNG")
    return made, out.getvalue()


def image(data: bytes) -> Json:
    return {"type": "image_url", "image_url": {"url": data_url(data)}}


def read(client: httpx.Client, data: bytes, **more: Any) -> Json:
    reply = client.post("/v1/extractions", json={"template": "vat_invoice", "input": [image(data)], **more})
    assert reply.status_code == 201, reply.text
    answer: Json = reply.json()
    return answer


def test_an_invoice_becomes_fields_with_evidence(liwei: httpx.Client) -> None:
    made, data = drawn(1)
    answer = read(liwei, data, template="auto", metadata={"form": "OA-2026-17"})
    assert (answer["object"], answer["template"], answer["verdict"]) == ("extraction", "vat_invoice", "pass")
    assert set(answer) >= {"id", "created", "fields", "items", "checks", "verdict"}
    total = answer["fields"]["total"]
    assert set(total) >= {"value", "normalized", "confidence", "box", "page", "checks"}
    assert total["normalized"] == made.labels["total"]
    assert answer["fields"]["number"]["normalized"] == made.labels["number"]
    height, width = made.pixels.shape[:2]
    x1, y1, x2, y2 = total["box"]
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    assert {check["name"]: check["passed"] for check in answer["checks"]}["duplicate"] is True
    assert answer["metadata"] == {"form": "OA-2026-17"}
    again = liwei.get(f"/v1/extractions/{answer['id']}").json()
    assert again["fields"] == answer["fields"]
    picture = liwei.get(f"/v1/extractions/{answer['id']}/pages/1/content")
    assert Image.open(io.BytesIO(picture.content)).size == (width, height)
    listed = liwei.get("/v1/extractions", params={"state": "open"}).json()
    assert made.labels["seller"][:4] in listed["data"][0]["name"]
    assert liwei.delete(f"/v1/extractions/{answer['id']}").json()["deleted"] is True
    assert liwei.get(f"/v1/extractions/{answer['id']}").status_code == 404


def test_from_a_wrong_total_to_the_office_system(liwei: httpx.Client, oa: HookServer, firm: Company) -> None:
    made, data = drawn(2)
    answer = read(liwei, data)
    at = f"/v1/extractions/{answer['id']}"
    wrong = liwei.put(f"{at}/fields", json={"fields": {"total": "1.00"}, "version": answer["version"]}).json()
    assert wrong["fields"]["total"]["corrected"] is True
    assert wrong["verdict"] == "fail"
    assert "total" in wrong["unsettled"] or "total_words" in wrong["unsettled"]
    refused = liwei.post(f"{at}/approve", json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "unsettled")
    stale = liwei.put(f"{at}/fields", json={"fields": {"total": "2.00"}, "version": answer["version"]})
    assert stale.json()["error"]["code"] == "version_conflict"
    right = liwei.put(f"{at}/fields", json={"fields": {"total": f"¥{made.labels['total']}", "payee": "吴"}})
    assert right.status_code == 400  # the page has no such field; nothing of it was taken
    assert right.json()["error"]["param"] == "fields.payee"
    right = liwei.put(
        f"{at}/fields", json={"fields": {"total": f"¥{made.labels['total']}", "seller": "甲公司"}}
    )
    assert (right.json()["verdict"], right.json()["unsettled"]) == ("pass", [])
    before = len(oa.got)
    approved = liwei.post(f"{at}/approve", json={}).json()
    assert (approved["state"], approved["pages"][0]["available"]) == ("approved", False)
    assert liwei.get(f"{at}/pages/1/content").status_code == 404
    eventually(lambda: len(oa.got) > before)
    (event,) = oa.got[before:]
    assert event["type"] == "extraction.approved"
    assert event["data"]["id"] == answer["id"]
    assert event["data"]["fields"]["seller"]["normalized"] == "甲公司"
    eventually(lambda: liwei.get(f"{at}/deliveries").json()["data"][0]["state"] == "delivered")
    assert liwei.post(f"{at}/deliveries", json={"target": "oa"}).status_code == 202
    assert len(oa.got) == before + 1  # it is the same: it was taken once
    assert (
        liwei.put(f"{at}/fields", json={"fields": {"total": "1"}}).json()["error"]["code"]
        == "already_decided"
    )
    measured = liwei.get("/v1/extractions/corrections").json()
    found = [one for one in measured["data"] if one["extraction"] == answer["id"]]
    assert [(one["field"], one["right"]) for one in found] == [("seller", "甲公司")]
    assert found[0]["read"] == made.labels["seller"].replace("（", "(").replace("）", ")")
    for kind, magic in (("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK"), ("json", b"{")):
        reply = liwei.get("/v1/extractions/export", params={"format": kind, "state": "approved"})
        assert reply.content.startswith(magic)
        assert f'.{kind}"' in reply.headers["content-disposition"]
        if kind == "csv":
            head, row = list(csv.reader(io.StringIO(reply.text.lstrip("\ufeff"))))[:2]
            assert dict(zip(head, row, strict=True))["价税合计"] == made.labels["total"]
        if kind == "xlsx":
            assert (
                "甲公司" in zipfile.ZipFile(io.BytesIO(reply.content)).read("xl/sharedStrings.xml").decode()
            )
    _the_record_tells(firm, answer["id"])


def _the_record_tells(firm: Company, name: str) -> None:
    """Who did what, in order; no value of any field."""
    with firm.client(Role.AUDIT) as auditor:
        records = auditor.get("/v1/audit/records", params={"object": name}).json()["data"][::-1]
    events = [record["said"]["event"].removeprefix("workflow:") for record in records]
    assert events[:2] == ["run:started", "run:completed"]
    decisions = [
        r["said"]["detail"].get("decision") for r in records if r["said"]["event"].endswith("decided")
    ]
    assert decisions == ["corrected", "corrected", "approved"]
    assert events.count("result:delivered") == 2  # taken, and arrived
    assert len(records[0]["said"]["detail"]["images"][0]["sha256"]) == 64
    assert records[1]["said"]["detail"]["verdict"] == "pass"
    assert {record["said"]["login"] for record in records[:4]} == {"liwei"}


def test_the_same_invoice_is_known_again_in_the_whole_company(
    liwei: httpx.Client, wanglei: httpx.Client
) -> None:
    _, data = drawn(3)
    first = read(liwei, data)
    second = read(liwei, data)
    assert (second["duplicate_of"], second["verdict"], second["unsettled"]) == (
        first["id"],
        "fail",
        ["duplicate"],
    )
    others = read(wanglei, data)
    assert (others["duplicate_of"], others["unsettled"]) == (None, ["duplicate"])  # but not whose, or which
    assert first["id"] not in json.dumps(others)
    sent = liwei.post(f"/v1/extractions/{first['id']}/return", json={"reason": "看不清"}).json()
    assert (sent["state"], sent["reason"]) == ("returned", "看不清")
    approved = f"/v1/extractions/{second['id']}"
    assert liwei.post(f"{approved}/approve", json={"confirmed": ["duplicate"]}).json()["state"] == "approved"
    assert liwei.delete(approved).status_code == 200
    assert wanglei.delete(f"/v1/extractions/{others['id']}").status_code == 200
    # What was approved is not forgotten with its result.
    assert read(liwei, data)["unsettled"] == ["duplicate"]


def test_a_try_that_is_made_again_is_no_duplicate(liwei: httpx.Client, wanglei: httpx.Client) -> None:
    _, data = drawn(10)
    body = {"template": "vat_invoice", "input": [image(data)]}
    key = {"idempotency-key": "OA-2026-18"}
    first = liwei.post("/v1/extractions", json=body, headers=key).json()
    again = liwei.post("/v1/extractions", json=body, headers=key)
    assert again.status_code == 201
    assert again.json() == first
    assert {check["name"]: check["passed"] for check in first["checks"]}["duplicate"] is True
    other = liwei.post("/v1/extractions", json=body | {"input": [image(picture_file())]}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    theirs = wanglei.post("/v1/extractions", json=body, headers=key).json()
    assert theirs["id"] != first["id"]  # a key is one's own
    assert {check["name"]: check["passed"] for check in theirs["checks"]}["duplicate"] is False


def test_what_is_somebody_elses_is_not_there(
    liwei: httpx.Client, wanglei: httpx.Client, firm: Company
) -> None:
    _, data = drawn(4)
    own = read(liwei, data)["id"]
    calls: list[tuple[str, str, Json | None]] = [
        ("GET", "", None),
        ("GET", "/pages/1/content", None),
        ("PUT", "/fields", {"fields": {"total": "1"}}),
        ("POST", "/approve", {}),
        ("POST", "/return", {"reason": "x"}),
        ("GET", "/deliveries", None),
        ("POST", "/deliveries", {"target": "oa"}),
        ("DELETE", "", None),
    ]
    for method, path, body in calls:
        foreign, unknown = (
            wanglei.request(method, f"/v1/extractions/{name}{path}", json=body) for name in (own, "ext_0")
        )
        assert (foreign.status_code, foreign.content) == (404, unknown.content), (method, path)
    assert own not in wanglei.get("/v1/extractions").text
    shared = read(liwei, drawn(5)[1], review=True)["id"]
    assert wanglei.get(f"/v1/extractions/{shared}").json()["own"] is False
    key = firm.key(firm.other, scopes=[Permission.WORKFLOW_USE])
    with firm.server.http(headers={"authorization": f"Bearer {key}"}) as program:
        assert program.get(f"/v1/extractions/{shared}").status_code == 404  # a key does not review
        assert program.post(f"/v1/extractions/{shared}/approve", json={}).status_code == 403
    assert wanglei.delete(f"/v1/extractions/{shared}").status_code == 404
    assert wanglei.post(f"/v1/extractions/{shared}/approve", json={}).json()["state"] == "approved"


FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
BAD: dict[str, tuple[Json, int, str]] = {
    "nothing": ({}, 400, "input"),
    "no file": ({"input": []}, 400, "input"),
    "an unknown field": ({"input": [FILE], "pages": 2}, 400, "pages"),
    "an unknown template": ({"template": "cheque", "input": [FILE]}, 400, "template"),
    "template and schema": ({"template": "receipt", "schema": {}, "input": [FILE]}, 400, "schema"),
    "custom without schema": ({"template": "custom", "input": [FILE]}, 400, "schema"),
    "a schema that is none": ({"schema": {"type": "cheque"}, "input": [FILE]}, 400, "schema"),
    "a target of its own": ({"deliver": "https://evil.example", "input": [FILE]}, 400, "deliver"),
    "a broken PDF": ({"input": [FILE]}, 400, "input[0].file.file_data"),
    "an address": (
        {"input": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}]},
        400,
        "input[0].image_url.url",
    ),
    "too many pages": (
        {"input": [{"type": "input_file", "file_data": data_url(pdf(LIMIT + 1), "application/pdf")}]},
        400,
        "input",
    ),
    "no document": ({"input": [image(picture_file())]}, 400, "template"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_name_the_field(liwei: httpx.Client, case: str) -> None:
    body, status, param = BAD[case]
    reply = liwei.post("/v1/extractions", json=body)
    assert reply.status_code == status, reply.text
    assert (reply.json()["error"]["param"] or "").startswith(param), reply.text


def test_pages_of_a_pdf_by_ones_own_schema(liwei: httpx.Client) -> None:
    content = b"BT /A 24 Tf 60 760 Td (Invoice No: INV-20451) Tj 0 -50 Td (Total: 480.00) Tj ET"
    schema = {
        "type": "object",
        "properties": {"invoice_number": {"type": "string"}, "total": {"type": "number"}},
        "required": ["total"],
    }
    file = data_url(pdf(2, content=content), "application/pdf")
    body = {
        "schema": schema,
        "input": [{"type": "input_file", "filename": "x/../a.pdf", "file_data": file}],
    }
    reply = liwei.post("/v1/extractions", json=body)
    assert reply.status_code == 201, reply.text
    answer = reply.json()
    assert answer["template"] == "custom"
    assert float(answer["fields"]["total"]["normalized"]) == 480
    assert [page["name"] for page in answer["pages"]] == ["a.pdf", "a.pdf"]


def test_no_value_lies_anywhere_in_clear(firm: Company, liwei: httpx.Client) -> None:
    made, data = drawn(6)
    answer = read(liwei, data)
    assert answer["fields"]["number"]["normalized"] == made.labels["number"]
    folder = Path(firm.server.services.settings.data_dir).parent
    stored = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert answer["id"].encode() in stored  # it is looked at in the right place
    for name in ("number", "seller", "buyer", "seller_tax_id"):
        assert made.labels[name].encode() not in stored
    assert b"\xff\xd8\xff\xe0\x00\x10JFIF" not in stored  # no JPEG either; four bytes alone come by chance


def test_without_a_record_there_is_no_result(firm: Company, liwei: httpx.Client) -> None:
    extractions = firm.server.services.extractions
    before = liwei.get("/v1/extractions").json()["open"]
    with (
        mock.patch.object(extractions._recorder, "arecord", side_effect=AuditError("full")),
        mock.patch.object(extractions._reader, "read") as asked,
    ):
        reply = liwei.post("/v1/extractions", json={"input": [image(drawn(7)[1])]})
    assert reply.status_code == 503, reply.text
    assert not asked.called  # no engine heard of it
    assert liwei.get("/v1/extractions").json()["open"] == before


@contextmanager
def busy(firm: Company) -> Iterator[None]:
    """While people's pages take every place of the second reader."""
    queue = firm.server.services.extractions._reader._queue
    places = AsyncExitStack()

    async def take() -> None:
        first = await places.enter_async_context(queue.ticket())
        await places.enter_async_context(first.turn())
        with suppress(BusyError):
            while True:
                await places.enter_async_context(queue.ticket())

    def inside(what: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(what, firm.server.loop).result(20)

    inside(take())
    try:
        yield
    finally:
        inside(places.aclose())


def test_when_the_second_reader_is_busy_people_are_told_and_batches_wait(
    firm: Company, liwei: httpx.Client
) -> None:
    _, data = drawn(9)
    with busy(firm):
        asked = {"template": "vat_invoice", "input": [image(data)]}
        refused = liwei.post("/v1/extractions", json=asked)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        error = refused.json()["error"]
        assert (error["type"], "Try again in" in error["message"]) == ("rate_limit_error", True)
        assert refused.json()["error"]["vlpro"]["zh"]
        sent = liwei.post("/v1/files", files={"file": ("a.png", data)}, data={"purpose": "user_data"}).json()
        made = {"input": {"file_ids": [sent["id"]]}, "template": "vat_invoice"}
        at = f"/v1/batches/{liwei.post('/v1/batches', json=made).json()['id']}"
        eventually(lambda: liwei.get(at).json()["status"] == "in_progress")
        queue = firm.server.services.extractions._reader._queue
        eventually(
            lambda: bool(firm.server.call(lambda: len(queue._looking)))
        )  # it waits, and takes no place
        assert liwei.get(at).json()["request_counts"] == {"total": 1, "completed": 0, "failed": 0}
    eventually(lambda: liwei.get(at).json()["status"] == "completed")
    assert liwei.get(at).json()["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
