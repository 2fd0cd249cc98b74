"""A result as it stands after what people did to it. Pure: no store, no clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vlpro.errors import BadRequestError
from vlpro.workflows.extraction.checks import Material, run_checks, verdict_of
from vlpro.workflows.extraction.result import Check, ExtractedField, Extraction, Verdict
from vlpro.workflows.extraction.stored import Correction, Stored
from vlpro.workflows.extraction.template import Template
from vlpro.workflows.extraction.values import normalize

__all__ = ["DUPLICATE", "corrected", "current", "duplicate", "unsettled"]

DUPLICATE = "duplicate"
"""Name of the check that the same document was not handed in before."""


def current(stored: Stored, template: Template | None) -> Extraction:
    """What was read, with what people put instead, and checked again.

    Checks that need the page itself, such as of its QR code, stay as they came out.

    Args:
        stored: The result.
        template: That it was made with; None: by the caller's own schema, or the template is gone.
    """
    read = stored.extraction
    if not stored.corrections:
        return read
    fields = {
        name: replace(found, value=put.value, normalized=put.normalized, confidence=1.0)
        if (put := stored.corrections.get(name)) is not None
        else found
        for name, found in read.fields.items()
    }
    if template is None:
        verdict: Verdict = "pass" if all(field.value is not None for field in fields.values()) else "review"
        return replace(read, fields=fields, verdict=verdict)
    today = dt.datetime.fromtimestamp(stored.created).astimezone().date()
    findings = run_checks(template, Material(fields, read.items, today, {}, {}))
    again = {finding.check.name: finding.check for finding in findings}
    # Of a code nothing is known any more: what came out stays.
    gone = {rule.name for rule in template.rules if rule.check != "qr_code"} - again.keys()
    known = {check.name for check in read.checks}

    def renewed(checks: Iterable[Check]) -> tuple[Check, ...]:
        return tuple(again.get(check.name, check) for check in checks if check.name not in gone)

    def first(name: str) -> tuple[Check, ...]:
        """Checks that could not be made before."""
        return tuple(one.check for one in findings if one.check.name not in known and name in one.fields)

    checks = (*renewed(read.checks), *(one.check for one in findings if one.check.name not in known))
    fields = {
        name: replace(found, checks=(*renewed(found.checks), *first(name))) for name, found in fields.items()
    }
    return replace(read, fields=fields, checks=checks, verdict=verdict_of(template, fields, checks))


def unsettled(stored: Stored, now: Extraction, template: Template | None) -> list[str]:
    """Fields and checks that somebody must put right or confirm before the result is approved.

    Args:
        stored: The result.
        now: As :func:`current` has it.
        template: As there.
    """
    required = {field.name for field in template.fields if field.required} if template is not None else set()
    found = [
        name
        for name, field in now.fields.items()
        if _fails(field) or (name in required and field.value is None)
    ]
    of_fields = {check.name for field in now.fields.values() for check in field.checks}
    found += [check.name for check in now.checks if check.passed is False and check.name not in of_fields]
    return [name for name in found if name not in stored.confirmed]


def corrected(
    stored: Stored, given: Mapping[str, str | None], template: Template | None
) -> dict[str, Correction]:
    """What people put, in one form for programs; what is as it was read is no correction.

    Args:
        stored: The result.
        given: Values by field; None: the page does not have it.
        template: As :func:`current`.

    Raises:
        BadRequestError: There is no such field, or a value is not of its type. Names it.
    """
    corrections = dict(stored.corrections)
    for name, value in given.items():
        if name not in stored.extraction.fields:
            raise BadRequestError(
                f"There is no field {name[:100]!r} in this result.",
                zh=f"该结果没有字段 {name[:100]!r}。",
                param=f"fields.{name[:100]}",
                code="unknown_field",
            )
        read = stored.extraction.fields[name]
        text = value.strip() if value is not None else None
        if not text:
            put = Correction(None, None)
        elif text in (read.value, read.normalized):
            put = Correction(read.value, read.normalized)
        else:
            put = Correction(text, _normalized(name, text, template))
        if put.normalized == read.normalized:
            corrections.pop(name, None)
        else:
            corrections[name] = put
    return corrections


def _normalized(name: str, text: str, template: Template | None) -> str:
    if template is None or not template.has(name):
        return text
    field = template.field(name)
    chosen = text if text in field.choices else None
    normalized = chosen if field.choices else normalize(text, field.type)
    if normalized is None:
        wanted = ", ".join(field.choices) if field.choices else field.type
        raise BadRequestError(
            f"{field.title.en} is not of its type ({wanted}). Write it as it stands on the page.",
            zh=f"{field.title.zh}的格式不正确（{wanted}），请按票面填写。",
            param=f"fields.{name}",
            code="invalid_field",
        )
    return normalized


def _fails(field: ExtractedField) -> bool:
    return any(check.passed is False for check in field.checks)


def duplicate(of: str | None, day: str) -> Check:
    """Whether the same document was handed in before.

    Args:
        of: Whose the earlier one is: ``own``, ``other``; None: there is none.
        day: When.
    """
    if of is None:
        return Check(DUPLICATE, True, "Not handed in before.", "此前没有相同的单据。")  # noqa: FBT003 - it passed
    who_en, who_zh = ("by the same person", "同一提交人") if of == "own" else ("by somebody else", "他人")
    return Check(
        DUPLICATE,
        False,  # noqa: FBT003 - it failed
        f"The same document was handed in before, {who_en}, on {day}.",
        f"相同的单据已于 {day} 由{who_zh}提交过。",
    )
