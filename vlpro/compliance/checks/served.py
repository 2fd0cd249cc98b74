"""The running service, from outside: TLS, HSTS, closed doors (8.1.4.1 c, 8.1.4.2 a, F1, F5)."""

from __future__ import annotations

import socket
import ssl
import warnings
from urllib.parse import urlsplit

import httpx

from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError, Sentence
from vlpro.compliance.context import Context

__all__ = ["SERVICE_CLOSED", "TLS"]

_WAIT_S = 5.0
_YEAR_S = 31_536_000
_INSIDE = ("/v1/models", "/v1/openapi.json", "/metrics", "/_stcore/health", "/_stcore/metrics")


def _address(context: Context) -> tuple[str, str, int]:
    """URL, host and port of the running service, which answers.

    Raises:
        NotEvaluatedError: It has no address, is not served by TLS, or does not answer.
    """
    url = context.asked.url or context.settings.public_url
    if not url:
        raise NotEvaluatedError(
            "The running service has no address for others (VLPRO_PUBLIC_URL). Name one with --url.",
            "运行中的服务没有对外网址（VLPRO_PUBLIC_URL）。请用 --url 指明。",
            {"url": ""},
        )
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=_WAIT_S).close()
    except OSError as error:
        raise NotEvaluatedError(
            f"{url} does not answer from here.", f"从本机无法连接 {url}。", {"url": url, "reached": False}
        ) from error
    return url, host, port


def _tls(context: Context) -> Finding:
    url, host, port = _address(context)
    if not url.startswith("https:"):
        raise FailedError(f"{url} is not served by TLS.", f"{url} 未使用 TLS。", {"url": url, "tls": False})
    versions = {
        name: _speaks(host, port, version)
        for name, version in (
            ("TLSv1.0", ssl.TLSVersion.TLSv1),
            ("TLSv1.1", ssl.TLSVersion.TLSv1_1),
            ("TLSv1.2", ssl.TLSVersion.TLSv1_2),
            ("TLSv1.3", ssl.TLSVersion.TLSv1_3),
        )
    }
    with _client(context, url) as http:
        try:
            hsts = http.get("/login").headers.get("strict-transport-security", "")
        except httpx.ConnectError as error:
            raise FailedError(
                "The certificate is not of an authority that is trusted here. Name yours with --ca.",
                "证书不是本机信任的机构签发。请用 --ca 指明贵方的证书机构。",
                {"versions": versions, "trusted": False},
            ) from error
    age = next(
        (int(p[8:]) for p in hsts.replace(" ", "").split(";") if p[:8] == "max-age=" and p[8:].isdigit()), 0
    )
    facts = {"url": url, "versions": versions, "hsts_seconds": age, "trusted": True}
    old = [name for name in ("TLSv1.0", "TLSv1.1") if versions[name]]
    if old or not (versions["TLSv1.2"] or versions["TLSv1.3"]):
        raise FailedError(
            f"It speaks {', '.join(old) or 'no TLS'}.", f"支持 {'、'.join(old) or '不支持 TLS'}。", facts
        )
    if age < _YEAR_S:
        raise FailedError("HSTS is missing, or shorter than a year.", "缺少 HSTS，或有效期不足一年。", facts)
    spoken = ", ".join(name for name, yes in versions.items() if yes)
    return Finding(
        Sentence(
            f"{url} speaks {spoken} and refuses TLS 1.0 and 1.1; its certificate is trusted; HSTS for {age} s.",
            f"{url} 支持 {spoken}，拒绝 TLS 1.0 与 1.1；证书受信任；HSTS {age} 秒。",
        ),
        facts,
    )


def _speaks(host: str, port: int, version: ssl.TLSVersion) -> bool:
    """Whether a handshake of one version succeeds; whose certificate it is does not matter here."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of old versions: that is the question
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version = made.maximum_version = version
    try:
        with (
            socket.create_connection((host, port), timeout=_WAIT_S) as plain,
            made.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def _client(context: Context, url: str) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(context.asked.ca) if context.asked.ca else None)
    return httpx.Client(base_url=url, timeout=_WAIT_S, trust_env=False, verify=trusted)


def _closed(context: Context) -> Finding:
    url, _, _ = _address(context)
    with _client(context, url) as http:
        try:
            statuses = {path: http.get(path).status_code for path in _INSIDE}
        except httpx.HTTPError as error:
            raise NotEvaluatedError(
                f"{url} cannot be asked: {type(error).__name__}.",
                f"无法访问 {url}：{type(error).__name__}。",
                {"url": url},
            ) from error
    open_ = [path for path, status in statuses.items() if status not in (401, 403, 404)]
    facts = {"url": url, "status": statuses}
    if open_:
        raise FailedError(
            f"Open to nobody in particular: {', '.join(open_)}.", f"对匿名开放：{'、'.join(open_)}。", facts
        )
    return Finding(
        Sentence(
            f"{url} answered nobody with 401, 403 or 404 on {len(statuses)} paths, metrics and states among them.",
            f"{url} 对匿名请求的 {len(statuses)} 个路径（含监控与状态）均返回 401、403 或 404。",
        ),
        facts,
    )


TLS = Check(
    "tls",
    Sentence(
        "A handshake of each version of TLS with the running service; its certificate; its header HSTS.",
        "与运行中的服务以各 TLS 版本握手，检查证书与 HSTS。",
    ),
    _tls,
)
SERVICE_CLOSED = Check(
    "service_closed",
    Sentence("The running service is asked by nobody.", "对运行中的服务发出匿名请求。"),
    _closed,
)
