"""What a report says, and what it keeps to itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest

from tests.unit.compliance.reports import CANARY, ID, KEYS, SEALER, clause, made, results, settings
from vlpro.audit import canonical
from vlpro.compliance import report_store
from vlpro.compliance.clause import Verdict
from vlpro.compliance.report import compose, difference, new_id, settings_digest
from vlpro.compliance.report_html import to_html
from vlpro.compliance.report_signature import signer_of
from vlpro.compliance.report_words import group_of
from vlpro.errors import ConfigError

LEAK = {"says": f"key {CANARY} refused", CANARY: [CANARY, {"deep": CANARY}]}
BEFORE: dict[str, Any] = {
    "id": "cr_ffffffffffffffff",
    "clauses": [
        {"id": "8.1.4.1 a", "verdict": "pass"},
        {"id": "8.1.4.1 b", "verdict": "pass"},
        {"id": "8.1.9", "verdict": "fail"},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a report with a failure, a leak in a check, and a report before it."""
    where = tmp_path_factory.mktemp("reports")
    given = [*results(Verdict.FAIL), clause("8.1.4.8 a", ("canary", Verdict.PASS, LEAK))]
    made(where, given, before=BEFORE)
    return where / ID


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    return found


def test_it_says_who_when_where_and_of_what(content: dict[str, Any]) -> None:
    assert (content["id"], content["by"], content["host"]) == (ID, "auditor", "gpu-01")
    assert (content["created"], content["profile"]) == (1_800_000_001, "local")
    assert content["settings"]["sha256"] == settings_digest(settings())
    assert content["keys"]["ed25519"] == KEYS.ed25519[0].hex()
    assert content["totals"] == {"pass": 2, "fail": 1, "not_evaluated": 1, "outside": 1}


def test_a_clause_stands_with_its_checks_and_the_hash_of_their_evidence(
    folder: Path, content: dict[str, Any]
) -> None:
    lockout = next(each for each in content["clauses"] if each["id"] == "8.1.4.1 b")
    assert lockout["verdict"] == "fail"
    check = lockout["checks"][0]
    assert (check["name"], check["verdict"], check["seconds"]) == ("lockout", "fail", 0.25)
    data = (folder / check["evidence"]["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == check["evidence"]["sha256"]
    evidence = json.loads(data)
    assert evidence["facts"] == {"after": 5}
    assert evidence["began"] == 1_800_000_000.5
    assert canonical.encode(evidence) == data


def test_it_is_compared_with_the_report_before(content: dict[str, Any]) -> None:
    assert content["changes"]["since"] == "cr_ffffffffffffffff"
    changed = {each["id"]: (each["from"], each["to"]) for each in content["changes"]["clauses"]}
    assert changed["8.1.4.1 b"] == ("pass", "fail")
    assert changed["8.1.9"] == ("fail", None)
    assert changed["8.1.2.1"] == (None, "outside")
    assert "8.1.4.1 a" not in changed
    assert difference(content, content) == []


def test_no_secret_is_in_any_of_its_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pdf":
            assert CANARY not in path.read_text("utf-8"), path
    assert CANARY not in pdf_text(folder)
    assert "[secret removed]" in (folder / "evidence/canary.json").read_text("utf-8")


def test_settings_that_differ_in_a_secret_alone_have_one_digest() -> None:
    assert settings_digest(settings()) == settings_digest(settings(upstream_key="another-secret"))
    assert settings_digest(settings()) != settings_digest(settings(queue_size=3))


def test_only_its_owner_can_read_it(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


class Page(HTMLParser):
    """What an HTML file asks a browser for, and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.said = ""
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action", "data")]
        self.ids |= {str(value) for name, value in attrs if name == "id"}

    def handle_data(self, data: str) -> None:
        self.said += data


def test_the_html_stands_alone(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    page = Page(text)
    assert not {"script", "link", "iframe", "img", "form", "object"} & set(page.tags)
    assert {address[0] for address in page.addresses} == {"#"}
    assert {address[1:] for address in page.addresses} <= page.ids
    assert not re.search(r"url\(|@import|\son\w+=", text)


def test_the_html_says_all_that_an_assessor_needs(folder: Path, content: dict[str, Any]) -> None:
    said = Page((folder / "report.html").read_text("utf-8")).said
    for each in content["clauses"]:
        for pair in (each["title"], each["asked"], *([each["duty"]] if each["duty"] else [])):
            assert pair["zh"] in said
            assert pair["en"] in said
        for check in each["checks"]:
            assert check["how"]["zh"] in said
            assert check["found"]["en"] in said
            assert check["evidence"]["sha256"] in said
    for needed in (ID, "auditor", "gpu-01", "2027-01-15 08:00:01 UTC", content["settings"]["sha256"]):
        assert needed in said
    assert f"vlpro comply verify {ID} --key {content['keys']['ed25519']}" in said


def test_what_a_finding_says_is_no_markup(content: dict[str, Any]) -> None:
    evil = json.loads(json.dumps(content))
    evil["clauses"][0]["checks"][0]["found"]["zh"] = "<script>alert(1)</script>"
    evil["host"] = "<img src=x onerror=alert(1)>"
    assert "script" not in Page(to_html(evil).decode()).tags
    assert "img" not in Page(to_html(evil).decode()).tags


def pdf_text(folder: Path) -> str:
    document = pdfium.PdfDocument(folder / "report.pdf")
    return "".join(page.get_textpage().get_text_bounded() for page in _pages(document))


def _pages(document: Any) -> Iterator[Any]:
    for number in range(len(document)):
        yield document[number]


def test_the_pdf_says_it_in_both_languages(folder: Path, content: dict[str, Any]) -> None:
    said = re.sub(r"\s", "", pdf_text(folder))
    for each in content["clauses"]:
        assert re.sub(r"\s", "", each["asked"]["zh"]) in said
        assert re.sub(r"\s", "", each["asked"]["en"]) in said
        for check in each["checks"]:
            assert check["evidence"]["sha256"] in said
    assert "请提供网络拓扑。" in said
    assert content["keys"]["ed25519"] in said


def test_without_a_chinese_font_there_is_no_pdf_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_font(*_: object) -> bytes:
        raise ConfigError("no font")

    monkeypatch.setattr(report_store, "written", no_font)
    content = made(tmp_path)
    assert set(content["files"]) >= {"report.html"}
    assert "report.pdf" not in content["files"]
    assert "本机没有中文字体" in (tmp_path / ID / "report.html").read_text("utf-8")


def test_a_report_never_takes_the_place_of_another(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there already"):
        made(folder.parent)


def test_the_same_results_give_the_same_bytes() -> None:
    def once() -> Any:
        given = {"id": ID, "created": 1.0, "by": "x", "host": "y"}
        return compose(results(), settings(), **given)  # type: ignore[arg-type]

    assert canonical.encode(once().content) == canonical.encode(once().content)
    assert once().evidence == once().evidence


def test_a_name_that_would_leave_the_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="no name of a check"):
        compose(
            [clause("8.1.4.1 a", ("../../etc/passwd", Verdict.PASS, {"a": 1}))],
            settings(),
            id=new_id(),
            created=1.0,
            by="x",
            host="y",
        )


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("8.1.4.1 a", "8.1.4.1"),
        ("8.1.4.10 a", "8.1.4.10"),
        ("8.1.3.1 c", "8.1.3"),
        ("8.1.2", "8.1.2"),
        ("F3", "F"),
        ("9.9", "other"),
    ],
)
def test_clauses_stand_under_their_part_of_the_standard(name: str, group: str) -> None:
    assert group_of(name) == group


def test_chinese_algorithms_hash_and_sign_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_store, "written", lambda *_: b"%PDF")
    content = made(tmp_path, crypto="gm")
    assert all(len(digests["sm3"]) == 64 for digests in content["files"].values())
    assert content["keys"]["sm2"] == signer_of(SEALER, gm=True).sm2.hex()
    assert "SM3" in (tmp_path / ID / "report.html").read_text("utf-8")
