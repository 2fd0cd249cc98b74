"""A document as a Word file (Office Open XML, ECMA-376)."""

from __future__ import annotations

import io
from datetime import UTC
from xml.sax.saxutils import escape

import docx
from docx.document import Document as WordDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph as WordParagraph

from vlpro.documents.document import Document, Figure, Heading, Paragraph, Table, plain
from vlpro.documents.label import NAME, Label

__all__ = ["to_docx"]

_LATIN, _CHINESE = "Arial", "Microsoft YaHei"  # a machine without them takes its own
_MARGIN, _PAGE_WIDTH, _PAGE_HEIGHT = Mm(20), Mm(210), Mm(297)
_TEXT_WIDTH = _PAGE_WIDTH - 2 * _MARGIN
_TALLEST = Mm(190)
_GREY = RGBColor(0x56, 0x62, 0x72)
_INK = RGBColor(0x1A, 0x24, 0x30)
_CUSTOM = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/custom-properties"
_CUSTOM_TYPE = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
_FORMAT_ID = "{D5CDD505-2E9C-101B-9397-08002B2CF9AE}"  # of properties that users define ([MS-OLEPS] 2.25.2)


def to_docx(document: Document) -> bytes:
    """Write a Word file.

    Args:
        document: With its pictures.

    Returns:
        The file. Where the document has a label, a note stands below the title, at the end, and on the foot of each
        page.
    """
    word = docx.Document()
    _styles(word, document.language)
    _page(word, document)
    word.add_paragraph(plain(document.title), style="Title")
    notice = document.label.notice(document.language) if document.label is not None else ""
    if notice:
        _note(word.add_paragraph(), notice)
    for block in document.blocks:
        match block:
            case Heading():
                word.add_heading(plain(block.text), min(max(block.level, 1), 4))
            case Paragraph(small=True):
                _note(word.add_paragraph(), plain(block.text))
            case Paragraph():
                word.add_paragraph().add_run(plain(block.text)).bold = block.bold
            case Table():
                _table(word, block)
            case Figure():
                _figure(word, block)
    if notice:
        _note(word.add_paragraph(), notice)
    core = word.core_properties
    core.title, core.author, core.comments, core.keywords = plain(document.title)[:255], "", "", ""
    core.created = core.modified = document.created.astimezone(UTC).replace(tzinfo=None)
    core.language = {"zh": "zh-CN", "en": "en-US"}[document.language]
    if document.label is not None:
        _mark(word, document.label)
    written = io.BytesIO()
    word.save(written)
    return written.getvalue()


def _styles(word: WordDocument, language: str) -> None:
    for name, size in (("Normal", 10.5), ("Title", 20), *((f"Heading {n}", 17 - 2 * n) for n in range(1, 5))):
        style = word.styles[name]
        assert isinstance(style, ParagraphStyle)  # noqa: S101 - for the type checker; the template has it
        style.font.name, style.font.size, style.font.color.rgb = _LATIN, Pt(size), _INK
        properties = style.element.get_or_add_rPr()
        fonts = properties.get_or_add_rFonts()
        for attribute in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{attribute}"), None)
        fonts.set(qn("w:eastAsia"), _CHINESE)
        if name == "Normal":
            tongue = OxmlElement("w:lang")
            tongue.set(qn("w:val"), "en-US")
            tongue.set(qn("w:eastAsia"), "zh-CN" if language == "zh" else "en-US")
            properties.append(tongue)
            style.paragraph_format.space_after = Pt(6)


def _page(word: WordDocument, document: Document) -> None:
    section = word.sections[0]
    section.page_width, section.page_height = _PAGE_WIDTH, _PAGE_HEIGHT
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = _MARGIN
    foot = section.footer.paragraphs[0]
    foot.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _note(foot, f"{document.label.notice(document.language)}   " if document.label is not None else "")
    for kind, text in (("begin", ""), ("", "PAGE"), ("end", "")):
        run = foot.add_run()
        run.font.size, run.font.color.rgb = Pt(9), _GREY
        part = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            part.set(qn("w:fldCharType"), kind)
        else:
            part.text = text
        run._r.append(part)  # noqa: SLF001 - python-docx has no fields of its own


def _note(paragraph: WordParagraph, text: str) -> None:
    run = paragraph.add_run(text)
    run.font.size, run.font.color.rgb = Pt(9), _GREY


def _table(word: WordDocument, block: Table) -> None:
    columns = len(block.header) or max((len(row) for row in block.rows), default=0)
    if not columns:
        return
    rows = [block.header, *block.rows] if block.header else list(block.rows)
    table = word.add_table(len(rows), columns, style="Table Grid")
    table.autofit = False
    shares = block.widths or [1.0] * columns
    for index, share in enumerate(shares):
        table.columns[index].width = int(_TEXT_WIDTH * share / sum(shares))
    for number, (row, cells) in enumerate(zip(rows, table.rows, strict=True)):
        heading = bool(block.header) and number == 0
        if heading:
            repeated = OxmlElement("w:tblHeader")
            repeated.set(qn("w:val"), "true")
            cells._tr.get_or_add_trPr().append(repeated)  # noqa: SLF001 - likewise
        for index, (cell, text) in enumerate(zip(cells.cells, row, strict=False)):
            cell.width = int(_TEXT_WIDTH * shares[index] / sum(shares))
            paragraph = cell.paragraphs[0]
            paragraph.paragraph_format.space_after = Pt(2)
            run = paragraph.add_run(plain(text))
            run.bold, run.font.size = heading, Pt(9.5)
            if heading:
                shade = OxmlElement("w:shd")
                shade.set(qn("w:val"), "clear")
                shade.set(qn("w:fill"), "F4F6F8")
                cell._tc.get_or_add_tcPr().append(shade)  # noqa: SLF001 - likewise
    word.add_paragraph().paragraph_format.space_after = Pt(4)


def _figure(word: WordDocument, block: Figure) -> None:
    width = min(_TEXT_WIDTH * block.share, _TALLEST * block.width / block.height)
    paragraph = word.add_paragraph()
    paragraph.paragraph_format.keep_with_next = bool(block.caption)
    paragraph.add_run().add_picture(io.BytesIO(block.jpeg), width=int(width))
    if block.caption:
        _note(word.add_paragraph(), plain(block.caption))


def _mark(word: WordDocument, label: Label) -> None:
    """The label as a custom property (TC260-PG-20258A), which python-docx does not write itself."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        '<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties" '
        'xmlns:vt="http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes">'
        f'<property fmtid="{_FORMAT_ID}" pid="2" name="{NAME}">'
        f"<vt:lpwstr>{escape(label.text())}</vt:lpwstr></property></Properties>"
    )
    package = word.part.package
    assert package is not None  # noqa: S101 - for the type checker; it was made with one
    part = Part(PackURI("/docProps/custom.xml"), _CUSTOM_TYPE, xml.encode(), package)
    package.relate_to(part, _CUSTOM)
