"""Reports over HTTP: by an engine that sees, by the embedded one, as documents; whose they are, and how they end."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from unittest import mock

import docx
import httpx
import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.functional.company import company
from tests.functional.server import Server, data_url, eventually, picture_file, run
from tests.unit.imaging.pdfs import ENCRYPTED, invoice, pdf
from vlpro.audit.events import Event
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Request
from vlpro.identity.permissions import Role
from vlpro.masking import Masking

NOTE = "本内容由人工智能（AI）生成，须经人工核对。"


class Inspector(FakeEngine):
    """Sees a crack in every second picture, in the way that a model answers; what it was asked is kept.

    ``wait`` in the instruction: it waits until it may go on. ``nonsense``: it answers with what is no JSON.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.go_on = threading.Event()

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.asked.append(request)
        if "nonsense" in request.question:
            yield Delta("I am sorry, I can not")
        elif "wait" in request.question:
            while not self.go_on.is_set():
                yield Delta(" ")
                await asyncio.sleep(0.01)
        elif len(request.pictures) == 1 and "findings" in str(request.response_format):
            number = len([one for one in self.asked if "findings" in str(one.response_format)])
            crack = {
                "text": f"外壳有裂纹 {number}",
                "severity": "major",
                "boxes": [[100, 200, 300, 400], [5, 5, 5, 5], [0, 0, 4000, 10]],
            }
            yield Delta(json.dumps({"findings": [crack] if number % 2 else []}))
        else:
            yield Delta(json.dumps({"title": "壳体检查", "summary": "一处裂纹。", "verdict": "pass"}))
        async for delta in super()._generate(request):
            yield Delta("", delta.finish_reason, delta.usage)


@pytest.fixture(scope="module")
def engine() -> Inspector:
    return Inspector()


@pytest.fixture(scope="module")
def sighted(engine: Inspector) -> Iterator[Server]:
    with run(Settings(engine="fake", content_producer="91350100M000100Y43"), engine) as running:
        yield running


@pytest.fixture
def http(sighted: Server, engine: Inspector) -> Iterator[httpx.Client]:
    engine.asked.clear()
    engine.go_on.clear()
    with sighted.http() as client:
        yield client
    engine.go_on.set()


def image(width: int = 400, height: int = 300, seed: int = 0) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(picture_file(width, height, seed=seed))}}


def file(data: bytes, name: str, media: str = "application/pdf") -> dict[str, Any]:
    return {"type": "file", "file": {"filename": name, "file_data": data_url(data, media)}}


def asked(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"input": list(parts) or [image()], "instruction": "检查外壳"} | fields


def test_an_engine_that_sees_is_asked_about_each_picture_and_then_about_all(
    http: httpx.Client, engine: Inspector
) -> None:
    parts = (
        image(400, 300, 1),
        file(picture_file(1000, 500, seed=2), "左侧.png", "image/png"),
        image(seed=3),
    )
    reply = http.post("/v1/reports", json=asked(*parts))
    assert reply.status_code == 201, reply.text
    told = reply.json()
    assert (told["object"], told["status"], told["progress"]) == (
        "report",
        "completed",
        {"done": 4, "steps": 4},
    )
    report = told["report"]
    assert (report["title"], report["summary"], report["sees"]) == ("壳体检查", "一处裂纹。", True)
    assert report["verdict"] == "review"  # the engine said pass, in spite of a major finding
    assert [(f["number"], f["image"], f["severity"], f["basis"]) for f in report["findings"]] == [
        (1, 1, "major", "sight"),
        (2, 3, "major", "sight"),
    ]
    # Thousandths become pixels of the original; what is no box, or beside the picture, is none.
    assert report["findings"][0]["boxes"] == [[40, 60, 120, 120]]
    assert [(i["name"], i["width"], i["height"], i["available"]) for i in report["images"]][:2] == [
        ("", 400, 300, True),
        ("左侧.png", 1000, 500, True),
    ]
    assert report["AIGC"]["ContentProducer"] == "91350100M000100Y43"
    assert report["AIGC"]["ProduceID"] == told["id"]
    assert report["notice"] == NOTE
    assert [len(one.pictures) for one in engine.asked] == [1, 1, 1, 3]
    assert all("检查外壳" in one.question for one in engine.asked)
    assert "外壳有裂纹 1" in engine.asked[-1].question
    assert http.get(f"/v1/reports/{told['id']}").json() == told
    assert http.get("/v1/reports").json()["data"][0] == told


def test_a_report_goes_out_as_word_and_pdf_with_pictures_boxes_and_the_label(http: httpx.Client) -> None:
    name = http.post("/v1/reports", json=asked(image(seed=4), image(seed=5))).json()["id"]
    word = http.get(f"/v1/reports/{name}/document")
    assert word.headers["content-disposition"] == f'attachment; filename="{name}.docx"'
    opened = docx.Document(io.BytesIO(word.content))
    texts = [paragraph.text for paragraph in opened.paragraphs]
    assert texts[:3] == ["壳体检查", NOTE, "结论：需要人工确认"]
    assert texts[-1] == NOTE
    assert [cell.text for cell in opened.tables[0].rows[1].cells] == ["1", "1", "外壳有裂纹 1", "严重"]
    assert len(opened.inline_shapes) == 2
    printed = http.get(f"/v1/reports/{name}/document", params={"format": "pdf"})
    assert printed.headers["content-type"] == "application/pdf"
    with pypdfium2.PdfDocument(printed.content) as paper:
        text = "".join(page.get_textpage().get_text_bounded() for page in paper)
        assert json.loads(paper.get_metadata_value("AIGC"))["ProduceID"] == name
    for words in ("壳体检查", "外壳有裂纹 1", "图 2", "检查要求", NOTE):
        assert words in text
    drawn = Image.open(io.BytesIO(http.get(f"/v1/reports/{name}/images/1").content))
    plain = Image.open(io.BytesIO(http.get(f"/v1/reports/{name}/images/1", params={"boxes": False}).content))
    assert drawn.size == plain.size == (400, 300)
    edge = drawn.getpixel((80, 60))
    assert isinstance(edge, tuple)
    assert all(abs(a - b) < 60 for a, b in zip(edge, (0, 114, 178), strict=True))  # a side of the box
    assert plain.getpixel((80, 60)) != edge
    assert http.get(f"/v1/reports/{name}/images/3").status_code == 404


def test_in_the_background_it_tells_how_far_it_is_and_can_be_stopped(
    http: httpx.Client, engine: Inspector
) -> None:
    begun = http.post("/v1/reports", json=asked(image(), instruction="wait", background=True))
    assert begun.status_code == 201
    told = begun.json()
    assert (told["status"], told["progress"], told["report"]) == (
        "in_progress",
        {"done": 0, "steps": 2},
        None,
    )
    eventually(lambda: len(engine.asked) == 1)
    assert http.get(f"/v1/reports/{told['id']}/document").status_code == 404
    assert http.get("/v1/reports").json()["data"][0]["status"] == "in_progress"
    second = http.post("/v1/reports", json=asked(image(), instruction="wait", background=True)).json()
    third = http.post("/v1/reports", json=asked(image(), instruction="wait", background=True))
    assert third.status_code == 429
    assert third.headers["retry-after"] == "30"
    for one in (told, second):
        stopped = http.post(f"/v1/reports/{one['id']}/cancel").json()
        assert (stopped["status"], stopped["report"]) == ("cancelled", None)
    assert http.delete(f"/v1/reports/{told['id']}").status_code == 200
    assert http.get(f"/v1/reports/{told['id']}").status_code == 404
    http.post("/v1/reports", json=asked(image()))  # there is room again
    assert engine.asked[-1].pictures


def test_an_answer_that_is_no_json_is_a_failed_report_that_says_so(http: httpx.Client) -> None:
    reply = http.post("/v1/reports", json=asked(image(), instruction="nonsense"))
    assert reply.status_code == 502
    assert "form that was asked for" in reply.json()["error"]["message"]
    begun = http.post("/v1/reports", json=asked(image(), instruction="nonsense", background=True)).json()
    eventually(lambda: http.get(f"/v1/reports/{begun['id']}").json()["status"] == "failed")
    error = http.get(f"/v1/reports/{begun['id']}").json()["error"]
    assert error["code"] == "engine_error"
    assert "格式不正确" in error["message_zh"]


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing": ({"input": []}, "input", ""),
    "17 pictures": (asked(*[image()] * 17), "input", ""),
    "17 pages": (asked(file(pdf(16), "a.pdf"), image()), "input", "too_many_pages"),
    "2,001 characters": (asked(instruction="字" * 2_001), "instruction", ""),
    "no picture": (
        asked(image(), file(b"hello", "a.png", "image/png")),
        "input[1].file.file_data",
        "invalid_image_format",
    ),
    "a PDF with a password": (asked(file(ENCRYPTED, "a.pdf")), "input[0].file.file_data", "pdf_password"),
    "500 pages": (asked(file(pdf(500), "a.pdf")), "input[0].file.file_data", "pdf_too_many_pages"),
    "half a PDF": (asked(file(invoice()[:150], "a.pdf")), "input[0].file.file_data", "invalid_pdf"),
    "an address": (
        asked({"type": "image_url", "image_url": {"url": "http://a/b.png"}}),
        "input[0].image_url.url",
        "invalid_image_url",
    ),
    "another language": (asked(language="fr"), "language", ""),
    "an unknown field": (asked(colour="red"), "colour", ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_by_its_field(http: httpx.Client, engine: Inspector, kind: str) -> None:
    body, param, code = BAD[kind]
    reply = http.post("/v1/reports", json=body)
    error = reply.json()["error"]
    assert reply.status_code == 400, reply.text
    assert error["param"] == param
    assert code in error["code"]
    assert engine.asked == []


def test_pages_of_a_pdf_are_pictures_too(http: httpx.Client) -> None:
    report = http.post("/v1/reports", json=asked(file(invoice(2), "票.pdf"), image(), language="en")).json()[
        "report"
    ]
    assert [(i["name"], i["page"], i["width"]) for i in report["images"]] == [
        ("票.pdf", 1, 1653),
        ("票.pdf", 2, 1653),
        ("", 1, 400),
    ]
    assert report["notice"].startswith("Generated by artificial intelligence")


def test_files_may_be_sent_before(http: httpx.Client) -> None:
    sent = {"file": ("右侧.png", picture_file(300, 200), "image/png")}
    stored = http.post("/v1/files", data={"purpose": "vision"}, files=sent).json()["id"]
    part = {"type": "input_file", "file_id": stored}
    images = http.post("/v1/reports", json=asked(part)).json()["report"]["images"]
    assert [(i["name"], i["width"]) for i in images] == [("右侧.png", 300)]
    assert http.delete(f"/v1/files/{stored}").status_code == 200
    for bad in (part, {"type": "input_file"}, part | {"file_data": data_url(picture_file())}):
        reply = http.post("/v1/reports", json=asked(image(), bad))
        assert reply.status_code == (404 if bad is part else 400)
        assert reply.json()["error"]["param"] == "input[1].file_id"


def test_personal_data_is_masked_as_the_policy_has_it(http: httpx.Client, sighted: Server) -> None:
    with mock.patch.object(sighted.services.chat, "masking", Masking):
        body = asked(image(), instruction="回电 13812345678")
        name = http.post("/v1/reports", json=body).json()["id"]
    assert "13812345678" not in http.get(f"/v1/reports/{name}").text
    assert "回电 138****5678" in http.get(f"/v1/reports/{name}").json()["report"]["instruction"]


def nameplate(number: str, date: str) -> bytes:
    picture = Image.new("RGB", (900, 420), "white")
    drawing = ImageDraw.Draw(picture)
    for row, text in enumerate(("PUMP UNIT P-201", f"Serial No: {number}", f"Date: {date}")):
        drawing.text((40, 40 + 110 * row), text, "black", ImageFont.load_default(56))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_the_embedded_engine_tells_what_it_can_prove_and_that_it_does_not_see(tmp_path: Any) -> None:
    with run(Settings(engine="ocr", data_dir=tmp_path)) as blind, blind.http() as http:
        pictures = [nameplate("SN48213", "2024-03-15"), nameplate("SN48218", "2024-03-15")]
        parts = [file(data, f"{n}.png", "image/png") for n, data in enumerate(pictures)]
        reply = http.post("/v1/reports", json=asked(*parts, language="en"), timeout=120)
        assert reply.status_code == 201, reply.text
        report = reply.json()["report"]
    assert (report["sees"], report["verdict"], report["engine"]) == (False, "review", "ocr")
    assert "does not see" in report["summary"]
    assert "The pictures agree on: date" in report["summary"]
    different = [f for f in report["findings"] if f["basis"] == "difference"]
    assert [f["image"] for f in different] == [1, 2]
    assert "SN48213 (picture 1); SN48218 (picture 2)" in different[0]["text"]
    assert different[0]["severity"] == "minor"
    texts = [f for f in report["findings"] if f["basis"] == "text"]
    assert "PUMP UNIT P-201" in texts[0]["text"]
    (x1, y1, x2, y2) = different[0]["boxes"][0]
    assert 30 < x1 < x2 < 900
    assert 140 < y1 < y2 < 230


def test_a_report_is_its_owners_and_on_the_record(tmp_path: Any, database_url: str) -> None:
    with company(tmp_path, database_url) as firm:
        with firm.client(Role.USER) as mine:
            made = mine.post("/v1/reports", json=asked(image(), level="internal"))
            assert made.status_code == 201, made.text
            name = made.json()["id"]
            assert made.json()["level"] == "internal"
            assert mine.get(f"/v1/reports/{name}/document").status_code == 200
        with firm.client(firm.other) as theirs:
            for path in (
                f"/v1/reports/{name}",
                f"/v1/reports/{name}/document",
                f"/v1/reports/{name}/images/1",
            ):
                foreign, unknown = theirs.get(path), theirs.get(path.replace(name, "report_none"))
                assert (foreign.status_code, foreign.json()) == (404, unknown.json())
            assert theirs.delete(f"/v1/reports/{name}").status_code == 404
            assert theirs.get("/v1/reports").json()["data"] == []
        with firm.client(Role.USER) as mine:
            assert mine.delete(f"/v1/reports/{name}").status_code == 200
            assert mine.get(f"/v1/reports/{name}").status_code == 404
        with firm.client(Role.AUDIT) as auditor:
            records = auditor.get("/v1/audit/records", params={"object": name}).json()["data"]
    assert [record["said"]["event"] for record in reversed(records)] == [
        Event.WORKFLOW_STARTED,
        Event.WORKFLOW_COMPLETED,
        Event.WORKFLOW_EXPORTED,
        Event.WORKFLOW_DECIDED,
    ]
