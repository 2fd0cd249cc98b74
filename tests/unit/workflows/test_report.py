"""What an engine's answer becomes, what two readings say against each other, and how reports are stored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.engines.reading import ReadCode, ReadField, Reading, ReadLine
from vlpro.errors import EngineError, VlproError
from vlpro.identity.labels import Level
from vlpro.workflows.report import proof, sight
from vlpro.workflows.report.result import Finding, Report, ReportPicture
from vlpro.workflows.report.store import ReportStore, StoredReport
from vlpro.workflows.report.tables import report_pictures, reports

BOX = (10, 10, 90, 20)
REPORT = Report(
    title="配电柜检查",
    summary="端子松动。",
    verdict="fail",
    findings=(Finding(1, "端子 X1 松动", "major", "sight", (BOX, BOX)),),
    pictures=(ReportPicture("a.jpg", 1, 400, 300, "ab" * 32),),
    instruction="检查端子",
    language="zh",
    engine="fake",
    model="m",
    sees=True,
)


# --- an engine that sees


def told(**finding: object) -> str:
    return json.dumps({"findings": [{"text": "裂纹", "severity": "minor", "boxes": []} | finding]})


@pytest.mark.parametrize("answer", ["", "no JSON", "[]", '{"findings": ["crack"]}', '"x"'])
def test_an_answer_in_another_form_is_the_engines_fault(answer: str) -> None:
    with pytest.raises(EngineError):
        sight.found(answer, 1, (100, 100))


@pytest.mark.parametrize(
    ("boxes", "found"),
    [
        ([[0, 0, 1000, 1000]], ((0, 0, 400, 300),)),
        ([[750, 500, 250, 100]], ((100, 30, 300, 150),)),  # corners the other way round
        ([[-5, 0, 1010, 500]], ((0, 0, 400, 150),)),  # a little beside the picture
        ([[0, 0, 1200, 500]], ()),  # pixels, of nobody knows which size
        ([[1, 2, 3], [1, 2, 3, "x"], "box", None, [5, 5, 5, 9]], ()),
        ("all over", ()),
    ],
)
def test_only_what_is_a_box_in_the_picture_is_one(boxes: object, found: object) -> None:
    (finding,) = sight.found(told(boxes=boxes), 2, (400, 300))
    assert (finding.image, finding.boxes) == (2, found)


def test_what_an_engine_invents_is_put_right() -> None:
    (finding,) = sight.found(told(severity="apocalyptic", text=" a\n  b "), 1, (9, 9))
    assert (finding.severity, finding.text) == ("info", "a b")
    assert sight.found(told(text=""), 1, (9, 9)) == ()
    many = json.dumps({"findings": [{"text": "x", "severity": "info", "boxes": [[0, 0, 9, 9]] * 50}] * 50})
    assert len(sight.found(many, 1, (900, 900))) == 12
    assert len(sight.found(many, 1, (900, 900))[0].boxes) == 6
    draft = replace(REPORT, title="")
    assert sight.concluded('{"title": "", "verdict": "splendid"}', draft) == (
        "检查报告",
        "共检查 1 张图片，列出 1 条发现。",
        "review",
    )
    assert sight.concluded('{"title": "t", "summary": "s", "verdict": "pass"}', REPORT)[2] == "review"
    assert (
        sight.concluded('{"title": "t", "summary": "s", "verdict": "pass"}', replace(draft, findings=()))[2]
        == "pass"
    )


def test_a_persons_braces_are_words() -> None:
    assert "{total}" in sight.picture_question(1, 2, "look at {total}", "en")
    assert "{number}" in sight.whole_question([Finding(1, "{number}", "info", "sight")], 1, "", "en")


# --- one that reads


def read(*lines: str, code: str = "", **fields: tuple[str, str]) -> Reading:
    return Reading(
        100,
        100,
        tuple(ReadLine(text, BOX, ((0, 0),) * 4, 1.0) for text in lines),
        (ReadCode("QRCode", code, BOX),) if code else (),
        {kind: ReadField(text, text, BOX, 1.0, label) for kind, (label, text) in fields.items()},
    )


def test_pictures_are_compared_by_what_they_name_themselves() -> None:
    readings = [
        read("Serial No: SN 1", "Model：X", "free words 1", total=("TOTAL", "9.00"), merchant=("", "A")),
        read("serial no.: SN 2", "Model:Ｘ", "free words 2", total=("TOTAL", "9.00"), merchant=("", "B")),
        read(code="http://a"),
    ]
    found = proof.found(readings, "en")
    assert [(one.image, one.basis) for one in found] == [
        (1, "difference"),
        (1, "text"),
        (2, "difference"),
        (2, "text"),
        (3, "code"),
    ]
    assert found[0].text == "Serial No differs between the pictures: SN 1 (picture 1); SN 2 (picture 2)"
    assert found[4].text == "QRCode code: http://a"
    _, summary = proof.concluded(readings, "ocr", "en")
    assert "6 lines of text and 1 codes" in summary
    assert "The pictures agree on: total 9.00; Model X." in summary
    assert "as the findings tell: 1." in summary


# --- stored


def stored(name: str = "report_1", created: float = 1000.0) -> StoredReport:
    return StoredReport(name, "usr_1", Level.INTERNAL, created, REPORT, frozenset({1}))


@pytest.fixture
def database(database_url: str) -> Database:
    database = Database(database_url)
    database.migrate()
    return database


def test_a_report_is_stored_sealed_and_opens_in_its_place_only(database: Database) -> None:
    store = ReportStore(database, Sealer(bytes(range(32))))
    store.add(stored(), [b"jpeg of one"])
    store.add(stored("report_2"), [b"jpeg of two"])
    assert store.get("report_1") == stored()
    assert store.picture(stored(), 1) == b"jpeg of one"
    with database.read() as connection:
        rows = [*connection.execute(sa.select(reports)), *connection.execute(sa.select(report_pictures))]
    assert not any(word in repr(rows).encode() for word in (b"jpeg", b"X1", "松动".encode()))
    other = sa.select(reports.c.data).where(reports.c.id == "report_2").scalar_subquery()
    for change in (
        sa.update(reports).where(reports.c.id == "report_1").values(data=other),
        sa.update(reports).where(reports.c.id == "report_2").values(owner="usr_2"),
    ):
        with database.write() as connection:
            connection.execute(change)
    for name in ("report_1", "report_2"):
        with pytest.raises(VlproError):
            store.get(name)
    database.close()


def test_pictures_go_before_their_report_does(database: Database) -> None:
    store = ReportStore(database, Sealer(bytes(range(32))))
    for name, created in (("report_old", 100.0), ("report_mid", 500.0), ("report_new", 900.0)):
        store.add(stored(name, created), [b"jpeg"])
    assert store.sweep(reports_before=0, pictures_before=None) == 0
    assert store.sweep(reports_before=200, pictures_before=600) > 0
    found = store.page("usr_1", Level.INTERNAL, before=None, limit=9)
    assert [(one.id, set(one.pictures)) for one in found] == [("report_new", {1}), ("report_mid", set())]
    assert store.picture(found[1], 1) is None
    assert store.page("usr_1", Level.PUBLIC, before=None, limit=9) == []
    store.delete("report_new")
    assert store.get("report_new") is None
    database.close()
