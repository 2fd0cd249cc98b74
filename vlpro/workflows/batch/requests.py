"""Requests in a file, one a line, in OpenAI's form: ``{"custom_id", "method", "url", "body"}`` (JSON Lines)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pydantic_core

from vlpro.errors import BadRequestError, VlproError

__all__ = ["Span", "body_of", "check", "refused", "spans", "told"]

_MOST_ID = 512
_FIELDS = {"custom_id", "method", "url", "body"}


class Span(NamedTuple):
    """Where a line is: its number from 1, the place of its first byte, its bytes; None where it is too long."""

    number: int
    start: int
    length: int
    data: bytes | None


def spans(parts: Iterable[bytes], *, max_bytes: int) -> Iterator[Span]:
    """The lines that are not empty; one that is too long is passed over without being held.

    Args:
        parts: Of the file.
        max_bytes: Of a line.
    """
    number, start, at, held, length = 1, 0, 0, bytearray(), 0
    for part in parts:
        begin = 0
        while True:
            end = part.find(b"\n", begin)
            piece = part[begin : len(part) if end < 0 else end]
            length += len(piece)
            if length <= max_bytes:
                held += piece
            else:
                held.clear()
            if end < 0:
                break
            if length > max_bytes or held.strip():
                yield Span(number, start, length, bytes(held) if length <= max_bytes else None)
            begin = end + 1
            number, start, length = number + 1, at + begin, 0
            held.clear()
        at += len(part)
    if length > max_bytes or held.strip():
        yield Span(number, start, length, bytes(held) if length <= max_bytes else None)


def check(span: Span, endpoint: str, max_bytes: int) -> tuple[str, VlproError | None]:
    """A line's ``custom_id``, as far as it can be told, and what is wrong with the line.

    Args:
        span: The line.
        endpoint: Path that all lines of the batch go to.
        max_bytes: Of a line.
    """
    if span.data is None:
        return "", BadRequestError(
            f"The line is longer than {max_bytes / 1e6:g} MB.",
            zh=f"该行超过 {max_bytes / 1e6:g} MB。",
            code="line_too_long",
        )
    try:
        value = _parsed(span.data)
    except ValueError:
        return "", _wrong("The line is not valid JSON", "该行不是有效的 JSON", "invalid_json", None)
    if not isinstance(value, dict):
        return "", _wrong("The line is no JSON object", "该行不是 JSON 对象", "invalid_json_line", None)
    custom_id = value.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _MOST_ID:
        custom_id = ""
    return custom_id, _problem(value, endpoint, known=bool(custom_id))


def _problem(value: dict[str, Any], endpoint: str, *, known: bool) -> VlproError | None:
    body = value.get("body")
    stream = isinstance(body, dict) and bool(body.get("stream"))
    unknown = next((name[:80] for name in value if name not in _FIELDS), "")
    for wrong, code, param, message, zh in (
        (
            not known,
            "invalid_custom_id",
            "custom_id",
            f"custom_id must be a text of 1 to {_MOST_ID} characters",
            f"custom_id 须为 1 到 {_MOST_ID} 个字符的文本",
        ),
        (
            value.get("method", "POST") != "POST",
            "invalid_method",
            "method",
            "method must be POST",
            "method 须为 POST",
        ),
        (
            value.get("url") != endpoint,
            "mismatched_url",
            "url",
            f"url must be the batch's endpoint, {endpoint}",
            f"url 须为 {endpoint}",
        ),
        (not isinstance(body, dict), "invalid_body", "body", "body must be an object", "body 须为对象"),
        (
            stream,
            "stream_not_possible",
            "body.stream",
            "stream is not possible in a batch",
            "批处理不支持 stream",
        ),
        (
            bool(unknown),
            "unknown_parameter",
            unknown,
            f"Unknown parameter: {unknown}",
            f"未知参数：{unknown}",
        ),
    ):
        if wrong:
            return _wrong(message, zh, code, param)
    return None


def body_of(line: bytes) -> bytes:
    """The body of a line that :func:`check` found nothing wrong with, as JSON."""
    return pydantic_core.to_json(_parsed(line)["body"])


def _parsed(line: bytes) -> Any:
    return pydantic_core.from_json(line, allow_inf_nan=False, cache_strings="keys")


def told(
    number: int,
    custom_id: str,
    *,
    batch: str,
    status: int | None = None,
    request_id: str = "",
    body: bytes = b"null",
    error: VlproError | None = None,
) -> bytes:
    """A line of a file of results, in OpenAI's form.

    Args:
        number: Of the line, from 1.
        custom_id: As it came.
        batch: Whose line it is.
        status: Of the answer; None: there is none, since the request was not made.
        request_id: Of the answer.
        body: Of the answer, JSON.
        error: Why the request was not made.
    """
    answered = status is not None
    # The body is put in as it came: it may be long, and it is JSON already.
    response = (
        b'{"status_code":%d,"request_id":%s,"body":%s}' % (status or 0, _text(request_id), body)
        if answered
        else b"null"
    )
    failed = b"null"
    if error is not None:
        failed = _json({"code": error.code, "message": error.message, "vlpro": {"zh": error.zh}})
    name = f"batch_req_{batch.removeprefix('batch_')}{number:06d}"
    return b'{"id":%s,"custom_id":%s,"response":%s,"error":%s}' % (
        _text(name),
        _text(custom_id),
        response,
        failed,
    )


def refused(number: int, error: VlproError) -> dict[str, Any]:
    """A finding on the input, in OpenAI's form."""
    return {
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "line": number,
        "vlpro": {"zh": error.zh},
    }


def _wrong(message: str, zh: str, code: str, param: str | None) -> BadRequestError:
    return BadRequestError(f"{message}.", zh=f"{zh}。", code=code, param=param)


def _text(value: str) -> bytes:
    return _json(value)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
