"""What stands before every route and page: request id, addresses, hosts and origins, size of the body."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlpro.client import IN_PROCESS
from vlpro.errors import ForbiddenError, RequestTimeoutError, RequestTooLargeError, VlproError
from vlpro.gateway import errors
from vlpro.logs import REQUEST

__all__ = ["BodyLimit", "Envelope", "OwnOrigin", "RequestId", "TrustedProxies"]


_FORM_BYTES = 65_536


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
        REQUEST.set(request_id)

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


class TrustedProxies:
    """Puts the address that a proxy of ours tells in the place of the proxy's own.

    Only the last address of X-Forwarded-For that is not itself a proxy's counts: all before it came from outside, and
    may be made up. From anybody else the header is ignored.

    Args:
        app: The application behind it.
        proxies: Networks of the proxies; "unix": what comes by a Unix socket.
    """

    def __init__(self, app: ASGIApp, proxies: Collection[str]) -> None:
        self._app = app
        self._unix = "unix" in proxies
        self._networks = [ipaddress.ip_network(proxy) for proxy in proxies if proxy != "unix"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] in ("http", "websocket"):
            client = scope.get("client")
            peer = client[0] if client else ""
            if self._is_proxy(peer):
                told = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
                addresses = [address.strip() for address in told if address.strip()]
                while addresses and self._is_proxy(addresses[-1]) and len(addresses) > 1:
                    addresses.pop()
                scope["client"] = (addresses[-1] if addresses else peer, 0)
        await self._app(scope, receive, send)

    def _is_proxy(self, address: str) -> bool:
        if not address:  # uvicorn names no peer on a Unix socket
            return self._unix
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


class OwnOrigin:
    """Serves no web page of anyone else; in profile ``local`` this machine only.

    A browser inside could be made to drive the service by a page from elsewhere: under a host name that suddenly
    means this service (DNS rebinding: the Host header gives it away), or by posting across sites (Origin and
    Sec-Fetch-Site give it away; Fetch Standard, Fetch Metadata).

    Args:
        app: The application behind it.
        allowed_hosts: Names in the Host header that are ours, without port.
        local: Whether other machines are refused.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str], *, local: bool = True) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one connection."""
        if scope["type"] == "lifespan" or scope.get(IN_PROCESS):  # the page's own calls come from no browser
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
        if self._local and not _is_loopback(scope.get("client")):
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
        forms: Paths, and all below them, that take short forms only; some of them anybody can reach.
        uploads: Paths that take files, as regular expressions of the whole path, and the most bytes of each.
        idle_timeout_s: The most seconds between two pieces of a body.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        idle_timeout_s: float,
        forms: Collection[str] = (),
        uploads: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._forms = tuple(forms)
        self._uploads = [(re.compile(path), most) for path, most in (uploads or {}).items()]
        self._idle_timeout_s = idle_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        is_form = any(path == form or path.startswith(f"{form}/") for form in self._forms)
        upload = next((most for known, most in self._uploads if known.fullmatch(path)), self._max_bytes)
        most = min(_FORM_BYTES, self._max_bytes) if is_form else upload
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told[:20]) > most:
            await errors.response(self._error(most))(scope, receive, send)
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
                if taken > most:
                    raise self._error(most)
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

    @staticmethod
    def _error(most: int) -> RequestTooLargeError:
        megabytes = most / 1e6
        return RequestTooLargeError(
            f"The request is larger than {megabytes:g} MB. Send fewer or smaller pictures, or put them one by "
            "one through POST /v1/images.",
            zh=f"请求超过 {megabytes:g} MB。请减少或缩小图片，或用 POST /v1/images 逐张上传。",
        )
