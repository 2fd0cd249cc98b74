"""How the page looks on each screen, and that everybody can use it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import Chat, frames, png, settled
from tests.browser.conftest import OpenChat
from tests.browser.receipt import photo

SIZES = {"desktop": (1440, 900), "tablet": (1024, 768), "phone": (390, 844)}

CONTROLS = "button, a[href], input:not([hidden]), textarea, [role=slider], [role=meter]"

# Names of what can be operated and is seen, shadow roots included, that fail a test.
FAILING = """([selector, test]) => {
  const byId = (element) => (element.getAttribute("aria-labelledby") ?? "").split(" ")
    .map((id) => document.getElementById(id)?.textContent ?? "").join("");
  const labels = (element) => [...(element.labels ?? [])].map((label) => label.textContent).join("");
  const name = (element) => element.getAttribute("aria-label") || element.textContent.trim() || element.title
    || byId(element) || labels(element);
  const size = (element) => element.getBoundingClientRect();
  const tests = {
    unnamed: (element) => !name(element),
    small: (element) => element.matches("button") && size(element).width && size(element).right > 0
      && Math.min(size(element).width, size(element).height) < 24,
  };
  const found = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) walk(element.shadowRoot);
      const seen = element.matches(selector) && element.checkVisibility({ visibilityProperty: true });
      if (seen && tests[test](element)) found.push(element.outerHTML.slice(0, 160));
    }
  };
  walk(document);
  return found;
}"""

# Pixels by which one of these is wider than what is seen of it.
_WIDER = """(selectors) => Math.max(0, ...selectors.map((selector) => {
  const element = document.querySelector(selector);
  return element ? element.scrollWidth - element.clientWidth : Infinity; // not there yet
}))"""


def _open(fake: str, open_chat: OpenChat, size: str, *, english: bool = False, dark: bool = False) -> Chat:
    return open_chat(fake, size=SIZES[size], locale="en-GB" if english else "zh-CN", dark=dark)


def _shoot(chat: Chat, folder: Path | None, name: str) -> None:
    if folder:
        folder = folder / "layout"
        folder.mkdir(exist_ok=True)
        chat.page.screenshot(path=folder / f"{name}.png")


def not_too_wide(page: Page) -> None:
    """Nothing has to be scrolled sideways, as soon as the page is drawn."""
    _comes_to(page, 0, _WIDER, ["html", '[data-testid="stMain"]'])


def usable(page: Page) -> None:
    """All that can be operated has a name, and is large enough, as soon as the page is drawn."""
    for test in ("unnamed", "small"):
        _comes_to(page, [], FAILING, [CONTROLS, test])


def _comes_to(page: Page, wanted: object, expression: str, argument: object) -> None:
    """Wait until this is so: while a page is being drawn, some of it is not there yet."""
    deadline = time.monotonic() + 10
    while (found := page.evaluate(expression, argument)) != wanted:
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(50)


@pytest.mark.parametrize(
    ("size", "dark"), [("desktop", False), ("desktop", True), ("tablet", False), ("phone", True)]
)
def test_page_fits_every_screen(
    fake: str,
    open_chat: OpenChat,
    screenshots: Path | None,
    size: str,
    dark: bool,  # noqa: FBT001 - a parameter
) -> None:
    english = size == "tablet"
    chat = _open(fake, open_chat, size, english=english, dark=dark)
    name = f"{size}-{'dark' if dark else 'light'}"
    expect(chat.page.get_by_role("heading", level=1)).to_be_visible()
    not_too_wide(chat.page)
    _shoot(chat, screenshots, f"{name}-empty")
    chat.attach(png("a.png", photo(3, (400, 560))), png("b.png", photo(4, (4000, 3000))))
    chat.expect_tray(2)
    not_too_wide(chat.page)
    _shoot(chat, screenshots, f"{name}-draft")
    chat.ask("box: " + "Long_words_without_any_space_" * 6)
    answer = chat.answer("Picture 2")
    expect(answer.locator(".box")).to_be_visible()
    expect(answer.locator(".vl-who")).to_be_in_viewport()  # an answer is read from its beginning
    not_too_wide(chat.page)
    _shoot(chat, screenshots, f"{name}-answer")
    assert chat.page.get_by_role("heading", level=1).count() == 1
    usable(chat.page)
    answer.get_by_role("button", name=re.compile("^(查看原图|Original size)$")).click()
    expect(chat.viewer.locator(".picture img")).to_be_visible()
    _shoot(chat, screenshots, f"{name}-viewer")


def test_panel_opens_on_a_phone(fake: str, open_chat: OpenChat, screenshots: Path | None) -> None:
    chat = _open(fake, open_chat, "phone")
    expect(chat.status).not_to_be_in_viewport()
    chat.page.get_by_role("button", name="展开侧栏").click()
    expect(chat.status).to_be_in_viewport()
    _shoot(chat, screenshots, "phone-panel")
    chat.page.get_by_role("button", name="收起侧栏").click()
    expect(chat.status).not_to_be_in_viewport()


def test_a_wide_table_scrolls_by_itself(fake: str, open_chat: OpenChat) -> None:
    chat = _open(fake, open_chat, "phone")
    cells = " | ".join("a_column_that_is_wide" for _ in range(6))
    chat.question.fill(f"table\n\n| {cells} |\n|{'---|' * 6}\n| {cells} |")
    chat.question.press("Enter")
    answer = chat.answer("You asked")
    expect(answer.locator("table")).to_be_visible()
    assert answer.locator("table").evaluate("(table) => table.scrollWidth > table.clientWidth")
    not_too_wide(chat.page)


def test_two_fingers_zoom_the_picture_not_the_page(fake: str, open_chat: OpenChat) -> None:
    chat = _open(fake, open_chat, "phone")
    chat.attach(png("a.png", photo(3, (400, 560))))
    chat.expect_tray(1)
    chat.ask("look")
    chat.answer("Picture 1")
    chat.page.get_by_role("button", name="查看原图: 图 1").click()
    expect(chat.viewer.locator(".picture img")).to_be_visible()
    percent = chat.viewer.locator(".percent").last
    before = int(settled(chat.page, percent.inner_text).rstrip("%"))  # it fits what its sheet leaves it
    fingers = chat.page.context.new_cdp_session(chat.page)
    for kind, apart in (
        ("touchStart", 60),
        ("touchMove", 90),
        ("touchMove", 120),
        ("touchEnd", 0),
    ):
        points = [{"x": 195 + side * apart / 2, "y": 400, "id": side} for side in (-1, 1)] if apart else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(percent).to_have_text(f"{2 * before}%")
    assert chat.page.evaluate("visualViewport.scale") == 1


def test_panel_opens_on_a_narrow_window(fake: str, open_chat: OpenChat) -> None:
    chat = open_chat(fake, size=(760, 420))
    chat.ask("count to 90")
    chat.answer("89 90")
    title = chat.page.get_by_role("heading", level=1)
    chat.page.locator('[data-testid="stMain"]').evaluate("(element) => element.scrollTo(0, 300)")
    button, text = frames(chat.page.get_by_role("button", name="展开侧栏"), title)
    assert button["x"] + button["width"] <= text["x"]
    chat.page.get_by_role("button", name="展开侧栏").click()
    expect(chat.page.get_by_role("button", name="新对话")).to_be_in_viewport()


def test_whole_conversation_works_by_keyboard(fake: str, open_chat: OpenChat) -> None:
    chat = _open(fake, open_chat, "desktop")
    chat.attach(png("a.png", photo(3, (400, 560))))
    chat.expect_tray(1)
    chat.question.focus()
    chat.page.keyboard.type("box")
    chat.page.keyboard.press("Enter")
    answer = chat.answer("Picture 1")
    row = answer.get_by_role("list", name="依据").get_by_role("button")
    row.focus()
    expect(answer.locator(".box")).to_have_class(re.compile(r"\bon\b"))
    chat.page.keyboard.press("Enter")
    expect(row).to_have_attribute("aria-current", "true")


def test_answers_are_announced(fake: str, open_chat: OpenChat) -> None:
    chat = _open(fake, open_chat, "desktop")
    live = chat.page.locator(".composer [aria-live=polite]")
    chat.ask("count to 150")
    expect(live).to_have_text("正在生成")
    chat.answer("149 150")
    expect(live).to_have_text("回答完成")
