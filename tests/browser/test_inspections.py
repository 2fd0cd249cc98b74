"""A picture is handed in on the page, its defect shown beside it, its alert acknowledged, the result decided."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import FilePayload, expect

from tests.browser.chat import png
from tests.browser.conftest import OpenChat
from tests.browser.test_layout import SIZES, not_too_wide, usable
from tests.functional.boards import board, file_of, golden_board


def test_from_the_picture_to_the_decision(fake: str, open_chat: OpenChat, screenshots: Path | None) -> None:
    page = open_chat(fake, "/inspections").page
    expect(page.get_by_role("heading", level=1)).to_have_text("检测")
    form = page.locator(".inspecting")
    files = form.locator("input[type=file]")
    expect(files).to_have_count(2)
    picture, golden = files.nth(0), files.nth(1)
    go = form.get_by_role("button", name="开始检测")
    expect(go).to_be_disabled()
    text: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
    picture.set_input_files(text)
    expect(form.get_by_role("alert")).to_contain_text("notes.txt 不是可用的图片")
    picture.set_input_files(
        {"name": "board.jpg", "mimeType": "image/jpeg", "buffer": file_of(board(seed=1), "JPEG")}
    )
    golden.set_input_files(png("golden.png", file_of(golden_board())))
    form.get_by_label("产品", exact=True).fill("a/b")
    go.click()
    expect(form.get_by_role("alert")).to_contain_text("名称最多 64 个字符")
    form.get_by_label("产品", exact=True).fill("A1")
    form.get_by_label("工位").fill("S1")
    form.get_by_label("保存为该产品的标准图").check()
    go.click()

    # The defect's number stands on the picture and in the list; pointing at one lights the other up.
    row, box = page.locator(".evidence .row"), page.locator(".evidence .box")
    expect(row).to_have_text("1断路100%", timeout=60_000)
    expect(page.locator(".evidence img")).to_have_js_property("naturalWidth", 640)  # nothing moves any more
    row.hover()
    expect(box).to_have_class("box on")
    usable(page)
    if screenshots:
        page.screenshot(path=screenshots / "inspections.png")

    alert = page.locator(".vl-alert")
    expect(alert).to_contain_text("工位 S1 的产品 A1 不合格：断路 共 1 处")
    page.get_by_role("button", name="确认告警").click()
    expect(alert).to_have_count(0)
    page.get_by_role("button", name="判为合格").click()
    expect(page.get_by_text("判定：合格")).to_be_visible()
    expect(page.locator(".evidence .gone")).to_contain_text("人工判定后即不再保存")
    rows = page.locator(".table .rows [data-id]")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("合格")

    # A reload finds the result again; the product's golden picture is stored, so the next board comes alone.
    page.reload()
    expect(page.get_by_text("判定：合格")).to_be_visible(timeout=60_000)
    form.locator("input[type=file]").first.set_input_files(
        {"name": "good.jpg", "mimeType": "image/jpeg", "buffer": file_of(board(defect=False, seed=2), "JPEG")}
    )
    form.get_by_label("产品", exact=True).fill("A1")
    go.click()
    expect(page.get_by_text("没有发现缺陷。")).to_be_visible(timeout=60_000)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES["phone"], strict=True)))  # type: ignore[arg-type]
    not_too_wide(page)
