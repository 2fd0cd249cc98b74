"""The running service, from outside: TLS, HSTS, closed doors (8.1.4.1 c, 8.1.4.2 a, F1, F5)."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import warnings
from urllib.parse import urlsplit

import httpx
import psutil

from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError, Sentence
from vlpro.compliance.context import Context

__all__ = ["SERVICE_CLOSED", "TLS", "address_of", "client_of", "own_addresses"]

_WAIT_S = 5.0
_YEAR_S = 31_536_000
_INSIDE = (
    "/v1/models", "/v1/openapi.json", "/v1/docs", "/healthz", "/readyz", "/metrics", "/_stcore/health",
    "/_stcore/metrics",
)  # fmt: skip


def address_of(context: Context) -> tuple[str, str, int]:
    """URL, host and port of the running service, which answers.

    Raises:
        NotEvaluatedError: It has no address, or does not answer.
    """
    url = context.told.url or context.settings.public_url
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
    url, host, port = address_of(context)
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
    with client_of(context, url) as http:
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


def client_of(context: Context, url: str, source: str | None = None) -> httpx.Client:
    """A client of the running service that trusts the named authority.

    Args:
        context: Names the authority.
        url: Of the service.
        source: Address of this machine that it asks from; None: the one that leads there.

    Raises:
        NotEvaluatedError: The file of the authority cannot be read.
    """
    authority = context.told.ca
    try:
        trusted = ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError as error:
        raise NotEvaluatedError(
            f"{authority} is no file of certificates that can be read: {error.strerror or 'not PEM'}.",
            f"无法读取证书文件 {authority}：{error.strerror or '不是 PEM'}。",
            {"ca": False},
        ) from error
    transport = httpx.HTTPTransport(verify=trusted, local_address=source, trust_env=False)
    return httpx.Client(base_url=url, timeout=_WAIT_S, trust_env=False, transport=transport)


def own_addresses() -> list[str]:
    """Addresses of this machine by which others know it: from one of them it asks as any other machine does."""
    found = [
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6) and "%" not in each.address
    ]
    return [address for address in found if not ipaddress.ip_address(address).is_loopback]


def _closed(context: Context) -> Finding:
    url, _, _ = address_of(context)
    for source in own_addresses():
        with client_of(context, url, source) as http:
            try:
                statuses = {path: http.get(path).status_code for path in _INSIDE}
            except httpx.HTTPError:
                continue
        return _judged(url, source, statuses)
    raise NotEvaluatedError(
        f"{url} answers this machine only as itself, which may be let in. From another machine, {url}/healthz and "
        "/metrics must give 401 or 404.",
        f"{url} 只能以本机回环地址访问，而本机可能被放行。请从其他机器访问 {url}/healthz 与 /metrics，"
        "应得到 401 或 404。",
        {"url": url, "from": None},
    )


def _judged(url: str, source: str, statuses: dict[str, int]) -> Finding:
    open_ = [path for path, status in statuses.items() if status < 500 and status not in (401, 403, 404)]
    facts = {"url": url, "from": source, "status": statuses}
    if open_:
        raise FailedError(
            f"Open to {source}, which said not who it is: {', '.join(open_)}.",
            f"对未表明身份的 {source} 开放：{'、'.join(open_)}。",
            facts,
        )
    if any(status >= 500 for status in statuses.values()):
        raise NotEvaluatedError(
            f"Behind {url} no service answers. Start it, and check again.",
            f"{url} 后面的服务没有响应。请启动服务后重新检查。",
            facts,
        )
    return Finding(
        Sentence(
            f"{url} answered {source}, which said not who it is, with 401, 403 or 404 on {len(statuses)} paths: "
            "health, metrics and the API's description among them.",
            f"{url} 对未表明身份的 {source} 请求的 {len(statuses)} 个路径（含健康检查、监控与接口说明）"
            "均返回 401、403 或 404。",
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
    Sentence(
        "The running service is asked by nobody, from an address of this machine that is not loopback.",
        "以本机的非回环地址，对运行中的服务发出匿名请求。",
    ),
    _closed,
)
