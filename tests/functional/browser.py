"""A browser without JavaScript: cookies as RFC 6265bis has them, forms, redirects one at a time."""

from __future__ import annotations

import html
import re
from http.cookies import SimpleCookie
from typing import Any

import httpx

__all__ = ["Browser", "told"]


class Browser:
    """Keeps cookies, also secure ones: the tests' service is reached without its proxy.

    Args:
        http: To the service.
        language: Of the person.
    """

    def __init__(self, http: httpx.Client, language: str = "zh") -> None:
        self._http = http
        self._language = language
        self.cookies: dict[str, str] = {}
        self.set: dict[str, SimpleCookie] = {}  # every cookie as it was set last

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return self._send("GET", path, headers=headers)

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form."""
        return self._send("POST", path, data=fields)

    def json(self, path: str, body: Any) -> httpx.Response:
        """What a script of the page sends."""
        return self._send("POST", path, json=body)

    def follow(self, reply: httpx.Response) -> httpx.Response:
        """Go where an answer leads."""
        assert reply.status_code == 303, (reply.status_code, told(reply))
        return self.get(reply.headers["location"])

    def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        named = {
            "accept": "text/html",
            "accept-language": self._language,
            "origin": str(self._http.base_url).rstrip("/"),
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            **{name.replace("_", "-"): value for name, value in (headers or {}).items()},
        }
        reply = self._http.request(method, path, headers=named, follow_redirects=False, **body)
        for line in reply.headers.get_list("set-cookie"):
            jar: SimpleCookie = SimpleCookie(line)
            for name, morsel in jar.items():
                self.set[name] = jar
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return reply


def told(reply: httpx.Response) -> str:
    """What a page says is wrong."""
    found = re.search(r'role="alert"[^>]*>(.*?)</', reply.text, re.DOTALL)
    return html.unescape(found[1].strip()) if found else reply.text[:300]
