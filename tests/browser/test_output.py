"""Of what a model writes a server elsewhere hears nothing: by the sanitiser alone, by the browser alone.

Positive control: with both taken away it hears something. So each wall is tested by itself, and the test's ear works.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chat import Chat, until
from tests.browser.payloads import PAYLOADS, UNENDED
from tests.browser.server import ROOT, await_start
from tests.ports import free_port
from tests.support import end

_REMOTE = """() => {
  const names = ["href", "xlink:href", "src", "srcset", "poster", "action", "formaction", "data", "background"];
  const found = [];
  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      for (const name of names) {
        const value = element.getAttribute(name);
        if (value === null) continue;
        if (!URL.canParse(value.split(" ")[0], location.href)) continue;
        const url = new URL(value.split(" ")[0], location.href);
        const own = url.origin === location.origin || ["data:", "blob:"].includes(url.protocol);
        if (!own || (element.localName === "a" && url.protocol === "data:")) {
          found.push(`${element.localName} ${name}=${value}`);
        }
      }
      const style = element.getAttribute("style") ?? "";
      if (/url\\((?!["']?(#|data:|blob:))/.test(style)) found.push(`style ${style}`);
      if (element.shadowRoot) look(element.shadowRoot);
    }
  };
  look(document);
  return found;
}"""
"""Everything on the page, also in the page's own components, that names a place elsewhere."""


class Sink:
    """Listens on an address of its own, and remembers every connection, with the first line that comes over it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.2", 0))
        self.at = f"127.0.0.2:{self._socket.getsockname()[1]}"
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.heard.append("")
            # One thread each: a browser may open a connection ahead, and send nothing for long.
            at = len(self.heard) - 1
            threading.Thread(target=self._answer, args=(connection, at), daemon=True).start()

    def _answer(self, connection: socket.socket, at: int) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            self.heard[at] = connection.recv(400).split(b"\r\n")[0].decode(errors="replace")
            connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    def call(self) -> None:
        """As a browser would: to see that it listens."""
        assert httpx.get(f"http://{self.at}/control", trust_env=False, timeout=30).status_code == 404
        assert self.heard == ["GET /control HTTP/1.1"]
        self.heard.clear()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    made.call()
    yield made
    made.close()


@pytest.fixture(scope="module")
def unsanitised(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The product without its sanitiser."""
    folder, port = tmp_path_factory.mktemp("unsanitised"), free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    own = {"VLPRO_ENGINE": "fake", "VLPRO_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "tests.browser.without_sanitiser",
        "run",
        "app.py",
        "--server.port",
        str(port),
    ]
    log: Path = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=kept | own, stdout=output, stderr=output)
        try:
            await_start(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


@contextmanager
def visitor(browser: Browser, *, policy: bool) -> Iterator[Page]:
    """A page of a new visitor.

    Args:
        browser: The browser.
        policy: Whether it keeps to the page's Content-Security-Policy.
    """
    context: BrowserContext = browser.new_context(bypass_csp=not policy, locale="en-US")
    context.set_default_timeout(60_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def drawn(page: Page, base: str, text: str) -> Chat:
    """The page with an answer of this text, whole, and again after it was loaded anew: it has all been fetched."""
    chat = Chat(page, base).open()
    chat.question.fill(text + "\n\nthe end")
    chat.question.press("Enter")
    chat.answer("the end")
    page.wait_for_load_state("networkidle")
    return chat


def everything(at: str, parts: int = 1) -> list[str]:
    """All payloads, in so many texts."""
    texts = [payload.format(at=at) for payload in PAYLOADS.values()]
    return ["\n\n".join(texts[part::parts]) for part in range(parts)]


def test_there_are_enough_of_them() -> None:
    assert len(PAYLOADS) + len(UNENDED) >= 50


def test_with_the_sanitiser_nothing_leaves_and_nothing_remote_is_on_the_page(
    fake: str, browser: Browser, sink: Sink
) -> None:
    with visitor(browser, policy=False) as page:
        chat = Chat(page, fake).open()
        for number, text in enumerate(
            [*everything(sink.at, 3), *(text.format(at=sink.at) for text in UNENDED)]
        ):
            chat.question.fill(f"{text}\n\nthe end {number}" if number < 3 else text)
            chat.question.press("Enter")  # the answer comes word by word, and is drawn while it grows
            expect(chat.asked).to_have_count(number + 1, timeout=60_000)
            expect(chat.answers).to_have_count(number + 1, timeout=60_000)
            chat.answer(f"the end {number}" if number < 3 else sink.at)
            assert page.evaluate(_REMOTE) == []
        for drawing in ("svg[id^=mermaid]", ".vega-embed", ".st-key-chat img", "iframe"):
            assert page.locator(drawing).count() == 0, drawing
        page.reload()
        chat.answer(sink.at)
        assert page.evaluate(_REMOTE) == []
        page.wait_for_load_state("networkidle")
    assert sink.heard == []


def test_without_the_sanitiser_the_browser_lets_nothing_out(
    unsanitised: str, browser: Browser, sink: Sink
) -> None:
    with visitor(browser, policy=True) as page:
        drawn(page, unsanitised, *everything(sink.at))
        assert page.evaluate(_REMOTE) != []  # the sanitiser is really out
        for text in UNENDED:
            drawn(page, unsanitised, text.format(at=sink.at))
    assert sink.heard == []


def test_without_both_it_would_be_heard(unsanitised: str, browser: Browser, sink: Sink) -> None:
    with visitor(browser, policy=False) as page:
        drawn(page, unsanitised, *everything(sink.at))
        until(page, lambda: any("/image" in line for line in sink.heard))


def test_names_are_not_looked_up_ahead(fake: str) -> None:
    for path in ("/", "/v1/models", "/nothing"):
        assert httpx.get(fake + path, trust_env=False, timeout=30).headers["x-dns-prefetch-control"] == "off"
