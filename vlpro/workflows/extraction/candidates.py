"""All the values that a page offers for a field, best first."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from vlpro.engines.ocr.text import fold
from vlpro.workflows.extraction.result import Box
from vlpro.workflows.extraction.sheet import Clock, Piece, Sheet
from vlpro.workflows.extraction.template import Field, Source, Template
from vlpro.workflows.extraction.values import MENDED, Value, is_cash, normalize, simplified, values_in

__all__ = ["Candidate", "candidates", "tax_code"]

_MOST = 12
_READ_WELL = 0.98
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})(?!\d)\s?日?")
_CODE_KINDS = {
    "01": "special", "04": "ordinary", "08": "electronic_special", "10": "electronic_ordinary",
    "31": "digital_special", "32": "digital_ordinary", "51": "railway", "61": "airline",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value that may be a field's.

    Args:
        text: As written.
        normalized: In one form; None where it has the form but cannot be, as the 30th of February.
        rank: How much its source says that it is this field's, 0 to 1.
        confidence: Of its reading, 0 to 1.
        box: Where it stands; None where it comes from an engine that gives no places.
        page: Number of the page.
        source: What kind of source found it; ``sight`` for the second reading.
    """

    text: str
    normalized: str | None
    rank: float
    confidence: float
    box: Box | None
    page: int
    source: str


def tax_code(sheet: Sheet) -> tuple[Mapping[str, str], Box | None]:
    """What the tax administration's two-dimensional code says.

    Its content is ``01,kind,code,number,amount,date,check code,…``; the amount is without tax on forms that have an
    invoice code, with tax on the fully digital ones.

    Args:
        sheet: The page.

    Returns:
        ``kind``, ``code``, ``number``, ``net`` or ``total``, ``date`` and ``check_code`` in their normal form, as far
        as they are there, and the code's place.
    """
    for code in sheet.reading.codes:
        parts = [part.strip() for part in code.text.split(",")]
        if len(parts) < 6 or parts[0] != "01" or not parts[3].isdigit():
            continue
        kind = _CODE_KINDS.get(parts[1], "")
        found = {"kind": kind, "code": parts[2], "number": parts[3]}
        try:
            found["net" if parts[2] else "total"] = is_cash(Decimal(parts[4]))
            found["date"] = dt.date(int(parts[5][:4]), int(parts[5][4:6]), int(parts[5][6:8])).isoformat()
        except (ValueError, InvalidOperation):
            pass
        if len(parts) > 6:
            found["check_code"] = parts[6]
        return {name: value for name, value in found.items() if value}, code.box
    return {}, None


def candidates(field: Field, template: Template, sheets: Sequence[Sheet], clock: Clock) -> list[Candidate]:
    """All values for a field.

    Args:
        field: Of the template.
        template: Tells which labels end a value.
        sheets: The pages, in order.
        clock: Keeps the time.

    Returns:
        The values, best first, each normalised form once.
    """
    labels = frozenset(
        name
        for one in template.fields
        for source in one.sources
        if source.kind == "label"
        for name in source.names
    )
    found: list[Candidate] = []
    for order, source in enumerate(field.sources):
        for sheet in sheets:
            for candidate in _from(source, field, sheet, labels, clock):
                if _fits(field, candidate, clock):
                    found.append(replace(candidate, rank=candidate.rank - 0.01 * order))
                if len(found) >= 4 * _MOST:
                    break
    if field.choices:
        found += _choices(field, sheets, clock)
    if template.simplified and field.type in {"name", "text"}:
        found = [replace(one, normalized=simplified(one.normalized or "")) for one in found]
    if field.type == "date" and not found:
        found += _impossible_days(sheets)
    return _merged(sorted(found, key=lambda one: -one.rank))[:_MOST]


def _fits(field: Field, candidate: Candidate, clock: Clock) -> bool:
    if field.form is None or candidate.normalized is None:
        return True
    return clock.is_whole(field.form, candidate.normalized)


def _merged(found: list[Candidate]) -> list[Candidate]:
    """Equal values once; one that stands in two places, or in the text and in a code, is the surer for it."""
    kept: dict[str | None, Candidate] = {}
    for one in found:
        known = kept.get(one.normalized)
        if known is None:
            kept[one.normalized] = one
        elif known.box != one.box or known.page != one.page:
            confidence = max(known.confidence, one.confidence)
            confidence += (1 - confidence) * min(known.confidence, one.confidence) / 2
            # The printed text is the better evidence for a person than the code.
            shown = one if known.source == "qr" and one.source != "qr" else known
            kept[one.normalized] = replace(shown, rank=known.rank, confidence=confidence)
    return list(kept.values())


def _from(
    source: Source, field: Field, sheet: Sheet, labels: frozenset[str], clock: Clock
) -> Iterator[Candidate]:
    if source.kind == "field":
        yield from _from_field(source, field, sheet)
    elif source.kind == "label":
        for name in source.names:
            for piece in sheet.beside(name, source.look, source.area, labels):
                values = _values(piece.text, field, piece.confidence)
                yield from (_candidate(piece, value, 0, source, sheet) for value in values)
    elif source.kind == "pattern":
        yield from _from_pattern(source, field, sheet, clock)
    elif source.kind == "row":
        yield from _from_row(source, field, sheet, clock)
    elif source.kind == "qr":
        parts, box = tax_code(sheet)
        for name in source.names:
            if (value := parts.get(name)) and box is not None:
                yield Candidate(value, value, source.sure, 1.0, box, sheet.number, "qr")


def _values(text: str, field: Field, confidence: float) -> list[Value]:
    """The values in a text; what was read well is not put right, for it is wrong on the paper."""
    values = values_in(text, field.type)
    if field.type == "tax_id" and confidence >= _READ_WELL:
        return [value for value in values if value.sure != MENDED]
    return values


def _candidate(piece: Piece, value: Value, shift: int, source: Source, sheet: Sheet) -> Candidate:
    start = piece.start + shift
    return Candidate(
        text=value.text,
        normalized=value.normalized,
        rank=value.sure * source.sure,
        confidence=piece.confidence * value.sure * source.sure,
        box=piece.box(start + value.start, start + value.end),
        page=sheet.number,
        source=source.kind,
    )


def _from_field(source: Source, field: Field, sheet: Sheet) -> Iterator[Candidate]:
    for name in source.names:
        found = sheet.reading.fields.get(name)
        if found is None or (source.labelled and not found.label):
            continue
        if field.type in {"amount", "date"}:
            forms = [is_cash(Decimal(found.value))] if _is_decimal(found.value) else [found.value]
            if field.type == "date" and found.other:
                forms.append(found.other)
            normals: list[tuple[str, float]] = [(form, 1 - 0.2 * i) for i, form in enumerate(forms)]
        else:
            values = _values(found.text, field, found.confidence)[:2]
            normals = [(value.normalized, value.sure) for value in values]
        for normal, sure in normals:
            if normalize(normal, field.type) is not None or field.type in {"amount", "date", "percent"}:
                yield Candidate(
                    found.text,
                    normal,
                    sure * source.sure,
                    found.confidence * sure * source.sure,
                    found.box,
                    sheet.number,
                    "qr" if found.label == "QR" else "field",
                )


def _is_decimal(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def _from_pattern(source: Source, field: Field, sheet: Sheet, clock: Clock) -> Iterator[Candidate]:
    assert source.pattern is not None  # noqa: S101 - the template's reader saw to it
    for piece in sheet.rows(source.area) if source.rows else sheet.cells(source.area):
        match = clock.search(source.pattern, fold(piece.text)[:500])
        if match is None:
            continue
        groups = source.pattern.groupindex
        group: int | str = "value" if "value" in groups else 1 if source.pattern.groups else 0
        start, end = match.span(group)
        if start < 0:
            continue
        text = piece.text[start:end]
        for value in _values(text, field, piece.confidence):
            yield _candidate(piece, value, start, source, sheet)


def _from_row(source: Source, field: Field, sheet: Sheet, clock: Clock) -> Iterator[Candidate]:
    assert source.pattern is not None  # noqa: S101 - likewise
    for row in sheet.row_of(source.pattern, source.area, clock):
        figures = [
            (Piece(cell.text, (cell,)), value)
            for cell in row.cells
            for value in sorted(values_in(cell.text, field.type), key=lambda one: one.start)
            if value.sure == 1
        ]
        if -len(figures) <= source.take < len(figures):
            piece, value = figures[source.take]
            yield _candidate(piece, value, 0, source, sheet)


def _choices(field: Field, sheets: Sequence[Sheet], clock: Clock) -> Iterator[Candidate]:
    """The choices whose words the pages say, in the template's order; then the default."""
    rank = 0.95
    for choice, words in field.choices.items():
        for pattern in words:
            for sheet in sheets:
                for piece in sheet.rows((0, 0, 1, 1)):
                    if match := clock.search(pattern, fold(piece.text)[:500]):
                        start, end = match.span()
                        rank -= 0.001
                        yield Candidate(
                            piece.text[start:end], choice, rank, piece.confidence, piece.box(start, end),
                            sheet.number, "pattern",
                        )  # fmt: skip
                        break
    if field.default:
        yield Candidate("", field.default, 0.1, 0.9, None, 1, "default")


def _impossible_days(sheets: Sequence[Sheet]) -> Iterator[Candidate]:
    """Days that are written as days are but do not exist."""
    for sheet in sheets:
        for piece in sheet.cells((0, 0, 1, 1)):
            for match in _DAY.finditer(fold(piece.text)):
                try:
                    dt.date(*map(int, match.groups()))
                except ValueError:
                    start, end = match.span()
                    yield Candidate(
                        piece.text[start:end], None, 0.5, piece.confidence, piece.box(start, end), sheet.number,
                        "pattern",
                    )  # fmt: skip
