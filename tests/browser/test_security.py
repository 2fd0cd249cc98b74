"""Nothing of the page leaves its origin, whatever a model writes; and what is not needed is closed."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import OpenChat
from tests.ports import free_port


class Sink(http.server.BaseHTTPRequestHandler):
    """Remembers whoever comes."""

    visits: list[str]

    def do_GET(self) -> None:
        self.visits.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def sink() -> Iterator[tuple[str, list[str]]]:
    """A server elsewhere, and who visited it."""
    visits: list[str] = []
    handler = type("Listening", (Sink,), {"visits": visits})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", visits
    server.shutdown()
    server.server_close()
    thread.join()


LEAKS = """look
![a]({sink}/inline) ![b][ref] [![c]({sink}/nested)]({sink}/link) [text]({sink}/text) {sink}/bare <{sink}/angle>
<img src="{sink}/html"> <a href="{sink}/anchor">x</a> www.127.0.0.1.test me@sink.test :material/delete: :red[red]
| t |
|---|
| ![d]({sink}/table) |

[ref]: {sink}/reference
    ![e]({sink}/indented)
> ![f]({sink}/quoted)
$\\href{{{sink}/formula}}{{x}}$
```html
<img src="{sink}/fenced">
```
the end"""


def test_what_a_model_writes_reaches_nobody(
    fake: str, open_chat: OpenChat, sink: tuple[str, list[str]]
) -> None:
    place, visits = sink
    httpx.get(f"{place}/control", trust_env=False, timeout=30)
    assert visits == ["/control"]  # it listens
    chat = open_chat(fake)
    text = LEAKS.format(sink=place)
    chat.question.fill(text)
    chat.question.press("Enter")
    answer = chat.answer("the end")
    expect(answer).to_contain_text(f"{place}/fenced")  # the words are there
    page = chat.page.locator(".st-key-chat")
    for leaving in ("img", "a[href]", "iframe", "object", "video", "audio", "form", "[style*='url(']"):
        assert page.locator(leaving).count() == 0, leaving
    expect(answer).to_contain_text(":\u2060material/delete:")
    chat.page.reload()
    chat.answer("the end")
    assert visits == ["/control"]


def test_the_browser_itself_refuses_to_leave(
    fake: str, browser: Browser, sink: tuple[str, list[str]]
) -> None:
    place, visits = sink
    page = browser.new_page()
    page.goto(fake)
    blocked = page.evaluate(
        """async (place) => {
          const seen = [];
          const listen = (event) => {  // what Streamlit tries, as it loads, is another matter
            if (event.blockedURI !== "wasm-eval") seen.push(event.violatedDirective);
          };
          addEventListener("securitypolicyviolation", listen);
          const image = new Image();
          const failed = new Promise((done) => { image.onerror = done; });
          image.src = `${place}/picture`;
          await failed;
          await fetch(`${place}/fetch`, { mode: "no-cors" }).catch(() => {});
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.head.append(script);
          for (let look = 0; seen.length < 3 && look < 500; look += 1) {
            await new Promise((done) => setTimeout(done, 10));
          }
          return [seen, Boolean(window.ran)];
        }""",
        place,
    )
    assert blocked == [["img-src", "connect-src", "script-src-elem"], False]
    assert visits == []
    page.close()


def test_what_the_page_does_not_need_is_closed(fake: str) -> None:
    with httpx.Client(base_url=fake, trust_env=False, timeout=30) as client:
        for path in (
            "/_stcore/metrics",
            "/_stcore/agent/openapi.json",
            "/_stcore/agent/interact",
            "/_stcore/script-health-check",
            "/_stcore/upload_file/a/b",
            "/component/x/index.html",
            "/media/0123abcd.md",
            "/auth/login",
            "/oauth2callback",
            "/app/static/page.css",
        ):
            assert client.get(path).status_code == 404, path
            assert client.post(path).status_code in {404, 405}, path
        page = client.get("/", headers={"accept": "text/html"})
        assert "service-desc" not in page.text
        for answer in (
            page,
            client.get("/v1/models"),
            client.get("/v1/nothing"),
            client.get("/_stcore/health"),
        ):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_pages_of_other_origins_cannot_reach_the_page(fake: str) -> None:
    with httpx.Client(base_url=fake, trust_env=False, timeout=30) as client:
        for headers in ({"host": "evil.test"}, {"origin": "http://evil.test"}):
            assert client.get("/", headers=headers).status_code == 403
            assert client.post("/v1/images", headers=headers, content=b"x").status_code == 403
