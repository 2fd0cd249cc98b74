"""A page, its words and what it was given, as an HTTP answer; and the three files that the pages load.

The pages work without JavaScript, except for passkeys. Nothing in them is inline, and nothing comes from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from vlpro.gateway.pages.strings import LANGUAGES, Language, text

__all__ = ["ASSETS", "PAGES", "Page", "assets", "render"]

Page = Literal["login", "second_factor", "password", "enrol", "recovery_codes", "setup", "factors", "message"]

ASSETS: Final = "/login/assets"

_NEEDED: Final = object()

# What each page is given: the value where the caller gives none, or that there must be one.
PAGES: Mapping[Page, Mapping[str, object]] = MappingProxyType(
    {
        "login": {"login": "", "next": "", "oidc": None},
        "second_factor": {"method": _NEEDED, "methods": _NEEDED, "login": _NEEDED},
        "password": {
            "reason": _NEEDED,
            "ask_current": _NEEDED,
            "rules": _NEEDED,
            "problems": (),
            "min_length": _NEEDED,
            "login": "",
            "action": "/login/password",
        },
        "enrol": {
            "qr": _NEEDED,
            "secret": _NEEDED,
            "account": _NEEDED,
            "allow_passkey": _NEEDED,
            "drift": None,
            "replacing": False,
            "action": "/login/enrol",
        },
        "recovery_codes": {"codes": _NEEDED, "account": "", "action": "/login/recovery-codes"},
        "setup": {"values": MappingProxyType({}), "problems": MappingProxyType({})},
        "factors": {
            "totp": _NEEDED,
            "passkeys": _NEEDED,
            "recovery_left": _NEEDED,
            "ask_password": _NEEDED,
            "login": "",
        },
        "message": {"title": _NEEDED, "body": _NEEDED, "link": None, "tone": "info"},
    }
)

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    # Under no-referrer a browser sends a form with "Origin: null" (Fetch, 3.2), and nobody could tell whose it is.
    "referrer-policy": "same-origin",
}

_TYPES = {"pages.css": "text/css", "passkey.js": "text/javascript", "pages.js": "text/javascript"}

_HERE = Path(__file__).parent


def render(page: Page, language: Language, *, status: int = 200, **context: object) -> HTMLResponse:
    """A page as an answer.

    Args:
        page: Which one.
        language: That of its words; the sentences in ``context`` are in it already.
        status: Of the answer.
        context: What :data:`PAGES` names for the page, and for each page ``error``, ``notice`` (sentences or None)
            and ``lang_url`` (the same page in the other language; ``?lang=…`` where it is left out).

    Raises:
        TypeError: Something is missing from the context, or unknown there.
    """
    other: Language = "en" if language == "zh" else "zh"
    defaults = {"error": None, "notice": None, "lang_url": f"?lang={other}", **PAGES[page]}
    if unknown := context.keys() - defaults.keys():
        raise TypeError(f"the page {page} knows no {', '.join(sorted(unknown))}")
    values = {**defaults, **context}
    if missing := sorted(name for name, value in values.items() if value is _NEEDED):
        raise TypeError(f"the page {page} needs {', '.join(missing)}")
    content = (
        _templates()
        .get_template(f"{page}.html")
        .render(
            values,
            t=partial(_words, language),
            html_lang="zh-CN" if language == "zh" else "en",
            other_lang="zh-CN" if other == "zh" else "en",
            other_name=LANGUAGES[other],
        )
    )
    return HTMLResponse(content, status, _HEADERS)


def assets() -> list[Route]:
    """Routes of the style sheet and the two scripts, read once, now."""
    return [Route(f"{ASSETS}/{name}", _serve(name), methods=["GET"], name=f"pages:{name}") for name in _TYPES]


def _serve(name: str) -> Callable[[Request], Awaitable[Response]]:
    headers = {"cache-control": "max-age=3600"}
    content = _read(name)

    async def serve(_: Request) -> Response:
        return Response(content, headers=headers, media_type=_TYPES[name])

    return serve


@cache
def _read(name: str) -> bytes:
    return (_HERE / "static" / name).read_bytes()


def _address(name: str) -> str:
    """Where a file is served; another version has another address, so that no browser mixes two."""
    return f"{ASSETS}/{name}?v={hashlib.sha256(_read(name)).hexdigest()[:12]}"


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = _address
    return environment


def _words(language: Language, key: str, **values: object) -> str:
    return text(key, language, **values)
