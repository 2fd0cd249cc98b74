"""Conversations in the left panel: kept over a restart, found again, renamed, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.chat import Chat, frames, settled
from tests.browser.conftest import OpenChat
from tests.browser.receipt import photo
from tests.browser.server import running
from tests.browser.test_layout import not_too_wide

_BOX = "box it and 阀门"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def full(browser: Browser, folder: Path) -> Iterator[str]:
    """A service with a history of 42 conversations, started again since."""
    data = str(folder / "data")
    with (
        running(folder / "first", engine="fake", data_dir=data) as base,
        httpx.Client(base_url=base, trust_env=False, timeout=30) as http,
    ):
        for number in range(41):
            talk(http, f"talk number {number:02}", "the ＰＵＭＰ of hall 7 leaks. " * (number == 31))
        image = http.post("/v1/images", content=photo(1)).json()["id"]
        talk(http, _BOX, images=[image])
    with running(folder / "second", engine="fake", data_dir=data) as base:
        yield base


def talk(http: httpx.Client, *texts: str, **more: object) -> None:
    name = http.post("/v1/conversations", json={}).json()["id"]
    for text in filter(None, texts):
        path = f"/v1/conversations/{name}"
        assert http.post(f"{path}/messages", json={"text": text} | more).status_code == 202
        while http.get(path).json()["busy"]:
            pass


def rows(chat: Chat) -> Locator:
    return chat.page.locator(".history .talk")


def search(chat: Chat) -> Locator:
    return chat.page.get_by_role("searchbox", name=re.compile("^(搜索对话|Search chats)$"))


def test_search_finds_what_was_said_before_the_restart(full: str, open_chat: OpenChat) -> None:
    chat = open_chat(full)
    expect(rows(chat)).to_have_count(20)
    expect(rows(chat).first).to_have_text(_BOX)
    chat.page.get_by_role("button", name="显示更早的（还有 22 段）").click()
    expect(rows(chat)).to_have_count(40)
    search(chat).fill("pump ７")  # without Enter; full width and capitals do not matter
    expect(rows(chat)).to_have_count(1)
    expect(rows(chat)).to_contain_text("talk number 31")
    expect(rows(chat).locator("mark")).to_have_text("ＰＵＭＰ")
    expect(chat.page.get_by_text("找到 1 段对话")).to_be_visible()
    # It would delete what is not found.
    expect(chat.page.get_by_role("button", name="删除全部对话")).to_have_count(0)
    assert "pump" not in chat.page.url.lower()
    rows(chat).click()
    expect(chat.asked.first).to_have_text("talk number 31")
    expect(chat.asked.nth(1)).to_be_in_viewport()
    expect(rows(chat)).to_have_attribute("aria-current", "page")
    search(chat).fill("nowhere")
    expect(chat.page.get_by_text("没有符合的对话")).to_be_visible()
    expect(rows(chat)).to_have_count(0)
    search(chat).press("Escape")
    expect(rows(chat)).to_have_count(40)


def test_an_old_conversation_shows_where_its_pictures_were(full: str, open_chat: OpenChat) -> None:
    chat = open_chat(full)
    rows(chat).first.click()
    expect(chat.page.locator(".thumbnails .gone")).to_have_text("图片未保存")
    expect(chat.evidence.locator(".picture.gone .box")).to_have_count(1)
    expect(chat.evidence).to_contain_text("按策略没有保存这张图片")
    chat.ask("count to 3")
    chat.answer("1 2 3")
    chat.page.get_by_role("button", name="重新生成").first.click()
    expect(chat.page.get_by_role("alert").filter(has_text="请重新添加")).to_be_visible()


def test_rename(full: str, open_chat: OpenChat) -> None:
    chat = open_chat(full)
    search(chat).fill("talk number 05")
    expect(rows(chat)).to_have_count(1)
    rows(chat).click()
    chat.page.get_by_role("button", name="改名").click()
    name = chat.page.get_by_role("textbox", name="对话名称")
    expect(name).to_have_value("talk number 05")
    name.fill("六月 [盘点](x) *")
    chat.page.get_by_role("button", name="保存").click()
    expect(chat.page.get_by_role("heading", name="六月 [盘点](x) *")).to_be_visible()
    search(chat).fill("盘点")
    expect(rows(chat)).to_contain_text("六月 [盘点](x) *")


def test_two_tabs_on_one_conversation(full: str, open_chat: OpenChat) -> None:
    first = open_chat(full)
    first.ask("begun here")
    first.answer("You asked: begun here")
    second = open_chat(full, first.page.url.removeprefix(full))
    expect(second.asked).to_have_text("begun here")
    second.ask("gone on there")
    second.answer("You asked: gone on there")
    first.question.fill("not seen yet")
    first.question.press("Enter")
    expect(first.notices).to_contain_text("这段对话已在别处继续")
    expect(first.question).to_have_value("not seen yet")
    expect(first.asked).to_have_count(2)  # now it is


@pytest.mark.parametrize(
    "look",
    [
        ((1440, 900), "zh-CN", False),
        ((1440, 900), "en-US", True),
        ((390, 844), "zh-CN", True),
        ((390, 844), "en-US", False),
    ],
)
def test_it_fits_every_screen(
    full: str,
    open_chat: OpenChat,
    screenshots: Path | None,
    look: tuple[tuple[int, int], str, bool],
) -> None:
    size, locale, dark = look
    chat = open_chat(full, locale=locale, size=size, dark=dark)
    phone = size[0] < 640
    if phone:
        chat.page.get_by_test_id("stExpandSidebarButton").click()
    search(chat).fill("阀门")
    expect(rows(chat)).to_have_count(1)
    expect(rows(chat).locator("mark")).to_be_visible()
    not_too_wide(chat.page)
    for box in settled(chat.page, lambda: frames(search(chat), rows(chat))):  # the panel has come in
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["height"] >= (40 if phone else 24)
    shoot(chat, screenshots, f"search-{size[0]}-{locale}-{'dark' if dark else 'light'}")
    rows(chat).click()
    if phone:  # the panel makes room for what was chosen in it
        expect(search(chat)).not_to_be_in_viewport()
    expect(chat.page.locator(".thumbnails .gone")).to_be_visible()
    shoot(chat, screenshots, f"old-{size[0]}-{locale}-{'dark' if dark else 'light'}")


def shoot(chat: Chat, screenshots: Path | None, name: str) -> None:
    if screenshots is not None:
        chat.page.wait_for_timeout(600)
        chat.page.screenshot(path=screenshots / f"history-{name}.png")


def test_on_a_phone_the_receipt_is_seen(full: str, open_chat: OpenChat) -> None:
    chat = open_chat(full, size=(390, 844))
    chat.ask("to be cleared")
    chat.answer("You asked: to be cleared")
    chat.page.get_by_test_id("stExpandSidebarButton").click()
    chat.page.get_by_role("button", name="清空对话").click()
    dialog = chat.page.get_by_role("dialog", name="清空这段对话？")
    dialog.get_by_role("button", name="清空", exact=True).click()
    told = chat.page.get_by_role("status").filter(has_text="对话已清空")
    expect(told).to_be_in_viewport()
    expect(search(chat)).not_to_be_in_viewport()
    told.click(trial=True)  # nothing lies over it


def test_delete_all(full: str, open_chat: OpenChat) -> None:
    """The last one: nothing is left after it."""
    chat = open_chat(full)
    chat.page.get_by_role("button", name="删除全部对话").click()
    dialog = chat.page.get_by_role("dialog", name="删除全部对话？")
    dialog.get_by_role("button", name="全部删除").click()
    expect(chat.page.get_by_role("status").filter(has_text=re.compile(r"已删除 \d+ 段对话"))).to_be_visible()
    expect(rows(chat)).to_have_count(0)
    expect(chat.page.get_by_text("还没有对话")).to_be_visible()
