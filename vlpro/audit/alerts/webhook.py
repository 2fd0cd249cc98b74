"""Requests to a webhook: JSON, signed with a shared secret, without redirects or proxies."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Mapping

import httpx

from vlpro.audit.alerts.options import WebhookOptions
from vlpro.errors import ConfigError
from vlpro.logs import safe_words
from vlpro.sealing import outside

__all__ = ["TIMEOUT_S", "Undelivered", "post", "signature", "trusting"]

TIMEOUT_S = 5.0


class Undelivered(Exception):  # noqa: N818 - it is a state, told to nobody but the log
    """The other side did not take it; holds no secret."""


def post(
    options: WebhookOptions,
    body: bytes,
    tls: ssl.SSLContext,
    *,
    now: float,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Send one request; any answer from 200 to 299 is a receipt. Blocks: not for the event loop.

    ``X-Vlpro-Timestamp`` and ``X-Vlpro-Signature`` (:func:`signature`) say who sent it, and when.

    Args:
        options: Where to, and the secret.
        body: JSON.
        tls: Whom to trust (:func:`trusting`).
        now: Unix time.
        headers: More of them.
        timeout_s: For each step.

    Raises:
        Undelivered: It does not answer, or refuses.
    """
    stamp = str(int(now))
    sent = {
        "content-type": "application/json",
        "user-agent": "vlpro",
        "x-vlpro-timestamp": stamp,
        "x-vlpro-signature": signature(options.secret.get_secret_value(), stamp, body),
        **(headers or {}),
    }
    try:
        with (
            httpx.Client(
                transport=outside.transport(tls), timeout=timeout_s, trust_env=False, follow_redirects=False
            ) as http,
            http.stream("POST", options.url, content=body, headers=sent) as answer,
        ):
            status = answer.status_code
    except (httpx.HTTPError, OSError) as error:
        raise Undelivered(safe_words(error)) from error
    if not 200 <= status < 300:
        raise Undelivered(f"it answered {status}")


def signature(secret: str, stamp: str, body: bytes) -> str:
    """What a webhook is signed with.

    Args:
        secret: Shared with the receiver.
        stamp: Unix time in seconds, as the header has it; a receiver should refuse one of more than five minutes ago.
        body: Of the request.
    """
    return "v1=" + hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def trusting(ca: str, setting: str) -> ssl.SSLContext:
    """Whom to trust.

    Args:
        ca: PEM file of authorities; empty: those of the system.
        setting: That names it, for the error.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The file of authorities for {setting} cannot be read: {ca}.",
            zh=f"无法读取 {setting} 的证书机构文件：{ca}。",
            param=setting.partition(".")[0],
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
