"""JSON bodies, read strictly: what other parsers take silently is refused here with a clear sentence.

RFC 8259 knows no NaN or Infinity, and warns of lone surrogates (section 8.2) and of names that repeat in an object
(section 4: parsers differ in which one they take). Depth is bounded by the parser.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, ParamSpec, TypeVar

import pydantic_core
from fastapi import Request, Response
from fastapi.routing import APIRoute

from vlpro.errors import BadRequestError

__all__ = ["StrictRoute", "by_size"]

P = ParamSpec("P")
T = TypeVar("T")

_LARGE = 1_000_000
_MOST_VALUES = 200_000  # a body of 64 MB could hold twenty million lists, which take gigabytes
_MOST_DIGITS = 4_300  # of an integer; the parser's own limit
_MOST_FIELDS = 1_000  # in one object; each unknown one would be reported


def parse(data: bytes) -> Any:
    """Read a JSON document.

    Raises:
        BadRequestError: It is none.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > _MOST_VALUES:
        raise BadRequestError(
            f"The body holds more than {_MOST_VALUES} values.",
            zh=f"请求体中的值超过 {_MOST_VALUES} 个。",
            code="too_many_values",
        )
    try:
        value = pydantic_core.from_json(data, allow_inf_nan=False, cache_strings="keys")
        json.loads(data, object_pairs_hook=_check_fields)
    except ValueError as error:
        raise _no_json(data, str(error)[:200]) from None
    return value


class _Bad(NamedTuple):
    """A value that JSON has not, though lenient parsers take it; what is wrong with it, in English and Chinese."""

    reason: str
    zh: str


_NO_NUMBER = _Bad("NaN and Infinity are not numbers of JSON", "NaN 和 Infinity 不是 JSON 数字")
_TOO_LONG = _Bad("the number has too many digits", "数字位数过多")
_HALF = _Bad(
    "the text is not Unicode: a lone surrogate, or bytes that are not UTF-8",
    "文本不是有效的 Unicode：含孤立代理项或非 UTF-8 字节",
)


def _no_json(data: bytes, reason: str) -> BadRequestError:
    """The refusal, with the field's name where a lenient parser can tell it."""
    try:
        text = data.decode("utf-8", "surrogateescape")
        lenient = json.loads(text, parse_constant=lambda _: _NO_NUMBER, parse_int=_digits, strict=False)
    except (ValueError, RecursionError):
        lenient = None
    found = _first_bad(lenient)
    path, bad = found or (None, _Bad(reason, reason))
    where, zh = (f" {path}:", f" {path}：") if path else ("", "")
    return BadRequestError(
        f"The body is not valid JSON:{where} {bad.reason}.",
        zh=f"请求体不是有效的 JSON：{zh}{bad.zh}。",
        param=path,
        code="invalid_json",
    )


def _digits(text: str) -> object:
    return _TOO_LONG if len(text) > _MOST_DIGITS else 0


def _first_bad(root: object) -> tuple[str | None, _Bad] | None:
    """The first bad value of a document, and the path to it, as far as that can be written."""
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Bad):
            return path[:200] or None, value
        if isinstance(value, str) and not _is_unicode(value):
            return path[:200] or None, _HALF
        if isinstance(value, list):
            waiting += [(f"{path}[{index}]", one) for index, one in enumerate(value)][::-1]
        elif isinstance(value, dict):
            if not all(map(_is_unicode, value)):
                return path[:200] or None, _HALF
            waiting += [(f"{path}.{key[:80]}".lstrip("."), one) for key, one in value.items()][::-1]
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_fields(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise BadRequestError(
            f"{twice[:80]!r} stands twice in one object of the body.",
            zh=f"请求体的同一对象中 {twice[:80]!r} 出现了两次。",
            param=twice[:80],
            code="duplicate_parameter",
        )
    if len(pairs) > _MOST_FIELDS:
        raise BadRequestError(
            f"An object of the body has {len(pairs)} fields; at most {_MOST_FIELDS} are possible.",
            zh=f"请求体中有一个对象含 {len(pairs)} 个字段，最多 {_MOST_FIELDS} 个。",
            code="too_many_fields",
        )


class _StrictRequest(Request):
    """A request whose JSON was read before FastAPI looks at it."""

    async def json(self) -> Any:
        """The body, parsed once."""
        if not hasattr(self, "_json"):
            self._json = await by_size(self, parse, await self.body())
        return self._json


async def by_size(request: Request, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do some work on a body: here if it is small, in a thread where it would hold up other requests.

    Args:
        request: Its body must have been read.
        work: What to do.
        *args: For ``work``.
        **kwargs: For ``work``.
    """
    if len(await request.body()) < _LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


class StrictRoute(APIRoute):
    """A route that reads JSON strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind a strict reading of the body."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            if self.body_field is not None:
                media = request.headers.get("content-type", "").split(";")[0].strip().lower()
                if media != "application/json":
                    # A form of a web page cannot be sent with this type: one more lock against cross-site posts.
                    raise BadRequestError(
                        "Send the body as JSON, with the header Content-Type: application/json.",
                        zh="请以 JSON 发送请求体，并设置请求头 Content-Type: application/json。",
                        code="invalid_content_type",
                    )
                if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
                    raise BadRequestError(
                        "Send the body uncompressed, without the header Content-Encoding.",
                        zh="请发送未压缩的请求体，不要使用请求头 Content-Encoding。",
                        code="invalid_content_encoding",
                    )
                await strict.json()
            return await handle(strict)

        return strictly
