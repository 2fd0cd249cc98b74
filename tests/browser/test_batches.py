"""The page "Batches": files in, progress, answers as a person reads them, results taken, and gone again."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.browser.chat import png, until
from tests.browser.conftest import OpenChat
from tests.browser.receipt import receipt

DONE_MS = 120_000


def test_files_are_answered_and_taken_out(reader: str, open_chat: OpenChat) -> None:
    page = open_chat(reader).page
    page.goto(f"{reader}/batches")
    expect(page.get_by_text("离开本页也会继续处理")).to_be_visible()
    door = page.locator(".batching input[type=file]").first
    door.set_input_files([png("一.png", receipt("410.20").png), png("坏.png", b"no picture")])
    expect(page.get_by_role("button", name="开始处理")).to_be_disabled()
    page.get_by_role("textbox", name="对每张图片或每页的指令").fill("合计金额是多少？")
    held: list[Route] = []
    page.route("**/v1/files", lambda route: held.append(route))  # noqa: PLW0108 - it marks what it calls; uploads take for ever
    page.get_by_role("button", name="开始处理").click()
    until(page, lambda: bool(held))
    page.locator(".batching .progress").get_by_role("button", name="停止").click()
    expect(page.locator(".batching .progress")).to_be_hidden()
    page.unroute("**/v1/files")
    page.get_by_role("button", name="开始处理").click()

    lines = page.locator(".batch-lines tbody tr")
    expect(lines).to_have_count(1, timeout=DONE_MS)
    expect(lines).to_contain_text("一.png")
    expect(lines).to_contain_text("410.20")
    expect(lines).not_to_contain_text("bbox_2d")
    expect(page.locator(".batch-wrong tbody tr")).to_contain_text("坏.png")
    expect(page.locator(".batch-wrong thead")).to_contain_text("原因")

    page.reload()  # it is stored
    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    table = taken.value.path().read_text("utf-8-sig")
    assert "410.20" in table
    assert "**" not in table
    assert "bbox_2d" not in table
    page.get_by_role("button", name="删除", exact=True).click()
    expect(page.get_by_text("无法恢复")).to_be_visible()
    page.get_by_role("button", name="不删除").click()
    expect(page.get_by_text("无法恢复")).to_be_hidden()
    expect(lines).to_contain_text("一.png")
    page.get_by_role("button", name="删除", exact=True).click()
    expect(page.get_by_text("无法恢复")).to_be_visible()
    page.get_by_role("button", name="删除", exact=True).click()
    expect(page.get_by_text("还没有批处理。")).to_be_visible()
    assert page.request.get(f"{reader}/v1/files").json()["data"] == []
