from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engines.ocr.pages_of import quad
from tests.unit.workflows.extraction.documents import (
    SELLER,
    TEMPLATES,
    extracted,
    normals,
    passed,
    special_invoice,
)
from vlpro.engines.ocr.page import Line
from vlpro.workflows.extraction.credit_code import ALPHABET, as_meant, check_character, is_valid, repaired
from vlpro.workflows.extraction.extract import identity_of

CODED = "01,01,1100194140,87654321,5999.00,20201118,,A1B2"


def test_an_invoice_whose_figures_agree_passes() -> None:
    made = extracted("vat_invoice", special_invoice(coded=CODED))
    assert made.verdict == "pass"
    assert passed(made) == {
        "total_in_words": True,
        "net_plus_tax": True,
        "tax_rate": True,
        "items_sum": True,
        "line_amounts": True,
        "date_valid": True,
        "seller_code": True,
        "buyer_code": True,
        "kind_known": True,
        "number_format": True,
        "code_format": True,
        "qr_code": True,
    }
    total = made.fields["total"]
    assert (total.value, total.normalized, total.page) == ("￥6778.87", "6778.87", 1)
    assert total.box is not None
    assert 720 < total.box[0] < total.box[2] <= 850  # the figure alone, without （小写） before it
    assert {check.name for check in total.checks} == {"total_in_words", "net_plus_tax"}
    assert normals(made)["kind"] == "special"
    assert [line["amount"].normalized for line in made.items] == ["5999.00"]
    assert made.pages == ((1000, 1000),)


def test_a_sum_says_each_figure_once() -> None:
    def said(**change: str) -> tuple[str, str]:
        made = extracted("vat_invoice", special_invoice(**change))
        return next((check.message, check.zh) for check in made.checks if check.name == "net_plus_tax")

    assert said() == ("5,999.00 + 779.87 = 6,778.87.", "5,999.00 + 779.87 = 6,778.87。")
    assert said(total="6788.87") == (
        "5,999.00 + 779.87 = 6,778.87, but the document says 6,788.87.",
        "5,999.00 + 779.87 = 6,778.87，与单据上的 6,788.87 不一致。",
    )


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({"words": "陆仟柒佰柒拾捌圆捌角捌分"}, "total_in_words"),
        ({"total": "6788.87", "words": "陆仟柒佰捌拾捌圆捌角柒分"}, "net_plus_tax"),
        ({"tax": "700.00", "total": "6699.00", "words": "陆仟陆佰玖拾玖圆整"}, "tax_rate"),
        (
            {"rate": "12%", "tax": "719.88", "total": "6718.88", "words": "陆仟柒佰壹拾捌圆捌角捌分"},
            "tax_rate",
        ),
        ({"line": "5999.10"}, "items_sum"),
        ({"date": "2026年11月28日"}, "date_valid"),
        ({"date": "2020年02月30日"}, "date_valid"),
        ({"seller": SELLER[:-1] + "4"}, "seller_code"),
        ({"code": "110019414012"}, "code_format"),
        ({"coded": CODED.replace("87654321", "87654322")}, "qr_code"),
        ({"coded": CODED.replace("20201118", "20201119")}, "qr_code"),
    ],
)
def test_what_does_not_agree_fails_and_says_which_field(change: dict[str, str], failing: str) -> None:
    made = extracted("vat_invoice", special_invoice(**change))
    assert [check.name for check in made.checks if check.passed is False] == [failing]
    assert made.verdict == "fail"
    assert (
        any(check.passed is False for field in made.fields.values() for check in field.checks)
        or failing == "items_sum"
    )


def test_what_cannot_be_checked_is_for_a_person() -> None:
    made = extracted("vat_invoice", special_invoice(seller="410305012345678"))
    assert passed(made)["seller_code"] is None
    assert made.verdict == "review"


def test_a_missing_required_field_fails() -> None:
    made = extracted("vat_invoice", special_invoice(date="", net="5998.00"))
    assert made.fields["date"].value is None
    assert made.verdict == "fail"


def test_the_day_is_the_callers() -> None:
    page = special_invoice(date="2026年11月28日")
    assert passed(extracted("vat_invoice", page, today=dt.date(2026, 11, 28)))["date_valid"] is True


def test_a_total_misread_in_one_place_is_taken_from_where_the_sums_hold() -> None:
    misread = special_invoice(total="6778.37")
    assert extracted("vat_invoice", misread).verdict == "fail"  # nothing on the page says 6778.87 in figures
    again = Line("价税合计小写：￥6778.87", 0.99, quad(600, 600, 800, 620))
    made = extracted("vat_invoice", replace(misread, lines=(*misread.lines, again)))
    assert made.fields["total"].normalized == "6778.87"
    box = made.fields["total"].box
    assert box is not None
    assert box[1] == 600
    assert [check.name for check in made.checks if check.passed is False] == []


def test_the_same_invoice_has_the_same_identity_and_another_has_not() -> None:
    template = TEMPLATES["vat_invoice"]
    first = identity_of(extracted("vat_invoice", special_invoice()), template)
    again = identity_of(extracted("vat_invoice", special_invoice(date="2020年11月19日")), template)
    other = identity_of(extracted("vat_invoice", special_invoice(number="87654320")), template)
    assert first == again == "vat_invoice:code=1100194140:number=87654321"
    assert other not in {None, first}
    unread = special_invoice(number="", code="")
    assert identity_of(extracted("vat_invoice", unread), template) is None


@pytest.mark.parametrize("code", [SELLER, "91110000802100433B", "91310000775785552L"])
def test_published_credit_codes_hold(code: str) -> None:
    assert is_valid(code)


@given(st.text("0123456789", min_size=17, max_size=17), st.integers(0, 16), st.sampled_from(ALPHABET))
def test_any_one_wrong_character_is_noticed(first: str, place: int, other: str) -> None:
    code = first + check_character(first)
    wrong = code[:place] + other + code[place + 1 :]
    assert is_valid(code)
    assert is_valid(wrong) == (wrong == code)


def test_a_wrong_code_that_was_read_well_stays_wrong_and_a_doubtful_one_is_for_a_person() -> None:
    wrong = SELLER.replace("00Y", "0DY")  # which is often misread
    assert as_meant(SELLER.replace("0", "O")) == SELLER
    assert repaired(wrong) == SELLER
    page = special_invoice(seller=wrong)
    assert passed(extracted("vat_invoice", page))["seller_code"] is False
    doubtful = replace(page, lines=tuple(replace(line, confidence=0.95) for line in page.lines))
    made = extracted("vat_invoice", doubtful)
    assert (made.fields["seller_tax_id"].value, made.fields["seller_tax_id"].normalized) == (wrong, SELLER)
    assert passed(made)["seller_code"] is None
    assert made.verdict == "review"
