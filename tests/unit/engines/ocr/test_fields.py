from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engines.ocr.pages_of import english_receipt, line, page, quad, till_receipt, vat_invoice
from vlpro.engines.ocr.fields.document import Document
from vlpro.engines.ocr.page import Code, Page


def texts(made: Page) -> dict[str, str]:
    return {kind: found.text for kind, found in Document(made).fields.items()}


def test_english_receipt() -> None:
    found = texts(english_receipt())
    assert (
        found.items()
        >= {
            "merchant": "GOOD LUCK HARDWARE SDN BHD",
            "address": "NO. 7, JALAN MERANTI 2 81100 JOHOR BAHRU, JOHOR",
            "phone": "07-352 3888",
            "tax_id": "000849813504",
            "number": "CS00031663",
            "date": "25/03/2018",
            "time": "14:22",
            "subtotal": "10.00",
            "tax": "0.60",
            "total": "10.60",
            "tendered": "20.60",
            "change": "10.00",
            "payment": "CASH",
        }.items()
    )


def test_values_are_typed() -> None:
    fields = Document(english_receipt()).fields
    assert fields["total"].value == Decimal("10.60")
    assert fields["date"].value == dt.date(2018, 3, 25)


def test_till_receipt() -> None:
    found = texts(till_receipt())
    assert (
        found.items()
        >= {
            "merchant": "江宁路办公用品商店",
            "number": "XS-20261118-0472",
            "date": "2026-11-18",
            "time": "15:42",
            "total": "￥220.00",
            "discount": "-3.00",
            "payment": "对公转账",
        }.items()
    )


def test_vat_invoice_has_buyer_and_seller_apart() -> None:
    found = texts(vat_invoice())
    assert (
        found.items()
        >= {
            "buyer": "测试购方企业",
            "merchant": "测试销方企业",
            "buyer_tax_id": "410305123456789",
            "seller_tax_id": "410305012345678",
            "code": "1100094140",
            "number": "87654321",
            "total": "￥7018.83",
            "capitals": "柒仟零壹拾捌圆捌角叁分",
            "subtotal": "￥5999.00",
            "tax": "￥1019.83",
            "document_type": "增值税专用发票",
        }.items()
    )


def test_the_captions_tell_buyer_and_seller_not_their_order() -> None:
    captions = {"购买方": "销售方", "销售方": "购买方"}
    made = vat_invoice()
    lines = tuple(replace(one, text=captions.get(one.text, one.text)) for one in made.lines)
    found = texts(Page(made.width, made.height, lines))
    assert (found["merchant"], found["buyer"]) == ("测试购方企业", "测试销方企业")


def test_code_of_a_vat_invoice() -> None:
    content = "01,04,1100094140,87654321,5999.00,20101118,12345678901234567890,A1B2,"
    made = page("发票", codes=(Code(content, "QRCode", quad(10, 10, 100, 100)),))
    found = texts(made)
    assert (
        found.items()
        >= {
            "code": "1100094140",
            "number": "87654321",
            "code_amount": "5999.00",
            "check_code": "12345678901234567890",
        }.items()
    )
    assert Document(made).fields["date"].value == dt.date(2010, 11, 18)
    assert "total" not in found


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ([("Subtotal", "9.00"), ("Total", "9.54"), ("Rounding", "0.01"), ("Rounded Total", "9.55")], "9.55"),
        (
            [("Total Qty", "3"), ("Total Sales (Excluding GST)", "9.00"), ("Total (Inclusive GST)", "9.54")],
            "9.54",
        ),
        ([("TOTAL", "9.00"), ("CASH", "50.00"), ("CHANGE", "41.00"), ("Total Savings", "7.00")], "9.00"),
        ([("SUBTOTAL", "9.00"), ("CASH", "10.00"), ("CHANGE", "1.00")], "9.00"),
        (
            [("TOTAL DISCOUNT", "1.00"), ("NETT TOTAL", "8.00"), ("GST SUMMARY", ""), ("TOTAL", "7.55")],
            "8.00",
        ),
        ([("合计", "486.50"), ("优惠", "-6.50"), ("实付", "￥480.00"), ("找零", "20.00")], "￥480.00"),
        ([("T0TAL", "12.00"), ("Change", "0.00")], "12.00"),
        ([("Sub Total", "6.00"), ("Grand Total", "600")], "6.00"),
    ],
)
def test_total_is_what_there_is_to_pay(rows: list[tuple[str, str]], total: str) -> None:
    made = page(*(((40.0, label), (800.0, amount)) if amount else label for label, amount in rows))
    assert texts(made)["total"] == total


def test_a_total_below_its_label_is_found() -> None:
    assert texts(page("小店", "合计", "￥35.00"))["total"] == "￥35.00"


def test_a_tilted_receipt_keeps_its_rows() -> None:
    flat = english_receipt()
    tilt = 0.06
    lines = tuple(
        type(one)(one.text, one.confidence, tuple((x, y + tilt * x) for x, y in one.quad))  # type: ignore[arg-type]
        for one in flat.lines
    )
    assert texts(Page(1000, 1100, lines)).items() >= {"total": "10.60", "change": "10.00"}.items()


def test_table() -> None:
    table = Document(vat_invoice()).table
    assert table is not None
    assert [column.name for column in table.columns] == [
        "货物名称",
        "规格型号",
        "数量",
        "单价",
        "金额",
        "税率",
        "税额",
    ]
    (item,) = table.items
    assert (table.name(item), table.number(item, "amount")) == ("计算机", Decimal("5999.00"))


def test_a_name_above_its_numbers_is_the_items_name() -> None:
    made = page(
        ((40, "Item"), (500, "Qty"), (800, "Amount")),
        "FRIED RICE SPECIAL",
        ((40, "5.50"), (500, "2"), (800, "11.00")),
        ((40, "TOTAL"), (800, "11.00")),
    )
    table = Document(made).table
    assert table is not None
    assert [table.name(item) for item in table.items] == ["FRIED RICE SPECIAL"]


def test_a_page_that_is_no_bill_has_no_merchant() -> None:
    assert texts(page("扬程32 m", "型号IS80-65-160")) == {}


def test_an_empty_page() -> None:
    assert texts(Page(10, 10, ())) == {}


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.text(max_size=30), st.integers(0, 900), st.integers(0, 900), st.integers(1, 60)),
        max_size=25,
    )
)
def test_any_page_is_survived(pieces: list[tuple[str, int, int, int]]) -> None:
    document = Document(Page(1000, 1000, tuple(line(text, x, y, size=size) for text, x, y, size in pieces)))
    for found in document.fields.values():
        assert found.text
        assert 0 <= found.confidence <= 1
    _ = document.table


@pytest.mark.parametrize("piece", ["TOTAL ", "NO. 1, JALAN ", "1,", "12/", "名称：", "A:", "0 0", "合 计 "])
def test_time_is_bounded_for_adversarial_pages(piece: str) -> None:
    lines = [line((piece * 1000)[:2000], 10, 10 + 3 * index) for index in range(250)]
    begin = time.thread_time()
    document = Document(Page(1000, 2000, tuple(lines)))
    _ = document.fields, document.table
    assert time.thread_time() - begin < 8


def test_letters_and_figures_that_printers_confuse_are_put_right_in_names_and_addresses() -> None:
    document = Document(
        page(
            "LIM SENG HARDWARÉ (MJ SDN BHD",
            "LUT 29O, Leve1 2, JALAN AIR PANAS",
            "4115O KLANG, SELANGOR",
            "TOTAL 9.00",
        )
    )
    assert document.fields["merchant"].text == "LIM SENG HARDWARE (M) SDN BHD"
    assert document.fields["address"].text == "LOT 290, Level 2, JALAN AIR PANAS 41150 KLANG, SELANGOR"


def test_a_total_without_a_word_is_the_sum_of_what_stands_above_it() -> None:
    items = ((40, "COPA RIOJA"), (600, "4,00")), ((40, "CAFE"), (600, "2,40")), ((40, "PAN"), (600, "0,50"))
    assert texts(page("GASTROBAR", *items, ((600, "6,90"),), "GRACIAS"))["total"] == "6,90"
    parts = ((40, "Burger"), (600, "5.25")), ((600, "0.20"),), ((600, "5.45"),)
    assert texts(page("BAR LOUIE", ((40, "Beer"), (600, "0.00")), *parts))["total"] == "5.45"


def test_a_total_that_lost_its_decimals_is_what_cash_and_change_make() -> None:
    rows = (
        ((40, "SUBTOTAL"), (600, "8.48")),
        ((40, "TAX"), (600, "0.74")),
        ((40, "TOTAL"), (600, "$9"), (700, "J22")),
        ((40, "CASH"), (600, "$10.00")),
        ((40, "CHANGE"), (600, "$0.78")),
    )
    assert Document(page("SHOP", *rows)).fields["total"].value == Decimal("9.22")


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (("Vihar", "Vegetarian Restaurant", "Near Head Post Office"), "Vihar Vegetarian Restaurant"),
        (("WELCOME TO", "FOODTOWN", "SÜPERMARKETS LIMITED", "GREY LYNN"), "FOODTOWN SUPERMARKETS LIMITED"),
        (("FIVE GUYS", "STORE # MN-1186", "1413 Fourth St SE"), "FIVE GUYS"),
        (("SAFEWAY TM", "1200 Main Street"), "SAFEWAY"),
        (("BLUEBIRD", "Where good things happen", "12 Elm Street"), "BLUEBIRD"),
        (("Always fresh for you.", "Bluebird", "12 Elm Street"), "Bluebird"),
        (
            ("Sandwich#15936-0 Phone 608-555-4560", "642 Midland road", "Janesville, WI, 53546"),
            "Sandwich#15936-0",
        ),
        (("WELCOME TO", "JOE'S", "12 Elm Street"), "JOE'S"),
        (("蓝鸟餐厅", "外卖单", "上海市江宁路2号"), "蓝鸟餐厅"),
    ],
)
def test_names_of_shops(rows: tuple[str, ...], name: str) -> None:
    assert texts(page(*rows, ((40, "TOTAL"), (600, "10.00"))))["merchant"] == name


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (("Taverna El", "Puerto Viejo", "C/ Mayor 2"), "Taverna El Puerto Viejo"),
        (("SILVER & GOLD CARWASH", "RIVERSIDE", "505 W RIVER LANE"), "SILVER & GOLD CARWASH RIVERSIDE"),
        (("BLUE BIRD", "Leeds", "Level 4 Trinity"), "BLUE BIRD"),
    ],
)
def test_a_name_in_rows_close_to_each_other(rows: tuple[str, ...], name: str) -> None:
    assert texts(page(*rows, ((40, "TOTAL"), (600, "10.00")), gap=24))["merchant"] == name


def test_a_name_in_large_type_is_not_outdone_by_a_street_and_goes_on_in_large_type() -> None:
    small = [
        line(text, 40, 200 + 32 * i) for i, text in enumerate(("14-15 Elm Market", "London", "TOTAL 10.00"))
    ]
    logo = [line("GREEN", 40, 20, size=60), line("OLIVE", 40, 84, size=60)]
    assert texts(Page(1000, 1000, (logo[0], *small)))["merchant"] == "GREEN"
    assert texts(Page(1000, 1000, (*logo, *small)))["merchant"] == "GREEN OLIVE"


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ((("SUBTOTAL", "37.01"), ("12 BAL DUE", "37.00"), ("CHEQUE", "37.00")), "37.00"),
        ((("FOOD TOTAL", "30.00"), ("BAR TOTAL", "9.00"), ("TAX", "2.00"), ("TOTAL", "41.00")), "41.00"),
        ((("TOTAL", "40.00"), ("Suggested tip 20%: total", "48.00")), "40.00"),
        ((("SUBTOTAL", "88.50"), ("VAT 12.5%", "11.06"), ("CASH", "100.00")), "100.00"),
        ((("QUETTO TEL.93", "210 03 08"), ("TOTAL", "49.25")), "49.25"),
    ],
)
def test_totals_of_other_tills(rows: tuple[tuple[str, str], ...], total: str) -> None:
    assert texts(page("SHOP", *(((40, label), (600, value)) for label, value in rows)))["total"] == total


def test_a_total_under_its_heading_in_a_table_of_taxes() -> None:
    table = (
        ((40, "B.IMP"), (300, "IVA"), (600, "TOTAL")),
        ((0, "10%"), (40, "44.77"), (300, "4.48"), (600, "49.25")),
    )
    assert texts(page("TAVERNA", ((40, "AGUA"), (600, "3.70")), *table))["total"] == "49.25"


def test_the_day_of_an_offer_is_not_the_receipts() -> None:
    rows = "Offer good thru 05/31/2018", ((40, "2:07 PM"), (300, "REG 2"), (600, "03/25/2018"))
    assert texts(page("SHOP", *rows, ((40, "TOTAL"), (600, "9.00"))))["date"] == "03/25/2018"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_page_on_its_side_or_its_head_has_the_same_fields(turns: int) -> None:
    def turned(x: float, y: float) -> tuple[float, float]:
        for _ in range(turns):
            x, y = y, 1000 - x
        return x, y

    upright = vat_invoice()
    lines = []
    for one in upright.lines:
        first, second, third, fourth = (turned(x, y) for x, y in one.quad)
        lines.append(replace(one, quad=(first, second, third, fourth)))
    assert texts(replace(upright, lines=tuple(lines))) == texts(upright)
