"""What a camera writes into a file (where, when, whose it is) goes no further than the door."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncGenerator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.functional.server import Server, chat, data_url, eventually
from vlpro.engines.interface import Delta, Request

OWNER = "Garden-of-Zhang-39N"
PLACE = (39.0, 54.0, 26.4)


def photo(kind: str) -> bytes:
    """A picture that says where it was taken, and by whom."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = OWNER
    exif[0x8825] = {1: "N", 2: PLACE, 3: "E", 4: (116.0, 23.0, 29.2)}
    pixels = np.random.default_rng(7).integers(0, 256, (90, 120, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, exif=exif, icc_profile=OWNER.encode(), xmp=OWNER.encode())
    assert OWNER.encode() in out.getvalue()
    return out.getvalue()


def everything(value: Any) -> bytes:
    """All bytes and texts that a value holds."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if is_dataclass(value) and not isinstance(value, type):
        return b"".join(everything(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, list | tuple | set | frozenset):
        return b"".join(map(everything, value))
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_neither_the_engine_nor_logs_nor_answers_learn_where_a_picture_was_taken(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    engine, asked = server.services.chat.engine, []
    generate = engine._generate

    def watched(request: Request) -> AsyncGenerator[Delta, None]:
        asked.append(request)
        return generate(request)

    monkeypatch.setattr(engine, "_generate", watched)
    data = photo(kind)
    given: list[bytes] = []
    with caplog.at_level(logging.DEBUG), server.http() as http:
        body = chat("a box, please", data_url(data, f"image/{kind.lower()}"))
        given.append(http.post("/v1/chat/completions", json=body).raise_for_status().content)
        kept = http.post("/v1/images", content=data).raise_for_status()
        given.append(kept.content)
        image = kept.json()["id"]
        given.append(http.get(f"/v1/images/{image}/content").raise_for_status().content)
        given.append(http.get(f"/v1/images/{image}/content?size=64").raise_for_status().content)
        held = http.post("/v1/conversations", json={}).json()["id"]
        path = f"/v1/conversations/{held}"
        answer = http.post(f"{path}/messages", json={"text": "a box", "images": [image]}).json()["id"]
        eventually(lambda: http.get(f"{path}/messages/{answer}").json()["status"] == "done")
        given.append(http.get(path).content)
        given.append(http.get(f"{path}/messages/{answer}/annotated").raise_for_status().content)
        given.append(http.post(f"{path}/exports", json={"format": "json"}).raise_for_status().content)
    assert len(asked) == 2
    given += [*map(everything, asked), caplog.text.encode()]
    for found in given:
        assert OWNER.encode() not in found
        assert b"Exif" not in found
        assert b"39.0, 54.0" not in found
    for found in given:
        if found[:2] == b"\xff\xd8":
            assert not Image.open(io.BytesIO(found)).getexif()
