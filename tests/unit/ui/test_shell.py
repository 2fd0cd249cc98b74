from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlpro.languages import preferred_language
from vlpro.ui.shell import Shell, content_policy, index_page, is_closed

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
HTML = {"accept": "text/html,application/xhtml+xml"}


async def _index(request: Request) -> Response:
    return FileResponse(INDEX, headers={"cache-control": "no-cache"})


async def _own(request: Request) -> Response:
    return HTMLResponse("<p>own</p>", headers={"content-security-policy": "default-src 'unsafe-inline'"})


async def _data(request: Request) -> Response:
    return JSONResponse({"ok": True})


@pytest.fixture
def browser() -> TestClient:
    inside = Starlette(
        routes=[
            Route("/", _index),
            Route("/models", _index),  # as Streamlit answers every path that it does not know
            Route("/own", _own),
            Route("/v1/models", _data),
            Route("/_stcore/metrics", _data),
            Route("/_stcore/health", _data),
        ]
    )
    return TestClient(Shell(inside))


@pytest.mark.parametrize(
    ("header", "cookie", "language"),
    [
        ("", "", "zh"),
        ("en-GB,en;q=0.9", "", "en"),
        ("zh-TW", "", "zh"),
        ("fr,de;q=0.9", "", "zh"),
        ("fr, en;q=0.5, zh;q=0.8", "", "zh"),
        ("fr, en;q=0.8, zh;q=0.8", "", "en"),
        ("zh", "en", "en"),
        ("en", "xx", "en"),
        (";;q=,,=;q=9", "", "zh"),
    ],
)
def test_language_is_the_earlier_choice_or_the_browsers(header: str, cookie: str, language: str) -> None:
    assert preferred_language(header, cookie) == language


def test_index_page_is_ours_in_the_readers_language(browser: TestClient) -> None:
    english = browser.get("/", headers={**HTML, "accept-language": "en"})
    chinese = browser.get("/", headers={**HTML, "accept-language": "zh-CN"})
    assert '<html lang="en">' in english.text
    assert '<html lang="zh-CN">' in chinese.text
    for answer in (english, chinese):
        assert "<title>Qwen3-VL-4B Pro</title>" in answer.text
        assert "Streamlit</title>" not in answer.text
        assert 'id="root"' in answer.text
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert "etag" not in answer.headers
    chosen = browser.get("/", headers={**HTML, "accept-language": "zh", "cookie": "vlpro_language=en"})
    assert '<html lang="en">' in chosen.text


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_a_program_that_asks_for_what_is_not_there_gets_no_page(browser: TestClient, accept: str) -> None:
    answer = browser.get("/models", headers={"accept": accept})
    assert (answer.status_code, answer.text) == (404, "Not found")
    assert browser.get("/models", headers=HTML).status_code == 200
    assert browser.get("/", headers={"accept": accept}).status_code == 200
    own = browser.get("/own", headers={"accept": accept})
    assert (own.status_code, own.text) == (200, "<p>own</p>")
    assert browser.get("/v1/models", headers={"accept": accept}).status_code == 200


def test_conditional_and_partial_requests_still_get_the_whole_page(browser: TestClient) -> None:
    etag = browser.get("/", headers={"accept": "*/*"}).headers["etag"]
    answer = browser.get("/", headers={**HTML, "if-none-match": etag, "range": "bytes=0-9"})
    assert answer.status_code == 200
    assert "Qwen3-VL-4B Pro" in answer.text


def test_only_scripts_of_this_page_may_run(browser: TestClient) -> None:
    answer = browser.get("/", headers=HTML)
    policy = answer.headers["content-security-policy"]
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    script_source = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert script_source == f"script-src 'self' 'sha256-{digest}'"
    assert "default-src 'none'" in policy
    assert "http" not in policy.replace("https-", "")
    assert "frame-ancestors 'none'" in policy


def test_policy_names_the_hash_of_every_inline_script() -> None:
    assert content_policy("<script>a</script><script>b</script>").count("sha256-") == 2


def test_every_answer_has_the_security_headers(browser: TestClient) -> None:
    for path in ("/", "/v1/models", "/_stcore/metrics", "/_stcore/health", "/nowhere"):
        headers = browser.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["cross-origin-resource-policy"] == "same-origin", path
        assert "camera=()" in headers["permissions-policy"], path
        assert "content-security-policy" in headers, path


def test_other_pages_keep_their_body_and_their_own_policy(browser: TestClient) -> None:
    answer = browser.get("/own", headers=HTML)
    assert answer.text == "<p>own</p>"
    assert answer.headers["content-security-policy"] == "default-src 'unsafe-inline'"


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/agent/openapi.json",
        "/_stcore/agent/interact",
        "/_stcore/script-health-check",
        "/_stcore/upload_file/a/b",
        "/component/x/y",
        "/media/0123abcd.md",
        "/auth/login",
        "/oauth2callback",
        "/app/static/x",
    ],
)
def test_unused_routes_of_streamlit_are_closed(browser: TestClient, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert browser.request(method, path).status_code == 404


def test_closing_goes_by_whole_path_segments() -> None:
    assert not is_closed("/components")
    assert not is_closed("/_stcore/health")
    assert not is_closed("/_stcore/bidi-components/vlpro.page/index.js")


def test_index_page_of_the_installed_streamlit_has_every_mark_that_is_replaced() -> None:
    page = index_page(INDEX.read_text(encoding="utf-8"), "1", "zh")
    assert "favicon.png" not in page
    assert 'preload"\n' not in page
    assert "service-desc" not in page
    assert "interact" not in page
    assert page.count("<script>") == 1
