"""The page "Knowledge base": a document is read, a passage found; the chat cites it, and a click opens its page."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.chat import png
from tests.browser.conftest import OpenChat
from tests.functional.manuals import pdf

READ_MS = 90_000
NAME = "泵 说明书#1?.pdf"  # what an address would read as something else
FOREIGN = "![x](http://evil.example/x.png)"
MANUAL = pdf(
    ["Maintenance of the pump", f"Error E11 means that the motor is too hot {FOREIGN}."],
    ["# Spare *parts*", "The filter cartridge has the part number F0-28."],
)


def find(page: Page, question: str) -> None:
    """Search in the base that is shown."""
    page.get_by_role("textbox", name="要找什么").fill(question)
    page.get_by_role("button", name="检索", exact=True).click()


def test_a_manual_is_read_found_and_cited(reader: str, open_chat: OpenChat) -> None:
    chat = open_chat(reader)
    page = chat.page
    expect(page.get_by_role("button", name="知识库", exact=True)).to_be_hidden()  # nothing to choose yet
    page.goto(f"{reader}/knowledge")
    page.get_by_role("button", name="新建知识库").click()
    page.get_by_role("textbox", name="名称").fill("设备 *手册*")
    page.get_by_role("button", name="新建", exact=True).click()
    expect(page.get_by_role("heading", name="设备 *手册*")).to_be_visible()
    expect(page.get_by_text("multilingual-e5-small")).to_be_visible()

    door = page.locator(".putting input[type=file]")
    door.set_input_files([png(NAME, MANUAL), png("坏.pdf", b"no pdf"), png("表.xlsx", b"no document")])
    documents, wrong = page.locator(".documents li"), page.locator(".putting .wrong li")
    # While one list takes the other's place, the page may hold both for a moment.
    expect(documents.filter(has_text=NAME).filter(has_text="可检索")).to_have_count(1, timeout=READ_MS)
    expect(documents.filter(has_text=NAME)).to_have_count(1)
    expect(documents.filter(has_text=NAME)).to_contain_text("2 页")
    expect(wrong.filter(has_text="表.xlsx")).to_contain_text("不是 PDF")
    expect(wrong.filter(has_text="坏.pdf")).to_have_count(1)
    expect(documents).to_have_count(1)

    find(page, "What does error E11 mean?")
    hits = page.locator(".passages li")
    expect(hits.first).to_contain_text(f"{NAME} · 第 1 页")
    expect(hits.first.locator("blockquote")).to_contain_text("the motor is too hot")
    expect(hits.first.locator("blockquote")).to_contain_text(FOREIGN)
    expect(hits.first.locator("mark")).to_have_text(["error", "E11"], ignore_case=True)
    expect(page.locator(".passages a, .passages blockquote img")).to_have_count(0)
    expect(hits.first.locator(".thumb .box").first).to_be_visible()
    find(page, "Who won the football cup?")
    expect(page.get_by_text("这些文档中没有找到答案")).to_be_visible()
    expect(page.get_by_role("heading", name="也许相关")).to_be_visible()

    page.get_by_test_id("stTopNavLink").filter(has_text="对话").click()
    page.get_by_role("button", name="知识库", exact=True).click()
    page.get_by_role("combobox", name="根据哪些知识库回答").click()
    page.get_by_role("option", name="设备 *手册*").click()
    expect(page.get_by_role("button", name="知识库：设备 *手册*")).to_be_visible()
    page.keyboard.press("Escape")
    chat.ask("Which part number has the filter?")
    source = page.locator(".sources button")
    expect(source).to_have_text(re.compile(re.escape(f"[1]{NAME} · 第 2 页")), timeout=READ_MS)
    # A document's words are quoted, letter by letter, and where they are from stands there once.
    expect(page.locator(".vl-quoted")).to_have_text(
        "# Spare *parts* The filter cartridge has the part number F0-28."
    )
    expect(page.get_by_text(f"{NAME} · 第 2 页")).to_have_count(1)
    chat.ask("Who won the football cup?")
    chat.answer("没有找到")
    page.reload()
    expect(page.get_by_role("button", name="知识库：设备 *手册*")).to_be_visible()
    source.click()
    viewer = page.locator(".vl-viewer dialog")
    expect(viewer.locator(".caption")).to_contain_text(f"{NAME} · 第 2 页")
    expect(viewer.locator(".box.held").first).to_be_visible()
    expect(viewer.locator(".row")).to_contain_text("F0-28")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)

    page.get_by_test_id("stTopNavLink").filter(has_text="知识库").click()
    page.get_by_role("button", name=f"删除：{NAME}").click()
    page.get_by_role("button", name="不删除").click()
    expect(documents).to_contain_text("可检索")
    page.get_by_role("button", name=f"删除：{NAME}").click()
    documents.get_by_role("button", name="删除", exact=True).click()
    expect(page.get_by_text("还没有文档。")).to_be_visible()
    page.get_by_test_id("stTopNavLink").filter(has_text="对话").click()
    source.click()
    expect(page.get_by_text("打不开这一页")).to_be_visible()

    page.get_by_test_id("stTopNavLink").filter(has_text="知识库").click()
    page.get_by_role("button", name="删除知识库").click()
    asked = page.get_by_role("dialog", name="删除这个知识库？")
    expect(asked).to_contain_text("无法恢复")
    asked.get_by_role("button", name="删除", exact=True).click()
    expect(page.get_by_text("还没有知识库。")).to_be_visible()
    assert page.request.get(f"{reader}/v1/knowledge-bases").json()["data"] == []
