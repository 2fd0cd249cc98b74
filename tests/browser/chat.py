"""The page as a person uses it: by what is written on it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, expect

__all__ = ["Chat", "loaded", "png"]

ANSWER_MS = 90_000  # an answer of 140 numbers takes 14 s, and longer where the machine does other work

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
        expect(self.tray.locator(".travelling")).to_have_count(0)

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
