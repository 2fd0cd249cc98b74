"""A browser, and the product with each engine; what goes wrong in the page's console fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.server import running

pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -r requirements-dev.txt")

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.browser.chat import Chat

_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The 64-bit numbers of Streamlit's protobuf try WebAssembly and do without it where it is forbidden, as here.
_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  if (event.blockedURI !== "wasm-eval") violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""

OpenChat = Callable[..., Chat]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; Playwright's own download would come from outside."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def fake(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The product with the fake engine, which takes a fiftieth of a second a word; pictures up to 1 MB."""
    log = tmp_path_factory.mktemp("fake") / "log"
    with running(log, engine="fake", fake_delay_s="0.02", max_image_bytes="1000000") as base:
        yield base


@pytest.fixture(scope="package")
def reader(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The product as it comes: with the embedded engine."""
    log = tmp_path_factory.mktemp("reader") / "log"
    with running(log) as base:
        yield base


@pytest.fixture(scope="package")
def contexts(browser: Browser) -> Iterator[dict[tuple[object, ...], BrowserContext]]:
    """Browser profiles by their settings; kept, because a warm cache makes a page load in half the time."""
    made: dict[tuple[object, ...], BrowserContext] = {}
    yield made
    for context in made.values():
        context.close()


@pytest.fixture
def open_chat(browser: Browser, contexts: dict[tuple[object, ...], BrowserContext]) -> Iterator[OpenChat]:
    """Opens the page for a new visitor; at the end nothing may have gone wrong in it or left its origin."""
    pages: list[tuple[Page, str]] = []
    wrong: list[str] = []
    requests: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource")  # a 4xx that the test provoked
        if message.type in {"error", "warning"} and not refused:
            wrong.append(f"{message.type}: {message.text[:300]}")

    def start(
        base: str,
        path: str = "/",
        *,
        locale: str = "zh-CN",
        size: tuple[int, int] = (1440, 900),
        dark: bool = False,
    ) -> Chat:
        settings = (locale, size, dark)
        if settings not in contexts:
            contexts[settings] = browser.new_context(
                locale=locale,
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
            contexts[settings].set_default_timeout(30_000)
            contexts[settings].add_init_script(_VIOLATIONS)
        page = contexts[settings].new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on("request", lambda request: requests.append(request.url))
        pages.append((page, base))
        return Chat(page, base).open(path)

    yield start

    for page, _ in pages:
        wrong += [f"policy: {violation}" for violation in page.evaluate("window.violations")]
        page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        page.close()
    origins = {base for _, base in pages}
    sockets = {base.replace("http://", "ws://") for base in origins}
    allowed = (*(f"{origin}/" for origin in origins | sockets), "data:", "blob:")
    assert [url for url in requests if not url.startswith(allowed)] == []
    assert wrong == []


@pytest.fixture(scope="package")
def screenshots() -> Path | None:
    """Where pictures of the page go, if they are wanted: ``VLPRO_SCREENSHOTS=folder pytest tests/browser``."""
    wanted = os.environ.get("VLPRO_SCREENSHOTS")
    if not wanted:
        return None
    folder = Path(wanted)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
