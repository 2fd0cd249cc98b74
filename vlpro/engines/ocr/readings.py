"""Pages as :class:`vlpro.engines.reading.Readings`: everything with its place in the original."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts
from vlpro.engines.ocr.resolve import items_of
from vlpro.engines.ocr.schema_fill import fill_with_proof
from vlpro.engines.reading import Proof, ReadCell, ReadCode, ReadField, Reading, Readings, ReadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.fields.found import Found
    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.page import Box, Line
    from vlpro.engines.reading import Box as WholeBox
    from vlpro.engines.reading import Corners
    from vlpro.imaging.picture import Picture

__all__ = ["readings_of"]

_MOST_ITEMS = 500


@dataclass(frozen=True, slots=True)
class _Scale:
    """From pixels of a picture to pixels of its original."""

    x: float
    y: float

    def box(self, boxes: Iterable[Box]) -> WholeBox:
        """One box around boxes."""
        left, top, right, bottom = zip(*boxes, strict=True)
        return (
            round(min(left) * self.x),
            round(min(top) * self.y),
            round(max(right) * self.x),
            round(max(bottom) * self.y),
        )

    def line(self, line: Line) -> ReadLine:
        corners: Corners = tuple((round(x * self.x), round(y * self.y)) for x, y in line.quad)  # type: ignore[assignment]  # four of four
        return ReadLine(line.text, self.box([line.box]), corners, round(line.confidence, 4))

    def cells(self, cells: Sequence[Cell], text: str) -> ReadCell:
        return ReadCell(
            text,
            self.box(line.box for cell in cells for line in cell.lines),
            round(min(cell.confidence for cell in cells), 4),
        )

    def found(self, found: Found) -> ReadField:
        """A field; of a name or an address the box of all its lines."""
        confidence = found.confidence
        if found.code is not None:
            box = self.box([found.code.box])
        else:
            cells = found.cells[:1] if found.label else found.cells
            box = self.box(line.box for cell in cells for line in cell.lines)
            # A label that was hard to read makes its value no less sure.
            confidence *= min(cell.confidence for cell in cells) / min(c.confidence for c in found.cells)
        return ReadField(
            text=found.text,
            value=_plain(found.value),
            box=box,
            confidence=round(min(1.0, confidence), 4),
            label=found.label,
            other=found.other.isoformat() if found.other else "",
        )


def _plain(value: str | Decimal | dt.date) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, dt.date) else value


def readings_of(
    documents: Sequence[Document], pictures: Sequence[Picture], schema: Mapping[str, object] | None = None
) -> Readings:
    """Everything that is known of some pages.

    Args:
        documents: The pages.
        pictures: Their pictures, in the same order: they tell the size of the originals.
        schema: A JSON Schema to fill from all pages together, or None.

    Returns:
        Lines, codes, fields and items with their places in pixels of the originals.
    """
    scales = [
        _Scale(picture.original_width / picture.width, picture.original_height / picture.height)
        for picture in pictures
    ]
    read = tuple(
        _reading(document, picture, scale)
        for document, picture, scale in zip(documents, pictures, scales, strict=True)
    )
    if schema is None:
        return Readings(read)
    filled, places = fill_with_proof(schema, documents)
    proof = tuple(
        Proof(
            place.path,
            place.text,
            place.page,
            scales[place.page - 1].box(place.boxes),
            round(place.confidence, 4),
        )
        for place in places
    )
    return Readings(read, filled, proof)


def _reading(document: Document, picture: Picture, scale: _Scale) -> Reading:
    table = document.table
    return Reading(
        width=picture.original_width,
        height=picture.original_height,
        lines=tuple(scale.line(line) for line in document.page.lines),
        codes=tuple(ReadCode(code.format, code.text, scale.box([code.box])) for code in document.page.codes),
        fields={
            kind: scale.found(found) for kind, found in document.fields.items() if found.cells or found.code
        },
        columns={column.role: column.name for column in table.columns if column.role} if table else {},
        items=tuple(_items(document, scale))[:_MOST_ITEMS],
    )


def _items(document: Document, scale: _Scale) -> Iterable[Mapping[str, ReadCell]]:
    table = document.table
    if table is not None and table.items:
        for item in table.items:
            yield {
                column.role: scale.cells(item.cells[index], item.text(index))
                for index, column in reversed(
                    list(enumerate(table.columns))
                )  # of two alike the first one counts
                if column.role and index in item.cells
            }
        return
    for name, amount, cells in items_of(document):
        priced = [cell for cell in cells if any(one.text == amount for one in find_amounts(cell.text))]
        yield {"name": scale.cells(cells[:1], name), "amount": scale.cells(priced[-1:] or cells[-1:], amount)}
