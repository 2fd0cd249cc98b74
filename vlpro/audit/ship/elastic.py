"""Elasticsearch by its Bulk API, over httpx: one address, no proxy, no redirect."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from vlpro.audit.ship.destination import Destination, Outcome
from vlpro.audit.ship.documents import Document, Kind
from vlpro.audit.ship.errors import RefusedError, ShippingError, TooLargeError, UnavailableError
from vlpro.audit.ship.options import ShipOptions
from vlpro.errors import ConfigError

__all__ = ["Elasticsearch"]

_MOST_ANSWER = 32_000_000  # bytes
_MOST_ASKED_WAIT_S = 300.0
_CONNECT_S = 10.0
_PAGE = 10_000  # what a search returns at most (index.max_result_window)
_LATER = frozenset({429, 502, 503, 504})
_SHORT = "errors,items.*.status,items.*.error.type,items.*.error.reason"


class Elasticsearch(Destination):
    """A data stream, or an index, of a cluster.

    Args:
        options: Its address, the secret, and what is written to.

    Raises:
        ConfigError: A file that is named cannot be used.
    """

    can_be_asked = True

    def __init__(self, options: ShipOptions) -> None:
        self._options = options
        self.name = f"{options.url}/{options.index}"
        self._where = urlsplit(options.url).netloc
        self._tls = _tls(options.ca) if options.url.startswith("https") else None
        _authorization(options)  # what cannot be read is told at once
        self._http: httpx.Client | None = None

    def prepare(self) -> None:
        """Check that the data stream is there: Elasticsearch would make an index of its own guess.

        Raises:
            RefusedError: It is not.
        """
        index = self._options.index
        for path in (f"/_data_stream/{index}", f"/{index}"):
            with suppress(_MissingError):
                self._ask("GET", path)
                return
        raise RefusedError(
            f"{self._where} has neither a data stream nor an index {index}: make it first (deploy/elk/README.md).",
            zh=f"{self._where} 上没有数据流或索引 {index}：请先创建（deploy/elk/README.md）。",
        )

    def put(self, documents: Sequence[Document]) -> Outcome:
        """One request of the Bulk API, all ``create``."""
        lines: list[bytes] = []
        for document in documents:
            lines += [json.dumps({"create": {"_id": document.id}}).encode(), document.body]
        body = b"\n".join([*lines, b""])
        answer = self._ask(
            "POST", f"/{self._options.index}/_bulk", body, params={"filter_path": _SHORT}, sent=True
        )
        items = answer.get("items")
        if not isinstance(items, list) or len(items) != len(documents):
            raise self._nonsense(doubtful=True)
        outcome = Outcome()
        for document, item in zip(documents, items, strict=True):
            try:
                result = item["create"]
                status, error = int(result["status"]), result.get("error") or {}
                reason = f"{error['type']}: {error.get('reason', '')}" if error else ""
            except (TypeError, KeyError, ValueError, AttributeError):
                raise self._nonsense(doubtful=True) from None
            if 200 <= status < 300:
                outcome.arrived.append(document)
            elif status == 409:
                outcome.there.append(document)
            elif status in (401, 403, 404):
                raise RefusedError(
                    f"{self._where} lets nothing be written to {self._options.index}: {status}, {reason[:300]}",
                    zh=f"{self._where} 不允许写入 {self._options.index}：{status}，{reason[:300]}",
                    doubtful=True,
                )
            elif status in _LATER or status >= 500:
                outcome.again.append((document, f"{status}, {reason}"))
            else:
                outcome.refused.append((document, f"{status}, {reason}"))
        return outcome

    def present(self, kind: Kind, log: str, first: int, last: int) -> dict[int, list[str]]:
        """By a search, which sees what was written before the last refresh: so a refresh goes first."""
        self._ask("POST", f"/{self._options.index}/_refresh")
        between = {"range": {kind.field: {"gte": first, "lte": last}}}
        found: dict[int, list[str]] = {}
        for hit in self._search(kind, log, [between], size=min(_PAGE, last - first + 1), order="asc"):
            number, digest = self._numbered(kind, hit)
            found.setdefault(number, []).append(digest)
        return found

    def last(self, kind: Kind, log: str) -> int:
        """By a search."""
        self._ask("POST", f"/{self._options.index}/_refresh")
        hits = self._search(kind, log, [], size=1, order="desc")
        return self._numbered(kind, hits[0])[0] if hits else 0

    def close(self) -> None:
        """Close the connection; the next request opens another, and reads the secret's file again."""
        if self._http is not None:
            self._http.close()
            self._http = None

    # --- requests

    def _search(
        self, kind: Kind, log: str, filters: list[dict[str, Any]], *, size: int, order: str
    ) -> list[dict[str, Any]]:
        answer = self._json(
            "POST",
            f"/{self._options.index}/_search",
            {
                "query": _query(kind, log, filters),
                "size": size,
                "sort": [{kind.field: {"order": order, "unmapped_type": "long"}}],
                "_source": [kind.field, "vlpro.hash"],
                "track_total_hits": True,
            },
        )
        hits = answer.get("hits")
        if not isinstance(hits, dict) or not isinstance(hits.get("hits"), list) or _partial(answer):
            raise self._nonsense()
        found = list(hits["hits"])
        total = hits["total"]["value"] if isinstance(hits.get("total"), dict) else len(found)
        if size > 1 and total > len(found):  # some numbers are there twice
            if total > _PAGE:
                raise RefusedError(
                    f"{self._where} has {total} documents for {size} numbers: somebody else writes to the index.",
                    zh=f"{self._where} 中 {size} 个编号有 {total} 个文档：有其他程序写入该索引。",
                )
            return self._search(kind, log, filters, size=total, order=order)
        return found

    def _numbered(self, kind: Kind, hit: dict[str, Any]) -> tuple[int, str]:
        try:
            source = hit["_source"]
            number = (
                source["event"]["sequence"] if kind is Kind.RECORD else source["vlpro"]["checkpoint"]["size"]
            )
            return int(number), str(source["vlpro"]["hash"])
        except (KeyError, TypeError, ValueError):
            raise self._nonsense() from None

    def _json(self, method: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        return self._ask(method, path, json.dumps(content).encode(), kind="application/json")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        kind: str = "application/x-ndjson",
        params: dict[str, str] | None = None,
        sent: bool = False,
    ) -> dict[str, Any]:
        """One request, and its answer's object; ``sent``: it writes, so that without an answer it is in doubt."""
        headers = {"Content-Type": kind} if body else {}
        try:
            status, answer, wait_s = self._exchange(method, path, body, headers, params)
        except httpx.ConnectError as error:
            self.close()
            raise self._unreachable(error) from error
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self.close()
            raise UnavailableError(
                f"{self._where} does not answer.", zh=f"{self._where} 没有响应。"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.close()
            raise UnavailableError(
                f"{self._where} gave no whole answer ({type(error).__name__}).",
                zh=f"{self._where} 的响应不完整（{type(error).__name__}）。",
                doubtful=sent,
            ) from error
        if 200 <= status < 300:
            try:
                found = json.loads(answer)
            except ValueError:
                raise self._nonsense(doubtful=sent) from None
            if not isinstance(found, dict):
                raise self._nonsense(doubtful=sent)
            return found
        raise self._refusal(status, _reason(answer), wait_s, doubtful=sent)

    def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], params: dict[str, str] | None
    ) -> tuple[int, bytes, float]:
        if self._http is None:
            options = self._options
            self._http = httpx.Client(
                base_url=options.url,
                headers={"Accept": "application/json", **_authorization(options)},
                verify=self._tls if self._tls is not None else True,
                trust_env=False,  # no proxy, and no other authority, of the environment
                follow_redirects=False,
                timeout=httpx.Timeout(options.timeout_s, connect=min(_CONNECT_S, options.timeout_s)),
                limits=httpx.Limits(max_connections=1),
            )
        end = time.monotonic() + 2 * self._options.timeout_s
        with self._http.stream(method, path, content=body, headers=headers, params=params) as response:
            answer = bytearray()
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > _MOST_ANSWER or time.monotonic() > end:
                    raise httpx.ReadError("an endless answer")
            return response.status_code, bytes(answer), _wait(response.headers.get("Retry-After", ""))

    def _refusal(self, status: int, reason: str, wait_s: float, *, doubtful: bool) -> ShippingError:
        said = f"{status}{', ' if reason else ''}{reason}"
        if status in (408, 425) or status == 429 or status >= 500:
            return UnavailableError(
                f"{self._where} does not take it now: {said}.",
                zh=f"{self._where} 暂不接收：{said}。",
                doubtful=doubtful and status != 429,
                wait_s=wait_s,
            )
        if status == 413:
            self.close()  # the server closes the connection, too
            return TooLargeError(
                f"The request is too large for {self._where}.", zh=f"请求超过 {self._where} 的上限。"
            )
        if status == 404:
            return _MissingError(
                f"{self._where} does not have it: {said}.", zh=f"{self._where} 上不存在：{said}。"
            )
        self.close()
        if status in (401, 403):
            return RefusedError(
                f"{self._where} refuses the API key or the password, or its rights are too few: {said}.",
                zh=f"{self._where} 拒绝了 API 密钥或密码，或权限不足：{said}。",
            )
        return RefusedError(f"{self._where} refuses: {said}.", zh=f"{self._where} 拒绝：{said}。")

    def _unreachable(self, error: httpx.ConnectError) -> RefusedError | UnavailableError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return RefusedError(
                    f"The certificate of {self._where} is not trusted ({cause.verify_message}): "
                    "set audit_ship.ca to the authority that signed it.",
                    zh=f"{self._where} 的证书不可信（{cause.verify_message}）："
                    "请将 audit_ship.ca 设为签发机构的证书。",
                )
            cause = cause.__cause__ or cause.__context__
        return UnavailableError(
            f"{self._where} cannot be reached: {error}.", zh=f"无法连接 {self._where}：{error}。"
        )

    def _nonsense(self, *, doubtful: bool = False) -> UnavailableError:
        return UnavailableError(
            f"{self._where} answers, but not as Elasticsearch does.",
            zh=f"{self._where} 的响应不符合 Elasticsearch 的格式。",
            doubtful=doubtful,
        )


class _MissingError(RefusedError):
    """404."""


def _query(kind: Kind, log: str, filters: list[dict[str, Any]]) -> dict[str, Any]:
    dataset = "vlpro.audit" if kind is Kind.RECORD else "vlpro.checkpoint"
    return {
        "bool": {"filter": [{"term": {"vlpro.log": log}}, {"term": {"event.dataset": dataset}}, *filters]}
    }


def _partial(answer: dict[str, Any]) -> bool:
    """Whether a part of the index did not answer."""
    shards = answer.get("_shards")
    return bool(answer.get("timed_out")) or not isinstance(shards, dict) or bool(shards.get("failed", 1))


def _reason(answer: bytes) -> str:
    """What an error's body says, in short."""
    try:
        error = json.loads(answer)["error"]
        text = f"{error['type']}: {error.get('reason', '')}" if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(text.split())[:300]


def _wait(value: str) -> float:
    """Seconds of a Retry-After, in either form."""
    with suppress(ValueError):
        return min(_MOST_ASKED_WAIT_S, max(0.0, float(value)))
    with suppress(ValueError, TypeError):
        seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        return min(_MOST_ASKED_WAIT_S, max(0.0, seconds))
    return 0.0


def _tls(ca: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{ca} is no PEM file of certificates: {error}.",
            zh=f"{ca} 不是 PEM 证书文件：{error}。",
            param="audit_ship.ca",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _authorization(options: ShipOptions) -> dict[str, str]:
    key = options.api_key.get_secret_value() or _secret(options.api_key_file)
    if key:
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigError(
                "The API key for Elasticsearch holds a character that no such key has.",
                zh="Elasticsearch API 密钥中有不允许的字符。",
                param="audit_ship.api_key",
            )
        return {"Authorization": f"ApiKey {key}"}
    if options.user:
        password = options.password.get_secret_value() or _secret(options.password_file)
        basic = httpx.BasicAuth(options.user, password)
        request = httpx.Request("GET", "http://localhost")
        return {"Authorization": next(basic.auth_flow(request)).headers["Authorization"]}
    return {}


def _secret(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file}, which should hold the secret for Elasticsearch, cannot be read.",
            zh=f"无法读取存放 Elasticsearch 密钥的文件 {file}。",
            param="audit_ship",
        ) from error
