"""How a model's server inside the network is reached: its address, its key, and whom to trust."""

from __future__ import annotations

import re
import ssl

import httpx

from vlpro.errors import ConfigError
from vlpro.sealing import outside

__all__ = ["Upstream"]

_CONNECT_S = 5.0
_WRITE_S = 30.0


class Upstream:
    """The way to one server.

    Args:
        url: Base of its API, with ``/v1``.
        key: Bearer token, if it wants one.
        ca: PEM file with the authorities that may have signed its certificate; empty: those that the system trusts.
        socket: Path of the Unix socket that it listens on; empty: it is reached over the network.

    Raises:
        ConfigError: One of these cannot be meant; names the setting.
    """

    def __init__(self, url: str, *, key: str = "", ca: str = "", socket: str = "") -> None:
        self.url = _checked(url)
        self._headers = {"accept-encoding": "identity"}  # compression would hold pieces of an answer back
        if key:
            if not re.fullmatch(r"[\x21-\x7e]+", key):
                raise ConfigError(
                    "VLPRO_UPSTREAM_KEY holds a space, a line break or a character outside ASCII. Set it to the "
                    "bare key.",
                    zh="VLPRO_UPSTREAM_KEY 含有空格、换行或非 ASCII 字符，请只填写密钥本身。",
                    param="upstream_key",
                )
            self._headers["authorization"] = f"Bearer {key}"
        secure = httpx.URL(self.url).scheme == "https"
        if ca and not secure:
            raise ConfigError(
                "VLPRO_UPSTREAM_CA is set, but VLPRO_UPSTREAM_URL does not begin with https.",
                zh="设置了 VLPRO_UPSTREAM_CA，但 VLPRO_UPSTREAM_URL 不以 https 开头。",
                param="upstream_ca",
            )
        # Where it is not used it trusts nobody, which spares half a second of reading the system's authorities.
        self._tls = _trusting(ca) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._key, self._socket = key, socket

    def client(self) -> httpx.AsyncClient:
        """Connections to the server.

        Each request has its own, made anew: a kept one may turn out closed when a question is already on its way,
        and nobody could tell whether it was read. So only connecting is tried twice.
        """
        return httpx.AsyncClient(
            headers=self._headers,
            transport=outside.async_transport(self._tls, path=self._socket, retries=1, keep=0),
            trust_env=False,  # no proxy from the environment: nothing may lead a picture out of the network
            timeout=httpx.Timeout(None, connect=_CONNECT_S, write=_WRITE_S),
        )

    def for_log(self, text: bytes) -> str:
        """The beginning of what the server sent, on one line and without our key."""
        shown = text.decode(errors="replace")
        return ascii(shown.replace(self._key, "(key)") if self._key else shown)[:500]


def _checked(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(
            f"VLPRO_UPSTREAM_URL is not a URL: {error}.",
            zh="VLPRO_UPSTREAM_URL 不是有效的网址。",
            param="upstream_url",
        ) from error
    if not parts.host or parts.userinfo or parts.query or parts.fragment:
        raise ConfigError(
            "VLPRO_UPSTREAM_URL must be http(s)://HOST[:PORT]/PATH and no more; a key belongs in VLPRO_UPSTREAM_KEY.",
            zh="VLPRO_UPSTREAM_URL 只能是 http(s)://主机[:端口]/路径；密钥请写在 VLPRO_UPSTREAM_KEY 中。",
            param="upstream_url",
        )
    return url.rstrip("/")


def _trusting(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as error:  # SSLError is one
        raise ConfigError(
            f"VLPRO_UPSTREAM_CA: {ca} cannot be read as a PEM file of certificates "
            f"({error.strerror or error}).",
            zh=f"VLPRO_UPSTREAM_CA：无法将 {ca} 读取为 PEM 证书文件。",
            param="upstream_ca",
        ) from error
