"""Pictures of every bad kind: a 400 that names the field, no 5xx, no hang; what is kept is clean."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from tests.functional.server import Server, chat, data_url, eventually, picture_file, run
from vlpro.config import Settings

CHAT = "/v1/chat/completions"
PARAM = "messages[0].content[0].image_url.url"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *more: bytes, rows: bytes = b"") -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(more)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("evil.txt", "x" * 100)
    return out.getvalue()


def _gif() -> bytes:
    return picture_file(kind="GIF")


JPEG = picture_file(80, 60, kind="JPEG")
PNG = picture_file(80, 60)
WEBP = picture_file(80, 60, kind="WEBP")
BMP = picture_file(80, 60, kind="BMP")

BAD: dict[str, Callable[[], bytes]] = {
    "0 bytes": lambda: b"",
    "1 byte": lambda: b"\xff",
    "text": lambda: b"hello " * 100,
    "GIF": _gif,
    "TIFF": lambda: picture_file(kind="TIFF"),
    "PDF": lambda: b"%PDF-1.7\n" + b"x" * 500,
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1:9/x'/></svg>",
    "XML bomb": lambda: b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><svg>&a;</svg>",
    "ZIP": _zip,
    "HTML": lambda: b"<!DOCTYPE html><script>alert(1)</script>",
    "PNG signature only": lambda: PNG[:8],
    "PNG truncated in header": lambda: PNG[:20],
    "PNG truncated": lambda: PNG[: len(PNG) // 2],
    "PNG without data": lambda: _png(80, 60),
    "PNG 0 wide": lambda: _png(0, 60),
    "PNG of 4 gigapixels": lambda: _png(65_535, 65_535, rows=b"\0" * 1000),
    "PNG of a huge side": lambda: _png(2**31 - 1, 1),
    "PNG one pixel high": lambda: _png(29_000, 1, rows=b"\0" * 87_001),
    "PNG bomb": lambda: _png(20_000, 20_000, rows=b"\0" * 10_000_000),
    "PNG with wrong checksum": lambda: PNG[:29] + b"\0\0\0\0" + PNG[33:],
    "JPEG truncated in header": lambda: JPEG[:30],
    "JPEG signature only": lambda: b"\xff\xd8\xff",
    "JPEG of 65500 x 65500": lambda: JPEG.replace(
        struct.pack(">HH", 60, 80), struct.pack(">HH", 65_500, 65_500), 1
    ),
    "WebP truncated": lambda: WEBP[:40],
    "BMP truncated": lambda: BMP[:60],
    "BMP of huge size": lambda: BMP[:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + BMP[26:],
    "BMP of negative width": lambda: BMP[:18] + struct.pack("<i", -80) + BMP[22:],
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_picture(server: Server, kind: str) -> None:
    data = BAD[kind]()
    began = time.monotonic()
    reply = server.post(CHAT, chat("what?", data))
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["param"] == PARAM
    assert error["code"] in ("invalid_image_format", "image_too_large")
    assert time.monotonic() - began < 15  # a reader that hangs is ended after twenty
    with server.http() as http:
        raw = http.post("/v1/images", content=data)
    assert raw.status_code == 400
    assert raw.json()["error"]["param"] == "body"
    assert server.post(CHAT, chat("what?", PNG)).status_code == 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("said", ["image/png", "image/jpeg", "image/gif", "application/octet-stream", ""])
def test_the_content_decides_not_the_name(server: Server, kind: str, said: str) -> None:
    reply = server.post(CHAT, chat("what?", data_url(picture_file(70, 50, kind=kind), said)))
    assert reply.status_code == 200
    assert f"70×50 {kind.lower()}" in reply.text


@pytest.mark.parametrize("said", ["text/html", "application/pdf", "text/plain", "video/mp4"])
def test_what_is_declared_as_no_picture_is_refused(server: Server, said: str) -> None:
    error = server.post(CHAT, chat("what?", data_url(PNG, said))).json()["error"]
    assert (error["param"], error["code"]) == (PARAM, "invalid_image_format")
    assert said in error["message"]


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP, BMP], ids=["PNG", "JPEG", "WebP", "BMP"])
def test_a_polyglot_is_refused(server: Server, data: bytes) -> None:
    error = server.post(CHAT, chat("what?", data + _zip())).json()["error"]
    assert (error["param"], error["code"]) == (PARAM, "invalid_image_format")


def test_the_field_of_the_wrong_one_is_named(server: Server) -> None:
    reply = server.post(CHAT, chat("what?", PNG, PNG, PNG[:50], PNG))
    assert reply.json()["error"]["param"] == "messages[0].content[2].image_url.url"


def test_equal_pictures_in_one_request(server: Server) -> None:
    reply = server.post(CHAT, chat("what?", PNG, JPEG, PNG))
    assert [p["sha256"] for p in reply.json()["vlpro"]["pictures"]][0::2] == [
        reply.json()["vlpro"]["pictures"][0]["sha256"]
    ] * 2


def _kept(server: Server, data: bytes, query: str = "") -> tuple[dict[str, object], bytes]:
    with server.http() as http:
        info = http.post("/v1/images", content=data)
        assert info.status_code == 201, info.text
        content = http.get(f"/v1/images/{info.json()['id']}/content{query}")
        assert content.headers["content-type"] == "image/jpeg"
        return info.json(), content.content


def test_tail_and_metadata_never_come_back(server: Server) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif[0x8825] = {1: "N", 2: (31.0, 14.0, 0.0)}
    out = io.BytesIO()
    Image.new("RGB", (80, 60), "red").save(
        out, "JPEG", exif=exif, comment=b"SECRET comment", icc_profile=b"SECRET profile" * 10
    )
    data = out.getvalue() + b"\0\0\0\x18ftypmp42 SECRET tail"
    assert data.count(b"SECRET") >= 4
    info, content = _kept(server, data)
    assert (info["format"], info["width"], info["height"], info["bytes"]) == ("jpeg", 80, 60, len(data))
    assert b"SECRET" not in content
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (80, 60)
    assert not picture.getexif()
    assert "icc_profile" not in picture.info


def test_orientation_is_applied(server: Server) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (80, 60)).save(out, "JPEG", exif=exif)
    info, content = _kept(server, out.getvalue())
    assert (info["width"], info["height"]) == (60, 80)
    assert Image.open(io.BytesIO(content)).size == (60, 80)


def test_a_shrunk_picture_can_be_seen_at_its_original_size(server: Server) -> None:
    data = picture_file(2400, 1800, kind="JPEG")
    info, content = _kept(server, data)
    assert info["shrunk"]
    assert Image.open(io.BytesIO(content)).size == (2400, 1800)
    _, small = _kept(server, data, "?size=320")
    assert Image.open(io.BytesIO(small)).size == (320, 240)
    _, own = _kept(server, PNG, "?size=320")
    assert Image.open(io.BytesIO(own)).size == (80, 60)


def test_a_picture_larger_than_allowed(narrow: Server) -> None:
    with narrow.http() as http:
        reply = http.post("/v1/images", content=picture_file(250, 250))
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "image_too_large"


def test_the_store_is_bounded_and_says_when_it_is_full(narrow: Server) -> None:
    store = narrow.services.conversations._pictures
    with narrow.http() as http:
        for seed in range(12):  # nobody holds them: the oldest make room
            assert http.post("/v1/images", content=picture_file(60, 60, seed=seed)).status_code == 201
        assert store.bytes_used <= 60_000
        conversation = http.post("/v1/conversations", json={}).json()["id"]
        ids = [http.post("/v1/images", content=picture_file(60, 60, seed=s)).json()["id"] for s in (1, 2)]
        asked = http.post(
            f"/v1/conversations/{conversation}/messages", json={"text": "count to 1", "images": ids}
        )
        assert asked.status_code == 202
        full = http.post("/v1/images", content=picture_file(90, 90))
        assert full.status_code == 429
        assert full.headers["retry-after"]
        assert http.delete(f"/v1/conversations/{conversation}").json()["images"] == 2
        eventually(lambda: store.bytes_used == 0)
        last = http.post("/v1/images", content=picture_file(90, 90)).json()["id"]
        assert http.delete(f"/v1/images/{last}").json() == {
            "id": last,
            "object": "image.deleted",
            "deleted": True,
        }
    assert store.bytes_used == 0


def test_unused_pictures_and_conversations_go_in_time_by_themselves() -> None:
    with run(Settings(engine="fake", idle_ttl_s=0.2)) as server:
        with server.http() as http:
            http.post("/v1/conversations", json={})
            assert http.post("/v1/images", content=PNG).status_code == 201
        conversations = server.services.conversations
        eventually(lambda: conversations._pictures.bytes_used == 0 and not conversations._memory._by_id)


def test_the_memory_of_large_pictures_goes_back_to_the_system(server: Server) -> None:
    def resident() -> int:
        with server.http() as http:
            return int(http.get("/v1/status").json()["device"]["gateway_memory"])

    large = io.BytesIO()
    Image.new("RGB", (9000, 9000)).save(large, "PNG", compress_level=1)  # 243 MB decoded
    assert server.post(CHAT, chat("what?", large.getvalue())).status_code == 200
    before = resident()
    for _ in range(2):
        assert server.post(CHAT, chat("what?", large.getvalue())).status_code == 200
    assert resident() - before < 100_000_000
