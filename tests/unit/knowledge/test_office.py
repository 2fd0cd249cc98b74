"""Office files made PDFs of: by LibreOffice itself, and by programs that misbehave."""

from __future__ import annotations

import asyncio
import io
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from vlpro.errors import BadRequestError, UnsupportedError
from vlpro.imaging.pdf import PdfLimits, page_sizes, page_text
from vlpro.knowledge import office
from vlpro.knowledge.office import OfficeConverter, kind_of

pytestmark = pytest.mark.anyio

_MAIN = "http://schemas.openxmlformats.org"
_TYPES = f'<Types xmlns="{_MAIN}/package/2006/content-types">'
_RELATIONS = f'<Relationships xmlns="{_MAIN}/package/2006/relationships">'
_RELATION = f"{_MAIN}/officeDocument/2006/relationships"
_KIND = "application/vnd.openxmlformats-officedocument"
_NAMES = (
    f'xmlns:a="{_MAIN}/drawingml/2006/main" xmlns:r="{_RELATION}" xmlns:p="{_MAIN}/presentationml/2006/main"'
)
_TREE = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'


def zipped(parts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def _types(**parts: str) -> str:
    named = "".join(
        f'<Override PartName="/{name}" ContentType="{kind}+xml"/>' for name, kind in parts.items()
    )
    rels = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    )
    return f"{_TYPES}{rels}{named}</Types>"


def _relations(*ways: tuple[str, str]) -> str:
    told = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATION}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(ways, 1)
    )
    return f"{_RELATIONS}{told}</Relationships>"


def docx(*paragraphs: str, more: str = "") -> bytes:
    """Each paragraph on a page of its own."""
    said = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'.join(
        f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs
    )
    return zipped(
        {
            "[Content_Types].xml": _types(**{"word/document.xml": f"{_KIND}.wordprocessingml.document.main"}),
            "_rels/.rels": _relations(("officeDocument", "word/document.xml")),
            "word/document.xml": f'<w:document xmlns:w="{_MAIN}/wordprocessingml/2006/main">'
            f"<w:body>{said}{more}</w:body></w:document>",
        }
    )


def pptx(text: str) -> bytes:
    """One slide."""
    box = (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="t"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr><a:xfrm>'
        f'<a:off x="900000" y="900000"/><a:ext cx="6000000" cy="900000"/></a:xfrm><a:prstGeom prst="rect"/></p:spPr>'
        f"<p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
    )
    slide = f"{_KIND}.presentationml"
    return zipped(
        {
            "[Content_Types].xml": _types(
                **{
                    "ppt/presentation.xml": f"{slide}.presentation.main",
                    "ppt/slides/slide1.xml": f"{slide}.slide",
                }
            ),
            "_rels/.rels": _relations(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f'<p:presentation {_NAMES}><p:sldIdLst><p:sldId id="256" r:id="rId1"/>'
            '</p:sldIdLst><p:sldSz cx="9144000" cy="6858000"/></p:presentation>',
            "ppt/_rels/presentation.xml.rels": _relations(("slide", "slides/slide1.xml")),
            "ppt/slides/slide1.xml": f"<p:sld {_NAMES}><p:cSld><p:spTree>{_TREE}{box}</p:spTree></p:cSld></p:sld>",
        }
    )


def _words(data: bytes) -> list[str]:
    limits = PdfLimits()
    return [
        " ".join(line.text for line in page_text(data, number, limits=limits))
        for number in range(1, len(page_sizes(data, limits=limits)) + 1)
    ]


def left() -> list[Path]:
    places = (Path("/dev/shm").glob("vlpro-office-*"), Path("/tmp").glob("OSL_PIPE_*"))  # noqa: S108
    return [path for found in places for path in found]


installed = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")


@installed
async def test_libreoffice_makes_pdfs_and_leaves_nothing(tmp_path: Path) -> None:
    before = set(left())
    canary = tmp_path / "canary.txt"
    canary.write_text("canary of the disk")
    field = f'<w:fldSimple w:instr=" INCLUDETEXT &quot;file://{canary}&quot; ">'
    link = f"<w:p>{field}<w:r><w:t>old</w:t></w:r></w:fldSimple></w:p>"
    converter = OfficeConverter(timeout_s=120)

    written, shown = await asyncio.gather(
        converter.pdf(docx("Fault E11 水泵", "second page", more=link), "docx"),
        converter.pdf(pptx("Slide of the pump"), "pptx"),
    )

    first, second = _words(written)
    assert "Fault E11 水泵" in first
    assert "second page" in second
    assert "canary" not in second
    assert "Slide of the pump" in _words(shown)[0]
    stays, deadline = set(left()) - before, time.monotonic() + 60
    # What is there of a conversion that another test has done beside this one goes with it.
    while stays and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        stays &= set(left())
    assert not stays


@installed
async def test_what_libreoffice_cannot_read_is_told() -> None:
    broken = zipped({"word/document.xml": "<not", "[Content_Types].xml": "<x"})
    with pytest.raises(BadRequestError, match="Save it as PDF") as refused:
        await OfficeConverter(timeout_s=120).pdf(broken, "docx")
    assert refused.value.code == "invalid_document"


async def test_one_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of = OfficeConverter._folder

    def folder(data: bytes, kind: str) -> Path:
        made = folder_of(data, kind)
        (made / "program").write_text("#!/bin/sh\nsleep 600 & echo $! > child; sleep 600\n")
        (made / "program").chmod(0o755)
        return made

    monkeypatch.setattr(office, "_MEMORY_FOLDER", tmp_path)
    monkeypatch.setattr(OfficeConverter, "_folder", staticmethod(folder))
    monkeypatch.setattr(OfficeConverter, "_program", staticmethod(lambda: "./program"))
    with pytest.raises(BadRequestError, match="more than 1 s") as refused:
        await OfficeConverter(timeout_s=1).pdf(docx("x"), "docx")
    assert refused.value.zh
    assert list(tmp_path.glob("vlpro-office-*")) == []


@pytest.mark.parametrize(("wants_mb", "fits"), [(1_000, False), (100, True)])
async def test_one_that_wants_more_memory_than_it_may_have_is_ended(
    wants_mb: int,
    fits: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder_of = OfficeConverter._folder

    def folder(data: bytes, kind: str) -> Path:
        made = folder_of(data, kind)
        takes = f"my $x = 'x' x ({wants_mb} << 20); open(F, '>document.pdf'); print F '%PDF-'"
        (made / "program").write_text(f'#!/bin/sh\nexec perl -e "{takes.replace("$", chr(92) + "$")}"\n')
        (made / "program").chmod(0o755)
        return made

    monkeypatch.setattr(office, "_MEMORY_FOLDER", tmp_path)
    monkeypatch.setattr(OfficeConverter, "_folder", staticmethod(folder))
    monkeypatch.setattr(OfficeConverter, "_program", staticmethod(lambda: "./program"))
    converter = OfficeConverter(timeout_s=60, memory_mb=512)
    if fits:
        assert await converter.pdf(docx("x"), "docx") == b"%PDF-"
    else:
        with pytest.raises(BadRequestError, match="more than 512 MiB of memory"):
            await converter.pdf(docx("x"), "docx")
    assert list(tmp_path.glob("vlpro-office-*")) == []


async def test_without_libreoffice_the_kind_is_named_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    converter = OfficeConverter(timeout_s=1)
    for data, kind in ((docx("x"), "docx"), (pptx("x"), "pptx")):
        assert kind_of(data) == kind
        with pytest.raises(UnsupportedError, match=rf"{kind.upper()}.*PDF.*libreoffice") as refused:
            converter.check(kind)
        assert refused.value.code == "office_not_installed"


async def test_sealed_it_is_refused_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "is_sealed", lambda: True)
    with pytest.raises(UnsupportedError, match="Save it as PDF"):
        await OfficeConverter(timeout_s=1).pdf(docx("x"), "docx")


def test_what_a_killed_process_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "_MEMORY_FOLDER", tmp_path)
    left = tmp_path / "vlpro-office-99999999-abc"
    left.mkdir()
    (left / "document.docx").write_bytes(b"x")
    ours = OfficeConverter._folder(b"x", "docx")
    assert [path.name for path in tmp_path.iterdir()] == [ours.name]
    assert OfficeConverter._folder(b"y", "docx") != ours
    assert ours.exists()


def test_by_their_insides_files_are_told_apart() -> None:
    assert kind_of(b"%PDF-1.7") is None
    assert kind_of(zipped({"xl/workbook.xml": "<x/>"})) is None
    bomb = zipped({"word/document.xml": "<x/>"} | {f"{n}": "" for n in range(20_001)})
    with pytest.raises(BadRequestError, match="larger unpacked"):
        kind_of(bomb)
