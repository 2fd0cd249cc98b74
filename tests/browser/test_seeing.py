"""The page with Qwen3-VL itself, as small as it sees: a picture, boxes drawn where things are, a second turn."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.chat import ANSWER_MS, Chat, copied, frames, loaded, png
from tests.browser.conftest import OpenChat
from tests.browser.server import running
from tests.functional.server import eventually
from tests.seeing import MANIFEST, MODEL
from tests.seeing.world import Shape, draw_shapes


@pytest.fixture(scope="module")
def seeing(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("seeing") / "log"
    with running(log, model_dir=str(MODEL), model_manifest=str(MANIFEST), device="cpu") as base:
        eventually(lambda: ready(base), timeout_s=120)
        yield base


def ready(base: str) -> bool:
    return httpx.get(f"{base}/readyz", timeout=60, trust_env=False).status_code == 200


def drawn(seed: int, count: int) -> tuple[bytes, list[Shape]]:
    image, shapes = draw_shapes(random.Random(seed), count, size=(160, 96), scale=5)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue(), shapes


def ask(chat: Chat, text: str, answer: str) -> None:
    count = chat.answers.count()
    chat.ask(text)
    expect(chat.answers).to_have_count(count + 1, timeout=ANSWER_MS)
    expect(chat.answers.last).to_contain_text(answer)


def test_a_box_is_drawn_where_the_thing_is_and_a_second_turn_sees_it_still(
    seeing: str, open_chat: OpenChat, screenshots: Path | None
) -> None:
    data, shapes = drawn(1, 2)
    shape = shapes[0]
    chat = open_chat(seeing)
    chat.attach(png("图形.png", data))
    chat.expect_tray(1)
    ask(chat, f"用 bbox_2d 标出{shape.name(1)}。", shape.name(1))
    answer = chat.answers.last
    box, picture = answer.locator(".box").first, answer.locator(".picture img")
    expect(box.locator("small")).to_have_text(shape.name(1))
    loaded(picture)
    frame, place = frames(picture, box)
    scale = 800 / frame["width"]
    left, top = (place["x"] - frame["x"]) * scale, (place["y"] - frame["y"]) * scale
    seen = (left, top, left + place["width"] * scale, top + place["height"] * scale)
    off = [abs(one - other) for one, other in zip(seen, shape.box, strict=True)]
    assert max(off) < 0.35 * (shape.box[2] - shape.box[0]), (seen, shape.box)
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer.get_by_role("button", name="复制", exact=True).click()
    copied(chat.page, rf"- 图 1 \[\d+(, \d+){{3}}\] {shape.name(1)}")
    ask(chat, "图中一共有几个图形？", str(len(shapes)))
    ask(chat, f"{shape.name(1)[2:]}是什么颜色？", shape.name(1)[:2])
    if screenshots is not None:
        chat.page.screenshot(path=screenshots / "seeing.png", full_page=True)
