"""The page "Report": pictures in, a report with numbered places out, as a file, and gone again."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.chat import loaded, png
from tests.browser.conftest import OpenChat
from tests.browser.receipt import receipt

MADE_MS = 120_000


def test_two_pictures_become_a_report_that_can_be_taken_out_and_deleted(
    reader: str, open_chat: OpenChat
) -> None:
    page = open_chat(reader).page
    page.goto(f"{reader}/report")
    door = page.locator(".reporting input[type=file]")
    door.set_input_files([png("一.png", receipt("410.20").png), png("说明.txt", b"no picture")])
    expect(page.locator(".reporting .wrong")).to_contain_text("说明.txt")
    door.set_input_files([png("二.png", receipt("514.20").png)])
    thumbnails = page.locator(".reporting .tray img")
    expect(thumbnails).to_have_count(2)
    loaded(thumbnails.first)
    page.get_by_role("textbox", name="检查要求").fill("核对两张小票的合计。")
    page.get_by_role("button", name="生成报告").click()

    report = page.locator(".st-key-report")
    expect(report).to_contain_text("看不懂画面", timeout=MADE_MS)
    expect(page.locator(".vl-title")).to_contain_text("人工智能（AI）生成")
    expect(report).to_contain_text("需要人工确认")
    rows = report.get_by_role("list", name="发现").get_by_role("button")
    differs = rows.filter(has_text="合计在各图片中不一致").first
    expect(differs).to_contain_text("410.20")
    expect(differs).to_contain_text("514.20")
    loaded(report.locator(".picture img").first)
    number = differs.locator("i").inner_text()
    expect(report.locator(".box").filter(has_text=number).first).to_be_visible()

    with page.expect_download() as taken:
        report.get_by_role("link", name="PDF").click()
    assert taken.value.path().read_bytes().startswith(b"%PDF-")

    page.reload()  # it is stored
    expect(report).to_contain_text("需要人工确认")
    report.get_by_role("button", name="删除").click()
    page.get_by_role("dialog").get_by_role("button", name="删除").click()
    expect(page.get_by_text("报告已删除。")).to_be_visible()
    expect(page.get_by_text("还没有报告。")).to_be_visible()
