"""What people put is checked again; a second reading by one's own schema."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from vlpro.errors import BadRequestError
from vlpro.identity.labels import Level
from vlpro.workflows.extraction.checks import Material, run_checks
from vlpro.workflows.extraction.custom import seen_custom
from vlpro.workflows.extraction.result import Check, ExtractedField, Extraction
from vlpro.workflows.extraction.review import corrected, current, duplicate, unsettled
from vlpro.workflows.extraction.stored import Stored
from vlpro.workflows.extraction.template import load_templates

TEMPLATE = load_templates()["vat_invoice"]


def field(value: str | None, normalized: str | None = None, *, sure: float = 0.9) -> ExtractedField:
    return ExtractedField(value, normalized or value, sure if value else 0.0, (1, 2, 3, 4) if value else None)


def stored(**values: str) -> Stored:
    fields = {one.name: field(values.get(one.name)) for one in TEMPLATE.fields}
    findings = run_checks(TEMPLATE, Material(fields, (), date(2027, 1, 15), {}, {}))
    fields = {
        name: replace(each, checks=tuple(one.check for one in findings if name in one.fields))
        for name, each in fields.items()
    }
    return Stored(
        id="ext_1",
        owner="liwei",
        level=Level.PUBLIC,
        created=1_800_000_000.0,
        updated=0.0,
        state="open",
        handed_over=False,
        extraction=Extraction("vat_invoice", fields, tuple(one.check for one in findings), "review"),
        engine="ocr",
        pages=(),
    )


def put(made: Stored, **values: str | None) -> Extraction:
    made.corrections = corrected(made, values, TEMPLATE)
    return current(made, TEMPLATE)


def checks(now: Extraction) -> dict[str, bool | None]:
    return {check.name: check.passed for check in now.checks}


def test_a_correction_is_checked_again_and_undone_by_putting_what_was_read() -> None:
    made = stored(net="100.00", tax="6.00", total="106.00")
    assert put(made, total="¥106.00").fields["total"].checks
    assert made.corrections == {}  # the same, written in another way
    wrong = put(made, total="107.00")
    failed = {check.name for check in wrong.fields["total"].checks if check.passed is False}
    assert failed
    assert wrong.verdict == "fail"
    assert "total" in unsettled(made, wrong, TEMPLATE)  # what somebody put is no excuse
    made.confirmed = ("net", "tax", "total", "total_words")
    assert not {"net", "tax", "total"} & set(unsettled(made, wrong, TEMPLATE))
    again = put(made, total="106.00")
    assert made.corrections == {}
    assert not any(check.passed is False for check in again.fields["total"].checks)


def test_what_is_required_and_missing_is_to_be_settled() -> None:
    made = stored(total="1.00")
    required = {one.name for one in TEMPLATE.fields if one.required} - {"total"}
    assert required <= set(unsettled(made, current(made, TEMPLATE), TEMPLATE))


def test_checks_that_need_the_page_stay_as_they_came_out() -> None:
    made = stored(net="100.00", tax="6.00", total="106.00")
    kept = (Check("qr_code", passed=False, message="differs", zh="不一致"), duplicate("other", "2026-11-27"))
    made.extraction = replace(made.extraction, checks=(*made.extraction.checks, *kept))
    now = put(made, total="107.00")
    assert checks(now)["qr_code"] is False
    assert checks(now)["duplicate"] is False
    assert {"qr_code", "duplicate"} <= set(unsettled(made, now, TEMPLATE))


@pytest.mark.parametrize(
    ("name", "value", "code"), [("total", "much", "invalid_field"), ("colour", "red", "unknown_field")]
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, code: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        corrected(stored(), {name: value}, TEMPLATE)
    assert (refused.value.param, refused.value.code) == (f"fields.{name}", code)


def test_two_readings_by_ones_own_schema() -> None:
    read = Extraction(
        "custom",
        {"total": field("480.00"), "vendor.name": field("甲 公司"), "date": field(None)},
        (),
        "fail",
    )
    seen: dict[str, Any] = {
        "total": "490.00",
        "vendor": {"name": "甲公司"},
        "date": "2026-11-18",
        "items": [{"name": "纸", "price": 12}],
    }
    both = seen_custom(read, seen)
    assert both.fields["total"].value == "480.00"  # its place proves it; a person is to look
    assert [check.name for check in both.fields["total"].checks] == ["second_reading"]
    assert both.fields["vendor.name"].confidence > 0.9  # both say so
    assert (both.fields["date"].value, both.fields["date"].box) == ("2026-11-18", None)
    assert both.items[0]["price"].value == "12"
    assert both.verdict == "review"
