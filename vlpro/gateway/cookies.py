"""The cookies of signing in: for this host only, over TLS only, out of the reach of scripts (RFC 6265bis)."""

from __future__ import annotations

from starlette.requests import cookie_parser
from starlette.responses import Response

from vlpro.client import SESSION_COOKIE

__all__ = ["OIDC", "SESSION", "SIGN_IN", "clear", "give", "read"]

# The prefix has the browser refuse them from another host, without TLS, or for another path.
SESSION = SESSION_COOKIE
SIGN_IN = "__Host-vlpro_sign_in"
OIDC = "__Host-vlpro_oidc"


def read(header: str, name: str) -> str:
    """A cookie's value in a Cookie header; empty where it is not there."""
    return cookie_parser(header).get(name, "")


def give(response: Response, name: str, token: str, *, lax: bool = False) -> None:
    """Set a cookie until the browser is closed.

    Args:
        response: Of the answer.
        name: Which.
        token: Its value.
        lax: Whether it is sent when somebody comes from another site: for who returns from the company's sign-in.
    """
    response.set_cookie(
        name, token, path="/", secure=True, httponly=True, samesite="lax" if lax else "strict"
    )


def clear(response: Response, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
