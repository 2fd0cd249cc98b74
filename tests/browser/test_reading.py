"""The main job with the embedded engine: a receipt, a question, an answer that shows where it comes from."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.chat import ANSWER_MS, frames, loaded, png, settled
from tests.browser.conftest import OpenChat
from tests.browser.receipt import receipt


@pytest.fixture(autouse=True, scope="module")
def _warm(reader: str) -> None:
    """The first answer must not be charged with the engine's start."""
    httpx.get(f"{reader}/readyz", timeout=60, trust_env=False)


def test_total_of_a_receipt_is_answered_with_its_place_on_the_picture(
    reader: str, open_chat: OpenChat
) -> None:
    drawn = receipt("410.20")
    chat = open_chat(reader)
    chat.attach(png("小票.png", drawn.png))
    chat.expect_tray(1)
    chat.ask("合计金额是多少？")
    answer = chat.answer("410.20")

    box, picture = answer.locator(".box").first, answer.locator(".picture img")
    expect(box).to_be_visible()
    loaded(picture)
    frame, place = frames(picture, box)
    scale = drawn.size[0] / frame["width"]
    left, top = (place["x"] - frame["x"]) * scale, (place["y"] - frame["y"]) * scale
    right, bottom = left + place["width"] * scale, top + place["height"] * scale
    x1, y1, x2, y2 = drawn.total
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    assert left < middle_x < right
    assert top < middle_y < bottom
    assert right - left < 2 * (x2 - x1)
    assert bottom - top < 3 * (y2 - y1)

    expect(box.locator("small")).to_be_visible()
    expect(box.locator("small")).to_have_text("合计")
    row = answer.get_by_role("list", name="依据").get_by_role("button").first
    expect(row).to_contain_text("410.20")
    expect(box).not_to_have_class(re.compile(r"\bon\b"))
    row.hover()
    expect(box).to_have_class(re.compile(r"\bon\b"))
    chat.question.hover()
    expect(box).not_to_have_class(re.compile(r"\bon\b"))
    row.focus()
    expect(box).to_have_class(re.compile(r"\bon\b"))
    box.hover()
    expect(row).to_have_class(re.compile(r"\bon\b"))


def test_original_size_opens_with_zoom_and_boxes(reader: str, open_chat: OpenChat) -> None:
    chat = open_chat(reader)
    chat.attach(png("小票.png", receipt("88.00").png))
    chat.expect_tray(1)
    chat.ask("合计金额是多少？")
    answer = chat.answer("88.00")
    answer.get_by_role("button", name="查看原图").click()
    viewer = chat.viewer
    expect(viewer.locator(".box")).to_have_count(answer.locator(".box").count())
    expect(viewer.get_by_role("list", name="依据")).to_contain_text("88.00")
    image = viewer.locator(".picture img")
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 800
    viewer.get_by_role("button", name="原始大小").click()
    expect(viewer.locator(".percent")).to_have_text("100%")
    viewer.get_by_role("button", name="放大").click()
    expect(viewer.locator(".percent")).to_have_text("125%")
    viewer.locator(".stage").press("0")
    expect(viewer.locator(".percent")).not_to_have_text("125%")
    viewer.get_by_role("button", name="显示或隐藏标注框").click()
    expect(viewer.locator(".box").first).to_be_hidden()
    chat.page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(answer.get_by_role("button", name="查看原图")).to_be_focused()
    chat.page.get_by_role("button", name="查看原图: 图 1").click()
    expect(chat.viewer.locator(".box").first).to_be_visible()


def test_a_box_brings_its_row_into_view(reader: str, open_chat: OpenChat) -> None:
    chat = open_chat(reader)
    chat.attach(png("小票.png", receipt("66.00").png))
    chat.expect_tray(1)
    chat.ask("读出图中全部文字。")
    answer = chat.answer("66.00")
    rows = answer.get_by_role("list", name="依据")
    last = rows.get_by_role("button").last
    assert rows.evaluate("(list) => list.scrollHeight > list.clientHeight")
    loaded(answer.locator(".picture img"))
    answer.locator(".box").last.hover()
    expect(last).to_have_class(re.compile(r"\bon\b"))
    shown, place = settled(chat.page, lambda: frames(rows, last))
    assert place["y"] + place["height"] <= shown["y"] + shown["height"] + 1
    expect(answer.locator(".box").first.locator("small")).to_have_count(0)  # a line of text has no label


def test_second_turn_keeps_the_picture(reader: str, open_chat: OpenChat) -> None:
    chat = open_chat(reader)
    chat.attach(png("小票.png", receipt("77.50").png))
    chat.expect_tray(1)
    chat.ask("合计金额是多少？")
    chat.answer("77.50")
    chat.ask("日期是哪天？")
    chat.answer(re.compile(r"2026\D+11\D+18"))
    expect(chat.asked).to_have_count(2)
    expect(chat.budget).to_contain_text("1/16 张图片")


def test_page_says_what_the_engine_cannot_do(reader: str, open_chat: OpenChat) -> None:
    chat = open_chat(reader)
    expect(chat.page.get_by_text("看不懂场景")).to_be_visible()
    expect(chat.page.get_by_role("button", name="描述这张图片。")).to_have_count(0)
    expect(chat.page.get_by_text("活跃度对它不起作用")).to_be_visible()
    expect(chat.status).to_contain_text("ocr", timeout=ANSWER_MS)
    expect(chat.status).to_contain_text("引擎内存", timeout=ANSWER_MS)


@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
def test_page_as_the_readme_shows_it(
    reader: str, open_chat: OpenChat, screenshots: Path | None, locale: str
) -> None:
    chinese = locale == "zh-CN"
    question = "读出日期、商户和合计金额。" if chinese else "Read the date, the merchant and the total."
    chat = open_chat(reader, locale=locale, size=(1280, 960))
    chat.attach(png("receipt.png", receipt("410.20").png))
    chat.expect_tray(1)
    chat.ask(question)
    answer = chat.answer("410.20")
    answer.locator(".evidence .row").last.click()
    expect(answer.locator(".box.held")).to_be_visible()
    if screenshots:
        chat.page.wait_for_function("document.querySelector('.vl-status .figures')")
        chat.page.screenshot(path=screenshots / ("page-zh.png" if chinese else "page-en.png"))
