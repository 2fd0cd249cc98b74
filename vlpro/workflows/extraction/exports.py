"""Results as others take them: JSON values for programs and for other systems, rows for Excel."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from vlpro.documents.tables import Cell, Sheet, to_csv, to_xlsx
from vlpro.workflows.extraction.result import Check, ExtractedField, Extraction
from vlpro.workflows.extraction.stored import Stored
from vlpro.workflows.extraction.template import Field, Template

__all__ = ["Format", "as_file", "as_json"]

Format = Literal["csv", "xlsx", "json"]
Words = Callable[[str], str]

_HEAD = {
    "id": ("编号", "Id"),
    "created": ("时间", "Time"),
    "template": ("模板", "Template"),
    "state": ("状态", "State"),
    "verdict": ("结论", "Verdict"),
    "failed": ("未通过的校验", "Failed checks"),
}
_NUMBERS = frozenset({"amount", "number", "words"})
_KEPT_AS_TEXT = 15  # digits: beyond them Excel rounds


def as_json(stored: Stored, now: Extraction, template: Template | None) -> dict[str, Any]:
    """A result as JSON values, for the API and for who gets it delivered.

    Args:
        stored: The result.
        now: With what people put (:func:`vlpro.workflows.extraction.review.current`).
        template: That it was made with; None: there is none.
    """
    told: dict[str, Any] = {
        "id": stored.id,
        "object": "extraction",
        "created": int(stored.created),
        "updated": int(stored.updated),
        "template": now.template,
        "title": template.title.en if template is not None else "",
        "title_zh": template.title.zh if template is not None else "",
        "fields": {
            name: {
                **_field(found),
                **_about(template.field(name) if template is not None and template.has(name) else None),
                "corrected": name in stored.corrections,
                "confirmed": name in stored.confirmed,
            }
            for name, found in now.fields.items()
        },
        "items": [{name: _field(found) for name, found in item.items()} for item in now.items],
        "checks": [_check(check) for check in now.checks],
        "verdict": now.verdict,
        "state": stored.state,
        "level": stored.level.word,
        "engine": stored.engine,
        "version": stored.version,
        "metadata": stored.metadata,
    }
    if stored.reason:
        told["reason"] = stored.reason
    return told


def as_file(
    results: Sequence[tuple[Stored, Extraction, Template | None]],
    kind: Format,
    *,
    zh: bool,
    masked: Words = lambda text: text,
) -> bytes:
    """Results as one file.

    Args:
        results: Each with what :func:`as_json` takes.
        kind: ``csv``: a row a result; ``xlsx``: that, and a row an item; ``json``: all of them.
        zh: Whether columns are named in Chinese.
        masked: What is done to each value, where the policy masks what is taken out.
    """
    if kind == "json":
        whole = [_masked(as_json(*result), masked) for result in results]
        return json.dumps({"object": "list", "data": whole}, ensure_ascii=False, indent=2).encode()
    columns = _columns(results, zh=zh)
    header = [*(names[0 if zh else 1] for names in _HEAD.values()), *columns.values()]
    rows = [_row(stored, now, template, columns, masked) for stored, now, template in results]
    if kind == "csv":
        return to_csv(header, rows)
    sheets = [Sheet("单据" if zh else "Documents", header, rows)]
    items, lines = _items(results, masked)
    if lines:
        sheets.append(Sheet("明细" if zh else "Items", [_HEAD["id"][0 if zh else 1], *items], lines))
    return to_xlsx(sheets, title="票据" if zh else "Receipts", created=datetime.now(UTC))


def _columns(results: Sequence[tuple[Stored, Extraction, Template | None]], *, zh: bool) -> dict[str, str]:
    """All fields of all results, in the order in which they come, with their names; equal names share a column."""
    found: dict[str, str] = {}
    for _, now, template in results:
        for name in now.fields:
            if name not in found:
                has = template is not None and template.has(name)
                title = template.field(name).title if has and template is not None else None
                found[name] = (title.zh if zh else title.en) if title is not None else name
    return found


def _row(
    stored: Stored,
    now: Extraction,
    template: Template | None,
    columns: Mapping[str, str],
    masked: Words,
) -> list[Cell]:
    failed = ", ".join(check.name for check in now.checks if check.passed is False)
    when = datetime.fromtimestamp(stored.created).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    head: list[Cell] = [stored.id, when, now.template, stored.state, now.verdict, failed]
    return head + [_cell(now.fields.get(name), template, name, masked) for name in columns]


def _cell(found: ExtractedField | None, template: Template | None, name: str, masked: Words) -> Cell:
    if found is None or found.normalized is None:
        return None
    numeric = template is not None and template.has(name) and template.field(name).type in _NUMBERS
    if numeric and len(found.normalized) <= _KEPT_AS_TEXT:
        try:
            return Decimal(found.normalized)
        except InvalidOperation:
            pass
    return masked(found.normalized)


def _items(
    results: Sequence[tuple[Stored, Extraction, Template | None]], masked: Words
) -> tuple[list[str], list[list[Cell]]]:
    names = list(dict.fromkeys(name for _, now, _ in results for item in now.items for name in item))
    rows: list[list[Cell]] = []
    for stored, now, _ in results:
        for item in now.items:
            cells: list[Cell] = [stored.id]
            for name in names:
                found = item.get(name)
                cells.append(masked(found.normalized or found.value or "") if found is not None else None)
            rows.append(cells)
    return names, rows


def _field(found: ExtractedField) -> dict[str, Any]:
    return {
        "value": found.value,
        "normalized": found.normalized,
        "confidence": round(found.confidence, 3),
        "box": list(found.box) if found.box is not None else None,
        "page": found.page,
        "checks": [_check(check) for check in found.checks],
    }


def _about(field: Field | None) -> dict[str, Any]:
    if field is None:
        return {}
    return {
        "title": field.title.en,
        "title_zh": field.title.zh,
        "type": field.type,
        "required": field.required,
    }


def _check(check: Check) -> dict[str, Any]:
    return {"name": check.name, "passed": check.passed, "message": check.message, "zh": check.zh}


def _masked(told: dict[str, Any], masked: Words) -> dict[str, Any]:
    for field in [*told["fields"].values(), *(each for item in told["items"] for each in item.values())]:
        for key in ("value", "normalized"):
            field[key] = masked(field[key]) if field[key] is not None else None
    return told
