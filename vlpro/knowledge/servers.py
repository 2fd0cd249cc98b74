"""Requests to a server of vectors or of ranks: tried again where it is busy, its answers bounded and checked."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import httpx

from vlpro.engines.upstream import Upstream
from vlpro.errors import EngineError, EngineUnavailableError
from vlpro.logs import safe_words

__all__ = ["ModelServer"]

log = logging.getLogger(__name__)

_MOST_ANSWER = 64_000_000  # bytes
_KEPT = 8  # connections: a request may be sent twice, since it changes nothing
_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
_WAITS_S = (0.25, 1.0)  # before the second and the third try
_MOST_WAIT_S = 5.0


class ModelServer:
    """One server, from one event loop.

    Args:
        upstream: The way to it.
        settings: How its settings' names begin, for errors: ``knowledge.embedding.``.
        timeout_s: Most seconds without a byte of an answer.
    """

    def __init__(self, upstream: Upstream, settings: str, *, timeout_s: float = 60) -> None:
        self._upstream = upstream
        self._settings = settings
        self._timeout_s = timeout_s
        self._http: httpx.AsyncClient | None = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The object that it answers with.

        Args:
            path: Behind its base URL.
            body: Sent as JSON.

        Raises:
            EngineUnavailableError: It cannot be reached, is busy, or refuses our key or the model.
            EngineError: It refuses the request, or its answer is none.
        """
        content = json.dumps(body).encode()
        for wait_s in (*_WAITS_S, None):
            try:
                status, text, asked_s = await self._exchange(path, content)
            except httpx.TransportError as error:
                log.warning("%surl: %s", self._settings, safe_words(error))
                if wait_s is None or "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise self._unreachable(error) from error
                asked_s = 0.0
            else:
                if status == 200:
                    return self._object(text)
                log.warning("%surl answered %s: %s", self._settings, status, self._upstream.for_log(text))
                if wait_s is None or status not in _AGAIN:
                    raise self._refusal(status)
            await asyncio.sleep(max(wait_s, min(asked_s, _MOST_WAIT_S)))
        raise AssertionError  # the last try returns or raises

    def nonsense(self, why: str) -> EngineError:
        """What to raise where the answer is not what was asked for.

        Args:
            why: For the log.
        """
        log.warning("%surl answered nonsense: %s", self._settings, ascii(why)[:500])
        return EngineError(
            f"The server of {self._settings}url answers, but not as asked: {why}. Check the model that it serves.",
            zh=f"{self._settings}url 的服务返回了不符合要求的结果，请检查其加载的模型。",
        )

    async def stop(self) -> None:
        """Close its connections; the next request opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _exchange(self, path: str, content: bytes) -> tuple[int, bytes, float]:
        if self._http is None:
            self._http = self._upstream.client(keep=_KEPT, read_s=self._timeout_s)
        async with self._http.stream(
            "POST",
            f"{self._upstream.url}{path}",
            content=content,
            headers={"content-type": "application/json"},
        ) as reply:
            text = bytearray()
            async for piece in reply.aiter_bytes():
                text += piece
                if len(text) > _MOST_ANSWER:
                    raise self.nonsense("it has no end")
            return reply.status_code, bytes(text), _seconds(reply.headers.get("retry-after", ""))

    def _object(self, text: bytes) -> dict[str, Any]:
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            if isinstance(found, dict):
                return found
        raise self.nonsense("it is no JSON object")

    def _refusal(self, status: int) -> EngineError:
        settings = self._settings
        if status in (401, 403):
            return EngineUnavailableError(
                f"The server of {settings}url does not accept our key. Check {settings}key.",
                zh=f"{settings}url 的服务不接受当前密钥，请检查 {settings}key。",
            )
        if status == 404:
            return EngineUnavailableError(
                f"The server of {settings}url does not know the model or the address. Check {settings}model and "
                f"{settings}url.",
                zh=f"{settings}url 的服务没有这个模型或地址，请检查 {settings}model 和 {settings}url。",
            )
        if status in _AGAIN:
            return self._silent()
        return EngineError(
            f"The server of {settings}url refused the request (HTTP {status}). The log of this service says more.",
            zh=f"{settings}url 的服务拒绝了请求（HTTP {status}），详见本服务日志。",
        )

    def _unreachable(self, error: Exception) -> EngineError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return EngineUnavailableError(
                f"The certificate of the server of {self._settings}url is not trusted. Check {self._settings}ca and "
                "the host in the URL.",
                zh=f"{self._settings}url 服务的证书不受信任，请检查 {self._settings}ca 和网址中的主机名。",
            )
        return self._silent()

    def _silent(self) -> EngineUnavailableError:
        return EngineUnavailableError(
            f"The server of {self._settings}url does not answer or is too busy. Try again shortly.",
            zh=f"{self._settings}url 的服务没有响应或过于繁忙，请稍后重试。",
        )


def _seconds(value: str) -> float:
    """Of a Retry-After; its form as a date counts as none."""
    return float(value) if value.isdecimal() and len(value) < 6 else 0.0
