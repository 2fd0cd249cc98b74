"""Documents that are broken, locked or built to do harm: refused with what to do, and nothing else suffers."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

import httpx
import pytest

from tests.functional import manuals
from tests.functional.server import eventually, run
from tests.unit.imaging.pdfs import ENCRYPTED, pdf, picture
from tests.unit.knowledge.test_office import docx, pptx
from vlpro.config import Settings

BASES = "/v1/knowledge-bases"
FORM = (
    b"<</Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<</F %d 0 R>>>>/Length 5>>stream\n"
    b"/F Do\nendstream"
)


def nested(depth: int) -> bytes:
    """Forms within forms."""
    forms = tuple(FORM % (11 + number) for number in range(depth - 1))
    last = b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 0>>stream\n\nendstream"
    return pdf(content=b"/F Do", objects=(*forms, last), resources=b"/XObject<</F 10 0 R>>")


def long_stream(length: int) -> bytes:
    """A form whose content unpacks to so many bytes."""
    packed = zlib.compress(b"q Q " * (length // 4), 9)
    form = (
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Filter/FlateDecode/Length %d>>stream\n%s\nendstream"
        % (len(packed), packed)
    )
    return pdf(content=b"/F Do", objects=(form,), resources=b"/XObject<</F 10 0 R>>")


def zip_bomb() -> bytes:
    """A document that says to be 1.2 GB unpacked."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/document.xml", "w") as part,
    ):
        for _ in range(1200):
            part.write(bytes(1_000_000))
    return out.getvalue()


def with_macros(data: bytes, part: str, kind: str) -> bytes:
    """An office file with a VBA project beside what it had, declared as Office declares it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w") as archive:
        for name in before.namelist():
            said = before.read(name)
            if name == "[Content_Types].xml":
                told = f'<Override PartName="/{part}" ContentType="{kind}"/></Types>'
                said = said.replace(b"</Types>", told.encode())
            archive.writestr(name, said)
        archive.writestr(part, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    return out.getvalue()


VBA = "application/vnd.ms-office.vbaProject"
REFUSED = {
    "macros.docm": (with_macros(docx("x"), "word/vbaProject.bin", VBA), "document_has_macros"),
    "macros.docx": (with_macros(docx("x"), "word/VBAPROJECT.BIN", "a/b"), "document_has_macros"),
    "renamed.docx": (with_macros(docx("x"), "word/settings.bin", VBA), "document_has_macros"),
    "macros.pptm": (with_macros(pptx("x"), "ppt/vbaProject.bin", VBA), "document_has_macros"),
    "locked.pdf": (ENCRYPTED, "pdf_password"),
    "broken.pdf": (manuals.pdf(["x"])[:300], "invalid_pdf"),
    "long.pdf": (pdf(2_001), "pdf_too_many_pages"),
    "giant.pdf": (pdf(size=(1e6, 1e6)), "pdf_too_large"),
    "nothing.pdf": (b"", "invalid_document"),
    "bomb.docx": (zip_bomb(), "document_too_large"),
    "cut.docx": (docx("x")[:200], "invalid_document"),
    "locked.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "invalid_document"),
}
# Taken, and looked at page by page; some are read after all.
TAKEN = {
    "picture.pdf": (picture(32_000, 32_000), ("pdf_too_large",)),
    "nested.pdf": (nested(1_000), ("pdf_too_large", "invalid_pdf", None)),
    "stream.pdf": (long_stream(100_000_000), ("pdf_too_large", "invalid_pdf", "image_timeout", None)),
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = Settings(engine="fake", data_dir=tmp_path_factory.mktemp("hostile"))
    with run(settings) as server, server.http() as client:
        yield client


@pytest.fixture(scope="module")
def base(http: httpx.Client) -> str:
    name = str(http.post(BASES, json={"name": "Hostile"}).json()["id"])
    http.put(f"{BASES}/{name}/documents/good.pdf", content=manuals.pdf(["E11: no water flows."]))
    eventually(lambda: "good.pdf" in ready(http, name), timeout_s=60)
    return name


def ready(http: httpx.Client, base: str) -> list[str]:
    told = http.get(f"{BASES}/{base}/documents?status=ready").json()["data"]
    return [one["name"] for one in told]


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_at_once_with_what_to_do(http: httpx.Client, base: str, name: str) -> None:
    data, code = REFUSED[name]
    reply = http.put(f"{BASES}/{base}/documents/{name}", content=data)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (400, code), error
    assert error["vlpro"]["zh"] != error["message"]
    assert http.get(f"{BASES}/{base}/documents/{name}").status_code == 404


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_found_later_fails_that_document_only(http: httpx.Client, base: str, name: str) -> None:
    data, codes = TAKEN[name]
    path = f"{BASES}/{base}/documents/{name}"
    assert http.put(path, content=data).status_code == 202
    eventually(lambda: http.get(path).json()["status"] in ("ready", "failed"), timeout_s=120)
    told = http.get(path).json()
    assert (told["error"] or {}).get("code") in codes, told
    assert http.delete(path).status_code == 200
    hits = http.post(f"{BASES}/{base}/search", json={"query": "What does E11 mean?"}).json()["hits"]
    assert [hit["document"] for hit in hits] == ["good.pdf"]
