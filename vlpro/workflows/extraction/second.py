"""Two readings: what an engine with sight says of a document, compared with what was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vlpro.engines.ocr.text import compact
from vlpro.workflows.extraction.checks import Finding
from vlpro.workflows.extraction.result import Check, ExtractedField
from vlpro.workflows.extraction.template import Template, ValueType
from vlpro.workflows.extraction.values import values_in

__all__ = ["compared"]

_SEEN_ONLY = 0.6  # no place proves it
_LONGEST = 300

Fields = Mapping[str, ExtractedField]
Items = tuple[Mapping[str, ExtractedField], ...]


def compared(
    template: Template,
    fields: Fields,
    items: Items,
    seen: Mapping[str, Any],
    check: Callable[[Fields], list[Finding]],
) -> tuple[dict[str, ExtractedField], Items, list[Finding]]:
    """Weigh a second reading against the first.

    Where both say the same, it is surer. Where they differ, what was read stays, because its place proves it, unless
    a check of that field fails with it and fewer do with the other; either way a person is to look. What only the
    second one says is taken without a place.

    Args:
        template: Of the document.
        fields: The first reading.
        items: The first reading's lines; the second one's where it has none.
        seen: The second reading: a text or null by name of a field, ``items`` as a list of objects.
        check: Runs the template's checks over some fields.

    Returns:
        Fields, items, and what came out of the comparison.
    """
    merged = dict(fields)
    findings: list[Finding] = []
    for field in template.fields:
        first, text = merged[field.name], _text(seen.get(field.name))
        if not text:
            continue
        forms = [text] if field.choices else [value.normalized for value in values_in(text, field.type)]
        if field.choices and text not in field.choices:
            continue
        if first.value is None:
            if forms:
                merged[field.name] = replace(first, value=text, normalized=forms[0], confidence=_SEEN_ONLY)
            continue
        if any(_same(form, first.normalized, field.type) for form in forms):
            merged[field.name] = replace(first, confidence=round(1 - (1 - first.confidence) / 3, 3))
            continue
        if forms:
            other = replace(first, value=text, normalized=forms[0], confidence=_SEEN_ONLY)
            taken = _failed(check({**merged, field.name: other}), field.name) < _failed(
                check(merged), field.name
            )
            if taken:
                merged[field.name] = other
            findings.append(Finding(_differs(first.value, text, taken=taken), (field.name,)))
    return merged, items or _items(template, seen), findings


def _text(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return ""
    return str(given).strip()[:_LONGEST]


def _same(one: str, other: str | None, kind: ValueType) -> bool:
    if kind in {"text", "name", "code"}:
        return compact(one) == compact(other or "")
    return one == other


def _failed(findings: list[Finding], name: str) -> int:
    return sum(finding.check.passed is False for finding in findings if name in finding.fields)


def _differs(read: str, seen: str, *, taken: bool) -> Check:
    kept_en = "the second one is kept, as the checks hold with it" if taken else "the first one is kept"
    kept_zh = "采用后者，因其通过核对" if taken else "保留前者"
    return Check(
        "second_reading",
        None,
        f"Read as {read!r}, seen by the model as {seen!r}: {kept_en}; a person should look.",
        f"文字识别为“{read}”，视觉模型为“{seen}”：{kept_zh}，请人工复核。",
    )


def _items(template: Template, seen: Mapping[str, Any]) -> Items:
    given = seen.get("items")
    items: list[Mapping[str, ExtractedField]] = []
    for line in given[:500] if isinstance(given, list) and template.columns else ():
        if not isinstance(line, dict):
            continue
        item = {}
        for column in template.columns:
            text = _text(line.get(column.name))
            values = values_in(text, column.type)
            item[column.name] = (
                ExtractedField(text, values[0].normalized, _SEEN_ONLY)
                if values
                else ExtractedField(None, None, 0.0)
            )
        if any(found.value for found in item.values()):
            items.append(item)
    return tuple(items)
