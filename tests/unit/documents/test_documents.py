"""Files are opened again, by other programs than those that wrote them, and looked into."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import docx
import openpyxl
import pypdfium2
import pytest
from PIL import Image

from vlpro.documents import fonts
from vlpro.documents.document import Block, Document, Figure, Heading, Paragraph, Table, plain
from vlpro.documents.label import Label
from vlpro.documents.paper import to_pdf
from vlpro.documents.tables import Cell, Sheet, to_csv, to_xlsx
from vlpro.documents.word import to_docx
from vlpro.errors import ConfigError

WHEN = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
LABEL = Label("91350100M000100Y43", "report-1")
FIELDS = {
    "Label": "1",
    "ContentProducer": "91350100M000100Y43",
    "ProduceID": "report-1",
    "ReservedCode1": "",
    "ContentPropagator": "",
    "PropagateID": "",
    "ReservedCode2": "",
}
NOTE = "本内容由人工智能（AI）生成，须经人工核对。"
EVIL = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "＝1", "\t=1", "http://a.cn/x", "mailto:a@b.cn"]


def jpeg(colour: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (400, 300), colour).save(written, "JPEG")
    return written.getvalue()


def document(*more: Block, label: Label | None = LABEL) -> Document:
    blocks = (
        Heading("一、摘要"),
        Paragraph("端子 X1 松动，绝缘层有灼痕。", bold=True),
        Table(("编号", "发现"), (("1", "接线端子松动\n须停机检修"), ("2", "Burn marks")), (1, 4)),
        Figure(jpeg("red"), 400, 300, "图 1：cabinet.jpg"),
        *more,
    )
    return Document("配电柜巡检报告", blocks, "zh", WHEN, label)


def custom_properties(data: bytes) -> dict[str | None, str | None]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert b"custom.xml" in opened.read("[Content_Types].xml")
        root = ET.fromstring(opened.read("docProps/custom.xml"))  # noqa: S314 - our own
    return {one.get("name"): one[0].text for one in root}


def test_word_holds_the_text_the_picture_and_the_label() -> None:
    data = to_docx(document())
    word = docx.Document(io.BytesIO(data))
    texts = [paragraph.text for paragraph in word.paragraphs if paragraph.text]
    assert texts[:4] == ["配电柜巡检报告", NOTE, "一、摘要", "端子 X1 松动，绝缘层有灼痕。"]
    assert texts[-2:] == ["图 1：cabinet.jpg", NOTE]
    assert NOTE in word.sections[0].footer.paragraphs[0].text
    assert [cell.text for row in word.tables[0].rows for cell in row.cells] == [
        *("编号", "发现", "1", "接线端子松动\n须停机检修", "2", "Burn marks"),
    ]
    assert len(word.inline_shapes) == 1
    assert word.inline_shapes[0].width / word.inline_shapes[0].height == pytest.approx(4 / 3, rel=0.01)
    assert word.core_properties.title == "配电柜巡检报告"
    properties = custom_properties(data)
    assert json.loads(properties["AIGC"] or "") == FIELDS
    assert 'w:eastAsia="Microsoft YaHei"' in word.styles["Heading 1"].element.xml


def test_pdf_holds_the_text_the_picture_and_the_label() -> None:
    data = to_pdf(document())
    with pypdfium2.PdfDocument(data) as pdf:
        text = "".join(page.get_textpage().get_text_bounded() for page in pdf)
        for words in (
            "配电柜巡检报告",
            "一、摘要",
            "端子 X1 松动，绝缘层有灼痕。",
            "须停机检修",
            "Burn marks",
            "图 1：cabinet.jpg",
        ):
            assert words in text
        assert text.count(NOTE) == 3  # below the title, at the end, on the foot
        assert pdf.get_metadata_value("Title") == "配电柜巡检报告"
        assert json.loads(pdf.get_metadata_value("AIGC")) == FIELDS
        shown = pdf[0].render(scale=1).to_pil()
        assert (254, 0, 0) in {colour for _, colour in shown.getcolors(1 << 20)}
    assert to_pdf(document()) == data
    for never in (b"/URI", b"/JavaScript", b"/AcroForm", b"/Launch"):
        assert never not in data


def test_the_letters_of_a_pdf_come_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pypdfium2.PdfDocument(to_pdf(document())) as pdf:
        found = {
            (text.get_font().get_base_name(), text.get_font().is_embedded)
            for text in pdf[0].get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_TEXT])
        }
    assert len(found) == 2
    assert all(embedded and name[6] == "+" for name, embedded in found)
    fonts.find.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="fonts-noto-cjk"):
        to_pdf(document())


def test_long_documents_go_over_pages_with_the_header_again() -> None:
    rows = [(str(number), "接线端子松动，绝缘层有灼痕。" * 4) for number in range(60)]
    with pypdfium2.PdfDocument(
        to_pdf(document(Table(("编号", "现象"), rows, (1, 6)), Paragraph("尾" * 3000)))
    ) as pdf:
        texts = [page.get_textpage().get_text_bounded() for page in pdf]
    assert 4 < len(texts) < 15
    pages = [text for text in texts if "绝缘层有灼痕。\r\n接" in text or "现象" in text]
    assert all("现象" in text for text in pages)
    joined = "".join(texts)
    assert joined.count("尾") == 3000
    assert f"{len(texts)} / {len(texts)}" in texts[-1]


def test_without_a_label_none_is_written() -> None:
    bare = document(label=None)
    assert b"AIGC" not in to_pdf(bare)
    with zipfile.ZipFile(io.BytesIO(to_docx(bare))) as opened:
        assert "docProps/custom.xml" not in opened.namelist()


def test_what_no_file_can_hold_is_left_out_and_what_no_font_has_is_a_box() -> None:
    odd = "a\x00b\x0bc\ud800d\u202ee\ufffff\r\ng😀"
    assert plain(odd) == "abcdef\ng😀"
    strange = Document(odd, (Paragraph(odd), Table((odd,), ((odd,),)), Heading(odd, 9)), "en", WHEN, None)
    assert docx.Document(io.BytesIO(to_docx(strange))).paragraphs[0].text == plain(odd)
    with pypdfium2.PdfDocument(to_pdf(strange)) as pdf:
        assert "abcdef" in pdf[0].get_textpage().get_text_bounded()


def test_excel_computes_nothing_that_was_read() -> None:
    rows: list[list[Cell]] = [[text, number] for number, text in enumerate(EVIL)]
    rows += [["01234567890123456789", Decimal("12.50")], ["字\x00符" * 20_000, None]]
    sheets = [Sheet("发票/1", ("内容", "数"), rows), Sheet("发票 1", ("a",), [])]
    data = to_xlsx(sheets, title="发票", created=WHEN, label=LABEL)
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert book.sheetnames == ["发票 1", "发票 1 2"]
    page = book["发票 1"]
    assert [page.cell(row, 1).value for row in range(1, 10)] == ["内容", *EVIL]
    assert {page.cell(row, 1).data_type for row in range(1, 12)} == {"s"}
    assert not any(page.cell(row, 1).hyperlink for row in range(1, 12))
    assert page.cell(10, 1).value == "01234567890123456789"
    assert (page.cell(10, 2).value, page.cell(10, 2).data_type) == (12.5, "n")
    assert len(page.cell(11, 1).value) == 32_767
    assert json.loads(custom_properties(data)["AIGC"] or "") == FIELDS
    assert to_xlsx(sheets, title="发票", created=WHEN, label=LABEL) == data


def test_csv_computes_nothing_and_excel_knows_its_letters() -> None:
    written: list[list[Cell]] = [[text, 1] for text in EVIL]
    written += [["-12.50", Decimal("-3.1")], ['a"b,c\nd', True]]
    data = to_csv(("内容", "=a"), written)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["内容", "'=a"]
    assert [row[0] for row in rows[1:7]] == [f"'{text}" for text in EVIL[:6]]
    assert rows[9:] == [["-12.50", "-3.1"], ['a"b,c\nd', "TRUE"]]


@pytest.mark.parametrize("producer", ["", "某某公司", "a b", 'a"b', "a\\b", "x" * 65])
def test_a_label_names_its_producer_as_the_standard_wants(producer: str) -> None:
    with pytest.raises(ConfigError, match="producer") as refused:
        Label(producer, "1")
    assert refused.value.param == "producer"


def test_nothing_is_written_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    rows = [[str(number) * 100] for number in range(5000)]
    assert to_xlsx([Sheet("a", ("b",), rows)], title="", created=WHEN)
    assert to_docx(document())
    assert to_pdf(document())
