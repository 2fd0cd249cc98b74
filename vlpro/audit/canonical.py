"""JSON in one form only (RFC 8785, JSON Canonicalization Scheme), so that it can be hashed."""

from __future__ import annotations

import math
from json.encoder import encode_basestring as quoted
from typing import Any

__all__ = ["MOST_INTEGER", "encode", "quoted"]

MOST_INTEGER = 2**53 - 1  # RFC 7493 section 2.2: beyond it, readers disagree


def encode(value: Any) -> bytes:
    """A JSON value as its canonical bytes.

    Args:
        value: Objects with text keys, lists, texts, numbers, booleans, None.

    Raises:
        ValueError: It holds NaN, an infinity, an integer that is no double, half a surrogate pair, or no JSON at all.
    """
    return _written(value).encode()  # refuses half a surrogate pair


def _written(value: Any) -> str:  # noqa: PLR0911 - one for each kind of JSON
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > MOST_INTEGER and (abs(value) >= 10**21 or str(int(value)) != _number(float(value))):
            raise ValueError("an integer beyond 2^53 - 1")  # unless it is how some double is written
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{_written(value[key])}" for key in _in_order(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    raise ValueError(f"{type(value).__name__} is no JSON")


def _in_order(value: dict[Any, Any]) -> list[str]:
    """Keys by their UTF-16 code units (section 3.2.3)."""
    if not all(isinstance(key, str) for key in value):
        raise ValueError("a key that is no text")
    if all(key.isascii() for key in value):
        return sorted(value)
    return sorted(value, key=lambda key: key.encode("utf-16-be"))


def _number(value: float) -> str:
    """A float as ECMAScript writes it (section 3.2.2.3; ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError("NaN and infinities are no JSON")
    if value == 0:
        return "0"  # minus zero, too
    mantissa, _, exponent = float.__repr__(value).partition("e")
    if not exponent:
        return mantissa.removesuffix(".0")
    power, sign = int(exponent), "-" if value < 0 else ""
    digits = mantissa.replace(".", "").lstrip("-")
    if (
        0 < power < 21
    ):  # Python writes exponents from 1e16 and below 1e-4, ECMAScript from 1e21 and below 1e-6
        return sign + digits.ljust(power + 1, "0")
    if -7 < power < 0:
        return sign + "0." + "0" * (-power - 1) + digits
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"
