"""What an index takes: documents that fit its mappings."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

__all__ = ["Answer", "Closed", "Json", "check", "check_mappings", "document", "only"]

Json = dict[str, Any]
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


class Answer(Exception):  # noqa: N818 - it is an answer, and ends the work on a request
    """An answer that is no success.

    Args:
        status: HTTP status.
        type_: Elasticsearch's word for it; empty: there is no body.
        reason: Its sentence.
        headers: Others.
    """

    def __init__(self, status: int, type_: str = "", reason: str = "", **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.error = {"type": type_, "reason": reason}
        self.body: Json | None = (
            {"error": {"root_cause": [self.error], **self.error}, "status": status} if type_ else None
        )


class Closed(Exception):  # noqa: N818
    """The connection is closed instead of an answer."""


def only(body: Any, allowed: set[str], what: str) -> None:
    if not isinstance(body, dict) or body.keys() - allowed:
        unknown = sorted(body.keys() - allowed) if isinstance(body, dict) else body
        raise Answer(400, "x_content_parse_exception", f"[1:2] [{what}] unknown field {unknown}")


def document(line: bytes) -> Json:
    def unique(pairs: list[tuple[str, Any]]) -> Json:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("Duplicate field")
        return dict(pairs)

    try:
        source = json.loads(line, object_pairs_hook=unique)
    except ValueError as error:
        raise Answer(400, "document_parsing_exception", f"[1:1] failed to parse: {error}") from None
    if not isinstance(source, dict):
        raise Answer(400, "document_parsing_exception", "failed to parse: the document is no object")
    return source


_TYPES = {"keyword", "text", "long", "date", "ip", "boolean", "flattened", "object"}
_PARAMETERS = {"type", "ignore_above", "index", "doc_values", "properties", "dynamic", "depth_limit"}


def check_mappings(mappings: Json, *, top: bool = False) -> None:
    allowed = _PARAMETERS | ({"date_detection", "dynamic_templates", "_meta"} if top else set())
    only(mappings, allowed, "mapper_parsing_exception")
    if "type" in mappings and mappings["type"] not in _TYPES:
        raise Answer(400, "mapper_parsing_exception", f"No handler for type [{mappings['type']}]")
    for inner in mappings.get("properties", {}).values():
        check_mappings(inner)


def check(value: Any, mapping: Json, path: str) -> None:
    """Whether a document fits its mapping, as far as types are used here."""
    kind = mapping.get("type", "object")
    if kind == "object":
        if not isinstance(value, dict):
            raise Answer(
                400, "document_parsing_exception", f"object mapping for [{path}] tried to parse as object"
            )
        for name, inner in value.items():
            where = f"{path}.{name}" if path else name
            if not name or name.startswith(".") or name.endswith(".") or ".." in name:
                raise Answer(400, "document_parsing_exception", f"field name [{where}] is not allowed")
            known = mapping.get("properties", {}).get(name)
            if known is not None:
                check(inner, known, where)
            elif mapping.get("dynamic", "strict") == "strict":  # what is inside inherits it
                within = path or "_doc"
                reason = f"mapping set to strict, dynamic introduction of [{name}] within [{within}] is not allowed"
                raise Answer(400, "strict_dynamic_mapping_exception", reason)
    elif kind == "flattened":
        if not isinstance(value, dict):
            raise Answer(
                400, "document_parsing_exception", f"Failed to parse object: [{path}] expects an object"
            )
        if _depth(value) > 20:
            raise Answer(
                400, "document_parsing_exception", f"The provided [flattened] field [{path}] exceeds depth 20"
            )
    else:
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not _is(kind, one, mapping):
                reason = f"failed to parse field [{path}] of type [{kind}]"
                raise Answer(400, "document_parsing_exception", reason)


def _is(kind: str, value: Any, mapping: Json) -> bool:  # noqa: PLR0911 - one for each type
    if isinstance(value, dict | list):
        return False
    if kind == "long":
        return type(value) is int and abs(value) < 2**63
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "date":
        return isinstance(value, str) and _DATE.fullmatch(value) is not None
    if kind == "ip":
        try:
            return bool(ipaddress.ip_address(value))
        except ValueError:
            return False
    unindexed = mapping.get("index") is False and mapping.get("doc_values") is False
    return kind == "text" or unindexed or "ignore_above" in mapping or len(str(value).encode()) <= 32766


def _depth(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(_depth, inner), default=0)
    return 0
