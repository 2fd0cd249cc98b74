"""From what was read to checked fields. Pure: no engine, no clock of its own, no store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from vlpro.engines.reading import Readings
from vlpro.workflows.extraction.candidates import Candidate, candidates, tax_code
from vlpro.workflows.extraction.checks import Finding, Material, run_checks, verdict_of
from vlpro.workflows.extraction.result import Check, ExtractedField, Extraction
from vlpro.workflows.extraction.second import compared
from vlpro.workflows.extraction.sheet import Clock, Sheet
from vlpro.workflows.extraction.template import CUSTOM, Template
from vlpro.workflows.extraction.values import values_in

__all__ = ["extract", "extract_custom", "identity_of", "recognise"]

_LIMIT_S = 2.0
_TRIED = 3  # values of a field that are tried where its first one does not agree with the others
_MOST_TRIES = 256
_REPAIRED = 0.9

Items = tuple[Mapping[str, ExtractedField], ...]


def recognise(
    readings: Readings, templates: Mapping[str, Template], *, limit_s: float = _LIMIT_S
) -> Template | None:
    """Which kind of document some pages are.

    Args:
        readings: What was read.
        templates: By name.
        limit_s: Seconds of processor time that it may take.

    Returns:
        The template whose words speak for it the most; None where none does enough.
    """
    sheets = [Sheet(reading, number) for number, reading in enumerate(readings.pictures, 1)]
    text = "\n".join(sheet.text for sheet in sheets)[:20_000]
    clock = Clock(limit_s)
    best: tuple[float, Template] | None = None
    for template in templates.values():
        score = sum(weight for pattern, weight in template.words if _says(text, pattern, clock))
        if score >= template.least and template.words and (best is None or score > best[0]):
            best = score, template
    return best[1] if best else None


def _says(text: str, pattern: Any, clock: Clock) -> bool:
    return any(clock.search(pattern, line[:500]) for line in text.split("\n"))


def extract(
    readings: Readings,
    template: Template,
    *,
    today: dt.date,
    seen: Mapping[str, Any] | None = None,
    limit_s: float = _LIMIT_S,
) -> Extraction:
    """The fields of a document, checked.

    Args:
        readings: What the engine that reads gave for its pages.
        template: Of the document.
        today: No document is of a later day.
        seen: The second reading, where there is one: what an engine that sees gave in the form of
            :func:`vlpro.workflows.extraction.template.json_schema`.
        limit_s: Seconds of processor time that it may take; beyond that, what they would find is left out, and a
            check says so.

    Returns:
        Every field of the template, found or not, with boxes in pixels of the pages' originals.
    """
    clock = Clock(limit_s)
    sheets = [Sheet(reading, number) for number, reading in enumerate(readings.pictures, 1)]
    offers = {field.name: candidates(field, template, sheets, clock) for field in template.fields}
    items = _items(template, sheets)
    tabled = any(sheet.reading.columns for sheet in sheets)
    draft = _Draft(template, offers, items, today, _coded(sheets), tabled)
    chosen = draft.settled({name: offer[0] if offer else None for name, offer in offers.items()})
    fields = {name: _as_field(candidate) for name, candidate in chosen.items()}
    extra: list[Finding] = []
    if seen is not None:
        fields, items, extra = compared(
            template, fields, items, seen, lambda changed: draft.findings(changed, items)
        )
    findings = draft.findings(fields, items) + extra
    if clock.ran_out:
        findings.append(Finding(_out_of_time(), ()))
    return _result(template, fields, items, findings, sheets)


def extract_custom(readings: Readings, schema: Mapping[str, Any]) -> Extraction:
    """The values that a caller's own JSON Schema asks for, with what proves them.

    Args:
        readings: Of a request whose ``response_format`` had this schema, so that ``filled`` and ``proof`` are there.
        schema: The same.

    Returns:
        Fields by their path with dots (``vendor.tax_id``); objects of the first list of objects as items.
    """
    proof = {place.path: place for place in readings.proof}
    fields: dict[str, ExtractedField] = {}
    items: list[dict[str, ExtractedField]] = []

    def take(value: object, path: str, name: str) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                step = key.replace("~", "~0").replace("/", "~1")
                take(part, f"{path}/{step}", f"{name}.{key}".strip("."))
        elif isinstance(value, list):
            for index, part in enumerate(value):
                if isinstance(part, dict):
                    items.append({key: one(v, f"{path}/{index}/{key}") for key, v in part.items()})
                else:
                    fields[f"{name}.{index}"] = one(part, f"{path}/{index}")
        else:
            fields[name] = one(value, path)

    def one(value: object, path: str) -> ExtractedField:
        place = proof.get(path)
        if value is None:
            return ExtractedField(None, None, 0.0)
        plain = value if isinstance(value, str) else str(value)
        if place is None:
            return ExtractedField(plain, plain, 0.5)
        return ExtractedField(place.text, plain, place.confidence, place.box, place.page)

    take(readings.filled, "", "")
    required = schema.get("required")
    missing = (
        [name for name in required if name in fields and fields[name].value is None]
        if isinstance(required, list)
        else []
    )
    unsure = any(found.value is not None and found.confidence < 0.8 for found in fields.values())
    return Extraction(
        template=CUSTOM,
        fields=fields,
        checks=(),
        verdict="fail" if missing else "review" if unsure else "pass",
        items=tuple(items),
        pages=tuple((reading.width, reading.height) for reading in readings.pictures),
    )


def identity_of(extraction: Extraction, template: Template) -> str | None:
    """What makes a document this one and no other, by which the same invoice is found to be seen before.

    Args:
        extraction: Of the document.
        template: It was made with.

    Returns:
        A text that is equal for equal documents only; None where a field that it is made of is missing.
    """

    def text(name: str) -> str:
        found = extraction.fields.get(name)
        return (found.normalized or "") if found else ""

    for identity in template.identities:
        applies = all(text(name) in values for name, values in identity.when.items())
        if applies and all(map(text, identity.fields)):
            return ":".join([extraction.template, *(f"{name}={text(name)}" for name in identity.fields)])
    return None


def _coded(sheets: Sequence[Sheet]) -> Mapping[str, str]:
    for sheet in sheets:
        coded, _ = tax_code(sheet)
        if coded:
            return coded
    return {}


def _as_field(candidate: Candidate | None) -> ExtractedField:
    if candidate is None:
        return ExtractedField(None, None, 0.0)
    confidence = round(min(1.0, max(0.0, candidate.confidence)), 3)
    return ExtractedField(candidate.text, candidate.normalized, confidence, candidate.box, candidate.page)


def _out_of_time() -> Check:
    return Check(
        "time_limit",
        None,
        "The template's patterns took too long on this page; some values were not looked for.",
        "模板的正则表达式在该页上耗时过长，部分字段未查找。",
    )


def _items(template: Template, sheets: Sequence[Sheet]) -> Items:
    items: list[Mapping[str, ExtractedField]] = []
    for sheet in sheets if template.columns else ():
        for item in sheet.reading.items:
            line: dict[str, ExtractedField] = {}
            for column in template.columns:
                cell = item.get(column.role)
                values = values_in(cell.text, column.type) if cell else []
                if cell and values:
                    value = values[0]
                    line[column.name] = ExtractedField(
                        value.text,
                        value.normalized,
                        round(cell.confidence * value.sure, 3),
                        cell.box,
                        sheet.number,
                    )
                else:
                    line[column.name] = ExtractedField(None, None, 0.0, None, sheet.number)
            if any(found.value for found in line.values()):
                items.append(line)
    return tuple(items)


@dataclass(frozen=True)
class _Draft:
    """What was offered for each field, and how the values are weighed against each other."""

    template: Template
    offers: Mapping[str, Sequence[Candidate]]
    items: Items
    today: dt.date
    coded: Mapping[str, str]
    tabled: bool

    def findings(self, fields: Mapping[str, ExtractedField], items: Items) -> list[Finding]:
        """All checks over some fields."""
        material = Material(fields, items, self.today, self.coded, dict(self._printed()), self.tabled)
        return run_checks(self.template, material)

    def _printed(self) -> Iterator[tuple[str, str]]:
        """What the text says, without the code, for the fields of which the code says something."""
        for name in self.coded.keys() & self.offers.keys():
            best = next(
                (one for one in self.offers[name] if one.source != "qr" and one.normalized is not None), None
            )
            if best is not None and best.normalized is not None:
                yield name, best.normalized

    def settled(self, chosen: Mapping[str, Candidate | None]) -> dict[str, Candidate | None]:
        """The choice of values that fails the fewest checks, with as few changes as possible.

        A misread figure has mostly been read right in another place; the sums tell which one it is.
        """
        settled = dict(chosen)
        failed = self._failed(settled)
        if not failed:
            return settled
        names = [
            name
            for name in dict.fromkeys(name for finding in failed for name in finding.fields)
            if len(self.offers.get(name, ())) > 1
        ]
        options = [self.offers[name][:_TRIED] for name in names]
        best, fewest = settled, len(failed)
        tried = sorted(product(*(range(len(option)) for option in options)), key=sum)[1:_MOST_TRIES]
        for places in tried:
            other = dict(settled)
            for name, option, place in zip(names, options, places, strict=True):
                changed = option[place]
                other[name] = replace(changed, confidence=changed.confidence * (_REPAIRED if place else 1))
            if (count := len(self._failed(other))) < fewest:
                best, fewest = other, count
            if not fewest:
                break
        return best

    def _failed(self, chosen: Mapping[str, Candidate | None]) -> list[Finding]:
        fields = {name: _as_field(candidate) for name, candidate in chosen.items()}
        return [finding for finding in self.findings(fields, self.items) if finding.check.passed is False]


def _result(
    template: Template,
    fields: Mapping[str, ExtractedField],
    items: Items,
    findings: Sequence[Finding],
    sheets: Sequence[Sheet],
) -> Extraction:
    checks = tuple(finding.check for finding in findings)
    with_checks = {
        name: replace(found, checks=tuple(one.check for one in findings if name in one.fields))
        for name, found in fields.items()
    }
    return Extraction(
        template=template.name,
        fields=with_checks,
        checks=checks,
        verdict=verdict_of(template, with_checks, checks),
        items=items,
        pages=tuple((sheet.reading.width, sheet.reading.height) for sheet in sheets),
    )
