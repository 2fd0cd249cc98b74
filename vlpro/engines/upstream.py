"""How a model's server inside the network is reached: its address, its key, and whom to trust."""

from __future__ import annotations

import json
import re
import ssl

import httpx

from vlpro.errors import ConfigError
from vlpro.sealing import outside

__all__ = ["Upstream"]

_CONNECT_S = 5.0
_WRITE_S = 30.0
_WORD = re.compile(r"[\w.-]{1,60}")


class Upstream:
    """The way to one server.

    Args:
        url: Base of its API, with ``/v1``.
        key: Sent with each request, if it wants one.
        scheme: How the key is sent: ``Bearer``, or Elasticsearch's ``ApiKey``.
        ca: PEM file with the authorities that may have signed its certificate; empty: those that the system trusts.
        socket: Path of the Unix socket that it listens on; empty: it is reached over the network.
        settings: How the settings' names begin that these are of, for errors: ``upstream_``, or the name of a table
            with its dot.

    Raises:
        ConfigError: One of these cannot be meant; names the setting.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        scheme: str = "Bearer",
        ca: str = "",
        socket: str = "",
        settings: str = "upstream_",
    ) -> None:
        named = _Names(settings)
        self.url = _checked(url, named)
        self._headers = {"accept-encoding": "identity"}  # compression would hold pieces of an answer back
        if key:
            if not re.fullmatch(r"[\x21-\x7e]+", key):
                raise ConfigError(
                    f"{named('key')} holds a space, a line break or a character outside ASCII. Set it to the "
                    "bare key.",
                    zh=f"{named('key')} 含有空格、换行或非 ASCII 字符，请只填写密钥本身。",
                    param=f"{settings}key",
                )
            self._headers["authorization"] = f"{scheme} {key}"
        secure = httpx.URL(self.url).scheme == "https"
        if ca and not secure:
            raise ConfigError(
                f"{named('ca')} is set, but {named('url')} does not begin with https.",
                zh=f"设置了 {named('ca')}，但 {named('url')} 不以 https 开头。",
                param=f"{settings}ca",
            )
        # Where it is not used it trusts nobody, which spares half a second of reading the system's authorities.
        self._tls = _trusting(ca, named) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._socket = socket

    def client(self, *, keep: int = 0, read_s: float | None = None) -> httpx.AsyncClient:
        """Connections to the server.

        Args:
            keep: Most idle ones that are kept for the next request. None, where a request must not be sent twice: a
                kept one may turn out closed when a question is already on its way, and nobody could tell whether it
                was read. So only connecting is tried twice.
            read_s: Most seconds without a byte of an answer; None: no end.
        """
        return httpx.AsyncClient(
            headers=self._headers,
            transport=outside.async_transport(self._tls, path=self._socket, retries=1, keep=keep),
            trust_env=False,  # no proxy from the environment: nothing may lead a picture out of the network
            timeout=httpx.Timeout(read_s, connect=_CONNECT_S, write=_WRITE_S),
        )

    def blocking_client(self, *, read_s: float) -> httpx.Client:
        """Connections to the server for threads, kept; over the network only.

        Args:
            read_s: Most seconds without a byte of an answer.
        """
        return httpx.Client(
            headers=self._headers,
            transport=outside.transport(self._tls),
            trust_env=False,
            timeout=httpx.Timeout(read_s, connect=_CONNECT_S, write=_WRITE_S),
        )

    def for_log(self, text: bytes) -> str:
        """What may be logged of what the server sent: a refusal may repeat the question, so only words of its own.

        Returns:
            How long it is, and its ``type`` and ``code`` where it is an error as OpenAI has it.
        """
        try:
            told = json.loads(text)
            error = told.get("error", told)
            words = [str(error[name]) for name in ("type", "code") if error.get(name)]
        except (ValueError, AttributeError, RecursionError):
            words = []
        known = [word for word in words if _WORD.fullmatch(word)]
        return ", ".join([f"{len(text)} bytes", *known])


class _Names:
    """How settings are called: variables in capitals; fields of a table as they are written there."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def __call__(self, field: str) -> str:
        name = f"{self.prefix}{field}"
        return name if "." in name else f"VLPRO_{name.upper()}"


def _checked(url: str, named: _Names) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(
            f"{named('url')} is not a URL: {error}.",
            zh=f"{named('url')} 不是有效的网址。",
            param=f"{named.prefix}url",
        ) from error
    if not parts.host or parts.userinfo or parts.query or parts.fragment:
        raise ConfigError(
            f"{named('url')} must be http(s)://HOST[:PORT]/PATH and no more; a key belongs in {named('key')}.",
            zh=f"{named('url')} 只能是 http(s)://主机[:端口]/路径；密钥请写在 {named('key')} 中。",
            param=f"{named.prefix}url",
        )
    return url.rstrip("/")


def _trusting(ca: str, named: _Names) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as error:  # SSLError is one
        raise ConfigError(
            f"{named('ca')}: {ca} cannot be read as a PEM file of certificates ({error.strerror or error}).",
            zh=f"{named('ca')}：无法将 {ca} 读取为 PEM 证书文件。",
            param=f"{named.prefix}ca",
        ) from error
