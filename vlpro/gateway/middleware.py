"""What stands before every route and page: request id, addresses, hosts and origins, size of the body."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlpro.errors import ForbiddenError, RequestTimeoutError, RequestTooLargeError, VlproError
from vlpro.gateway import errors

__all__ = ["BodyLimit", "Envelope", "LocalOnly", "RequestId"]


class RequestId:
    """Gives each request an id, in ``scope["state"]["request_id"]`` and as the header ``x-request-id``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, tell)


class Envelope:
    """Puts refusals by the frameworks, which are plain text, into the envelope of all other errors.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        replaced = False

        async def enveloped(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                status = message["status"]
                media = Headers(raw=message["headers"]).get("content-type", "").split(";")[0]
                if status < 400 or media in ("application/json", "text/html"):
                    await send(message)
                    return
                replaced = True
                error = errors.from_status(status, scope["method"], scope["path"])
                answer = errors.response(error, status=status)
                headers = MutableHeaders(raw=list(message["headers"]))
                headers.update(answer.headers)
                body = b"" if scope["method"] == "HEAD" else answer.body
                await send({**message, "status": status, "headers": headers.raw})
                await send({"type": "http.response.body", "body": body})
            elif not replaced:
                await send(message)

        await self._app(scope, receive, enveloped)


class LocalOnly:
    """Serves this machine only, and no web page of anyone else (profile ``local``).

    A browser on this machine could be made to drive the service by a page from elsewhere: under a host name that
    suddenly means 127.0.0.1 (DNS rebinding: the Host header gives it away), or by posting across sites (Origin
    and Sec-Fetch-Site give it away; Fetch Standard, Fetch Metadata).

    Args:
        app: The application behind it.
        allowed_hosts: Names in the Host header that are ours, without port.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await errors.response(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> VlproError | None:
        if not _is_loopback(scope.get("client")):
            return ForbiddenError(
                "In profile local this service answers its own machine only.",
                zh="local 模式下，本服务只接受本机访问。",
                code="address_not_allowed",
            )
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return ForbiddenError(
                "This host name is not known here. Use http://127.0.0.1, or add the name to "
                "VLPRO_ALLOWED_HOSTS.",
                zh="不认识这个主机名。请使用 http://127.0.0.1，或把它加入 VLPRO_ALLOWED_HOSTS。",
                code="host_not_allowed",
            )
        foreign = any(_authority(origin) != host.lower() for origin in headers.getlist("origin"))
        # A link that somebody follows to the page is a cross-site navigation too, and harmless. "same-site" is
        # another port of this machine: another program, and perhaps another person's.
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode")
        followed = mode == "navigate" and scope.get("method") == "GET"
        fetched = site not in ("none", "same-origin") and not followed
        if foreign or fetched:
            return ForbiddenError(
                "Web pages of other origins may not use this service.",
                zh="其他来源的网页不能使用本服务。",
                code="origin_not_allowed",
            )
        return None


def _is_loopback(client: tuple[str, int] | None) -> bool:
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:  # a proxy's header that is no address
        return False


def _authority(origin: str) -> str:
    """Host and port of a web page's Origin header, lower case; empty if it is malformed, ``null`` or no page's."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def _name(host: str) -> str:
    """The host without its port, lower case; empty if it is malformed."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]@/\s]+)(:\d{1,5})?", host)
    return match[1].lower() if match else ""


class BodyLimit:
    """Refuses bodies beyond a size, told or not, before they fill the memory, and those that stop coming.

    Args:
        app: The application behind it.
        max_bytes: The largest body.
        idle_timeout_s: The most seconds between two pieces of a body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, idle_timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._idle_timeout_s = idle_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told[:20]) > self._max_bytes:
            await errors.response(self._error())(scope, receive, send)
            return
        taken, complete, started = 0, False, False

        async def count() -> Message:
            nonlocal taken, complete
            if complete:  # from here on it is waited for the client's leaving, however long that takes
                return await receive()
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    message = await receive()
            except TimeoutError:
                raise self._stalled() from None
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if taken > self._max_bytes:
                    raise self._error()
            return message

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, count, watch)
        except (RequestTooLargeError, RequestTimeoutError) as error:
            if started:
                raise
            await errors.response(error)(scope, receive, send)

    def _stalled(self) -> RequestTimeoutError:
        return RequestTimeoutError(
            f"Nothing of the request's body came for {self._idle_timeout_s:g} seconds. Send it again.",
            zh=f"请求体中断超过 {self._idle_timeout_s:g} 秒，请重新发送。",
        )

    def _error(self) -> RequestTooLargeError:
        megabytes = self._max_bytes / 1e6
        return RequestTooLargeError(
            f"The request is larger than {megabytes:g} MB. Send fewer or smaller pictures, or put them one by "
            "one through POST /v1/images.",
            zh=f"请求超过 {megabytes:g} MB。请减少或缩小图片，或用 POST /v1/images 逐张上传。",
        )
