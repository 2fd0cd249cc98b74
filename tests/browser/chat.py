"""The page as a person uses it: by what is written on it."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from playwright.sync_api import FilePayload, Locator, Page, expect

__all__ = ["ANSWER_MS", "Chat", "copied", "frames", "loaded", "png", "settled", "until"]

expect.set_options(timeout=30_000)  # ms; a page that shares its cores with others takes its time

Frame = dict[str, float]
T = TypeVar("T")

ANSWER_MS = 90_000  # an answer of 250 numbers takes 14 s, and longer where the machine does other work

_FILES = """(files) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    data.items.add(new File([bytes], name, { type }));
  }
  return data;
}"""


def png(name: str, content: bytes) -> FilePayload:
    """A file for the file dialog."""
    return {"name": name, "mimeType": "image/png", "buffer": content}


def loaded(picture: Locator) -> None:
    """Wait until a picture is there: the answer beside it may be quicker, and until then it has no size."""
    expect(picture).not_to_have_js_property("naturalWidth", 0)


def frames(one: Locator, other: Locator) -> tuple[Frame, Frame]:
    """Where two things are, at the same moment: a page may scroll between two questions."""
    of = "(one, other) => [one, other].map((element) => element.getBoundingClientRect().toJSON())"
    found = one.evaluate(of, other.element_handle())
    return found[0], found[1]


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait until something is so, while the page goes on."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        page.wait_for_timeout(20)


def settled(page: Page, look: Callable[[], T]) -> T:
    """What is seen as soon as it stays as it is, for a third of a second."""
    deadline, seen, same = time.monotonic() + 20, look(), 0
    while same < 3:
        page.wait_for_timeout(100)
        before, seen = seen, look()
        same = same + 1 if seen == before else 0
        assert time.monotonic() < deadline, f"it does not come to rest: {before}, {seen}"
    return seen


def copied(page: Page, words: str) -> str:
    """Wait until the clipboard holds what this regular expression says, which is a moment after the click."""
    deadline = time.monotonic() + 20
    while not re.fullmatch(words, found := str(page.evaluate("navigator.clipboard.readText()")).strip()):
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(50)
    return found


class Chat:
    """One open page.

    Args:
        page: Playwright's.
        base: URL of the service.
    """

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.question = page.get_by_role("textbox", name=re.compile("^(问题|Question)$"))
        self.send = page.get_by_role("button", name=re.compile("^(发送|Send)$"))
        self.stop = page.get_by_role("button", name=re.compile("^(停止生成|Stop)$"))
        self.tray = page.get_by_role("list", name=re.compile("^(待发送的图片|Pictures to send)$"))
        self.notices = page.locator(".composer").get_by_role("alert")
        self.status = page.get_by_role("region", name=re.compile("^(运行状态|Status)$"))
        self.asked = page.locator(".vl-asked")
        self.answers = page.locator('[class*="st-key-answer-"]')
        self.growing = page.locator(".st-key-growing")
        self.evidence = page.locator("section.evidence")
        self.viewer = page.get_by_role("dialog", name=re.compile("^(查看原图|Original size)$"))
        self.budget = page.locator(".budget")

    def open(self, path: str = "/") -> Chat:
        """Go to the page and wait until one can type; of another page than the chat, until its heading is there."""
        self.page.goto(self.base + path)
        chat = path.partition("?")[0] == "/"
        there = self.question if chat else self.page.get_by_role("heading", level=1)
        expect(there).to_be_visible(timeout=ANSWER_MS)
        return self

    def attach(self, *files: FilePayload) -> None:
        """Choose files in the file dialog."""
        self.page.locator("input[type=file]").set_input_files(list(files))

    def drop(self, *files: FilePayload) -> None:
        """Drag files onto the page."""
        data = self._transfer(files)
        for name in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event("body", name, {"dataTransfer": data})

    def paste(self, *files: FilePayload) -> None:
        """Paste files, as a copied screenshot is."""
        self.question.evaluate(
            "(field, data) => field.dispatchEvent("
            "new ClipboardEvent('paste', { clipboardData: data, bubbles: true, composed: true, cancelable: true }))",
            self._transfer(files),
        )

    def _transfer(self, files: Sequence[FilePayload]) -> Any:
        listed = [[f["name"], f["mimeType"], base64.b64encode(f["buffer"]).decode()] for f in files]
        return self.page.evaluate_handle(_FILES, listed)

    def expect_tray(self, count: int) -> None:
        """Wait until this many pictures are ready to be sent."""
        expect(self.tray.get_by_role("listitem")).to_have_count(count)
        expect(self.tray.locator(".travelling")).to_have_count(0, timeout=ANSWER_MS)

    def ask(self, text: str) -> None:
        """Type a question and press Enter."""
        count = self.asked.count()
        self.question.fill(text)
        expect(self.send).to_be_enabled()
        self.question.press("Enter")
        expect(self.question).to_have_value("")
        if count:
            expect(self.asked.last).to_have_text(text)

    def answer(self, text: str | re.Pattern[str], number: int = -1) -> Locator:
        """Wait for a complete answer that holds this text; by default the last one."""
        reply = self.answers.nth(number) if number >= 0 else self.answers.last
        expect(self.stop).to_be_hidden(timeout=ANSWER_MS)
        expect(reply).to_contain_text(text, timeout=ANSWER_MS)
        return reply
