"""What stands around the page in the browser: security headers, closed routes, and Streamlit's index page made ours.

The index page that comes with Streamlit is English, names a service that is closed here and preloads a font that
this page does not use. :class:`Shell` puts the product's own in its place; everything else passes unchanged.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlpro.languages import LANGUAGE_COOKIE, preferred_language

__all__ = ["Shell", "content_policy", "index_page", "is_closed"]

TITLE = "Qwen3-VL-4B Pro"

_STATIC = Path(__file__).parent / "static"

# Streamlit's routes that this page does not use. Uploads go to the API, as raw bodies that stay in memory;
# Streamlit's own form parser would spool them to disk. What lies under /media is served to whoever knows its hash.
_CLOSED = (
    "/_stcore/agent",
    "/_stcore/metrics",
    "/_stcore/script-health-check",
    "/_stcore/upload_file",
    "/app/static",
    "/auth",
    "/component",
    "/media",
    "/oauth2callback",
)

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-dns-prefetch-control": "off",  # a name that is only looked up has left, too
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}

_ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#1d5fa8"/>
<g transform="translate(6.4 6.4) scale(.8)" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round">
<path d="M4 8V4h4M20 8V4h-4M4 16v4h4M20 16v4h-4M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6"/></g></svg>"""

_NO_SCRIPT = {
    "zh": "这个页面需要 JavaScript。请在浏览器中允许后重新打开。",
    "en": "This page needs JavaScript. Allow it in your browser, then open the page again.",
}


def index_page(original: str, script: str, language: str) -> str:
    """Streamlit's index page as the product's own.

    Args:
        original: ``index.html`` of the Streamlit that is installed.
        script: JavaScript to run before everything else.
        language: "zh" or "en".
    """
    icon = html.escape("data:image/svg+xml," + quote(_ICON))
    head = f"<title>{TITLE}</title><script>{script}</script>"
    page = re.sub(r"<!--.*?-->", "", original, flags=re.DOTALL)
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    page = re.sub(r'<link\s+rel="(?:preload|service-desc)"[^>]*>', "", page)
    page = re.sub(
        r"<noscript>.*?</noscript>", f"<noscript>{_NO_SCRIPT[language]}</noscript>", page, flags=re.DOTALL
    )
    page = page.replace('href="./favicon.png"', f'href="{icon}"')
    page = page.replace('<html lang="en">', f'<html lang="{"zh-CN" if language == "zh" else "en"}">')
    return page.replace("<title>Streamlit</title>", head).strip() + "\n"


def content_policy(page: str) -> str:
    """The Content-Security-Policy under which this page works and nothing leaves its origin.

    Inline scripts are allowed by their hash only (CSP level 3, section 2.3.1). Streamlit writes its styles from
    JavaScript, hence 'unsafe-inline' for styles; icons are data: pictures, and it carries a font as data:.
    """
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *(f"'sha256-{value}'" for value in hashes))),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def is_closed(path: str) -> bool:
    """Whether a path is one of Streamlit's routes that this product does not offer."""
    return any(path == closed or path.startswith(closed + "/") for closed in _CLOSED)


class Shell:
    """ASGI middleware around everything.

    An answer that brings a security header of its own keeps it.

    Args:
        app: The application inside.
        index: Streamlit's index page; that of the installed Streamlit where it is left out.
    """

    def __init__(self, app: ASGIApp, index: str | None = None) -> None:
        self._app = app
        script = (_STATIC / "localise.js").read_text(encoding="utf-8")
        self._index = (_streamlit_index() if index is None else index).encode()
        pages = {language: index_page(self._index.decode(), script, language) for language in ("zh", "en")}
        self._pages = {language: page.encode() for language, page in pages.items()}
        self._headers = {**_HEADERS, "content-security-policy": content_policy(pages["zh"])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if is_closed(scope["path"]):
            await PlainTextResponse("Not found", 404)(scope, receive, self._sealed(send))
            return
        headers = Headers(scope=scope)
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            cookie = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE, "")
            language = preferred_language(headers.get("accept-language", ""), cookie)
            scope, send = _plain(scope), self._replaced(send, self._pages[language])
        elif (
            scope["method"] == "GET" and scope["path"] != "/" and "." not in scope["path"].rpartition("/")[2]
        ):
            # Streamlit answers every path with its page: right for a person, misleading for a program.
            scope, send = _plain(scope), self._replaced(send, None)
        await self._app(scope, receive, self._sealed(send))

    def _sealed(self, send: Send) -> Send:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return sealed

    def _replaced(self, send: Send, page: bytes | None) -> Send:
        """Swaps the body if it is Streamlit's index page, None: for "not found"; other HTML passes as it is."""
        start: Message | None = None
        body = bytearray()

        async def replaced(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-length") == str(len(self._index)):
                    start = message
                else:
                    await send(message)
            elif start is None:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                is_index = bytes(body) == self._index
                content = (b"Not found" if page is None else page) if is_index else bytes(body)
                headers = MutableHeaders(scope=start)
                headers["content-length"] = str(len(content))
                if is_index and page is None:
                    start["status"], headers["content-type"] = 404, "text/plain; charset=utf-8"
                if is_index:
                    del headers["etag"], headers["last-modified"], headers["accept-ranges"]
                    headers["vary"] = "accept-language, cookie"
                await send(start)
                await send({"type": "http.response.body", "body": content})

        return replaced


def _streamlit_index() -> str:
    import streamlit  # noqa: PLC0415 - slow to import; the tests of this file do not need it

    return (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


def _plain(scope: Scope) -> Scope:
    """Asks for the whole body, uncompressed and as bytes, so that it can be compared."""
    dropped = {b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"}
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    extensions = {k: v for k, v in scope.get("extensions", {}).items() if k != "http.response.pathsend"}
    return {**scope, "headers": headers, "extensions": extensions}
