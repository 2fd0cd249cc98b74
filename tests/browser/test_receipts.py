"""Documents are handed in on the page, corrected beside their picture, and approved."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from bench.invoices import specimen
from tests.browser.chat import png
from tests.browser.conftest import OpenChat
from tests.browser.receipt import chinese_font
from tests.browser.test_layout import not_too_wide, usable


def _fits(page: Page) -> None:
    not_too_wide(page)
    usable(page)


def _box_of(page: Page, field: Locator) -> Locator:
    """The box with a field's number."""
    number = (field.get_attribute("id") or "").removeprefix("field-")
    return page.locator(".receipt .box").filter(has_text=re.compile(f"^{number}$"))


def test_a_document_from_the_file_to_approval(
    reader: str, open_chat: OpenChat, screenshots: Path | None
) -> None:
    chinese_font()
    made = specimen("digital_ordinary", 91)
    out = io.BytesIO()
    Image.fromarray(made.pixels).save(out, "PNG")
    page = open_chat(reader, "/receipts").page
    expect(page.get_by_role("heading", level=1)).to_have_text("票据复核")
    text: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
    page.locator(".handin input[type=file]").set_input_files(
        [png("发票.png", out.getvalue()), png("再交.png", out.getvalue()), text]
    )
    expect(page.locator(".handin .wrong")).to_have_text("notes.txt：不是图片或 PDF")
    form = page.locator(".receipt form")
    expect(page.locator(".handin .told span")).to_have_text("已识别 2 份", timeout=120_000)
    expect(form.locator(".field").first).to_be_visible(timeout=60_000)
    total = form.get_by_label(re.compile(r"价税合计\s*(\d|已)"))
    expect(total).to_have_value(made.labels["total"])

    # A box and its field light up together, whichever is chosen.
    box = _box_of(page, total)
    total.focus()
    expect(box).to_have_class(re.compile(r"\bheld\b"))
    seller = form.get_by_label(re.compile("销售方名称"))
    _box_of(page, seller).click()
    expect(seller).to_be_focused()
    expect(box).not_to_have_class(re.compile(r"\bheld\b"))

    # What is wrong is red, says why, and is in the way of approval, until it is right again.
    approve = form.get_by_role("button", name="确认并下一张")
    expect(approve).to_be_enabled()
    total.fill("1.00")
    total.press("Enter")
    expect(form.locator(".field.bad").first).to_contain_text(re.compile("≠|不一致"))
    expect(approve).to_be_disabled()
    _fits(page)
    if screenshots:
        page.screenshot(path=screenshots / "receipts.png")
    total.fill(made.labels["total"])
    total.press("Enter")
    expect(form.locator(".field.bad")).to_have_count(0)
    approve.focus()
    page.keyboard.press("Enter")  # the whole of it works by keyboard
    expect(page.get_by_text("已通过。")).to_be_visible()

    # The second is the same document: a person has to say that this is right; it is sent back instead.
    checks = page.locator(".receipt .checks")
    expect(checks).to_contain_text("相同的单据已于")
    expect(approve).to_be_disabled()
    form.get_by_role("button", name="退回").click()
    form.get_by_label("退回原因").fill("重复提交")
    form.get_by_role("button", name="确认退回").click()
    expect(page.get_by_text("已退回。")).to_be_visible()
    page.get_by_role("radio", name="已处理").or_(page.get_by_role("button", name="已处理")).first.click()
    queue = page.locator(".queue li button")
    expect(queue).to_have_count(2)
    queue.last.click()
    expect(page.locator(".receipt .picture.gone")).to_contain_text("图片按策略删除")
    with page.expect_download() as download:
        page.locator(".queue .out a", has_text="CSV").click()
    assert made.labels["total"] in Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_on_a_phone_in_english(reader: str, open_chat: OpenChat, screenshots: Path | None) -> None:
    page = open_chat(reader, "/receipts", locale="en-GB", size=(390, 844), dark=True).page
    expect(page.get_by_role("heading", level=1)).to_have_text("Review receipts")
    page.get_by_role("button", name=re.compile("(Open|Expand) sidebar")).click()
    expect(page.locator(".handin .dropzone")).to_be_in_viewport()
    _fits(page)
    if screenshots:
        page.screenshot(path=screenshots / "receipts-phone.png")
