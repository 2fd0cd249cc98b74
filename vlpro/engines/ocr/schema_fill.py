"""Answers as one JSON object: fields that the page proves in the shape of a schema, null elsewhere."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts
from vlpro.engines.ocr.dates import find_dates
from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.ocr.questions import Want, parse
from vlpro.engines.ocr.resolve import items_of, resolve
from vlpro.engines.ocr.text import compact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.fields.found import Found
    from vlpro.engines.ocr.fields.table import Item, Table
    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.page import Box

__all__ = ["Place", "fill", "fill_with_proof", "plain_object", "plain_value"]

_DEEPEST = 8
_MOST_PROPERTIES = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where a filled value stands.

    Args:
        path: JSON Pointer (RFC 6901) into the filled object.
        text: As written.
        page: Number of the page, from 1.
        boxes: One or more, in pixels of the page's picture.
        confidence: 0 to 1.
    """

    path: str
    text: str
    page: int
    boxes: tuple[Box, ...]
    confidence: float


def plain_value(found: Found) -> str | float | int:
    """A field's value as JSON holds it: amounts as numbers, unambiguous dates as ISO 8601, the rest as written."""
    if isinstance(found.value, Decimal):
        return _number(found.value)
    if isinstance(found.value, dt.date):
        return found.text if found.other else found.value.isoformat()
    return found.text


def _number(value: Decimal) -> float | int:
    return int(value) if value == value.to_integral_value() else float(value)


def plain_object(documents: Sequence[Document], wants: Sequence[Want]) -> dict[str, object]:
    """One object of the asked fields; of all found ones where none is asked.

    Args:
        documents: The pages that the question is about.
        wants: The things asked for.

    Returns:
        The fields; with several pages, ``{"pictures": [{…}, …]}``.
    """
    objects: list[dict[str, object]] = []
    for document in documents:
        values: dict[str, object] = {}
        for want in wants:
            if want.kind == "items":
                values["items"] = [{"name": name, "amount": amount} for name, amount, _ in items_of(document)]
            elif want.kind == "table_columns":
                values["columns"] = (
                    [column.name for column in document.table.columns] if document.table else None
                )
            else:
                result = resolve(document, want)
                value = (plain_value(result.found) if result.found else result.text) if result else None
                values[want.kind or want.literal] = value
        if not wants:
            values = {kind: plain_value(found) for kind, found in document.fields.items()}
        objects.append(values)
    return objects[0] if len(objects) == 1 else {"pictures": objects}


def fill(schema: Mapping[str, object], documents: Sequence[Document]) -> object:
    """Fill a JSON Schema's common core from pages.

    Args:
        schema: A valid one, with types object, array, string, number, integer, boolean, ``enum``, ``const``,
            ``anyOf``, ``allOf``, ``$ref`` into ``$defs``, bounds of numbers and lengths, and ``format: date``.
        documents: The pages; the first that proves a property fills it.

    Returns:
        What the schema describes: proven values, None elsewhere, an empty list where no item is proven.
    """
    return fill_with_proof(schema, documents)[0]


def fill_with_proof(
    schema: Mapping[str, object], documents: Sequence[Document]
) -> tuple[object, tuple[Place, ...]]:
    """Fill a JSON Schema as :func:`fill` does, and say where each value stands.

    Args:
        schema: As for :func:`fill`.
        documents: The pages.

    Returns:
        What the schema describes, and the places of its values.
    """
    filler = _Filler(schema, documents)
    value = filler.value(schema, "", 0)
    return value, tuple(filler.places)


class _Filler:
    def __init__(self, root: Mapping[str, object], documents: Sequence[Document]) -> None:
        self._root = root
        self._documents = documents
        self._open: list[object] = []
        self._path: list[str] = []
        self.places: list[Place] = []

    def _prove(self, key: str, text: str, document: Document, cells: Sequence[Cell]) -> None:
        """Note where the value of a key below the present path stands."""
        boxes = tuple(line.box for cell in cells for line in cell.lines)
        if boxes:
            self._note(key, text, document, boxes, min(cell.confidence for cell in cells))

    def _note(
        self, key: str, text: str, document: Document, boxes: tuple[Box, ...], confidence: float
    ) -> None:
        steps = [*self._path, key] if key else self._path
        path = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
        page = next(i for i, one in enumerate(self._documents, 1) if one is document)
        self.places.append(Place(path, text, page, boxes, confidence))

    def _resolved(self, schema: Mapping[str, object], depth: int = 0) -> Mapping[str, object]:
        """The schema itself behind ``$ref`` and ``anyOf``: the first alternative that is not null."""
        reference = schema.get("$ref")
        if isinstance(reference, str) and depth < _DEEPEST:
            target: object = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                target = target.get(step) if isinstance(target, dict) and step else target
            return self._resolved(target, depth + 1) if isinstance(target, dict) else {}
        parts = schema.get("allOf")
        if isinstance(parts, list) and depth < _DEEPEST:
            for part in parts:
                if isinstance(part, dict):
                    schema = _both({**schema, "allOf": None}, self._resolved(part, depth + 1))
        for key in ("anyOf", "oneOf"):
            choices = schema.get(key)
            if isinstance(choices, list) and depth < _DEEPEST:
                for choice in choices:
                    if isinstance(choice, dict) and choice.get("type") != "null":
                        return {**schema, key: None, **self._resolved(choice, depth + 1)}
        return schema

    def value(self, given: Mapping[str, object], name: str, depth: int) -> object:
        schema = self._resolved(given)
        kind = _type_of(schema)
        if depth > _DEEPEST or any(schema.get("properties") is open_one for open_one in self._open):
            return None  # an object within itself: the page proves one, not an endless row of them
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties")
            parts = list(properties.items())[:_MOST_PROPERTIES] if isinstance(properties, dict) else []
            context = name if depth else ""
            self._open.append(properties)
            values: dict[str, object] = {}
            for key, part in parts:
                if part is not False:
                    self._path.append(key)
                    values[key] = self.value(
                        part if isinstance(part, dict) else {}, f"{context} {key}".strip(), depth + 1
                    )
                    self._path.pop()
            self._open.pop()
            return values
        if kind == "array":
            return self._array(schema, name, depth)
        return self._leaf(schema, name, kind)

    def _array(self, schema: Mapping[str, object], name: str, depth: int) -> list[object]:
        items = schema.get("items")
        part = self._resolved(items) if isinstance(items, dict) else {}
        texts = f"{name} {schema.get('description', '')} {schema.get('title', '')}".lower()
        if re.search(r"column|header|列|表头", texts):
            return [
                column.name
                for document in self._documents
                if document.table
                for column in document.table.columns
            ]
        if isinstance(part.get("properties"), dict) or re.search(
            r"item|product|goods|明细|商品|line|detail|项目|货物", texts
        ):
            return self._items(part)
        if re.search(r"code|二维码|条码", texts):
            return [code.text for document in self._documents for code in document.page.codes]
        if re.search(r"\b(?:lines|text|words)\b|文字|行", texts) and _type_of(part) in {"string", ""}:
            return [line.text for document in self._documents for line in document.page.lines]
        del depth
        return []

    def _items(self, part: Mapping[str, object]) -> list[object]:
        found: list[object] = []
        for document in self._documents:
            table = document.table
            if table is not None and table.items:
                for item in table.items:
                    self._path.append(str(len(found)))
                    found.append(self._item(part, document, table, item))
                    self._path.pop()
            else:
                for name, amount, cells in items_of(document):
                    self._path.append(str(len(found)))
                    found.append(self._plain_item(part, document, (name, amount, cells)))
                    self._path.pop()
        return found

    def _item(self, part: Mapping[str, object], document: Document, table: Table, item: Item) -> object:
        properties = part.get("properties")
        if not isinstance(properties, dict):
            self._prove("", table.name(item), document, item.row[0].cells)
            return table.name(item)
        values: dict[str, object] = {}
        for key, given in list(properties.items())[:_MOST_PROPERTIES]:
            schema = self._resolved(given) if isinstance(given, dict) else {}
            column = _column_for(table, key, schema)
            values[key] = _typed(item.text(column), schema) if column is not None else None
            if column is not None and values[key] is not None:
                self._prove(key, item.text(column), document, item.cells[column])
        return values

    def _plain_item(
        self, part: Mapping[str, object], document: Document, item: tuple[str, str, tuple[Cell, ...]]
    ) -> object:
        name, amount, cells = item
        properties = part.get("properties")
        if not isinstance(properties, dict):
            self._prove("", name, document, cells)
            return name
        values: dict[str, object] = {}
        for key, given in list(properties.items())[:_MOST_PROPERTIES]:
            schema = self._resolved(given) if isinstance(given, dict) else {}
            role = _item_role(key, schema)
            text = name if role == "name" else amount if role == "amount" else ""
            values[key] = _typed(text, schema)
            if values[key] is not None:
                self._prove(key, text, document, cells)
        return values

    def _leaf(self, schema: Mapping[str, object], name: str, kind: str) -> object:
        for want in _wants_for(name, schema):
            for document in self._documents:
                result = resolve(document, want)
                if result is None:
                    continue
                value = self._proven(result.found, result.text, schema, kind)
                if value is not None:
                    found = result.found
                    if found is not None and found.code is not None:
                        self._note("", found.text, document, (found.code.box,), found.confidence)
                    else:
                        self._prove("", result.text, document, result.cells or (found.cells if found else ()))
                    return value
        if re.search(r"currency|币种|货币", name.lower()):
            return self._currency(schema)
        return None

    def _proven(self, found: Found | None, text: str, schema: Mapping[str, object], kind: str) -> object:
        if found is not None and isinstance(found.value, Decimal) and kind in {"number", "integer"}:
            return _typed(str(found.value), schema)
        if found is not None and isinstance(found.value, dt.date) and kind in {"string", ""}:
            wanted = str(schema.get("description", "")).lower()
            if schema.get("format") == "date" or re.search(r"yyyy-|iso|8601", wanted):
                return None if found.other else found.value.isoformat()
            return None if schema.get("format") == "date-time" else _typed(text, schema)
        return _typed(text, schema)

    def _currency(self, schema: Mapping[str, object]) -> object:
        for document in self._documents:
            if (
                (total := document.fields.get("total"))
                and (amounts := find_amounts(total.text))
                and amounts[0].currency
            ):
                sign = amounts[0].currency
                iso = {"¥": "CNY", "元": "CNY", "RMB": "CNY", "RM": "MYR", "€": "EUR", "£": "GBP"}.get(
                    sign, sign
                )
                for text in (iso, sign):
                    if (value := _typed(text, schema)) is not None:
                        return value
        return None


def _both(one: Mapping[str, object], other: Mapping[str, object]) -> Mapping[str, object]:
    """A schema that asks for what both ask for: the properties of both."""
    properties = [part for part in (one.get("properties"), other.get("properties")) if isinstance(part, dict)]
    merged = {name: schema for part in properties for name, schema in part.items()}
    return {**one, **other, **({"properties": merged} if properties else {})}


def _type_of(schema: Mapping[str, object]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "")
    return kind if isinstance(kind, str) else ""


def _typed(text: str, schema: Mapping[str, object]) -> object:
    """A text as the type that a schema asks for; None where it is not one."""
    kind, text = _type_of(schema), text.strip()
    if not text or kind == "boolean":  # a text proves no yes or no by itself
        return None
    value: object = text
    if kind in {"number", "integer"}:
        value = _as_number(text, whole=kind == "integer")
    elif schema.get("format") == "date":
        days = find_dates(text)
        value = days[0].value.isoformat() if len(days) == 1 and days[0].other is None else None
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(choices, list) and value is not None:
        value = next(
            (one for one in choices if one == value or compact(str(one)) == compact(str(value))), None
        )
    return value if _within(value, schema) else None


def _within(value: object, schema: Mapping[str, object]) -> bool:
    """Whether a value keeps a schema's bounds. A pattern is not run: one from outside may take unbounded time."""
    if isinstance(value, str):
        return _between(len(value), schema.get("minLength"), schema.get("maxLength"))
    if isinstance(value, (int, float)):
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        if isinstance(above, (int, float)) and value <= above:
            return False
        if isinstance(below, (int, float)) and value >= below:
            return False
        return _between(value, schema.get("minimum"), schema.get("maximum"))
    return True


def _between(value: float, least: object, most: object) -> bool:
    return not (
        (isinstance(least, (int, float)) and value < least)
        or (isinstance(most, (int, float)) and value > most)
    )


def _as_number(text: str, *, whole: bool) -> float | int | None:
    amounts = find_amounts(text)
    if len(amounts) != 1 or (whole and amounts[0].value != amounts[0].value.to_integral_value()):
        return None
    return _number(amounts[0].value)


def _words_of(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ")
    return spaced.lower()


def _wants_for(name: str, schema: Mapping[str, object]) -> list[Want]:
    """Wants that a property's name, title or description stands for, best first."""
    last = name.rsplit(" ", maxsplit=1)[-1]
    wants = [Want(last.lower(), last, last)] if last.lower() in KINDS else []  # named as json_object names it
    for text in (
        _words_of(name),
        _words_of(last),
        str(schema.get("title", "")),
        str(schema.get("description", "")),
    ):
        named = [
            want
            for want in parse(text[:200]).wants
            if want.kind and want.kind not in {"items", "table_columns"}
        ]
        # "vendor name" is the vendor, "vendor fax" is not.
        own = [
            want
            for want in named
            if compact(want.phrase) in compact(last) or compact(last) in compact(want.phrase)
        ]
        named = own or (
            named if text != _words_of(name) or last == name or re.search("name|名", last.lower()) else []
        )
        wants += named[-1:]
    if not wants:
        for kind, spec in KINDS.items():
            if compact(last) in {compact(ask) for ask in spec.asks} | set(spec.labels):
                wants.append(Want(kind, last, last))
    wants += [
        Want("", text, text)
        for text in (_words_of(last), str(schema.get("title", "")))
        if len(compact(text)) >= 2
    ]
    return wants


_ITEM_ROLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("unit_price", re.compile(r"unit.?price|单价|price.?each|^price$")),
    ("quantity", re.compile(r"qty|quantity|count|数量|件数")),
    ("tax_rate", re.compile(r"tax.?rate|税率")),
    ("tax", re.compile(r"tax|税额")),
    ("amount", re.compile(r"amount|total|sum|price|金额|小计|价格|合计")),
    ("spec", re.compile(r"spec|model|规格|型号")),
    ("unit", re.compile(r"^unit$|^uom$|单位")),
    ("name", re.compile(r"name|desc|item|product|title|名|商品|项目|品")),
)


def _item_role(key: str, schema: Mapping[str, object]) -> str:
    for text in (key, str(schema.get("title", "")), str(schema.get("description", ""))):
        words = _words_of(text)
        for role, pattern in _ITEM_ROLES:
            if text and pattern.search(words):
                return role
    return ""


def _column_for(table: Table, key: str, schema: Mapping[str, object]) -> int | None:
    exact = next((i for i, column in enumerate(table.columns) if compact(column.name) == compact(key)), None)
    if exact is not None:
        return exact
    role = _item_role(key, schema)
    index = table.column(role) if role else None
    if index is None and role == "unit_price" and "unit" not in key.lower() and "单" not in key:
        index = table.column("amount")
    return index
