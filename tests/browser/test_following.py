"""What is in view while an answer grows, and when it is complete, in whatever order the page is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chat import settled
from vlpro import ui

FOLLOW = (Path(ui.__file__).parent / "static" / "follow.js").read_text().replace("export class", "class")
# As the page is built: what scrolls, the conversation in it, an earlier answer, and the one that grows.
PAGE = """<style>body { margin: 0 } div { display: block } .tall { height: 600px }</style>
<div data-testid="stMain" style="height: 500px; overflow: auto"><div class="st-key-chat">
<div class="st-key-answer-1 tall">earlier</div>
<div id="slot"><div class="st-key-growing" style="height: 200px"></div></div>
</div></div>"""
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 390, "height": 500})
    page.set_content(PAGE)
    page.evaluate(f"{FOLLOW}; window.follower = new Follower(); follower.begin(); follower.growing = true;")
    page.evaluate(FRAME)
    yield page
    page.close()


def _draw(page: Page, height: int, *, complete: bool = False) -> None:
    name = "st-key-answer-2" if complete else "st-key-growing"
    page.evaluate(f'slot.innerHTML = \'<div class="{name}" style="height: {height}px"></div>\'')
    page.evaluate(FRAME)


def _top(page: Page) -> float:
    """Of the answer, in the window."""
    return float(page.locator("#slot").evaluate("(element) => element.getBoundingClientRect().top"))


def test_the_end_of_a_growing_answer_is_in_view(page: Page) -> None:
    for height in (300, 900, 1500):
        _draw(page, height)
        assert _top(page) == 500 - height


def test_a_complete_answer_is_drawn_before_the_page_is_told_so(page: Page) -> None:
    _draw(page, 200, complete=True)
    _draw(page, 900, complete=True)  # its evidence
    page.evaluate("follower.growing = false")
    page.evaluate(FRAME)
    assert _top(page) == 0


def test_who_scrolls_up_is_left_there_until_the_next_question(page: Page) -> None:
    _draw(page, 900)
    page.mouse.move(100, 100)
    page.mouse.wheel(0, -300)
    page.wait_for_function("slot.getBoundingClientRect().top > -400")
    before = settled(page, lambda: _top(page))
    _draw(page, 1200)
    assert _top(page) == before
    page.evaluate("follower.begin()")
    _draw(page, 1500)
    assert _top(page) == 500 - 1500
