"""The page "Compliance": two administrators read a report, have one made, and stop it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.company import Company, company
from tests.browser.test_accounts import Visit, heading, kept, visit
from tests.browser.test_layout import not_too_wide, usable
from tests.unit.compliance.reports import ID, clause, made, results
from vlpro.compliance.clause import Verdict
from vlpro.compliance.report_signature import Keys, signer_of
from vlpro.compliance.report_verify import verify
from vlpro.identity.permissions import Role

__all__ = ["kept", "visit"]  # fixtures

ALTERED = "cr_00000000000000aa"
LONG = 60_000  # milliseconds: a process that gives way begins beside this one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compliant")


@pytest.fixture(scope="module")
def firm(browser: Browser, folder: Path) -> Iterator[Company]:
    """A company with two reports: one with a failure, and an older one that was altered."""
    with company(folder) as running:
        signer = signer_of(running.identity.sealer, gm=False)
        reports, now = folder / "data" / "compliance", time.time()
        old = {"id": "cr_ffffffffffffffff", "clauses": [{"id": "8.1.4.1 b", "verdict": "pass"}]}
        given = [
            *results(Verdict.FAIL),
            clause("8.1.4.3 a", ("events", Verdict.PASS, {"events": 40})),
            clause("F1", ("foreign_address", Verdict.PASS, {"status": 403})),
        ]
        made(reports, given, signer=signer, before=old, created=now, by="auditor")
        altered = reports / ALTERED
        shutil.copytree(reports / ID, altered)
        yield running


@pytest.fixture(scope="module")
def auditor(firm: Company) -> str:
    return firm.person("auditor", "赵审计", role=Role.AUDIT)


def opened(page: Page) -> None:
    heading(page, "合规")
    expect(page.locator(".vl-totals")).to_be_visible(timeout=LONG)


def test_an_administrator_finds_what_failed_and_takes_the_report_out(
    firm: Company, visit: Visit, auditor: str, tmp_path: Path
) -> None:
    page = visit(auditor, f"/compliance?r={ID}")
    opened(page)
    expect(page.locator(".vl-totals li")).to_contain_text(["3通过", "1不通过", "1未评估", "1范围之外"])
    expect(page.locator(".vl-clauses details")).to_have_count(6)
    expect(page.locator("h2.vl-group").first).to_have_text("8.1.4.1 身份鉴别")
    page.get_by_text("不通过 1", exact=True).click()
    row = page.locator(".vl-clauses details")
    expect(row).to_have_count(1, timeout=LONG)
    expect(row).to_contain_text("8.1.4.1 b")
    expect(row).to_contain_text("通过 → 不通过")
    row.locator("summary").click()
    for said in ("8.1.4.1 b 的要求。", "尝试 lockout。", "lockout 的结果是 fail。", "evidence/lockout.json"):
        expect(row).to_contain_text(said)
    page.get_by_text("全部 6", exact=True).click()
    outside = page.locator(".vl-clauses details").filter(has_text="8.1.2.1")
    outside.locator("summary").click()
    expect(outside.locator(".duty")).to_contain_text("请提供网络拓扑。")

    with page.expect_download() as download:
        page.get_by_role("button", name="全部文件与证据").click()
    assert download.value.suggested_filename == f"{ID}.zip"
    shutil.unpack_archive(download.value.path(), tmp_path, "zip")
    keys = Keys([signer_of(firm.identity.sealer, gm=False).public])
    assert verify(tmp_path / ID, keys).content["id"] == ID
    with page.expect_download() as download:
        page.get_by_role("button", name="网页").click()
    assert "<script" not in Path(download.value.path()).read_text("utf-8")


def test_an_altered_report_is_shown_as_that(visit: Visit, auditor: str, firm: Company) -> None:
    page = visit(auditor, f"/compliance?r={ALTERED}")
    heading(page, "合规")
    expect(page.get_by_role("alert")).to_contain_text("report.json 是另一份报告", timeout=LONG)
    assert page.locator(".vl-totals").count() == 0


def test_one_is_made_with_progress_and_stopped(visit: Visit, firm: Company) -> None:
    page = visit(firm.security, "/compliance")
    heading(page, "合规")
    begin = page.get_by_role("button", name="开始检查")
    begin.click()
    going = page.locator(".st-key-compliance-running")
    expect(going).to_contain_text("sec 于", timeout=LONG)
    expect(going.get_by_role("progressbar")).to_be_visible()
    expect(begin).to_be_disabled()
    page.get_by_role("button", name="停止检查").click()
    expect(page.get_by_role("status")).to_contain_text("检查已停止", timeout=LONG)
    expect(begin).to_be_enabled(timeout=LONG)


@pytest.mark.parametrize(
    "how",
    [
        {"locale": "zh-CN", "size": (1440, 900), "dark": False},
        {"locale": "en-US", "size": (1440, 900), "dark": True},
        {"locale": "en-US", "size": (390, 844), "dark": False},
        {"locale": "zh-CN", "size": (390, 844), "dark": True},
    ],
    ids=lambda how: f"{how['locale']}-{how['size'][0]}-{'dark' if how['dark'] else 'light'}",
)
def test_it_can_be_read_everywhere(
    visit: Visit, auditor: str, screenshots: Path | None, how: dict[str, Any]
) -> None:
    page = visit(auditor, f"/compliance?r={ID}", **how)
    expect(page.locator(".vl-totals")).to_be_visible(timeout=LONG)
    page.locator(".vl-clauses summary").nth(1).click()
    not_too_wide(page)
    usable(page)
    if screenshots is not None:
        name = f"compliance-{how['locale']}-{how['size'][0]}-{'dark' if how['dark'] else 'light'}"
        page.screenshot(path=screenshots / f"{name}.png")
