"""Of which party something is: buyer and seller of an invoice, sender and receiver of a parcel."""

from __future__ import annotations

import pytest

from tests.unit.engines.ocr.asking import ask, said
from tests.unit.engines.ocr.pages_of import english_receipt, page
from vlpro.engines.ocr.page import Page


def invoice() -> Page:
    """The form with the seller below the buyer; its upright captions were not read."""
    return page(
        ((300, "增值税专用发票"), (700, "No87654321")),
        "开票日期：2026年11月02日",
        "名称：临江市仪表厂",
        "纳税人识别号：91330100MA2K0J2X7T",
        "地址、电话：临江市环城北路60号81234567",
        "开户行及帐号：建行0000123456789",
        (
            (40, "货物或应税劳务名称"),
            (400, "数量"),
            (500, "单价"),
            (650, "金额"),
            (780, "税率"),
            (880, "税额"),
        ),
        ((40, "压力表"), (400, "2"), (500, "300.00"), (650, "600.00"), (780, "13%"), (880, "78.00")),
        ((40, "合计"), (650, "￥600.00"), (880, "￥78.00")),
        ((40, "价税合计（大写）"), (300, "陆佰柒拾捌圆整"), (700, "（小写）￥678.00")),
        "名称：海州阀门有限公司",
        ((40, "纳税人识别号："), (200, "91320700MA1N9Q4R6C")),
        ((40, "地址、电话："), (180, "海州港路61号0518-68744498")),
        ((40, "开户行及帐号："), (200, "工行123455668")),
    )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("销售方的开户行及账号", "销售方开户行及账号：**工行123455668**"),
        ("销售方的银行账号是多少", "销售方开户行及账号：**工行123455668**"),
        ("What is the seller's bank account?", "Seller's bank account: **工行123455668**"),
        ("购买方开户行", "购买方开户行及账号：**建行0000123456789**"),
        ("购买方电话", "**81234567**"),
        ("销售方的电话是多少", "**0518-68744498**"),
        ("seller's phone number", "**0518-68744498**"),
        ("谁买的", "购买方：**临江市仪表厂**"),
        ("谁卖的", "商户：**海州阀门有限公司**"),
        ("卖了什么东西", "压力表"),
    ],
)
def test_one_partys(question: str, answer: str) -> None:
    told = said(ask(question, invoice()))
    assert answer in told
    assert told.count("**") <= 2, "nothing of the other one"


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("税号", ("销售方税号：**91320700MA1N9Q4R6C**", "购买方税号：**91330100MA2K0J2X7T**")),
        ("what is the tax id", ("Seller's tax id: **91320700", "Buyer's tax id: **91330100")),
        (
            "开户行及账号",
            ("销售方开户行及账号：**工行123455668**", "购买方开户行及账号：**建行0000123456789**"),
        ),
        ("账号", ("**工行123455668**", "**建行0000123456789**")),
        ("地址在哪", ("**海州港路61号0518-68744498**", "**临江市环城北路60号81234567**")),
        ("购买方地址电话", ("购买方地址：**临江市环城北路60号81234567**",)),
    ],
)
def test_both_parties(question: str, answers: tuple[str, ...]) -> None:
    """Where the question does not say whose is meant, each is told with its name."""
    told = said(ask(question, invoice()))
    assert [answer for answer in answers if answer not in told] == []
    assert told.count("**") == 2 * len(answers)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("电话", "- 寄件人：**13912345678**\n- 收件人：**13800138000**"),
        ("收件人电话", "收件人：**13800138000**"),
        ("发件人是谁", "寄件人：**李晓燕13912345678**"),
        ("快递单号是多少", "运单号：**ST4518826003917**"),
    ],
)
def test_a_telephone_without_a_label_stands_behind_a_name(question: str, answer: str) -> None:
    parcel = page(
        "顺通快递",
        "运单号：ST4518826003917",
        "订单号：13700001111",
        "寄件人：李晓燕13912345678",
        "收件人：王志强13800138000",
        "重量：2.4 kg",
    )
    assert said(ask(question, parcel)) == answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the seller's phone number?", "Phone number: **07-352 3888**"),
        ("vendor phone", "Phone: **07-352 3888**"),
        ("供应商电话", "电话：**07-352 3888**"),
    ],
)
def test_the_telephone_of_a_receipt_is_the_sellers(question: str, answer: str) -> None:
    assert said(ask(question, english_receipt())).startswith(answer)


@pytest.mark.parametrize("question", ["customer phone", "甲方电话", "乙方电话"])
def test_the_telephone_of_a_receipt_is_no_other_partys(question: str) -> None:
    assert said(ask(question, english_receipt())).startswith(("No match for “customer”", "没有找到与「"))


def test_the_suppliers_address_of_a_receipt() -> None:
    assert "**NO. 7, JALAN MERANTI 2 81100 JOHOR BAHRU, JOHOR**" in said(ask("供应商地址", english_receipt()))


def test_what_a_colon_touches_is_its_value() -> None:
    """A bank with a number, or a road with one, looks like a label with its value."""
    told = said(ask("开户银行", page("付款说明", ((40, "开户银行："), (150, "农行6228480402")))))
    assert "**农行6228480402**" in told


def test_what_stands_far_from_an_empty_label_is_not_its_value() -> None:
    told = said(ask("收款人", page("付款说明", ((40, "收款人："), (300, "编号2603518")))))
    assert "2603518" not in told
