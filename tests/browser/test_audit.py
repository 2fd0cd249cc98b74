"""The audit administrator's page: the record is seen, filtered, read with a reason; a break in the chain shows."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chat import Chat, png
from tests.browser.company import Company, company
from tests.browser.receipt import photo
from tests.browser.test_accounts import Visit, dialog, heading, kept, offers, visit
from tests.browser.test_layout import not_too_wide, usable
from vlpro.identity.permissions import Role

__all__ = ["kept", "visit"]  # fixtures

QUESTION = "合计金额是多少？"
PICTURE = photo(3, (400, 560))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audited")


@pytest.fixture(scope="module")
def firm(browser: Browser, folder: Path) -> Iterator[Company]:
    """A company whose policy keeps texts."""
    with company(folder) as made:
        yield made


@pytest.fixture(scope="module")
def auditor(firm: Company) -> str:
    return firm.person("auditor", "赵审计", role=Role.AUDIT)


def records(page: Page) -> Locator:
    """The rows that are shown."""
    return page.locator(".record:not(.fold)")


def opened(page: Page, action: str) -> Locator:
    """Open the newest row of this action; returns it with its fields."""
    found = records(page).filter(has=page.locator(".open", has_text=re.compile(f"^{action}$"))).first
    found.locator(".open").click()
    expect(found.locator(".in")).to_be_visible()
    return found


def exported(page: Page, kind: str, about: str = "") -> str:
    """Export from the page; returns the file's text."""
    page.get_by_role("button", name="导出", exact=True).click()
    asks = dialog(page, "导出")
    expect(asks).to_contain_text(about)
    asks.get_by_text(re.compile(kind)).first.click()
    reason = asks.get_by_role("textbox", name="导出理由")
    reason.fill("忘")
    asks.get_by_role("button", name="导出并记录").click()
    expect(asks.get_by_role("alert")).to_contain_text("至少填写 4 个字")
    reason.fill("2026 年测评取证")
    with page.expect_download() as download:
        asks.get_by_role("button", name="导出并记录").click()
    expect(asks).to_be_hidden()
    expect(page.get_by_role("status").filter(has_text="已开始下载")).to_contain_text(
        download.value.suggested_filename
    )
    return Path(download.value.path()).read_bytes().decode()


def verified(page: Page, outcome: str) -> Locator:
    """Have the whole record verified; returns what is told of it."""
    card = page.locator(".st-key-audit-verify")
    page.get_by_role("button", name=re.compile("^(开始|重新)核验$")).click()
    expect(card.locator(".vl-badge")).to_have_text(outcome, timeout=60_000)
    expect(card.get_by_role("button")).to_be_enabled()
    return card


def fresh(page: Page) -> None:
    """Query again."""
    told = page.locator(".st-key-audit-actions .vl-hint")
    before = told.inner_text()
    page.wait_for_timeout(1100)  # the time shown is to the second
    page.get_by_role("button", name="刷新").click()
    expect(told).not_to_have_text(before)
    expect(told).to_contain_text("截至")


def test_a_question_is_followed_to_its_text(firm: Company, visit: Visit, auditor: str, folder: Path) -> None:
    base = firm.identity.policies.current().version
    firm.identity.policies.decide({"audit_texts": "encrypted"}, base=base, note="", author=firm.security)
    asker = firm.person("li.asks", "李问")
    chat = Chat(visit(asker), firm.base)
    chat.attach(png("a.png", PICTURE))
    chat.expect_tray(1)
    chat.ask(QUESTION)
    chat.answer("")
    chat.page.context.clear_cookies()

    page = visit(auditor)
    heading(page, "审计记录")
    offers(page, ["审计记录", "合规", "我的账号"])
    assert page.locator(".gap").count() == 0
    expect(page.locator(".figure").first).to_contain_text(re.compile(r"已连接 \d+ 处"))
    row = opened(page, "提问")
    expect(row).to_contain_text("li.asks")
    expect(row).to_contain_text("1 张图片")
    expect(row).to_contain_text(hashlib.sha256(PICTURE).hexdigest())
    expect(row).to_contain_text("PNG · 400 × 560")
    expect(row).to_contain_text(re.compile("req_[0-9a-f]+"))
    expect(row).to_contain_text("127.0.0.1")
    expect(row).not_to_contain_text("合计金额")

    # a session's timeline, by a click
    row.locator(".session").click()
    expect(page.locator(".chip")).to_contain_text("会话或密钥编号: ses_")
    expect(records(page)).to_have_count(2)
    assert [one.locator(".open").inner_text() for one in records(page).all()] == ["回答", "提问"]
    lines = [json.loads(line) for line in exported(page, "JSON Lines", "会话或密钥编号: ses_").splitlines()]
    assert [line["record"]["event"] for line in lines] == ["chat:question:asked", "chat:answer:completed"]
    assert lines[1]["record"]["prev"] == lines[0]["hash"]
    table = list(csv.DictReader(exported(page, "表格").removeprefix("\ufeff").splitlines()))
    assert [line["login"] for line in table] == ["li.asks", "li.asks"]

    # what was asked, with a reason
    records(page).last.get_by_role("button", name="查看原文").click()
    asks = dialog(page, "查看原文")
    reason = asks.get_by_role("textbox", name="查看理由")
    reason.fill("忘")
    asks.get_by_role("button", name="查看并记录").click()
    expect(asks.get_by_role("alert")).to_contain_text("至少填写 4 个字")
    assert QUESTION not in page.content()
    reason.fill("处理 118 号投诉")
    asks.get_by_role("button", name="查看并记录").click()
    expect(asks.locator(".vl-written")).to_contain_text(QUESTION)
    expect(asks).to_contain_text("这次查看已写入审计记录")
    asks.get_by_role("button", name="完成").click()
    expect(asks).to_be_hidden()
    assert QUESTION not in page.content()
    page.get_by_role("button", name="移除筛选").click()
    expect(page.locator(".chip")).to_have_count(0)
    expect(opened(page, "查看原文")).to_contain_text("处理 118 号投诉")

    # by text, in all fields; and nothing
    search = page.get_by_role("searchbox", name="搜索记录中的文字")
    search.fill("处理 118 号投诉")
    search.press("Enter")
    expect(records(page)).to_have_count(1)
    search.fill("nothing like it")
    search.press("Enter")
    expect(page.get_by_text("没有符合条件的记录")).to_be_visible()
    page.get_by_role("button", name="清除筛选").click()
    expect(records(page).first).to_be_visible()

    # by keyboard
    toggle = records(page).last.locator(".open")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.focus()
    toggle.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    usable(page)


def test_the_whole_record_is_verified_and_taken_out(
    firm: Company, visit: Visit, auditor: str, tmp_path: Path
) -> None:
    page = visit(auditor)
    heading(page, "审计记录")
    expect(page.locator(".st-key-audit-verify")).to_contain_text("还没有核验过")
    card = verified(page, "完整、未被改动")
    expect(card).to_contain_text(re.compile(r"第 1 至 \d+ 条记录完整"))
    expect(card).to_contain_text("没有检查点副本")
    expect(card).to_contain_text(re.compile(r"auditor · 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d · 用时 [\d.]+ 秒"))
    fresh(page)
    expect(opened(page, "核验审计记录")).to_contain_text("完整、未被改动")

    page.get_by_role("button", name="签名与公钥").click()
    key = page.locator(".vl-whole code").nth(1).inner_text()
    page.keyboard.press("Escape")
    file = tmp_path / "record.jsonl"
    file.write_text(exported(page, "全部记录，可在别处核验"), encoding="utf-8")
    command = [sys.executable, "-m", "vlpro", "audit", "verify", "--export", str(file), "--key", key]
    environment = os.environ | {"VLPRO_DATA_DIR": str(tmp_path / "elsewhere"), "LANG": "C.UTF-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "are whole and unaltered" in done.stdout
    fresh(page)
    expect(opened(page, "导出审计记录")).to_contain_text("2026 年测评取证")
    expect(opened(page, "导出结束")).to_contain_text(re.compile("[0-9a-f]{64}"))


def test_figures_filter(firm: Company, visit: Visit, auditor: str) -> None:
    page = visit(None, "/login")
    for _ in range(2):
        page.get_by_role("textbox", name="用户名").fill("nobody.known")
        page.locator("input[type=password]").fill("wrong")
        with page.expect_response(
            lambda reply: reply.request.method == "POST"
        ):  # each refusal is on the record
            page.locator("button[type=submit]").click()
        expect(page.get_by_role("alert")).to_be_visible()
    page = visit(auditor)
    heading(page, "审计记录")
    figure = page.get_by_role("button", name=re.compile("登录被拒"))
    expect(figure).to_have_attribute("aria-pressed", "false")
    figure.click()
    expect(figure).to_have_attribute("aria-pressed", "true")
    expect(records(page)).to_have_count(2)
    expect(records(page).first).to_contain_text("未知用户名")
    expect(records(page).first).to_contain_text("用户名或密码错误")
    expect(records(page).first.locator(".badge.warn")).to_have_text("拒绝")
    figure.click()
    expect(page.locator(".chip")).to_have_count(0)


def test_nobody_else_finds_it(firm: Company, visit: Visit) -> None:
    for person in (firm.system, firm.security, firm.person("li.curious", "李好奇")):
        page = visit(person, "/audit")
        heading(page, "无法查看这个页面")
        assert page.locator(".record, .figure, form").count() == 0
        assert "审计记录" not in page.get_by_test_id("stTopNavLink").all_inner_texts()


def test_the_page_fits_a_phone_in_english(firm: Company, visit: Visit, auditor: str) -> None:
    page = visit(auditor, locale="en-US", size=(390, 844), dark=True)
    heading(page, "Audit record")
    records(page).last.locator(".open").click()
    expect(records(page).last).to_contain_text("The chain begins here")
    not_too_wide(page)
    assert not re.search(r"[\u4e00-\u9fff]", page.locator(".st-key-work").inner_text())


def test_an_altered_and_a_removed_record_show(
    firm: Company, visit: Visit, auditor: str, folder: Path
) -> None:
    page = visit(auditor)
    heading(page, "审计记录")
    expect(records(page).first).to_be_visible()
    assert page.locator(".gap").count() == 0
    with closing(sqlite3.connect(folder / "data" / "audit.db", timeout=30)) as database, database:
        (asked,) = database.execute(
            "SELECT seq FROM audit_records WHERE event = 'chat:question:asked'"
        ).fetchone()
        database.execute(
            "UPDATE audit_records SET data = CAST(replace(data, 'li.asks', 'li.else') AS BLOB) WHERE seq = ?",
            (asked,),
        )
    fresh(page)
    gap = page.locator(".gap")
    expect(gap).to_have_count(1)
    expect(gap).to_contain_text(f"第 {asked} 条与第 {asked + 1} 条的哈希不一致")
    expect(page.locator(f'[data-seq="{asked + 1}"] .link')).to_have_text("链断开")
    expect(page.locator(f'[data-seq="{asked}"] .link')).to_have_text("已连接")
    page.get_by_role("button", name="断开 1 处").click()
    expect(gap).to_be_focused()
    expect(gap).to_be_in_viewport()
    with closing(sqlite3.connect(folder / "data" / "audit.db", timeout=30)) as database, database:
        database.execute("UPDATE audit_records SET data = 'no record' WHERE seq = ?", (asked,))
        database.execute("DELETE FROM audit_records WHERE seq = 2")
    card = verified(page, "与写入时不符")
    expect(card.get_by_role("alert")).to_contain_text("第 2 条记录：缺失")
    expect(card).to_contain_text(re.compile("应为\\s*record 2\\s*实为\\s*record 3"))
    fresh(page)
    expect(page.locator(f'[data-seq="{asked}"]')).to_contain_text("无法读取")
    expect(gap.last).to_contain_text("缺少第 2 条")
