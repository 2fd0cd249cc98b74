"""The door: nobody passes without a session or a key, except to where one signs in."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlpro.audit.record import Actor
from vlpro.audit.recorder import ACTOR, Recorder
from vlpro.client import ADDRESS_HEADER, BACKGROUND_HEADER, IN_PROCESS
from vlpro.errors import ForbiddenError, UnauthenticatedError, VlproError
from vlpro.gateway import cookies, errors
from vlpro.gateway.pages.words import words_of
from vlpro.gateway.refusals import FORGED_SESSION, Refusals
from vlpro.identity.addresses import allowed
from vlpro.identity.principal import LOCAL, Principal
from vlpro.identity.service import Identity
from vlpro.identity.tokens import was_issued

__all__ = ["Guard", "safe_path"]

log = logging.getLogger(__name__)

# Where one comes in, and what tells a probe that the service runs. Everything else is closed by default.
_PROBES = frozenset({"/healthz", "/readyz"})
_METRICS = "/metrics"
_OPEN = _PROBES | {"/login", "/setup"}
_OPEN_BELOW = ("/login/",)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_SAME_ORIGIN_AGAIN = (
    '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0">'
    "<title>Qwen3-VL-4B Pro</title></head><body></body></html>"
)
_BARE = {"cache-control": "no-store", "content-security-policy": "default-src 'none'; frame-ancestors 'none'"}


class Guard:
    """Finds out who asks, and puts it into ``scope["state"]["principal"]``.

    Args:
        app: The application behind it.
        identity: None: profile ``local``, where it is the person at the machine.
        recorder: Of the audit: whose deeds a request's are, and what was refused.
        metrics_addresses: Networks that may read ``/metrics`` without a session; none: nobody.
    """

    def __init__(
        self,
        app: ASGIApp,
        identity: Identity | None,
        recorder: Recorder,
        metrics_addresses: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._metrics_addresses = metrics_addresses
        self._identity = identity
        self._refusals = Refusals(recorder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if self._identity is None:
            state["principal"] = LOCAL
            ACTOR.set(_actor(scope, LOCAL))
            await self._app(scope, receive, send)
            return
        ACTOR.set(_actor(scope, None))
        headers = Headers(scope=scope)
        token, address = "", _address(scope, headers)
        state["address"] = address
        _replace_header(scope, ADDRESS_HEADER, address)
        try:
            self._check_origin(scope, headers)
            if self._is_scraper(scope["path"], address):
                pass
            elif _is_open(scope["path"]):
                await self._check_address(self._identity, scope["path"], address)
            else:
                token = _token(scope["path"], headers)
                background = headers.get(BACKGROUND_HEADER) is not None
                state["principal"] = await self._who(self._identity, token, address, background=background)
                ACTOR.set(_actor(scope, state["principal"]))
                if scope["type"] == "websocket":
                    receive = self._while_signed_in(self._identity, token, address, receive)
        except VlproError as refusal:
            forged = _is_forged(self._identity, token, headers)
            try:
                await self._refuse(refusal, scope, receive, send)
            finally:
                # After the answer: not even its time tells whether a session ended or never was.
                if forged or not _is_probe_of_ours(scope, headers):
                    self._refusals.add(FORGED_SESSION if forged else refusal.code, scope["path"])
            return
        await self._app(scope, receive, send)

    def _is_scraper(self, path: str, address: str) -> bool:
        """Whether it is Prometheus, by its address."""
        return path == _METRICS and allowed(address, self._metrics_addresses)

    @staticmethod
    async def _check_address(identity: Identity, path: str, address: str) -> None:
        """Where one signs in is closed, too, to who may come from there in no role."""
        if path in _PROBES:
            return
        policies = identity.policies
        current = policies.current() if policies.is_fresh else await asyncio.to_thread(policies.current)
        listed = current.policy.user_addresses + current.policy.administration_addresses
        if not allowed(address, listed):
            log.warning("refused a request to %r: the policy does not list the address %r", path, address)
            raise UnauthenticatedError

    @staticmethod
    async def _who(identity: Identity, token: str, address: str, *, background: bool) -> Principal:
        if not token:
            raise UnauthenticatedError
        return await identity.authentication.awho(token, address, background=background)

    @staticmethod
    def _check_origin(scope: Scope, headers: Headers) -> None:
        """Whatever changes something in the name of a cookie must come from our own pages (no CSRF).

        Browsers send Origin with each such request (Fetch Standard, 3.2), and most Sec-Fetch-Site too. Keys are out
        of a foreign page's reach, and calls from inside the process come from no page.
        """
        if scope["type"] != "http" or scope["method"] in _SAFE or scope.get(IN_PROCESS):
            return
        if _bearer(headers):
            return
        origin = headers.get("origin")
        ours = origin is not None and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        if not ours and (origin is not None or headers.get("sec-fetch-site") != "same-origin"):
            log.warning("refused a request: it comes from no page of ours")
            raise ForbiddenError(
                "Web pages of other origins may not use this service.",
                zh="其他来源的网页不能使用本服务。",
                code="origin_not_allowed",
            )

    def _while_signed_in(self, identity: Identity, token: str, address: str, receive: Receive) -> Receive:
        """A page stays connected no longer than its session lives."""

        async def checked() -> Message:
            message = await receive()
            try:
                await self._who(identity, token, address, background=True)
            except VlproError:
                return {"type": "websocket.disconnect", "code": 4401}
            return message

        return checked

    async def _refuse(self, refusal: VlproError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        unknown, visits = isinstance(refusal, UnauthenticatedError), _is_navigation(scope, headers)
        if visits and unknown and not _is_open(scope["path"]):
            answer = await self._to_sign_in(scope, headers)
        elif visits:
            scope["state"]["error_code"] = refusal.code
            answer = _page(Request(scope), refusal)
        else:
            answer = errors.response(refusal)
        if unknown and answer.status_code == 401:
            answer.headers["www-authenticate"] = 'Bearer realm="vlpro"'
        await answer(scope, receive, send)

    async def _to_sign_in(self, scope: Scope, headers: Headers) -> Response:
        """Where a person goes who opens a page without a session."""
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not scope["path"].startswith(
            "/v1/"
        ):
            # Somebody follows a link from elsewhere. The browser keeps the strict cookie back, until the same page
            # asks again from here.
            return HTMLResponse(_SAME_ORIGIN_AGAIN, headers=_BARE)
        identity = self._identity
        if identity is not None and await asyncio.to_thread(identity.setup.is_open):
            return RedirectResponse("/setup", 303)
        query = scope.get("query_string", b"").decode("latin-1")
        there = scope["path"] + (f"?{query}" if query else "")
        asked = "" if there == "/" else "?next=" + quote(there, safe="")
        return RedirectResponse(f"/login{asked}", 303, {"cache-control": "no-store"})


def _actor(scope: Scope, principal: Principal | None) -> Actor:
    """Whose deeds a request's are, for the audit."""
    state = scope["state"]
    client = scope.get("client")
    address = state.get("address") or (client[0] if client else "")
    request = str(state.get("request_id", ""))
    if principal is None:
        return Actor(request=request, address=address)
    return Actor(
        account=principal.account,
        login=principal.login,
        role=str(principal.role),
        session=principal.session or "",
        key=principal.key or "",
        request=request,
        address=address,
    )


def _is_forged(identity: Identity, token: str, headers: Headers) -> bool:
    """Whether a request bears a session that was never begun here: its person has not ended it, nor has time."""
    return bool(token) and not _bearer(headers) and not was_issued(identity.sealer, token)


def _is_probe_of_ours(scope: Scope, headers: Headers) -> bool:
    """Whoever opens a page without a session is shown the way in; a page that lost its session asks whether so.

    Neither sends a key, nor a session that never was: whoever tries one is on the record, whatever else the request
    bears.
    """
    if _bearer(headers):
        return False
    return _is_navigation(scope, headers) or headers.get(BACKGROUND_HEADER) is not None


def _page(request: Request, refusal: VlproError) -> Response:
    """A refusal to a person."""
    words, status = words_of(request), errors.STATUS[type(refusal)][0]
    title = words("message.unavailable.title" if status >= 500 else "message.refused.title")
    return words.page("message", status=status, title=title, body=words.sentence(refusal), tone="bad")


def safe_path(there: str) -> str:
    """A path of this service to go on to; "/" where it could lead elsewhere (open redirect)."""
    parts = urlsplit(there)
    odd = any(ord(c) < 33 or c in "\\\x7f" for c in there)
    if parts.scheme or parts.netloc or odd or not there.startswith("/") or there.startswith("//"):
        return "/"
    return there if len(there) <= 1024 else "/"


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def _token(path: str, headers: Headers) -> str:
    """A key for the API, or a page's session."""
    key = _bearer(headers)
    if key:
        return key if path.startswith("/v1/") else ""
    return cookies.read(headers.get("cookie", ""), cookies.SESSION)


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    return scope.get("method") == "GET" and "text/html" in headers.get("accept", "")


def _address(scope: Scope, headers: Headers) -> str:
    """Where a request comes from; the page tells it for the person before it."""
    if scope.get(IN_PROCESS):
        return headers.get(ADDRESS_HEADER, "")
    client = scope.get("client")
    return client[0] if client else ""


def _replace_header(scope: Scope, name: str, value: str) -> None:
    """Put a header of ours in the place of whatever was sent under its name."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    del headers[name]
    headers[name] = value
    scope["headers"] = headers.raw
