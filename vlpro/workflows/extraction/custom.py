"""Two readings by a caller's own JSON Schema: what an engine with sight says, compared with what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlpro.engines.ocr.text import compact
from vlpro.workflows.extraction.result import Check, ExtractedField, Extraction

__all__ = ["seen_custom"]

_SEEN_ONLY = 0.6  # no place proves it
_SURE = 0.8
_MOST = 500
_LONGEST = 1_000


def seen_custom(read: Extraction, seen: Mapping[str, Any]) -> Extraction:
    """Weigh a second reading against the first.

    Where both say the same, it is surer. Where they differ, what was read stays, because its place proves it, and a
    person is to look. What only the second one says is taken without a place.

    Args:
        read: The first reading (:func:`vlpro.workflows.extraction.extract.extract_custom`).
        seen: The second one: the object that the schema asks for.
    """
    said, items = _leaves(seen)
    fields = dict(read.fields)
    checks: list[Check] = list(read.checks)
    for name, text in said.items():
        first = fields.get(name)
        if first is None or first.value is None:
            fields[name] = ExtractedField(text, text, _SEEN_ONLY)
        elif compact(text) in (compact(first.value), compact(first.normalized or "")):
            fields[name] = replace(first, confidence=round(1 - (1 - first.confidence) / 3, 3))
        else:
            check = Check(
                "second_reading",
                None,
                f"Read as {first.value!r}, seen by the model as {text!r}: a person should look.",
                f"文字识别为“{first.value}”，视觉模型为“{text}”：请人工复核。",
            )
            checks.append(check)
            fields[name] = replace(first, checks=(*first.checks, check))
    found = [field for field in fields.values() if field.value is not None]
    missing = read.verdict == "fail" and any(
        field.value is None for name, field in fields.items() if name in read.fields
    )
    unsure = any(field.confidence < _SURE for field in found) or len(checks) > len(read.checks)
    return replace(
        read,
        fields=fields,
        checks=tuple(checks),
        items=read.items or items,
        verdict="fail" if missing else "review" if unsure else "pass",
    )


def _leaves(seen: Mapping[str, Any]) -> tuple[dict[str, str], tuple[Mapping[str, ExtractedField], ...]]:
    """Values by their path with dots, and objects of lists, as the first reading has them."""
    fields: dict[str, str] = {}
    items: list[Mapping[str, ExtractedField]] = []
    waiting: list[tuple[str, object]] = [("", seen)]
    while waiting and len(fields) < _MOST:
        name, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting += [(f"{name}.{key}".strip("."), part) for key, part in value.items()]
        elif isinstance(value, list):
            for index, part in enumerate(value[:_MOST]):
                if isinstance(part, dict):
                    items.append({key: _leaf(each) for key, each in part.items()})
                else:
                    waiting.append((f"{name}.{index}", part))
        elif value is not None and str(value).strip():
            fields[name] = str(value).strip()[:_LONGEST]
    return fields, tuple(items)


def _leaf(value: object) -> ExtractedField:
    if value is None or isinstance(value, dict | list):
        return ExtractedField(None, None, 0.0)
    text = str(value).strip()[:_LONGEST]
    return ExtractedField(text, text, _SEEN_ONLY)
