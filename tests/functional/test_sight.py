"""The whole service with a small model that really sees: from a file's bytes to boxes in its own pixels."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.functional.server import Json, Server, chat, events, eventually, run
from tests.seeing import MANIFEST, MODEL
from tests.seeing.world import Box, Shape, draw_shapes
from vlpro.config import Settings

LOCATE = "用 bbox_2d 标出{}。"


def settings(**more: Any) -> Settings:
    return Settings(model_dir=str(MODEL), model_manifest=str(MANIFEST), device="cpu", **more)


@pytest.fixture(scope="module", params=["openvino", "transformers"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "transformers":
        pytest.importorskip("torch", reason="the packages of the extra qwen are not installed")
    with run(settings(engine=request.param)) as running:
        eventually(lambda: ready(running), timeout_s=120)
        yield running


def ready(server: Server) -> bool:
    with server.http() as http:
        return bool(http.get("/v1/status").json()["ready"])


def drawn(
    seed: int, count: int = 2, *, size: tuple[int, int] = (160, 96), scale: int = 4
) -> tuple[Image.Image, list[Shape]]:
    """A picture as large as a small photo."""
    return draw_shapes(random.Random(seed), count, size=size, scale=scale)


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = [max(0.0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1)]
    both = across[0] * across[1]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def found(server: Server, data: bytes, shape: Shape) -> Box:
    body = chat(LOCATE.format(shape.name(1)), data, model="vlpro", temperature=0)
    reply = server.post("/v1/chat/completions", body).json()
    places = reply["vlpro"]["grounding"]
    if [place["label"] for place in places] != [shape.name(1)]:
        return 0, 0, 0, 0
    x1, y1, x2, y2 = places[0]["box"]
    return x1, y1, x2, y2


def test_boxes_are_in_the_pixels_of_the_file(server: Server) -> None:
    """The engine sees a picture of at most 16,384 pixels; the file has up to nine times as many on a side."""
    overlaps = []
    for seed in range(10):
        image, shapes = drawn(
            seed, size=random.Random(seed).choice([(160, 96), (96, 160), (128, 128)]), scale=2 + seed % 4
        )
        overlaps.append(overlap(found(server, file(image), shapes[0]), shapes[0].box))
    assert sum(share > 0.5 for share in overlaps) >= 8, overlaps


def test_a_photo_taken_sideways_is_seen_upright(server: Server) -> None:
    """EXIF orientation 6: the camera stored the picture turned, and whoever shows it turns it back."""
    overlaps = []
    for seed in range(20, 28):
        image, shapes = drawn(seed, 1)
        exif = Image.Exif()
        exif[0x0112] = 6
        stored = image.transpose(Image.Transpose.ROTATE_90)
        data = file(stored, "JPEG", exif=exif, quality=95)
        overlaps.append(overlap(found(server, data, shapes[0]), shapes[0].box))
    assert sum(share > 0.5 for share in overlaps) >= 6, overlaps


def test_a_conversation_about_two_pictures(server: Server) -> None:
    first, second = (drawn(seed, 1) for seed in (31, 33))
    with server.http() as http:

        def ask(held: str, text: str, *files: bytes) -> Json:
            images = [http.post("/v1/images", content=data).json()["id"] for data in files]
            body = {"text": text, "images": images, "temperature": 0}
            http.post(f"/v1/conversations/{held}/messages", json=body).raise_for_status()
            eventually(lambda: last(held)["status"] == "done")
            return last(held)

        def last(held: str) -> Json:
            told: Json = http.get(f"/v1/conversations/{held}").json()["messages"][-1]
            return told

        held = http.post("/v1/conversations", json={}).json()["id"]
        one, other = first[1][0], second[1][0]
        assert ask(held, "图中一共有几个图形？", file(first[0]))["text"] == "1"
        marked = ask(held, LOCATE.format(other.name(1)), file(second[0]))
        (place,) = marked["vlpro"]["grounding"]
        assert (place["image"], place["label"]) == (2, other.name(1))
        assert overlap(tuple(place["box"]), other.box) > 0.5
        again = ask(held, f"第一张图：{one.name(1)[2:]}是什么颜色？")
        assert again["text"] == one.name(1)[:2]
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 40
        shown = http.get(f"/v1/conversations/{held}/messages/{marked['id']}/annotated").content
    changed = np.abs(np.asarray(Image.open(io.BytesIO(shown)), np.int16) - np.asarray(second[0])).max(-1) > 60
    rows, columns = changed.any(1).nonzero()[0], changed.any(0).nonzero()[0]
    assert columns.max() - columns.min() > 0.8 * (other.box[2] - other.box[0])
    assert rows.max() - rows.min() > 0.8 * (other.box[3] - other.box[1])


def test_an_answer_in_chinese_to_a_question_in_english() -> None:
    image, (shape,) = drawn(31, 1)
    body = chat(f"What colour is the {shape.kind}?", file(image), model="vlpro", temperature=0)
    told = {}
    for language in ("off", "always"):
        with run(settings(answer_language=language)) as running:
            eventually(lambda: ready(running), timeout_s=120)
            told[language] = running.post("/v1/chat/completions", body).json()["choices"][0]["message"][
                "content"
            ]
    assert told == {"off": shape.colour, "always": shape.name(1)[:2]}


def test_streamed_pieces_are_the_whole_answer(server: Server) -> None:
    image, (shape, *_) = drawn(41)
    body = chat(LOCATE.format(shape.name(1)), file(image), model="vlpro", temperature=0, stream=True)
    pieces = [
        chunk["choices"][0]["delta"].get("content") or ""
        for chunk in events(server.post("/v1/chat/completions", body).text)
        if chunk["choices"]
    ]
    assert len(pieces) > 10
    whole = server.post("/v1/chat/completions", body | {"stream": False}).json()["choices"][0]["message"][
        "content"
    ]
    assert "".join(pieces) == whole
