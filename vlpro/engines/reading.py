"""What a page says and where: the answer of an engine that reads, for programs rather than for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vlpro.errors import EngineError

__all__ = [
    "Box",
    "Proof",
    "ReadCell",
    "ReadCode",
    "ReadField",
    "ReadLine",
    "Reading",
    "Readings",
    "decode",
    "encode",
]

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels of the upright original."""

Corners = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
"""Top left, top right, bottom right, bottom left of a text, ``(x, y)`` in pixels of the upright original."""


@dataclass(frozen=True, slots=True)
class ReadLine:
    """One line of text.

    Args:
        text: As read.
        box: Around it.
        corners: Of the text, which may be tilted.
        confidence: 0 to 1.
    """

    text: str
    box: Box
    corners: Corners
    confidence: float


@dataclass(frozen=True, slots=True)
class ReadCode:
    """One bar code or two-dimensional code.

    Args:
        format: Its kind, as zxing names it: ``QRCode``, ``Code128``, …
        text: Its content.
        box: Around it.
    """

    format: str
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class ReadField:
    """One field that the rules found.

    Args:
        text: As written.
        value: In one form: an amount as a plain decimal, a date as ISO 8601, the rest as ``text``.
        box: Where it stands.
        confidence: 0 to 1.
        label: The page's own words for it; empty where the place tells what it is; ``QR`` where a code does.
        other: The other reading of an ambiguous date, ISO 8601; empty where there is none.
    """

    text: str
    value: str
    box: Box
    confidence: float
    label: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class ReadCell:
    """One cell of a table.

    Args:
        text: As written.
        box: Where it stands.
        confidence: 0 to 1.
    """

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class Proof:
    """Where a value stands that was filled into the caller's own JSON Schema.

    Args:
        path: JSON Pointer (RFC 6901) into the filled object.
        text: As written.
        page: Number of the picture, from 1.
        box: Where it stands.
        confidence: 0 to 1.
    """

    path: str
    text: str
    page: int
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read in one picture.

    Args:
        width: Of the upright original, pixels.
        height: Of the upright original, pixels.
        lines: In reading order.
        codes: From top to bottom.
        fields: By kind; see :data:`vlpro.engines.ocr.fields.kinds.KINDS`.
        columns: Name of each of the table's columns by what it holds: ``name``, ``quantity``, ``amount``, …
        items: Lines of the table, each a cell by what its column holds.
    """

    width: int
    height: int
    lines: tuple[ReadLine, ...]
    codes: tuple[ReadCode, ...] = ()
    fields: Mapping[str, ReadField] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Mapping[str, ReadCell], ...] = ()


@dataclass(frozen=True, slots=True)
class Readings:
    """The whole answer to a request with ``reading``.

    Args:
        pictures: One a picture of the request, in its order.
        filled: The object that the request's JSON Schema asked for; None where it had none.
        proof: Where its values stand.
    """

    pictures: tuple[Reading, ...]
    filled: object = None
    proof: tuple[Proof, ...] = ()


def encode(readings: Readings) -> str:
    """The answer as one JSON object."""
    return json.dumps(asdict(readings), ensure_ascii=False)


def decode(text: str) -> Readings:
    """The answer of an engine, checked.

    Args:
        text: All its pieces together.

    Returns:
        What was read.

    Raises:
        EngineError: The text is no such answer.
    """
    try:
        answer = json.loads(text)
        return Readings(
            pictures=tuple(_reading(picture) for picture in answer["pictures"]),
            filled=answer["filled"],
            proof=tuple(Proof(**{**proof, "box": _box(proof["box"])}) for proof in answer["proof"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(
            "The engine's reading of the page is not in the form that was asked for. Try again.",
            zh="推理引擎返回的识别结果格式不正确，请重试。",
        ) from error


def _box(box: Any) -> Box:
    x1, y1, x2, y2 = box
    return int(x1), int(y1), int(x2), int(y2)


def _placed(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "box": _box(part["box"])}


def _corners(corners: Any) -> Corners:
    first, second, third, fourth = ((int(x), int(y)) for x, y in corners)
    return first, second, third, fourth


def _reading(picture: dict[str, Any]) -> Reading:
    return Reading(
        width=int(picture["width"]),
        height=int(picture["height"]),
        lines=tuple(
            ReadLine(**{**_placed(line), "corners": _corners(line["corners"])}) for line in picture["lines"]
        ),
        codes=tuple(ReadCode(**_placed(code)) for code in picture["codes"]),
        fields={kind: ReadField(**_placed(found)) for kind, found in picture["fields"].items()},
        columns=dict(picture["columns"]),
        items=tuple(
            {role: ReadCell(**_placed(cell)) for role, cell in item.items()} for item in picture["items"]
        ),
    )
