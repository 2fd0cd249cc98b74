from __future__ import annotations

import time

import pytest

from tests.unit.engines.ocr.pages_of import english_receipt, page, quad, till_receipt, vat_invoice
from tests.unit.workflows.extraction.documents import (
    BUYER,
    TEMPLATES,
    TODAY,
    extracted,
    normals,
    passed,
    readings,
    special_invoice,
)
from vlpro.engines.ocr.page import Code, Page
from vlpro.workflows.extraction.extract import extract, extract_custom, recognise
from vlpro.workflows.extraction.template import load_template

DIGITAL = page(
    ((380, "电子发票（普通发票）"), (700, "发票号码：26317000001284650371")),
    ((700, "开票日期：2026年11月16日"),),
    ((40, "名称：华东精密仪器有限公司"), (540, "名称：上海云岫技术服务有限公司")),
    ((40, f"统一社会信用代码/纳税人识别号：{BUYER}"), (540, "统一社会信用代码/纳税人识别号：91350100M000100Y43")),
    ((40, "项目名称"), (400, "数量"), (520, "单价"), (640, "金额"), (760, "税率/征收率"), (900, "税额")),
    ((40, "*研发和技术服务*设备校准"), (400, "4"), (520, "2400.00"), (640, "9600.00"), (780, "6%"), (900, "576.00")),
    ((40, "合"), (120, "计"), (640, "¥9600.00"), (900, "¥576.00")),
    ((40, "价税合计（大写）"), (300, "⊗壹万零壹佰柒拾陆圆整"), (700, "（小写）¥10176.00")),
    "开票人：周敏",
    codes=(Code("01,32,,26317000001284650371,10176.00,20261116,,F00D", "QRCode", quad(10, 10, 90, 90)),),
)  # fmt: skip
TICKET = page(
    ((40, "02F913009"), (750, "检票:16A")),
    ((150, "武汉北站"), (450, "G132"), (720, "济南站")),
    ((170, "Wuhanbei"), (730, "Jinan")),
    ((40, "2020年10月28日 21:45开"), (650, "15车02A号")),
    ((40, "￥612.5元"), (650, "二等座")),
    "限乘当日当次车",
    "1341702003****7488 吕静",
)
TAXI = page(
    "上海市出租汽车专用发票",
    "发票代码 131001234567",
    "发票号码 12345678",
    ((40, "车号"), (200, "沪A·D1234")),
    ((40, "日期"), (200, "2024-06-03")),
    ((40, "上车"), (200, "11:08")),
    ((40, "下车"), (200, "12:01")),
    ((40, "单价"), (200, "2.30元")),
    ((40, "里程"), (200, "16.3km")),
    ((40, "金额"), (200, "￥47.00")),
)
QUOTA = page(
    ((300, "四川省国家税务局通用定额发票"),),
    ((450, "发票联"),),
    "发票代码151008092516",
    "发票号码94541002",
    ((400, "伍拾元整"), (720, "￥50.00")),
    "收款单位（盖章有效）",
)
CONTRACT = (
    page(
        ((400, "设备采购合同"),),
        "合同编号：HT-2026-0118",
        "甲方（买方）：华东精密仪器有限公司",
        "乙方（卖方）：上海云岫技术服务有限公司",
        "一、合同总价：人民币（大写）：壹拾贰万元整（小写）：￥120,000.00",
        "二、付款方式：货到验收合格后30日内付清",
        "三、交货地点：南京市江宁区科学园路18号",
    ),
    page("四、质保期：十二个月", "签订日期：2026年3月18日"),
)
NOTE = page(
    ((400, "送货单"),),
    ((40, "送货单号：SH20260318-07"), (600, "日期：2026-03-18")),
    "收货单位：华东精密仪器有限公司",
    ((40, "品名"), (300, "规格型号"), (450, "单位"), (550, "数量"), (650, "单价"), (850, "金额")),
    ((40, "不锈钢螺栓"), (300, "M8*30"), (450, "套"), (550, "20"), (650, "3.50"), (850, "70.00")),
    ((40, "合计"), (850, "70.00")),
    ((40, "送货人：王强"), (500, "收货人：李敏")),
)
CARD = page(
    "上海云岫技术服务有限公司",
    ((40, "王晓敏"), (300, "销售总监")),
    "手机：138 0013 8000",
    "电话：021-68744498",
    "邮箱：wang.xm@yunxiu.example.com",
    "地址：上海市浦东新区张江路88号3楼",
)
METER = page("单相电子式电能表", "DDS1234 220V 5(20)A", "001823.4 kWh", "1600 imp/kWh", "No. 202103004567")


@pytest.mark.parametrize(
    ("template", "pages", "found"),
    [
        (
            "vat_invoice",
            (DIGITAL,),
            {"kind": "digital_ordinary", "number": "26317000001284650371", "date": "2026-11-16", "net": "9600.00",
             "tax": "576.00", "tax_rate": "0.06", "total": "10176.00", "total_words": "10176.00",
             "buyer": "华东精密仪器有限公司", "seller": "上海云岫技术服务有限公司", "buyer_tax_id": BUYER},
        ),
        (
            "train_ticket",
            (TICKET,),
            {"kind": "paper", "number": "02F913009", "from": "武汉北", "to": "济南", "train": "G132",
             "date": "2020-10-28", "time": "21:45", "seat": "15车02A号", "class": "二等座", "price": "612.50",
             "passenger": "吕静"},
        ),
        (
            "taxi_receipt",
            (TAXI,),
            {"code": "131001234567", "number": "12345678", "date": "2024-06-03", "plate": "沪A·D1234",
             "pick_up": "11:08", "set_down": "12:01", "unit_price": "2.30", "mileage": "16.3", "total": "47.00"},
        ),
        (
            "quota_invoice",
            (QUOTA,),
            {"code": "151008092516", "number": "94541002", "amount": "50.00", "amount_words": "50.00"},
        ),
        (
            "receipt",
            (till_receipt(),),
            {"merchant": "江宁路办公用品商店", "date": "2026-11-18", "time": "15:42", "total": "220.00"},
        ),
        (
            "receipt",
            (english_receipt(),),
            {"merchant": "GOOD LUCK HARDWARE SDN BHD", "date": "2018-03-25", "total": "10.60", "tax": "0.60",
             "address": "NO. 7, JALAN MERANTI 2 81100 JOHOR BAHRU, JOHOR"},
        ),
        (
            "contract",
            CONTRACT,
            {"title": "设备采购合同", "number": "HT-2026-0118", "party_a": "华东精密仪器有限公司",
             "party_b": "上海云岫技术服务有限公司", "total": "120000.00", "total_words": "120000.00",
             "sign_date": "2026-03-18", "warranty": "十二个月", "payment": "货到验收合格后30日内付清"},
        ),
        (
            "delivery_note",
            (NOTE,),
            {"number": "SH20260318-07", "date": "2026-03-18", "receiver": "华东精密仪器有限公司",
             "total": "70.00", "deliverer": "王强", "receiver_person": "李敏"},
        ),
        (
            "business_card",
            (CARD,),
            {"name": "王晓敏", "title": "销售总监", "company": "上海云岫技术服务有限公司",
             "mobile": "13800138000", "phone": "02168744498", "email": "wang.xm@yunxiu.example.com",
             "address": "上海市浦东新区张江路88号3楼"},
        ),
        (
            "meter_reading",
            (METER,),
            {"kind": "electricity", "reading": "001823.4", "unit": "kWh", "number": "202103004567"},
        ),
    ],
)  # fmt: skip
def test_each_template_knows_its_documents_and_reads_them(
    template: str, pages: tuple[Page, ...], found: dict[str, str]
) -> None:
    known = recognise(readings(*pages), TEMPLATES)
    assert known is not None
    assert known.name == template
    made = extracted(template, *pages)
    assert normals(made).items() >= found.items()
    assert made.verdict in {"pass", "review"}, made.checks


def test_a_page_that_is_no_such_document_is_not_taken_for_one() -> None:
    assert recognise(readings(page("春眠不觉晓", "处处闻啼鸟")), TEMPLATES) is None


def test_fields_of_several_pages_say_on_which_they_stand() -> None:
    made = extracted("contract", *CONTRACT)
    assert (made.fields["number"].page, made.fields["warranty"].page) == (1, 2)
    assert len(made.pages) == 2


def test_lines_of_a_table_have_a_place_for_each_value() -> None:
    [line] = extracted("delivery_note", NOTE).items
    assert {name: one.normalized for name, one in line.items()} == {
        "name": "不锈钢螺栓",
        "spec": "M8*30",
        "unit": "套",
        "quantity": "20",
        "unit_price": "3.50",
        "amount": "70.00",
    }
    box = line["amount"].box
    assert box is not None
    assert 840 < box[0] < box[2] <= 1000


def test_cash_that_does_not_make_the_total_is_for_a_person() -> None:
    assert extracted("receipt", english_receipt()).verdict == "pass"
    made = extracted("receipt", english_receipt(total="11.60"))
    assert passed(made)["cash_less_change"] is None
    assert made.verdict == "review"


def test_the_callers_own_schema_is_filled_with_proof() -> None:
    schema = {
        "type": "object",
        "required": ["买方", "fax"],
        "properties": {
            "买方": {"type": "string", "title": "购买方"},
            "total": {"type": "number"},
            "fax": {"type": ["string", "null"]},
            "items": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
            },
        },
    }
    made = extract_custom(readings(vat_invoice(), schema=schema), schema)
    assert made.template == "custom"
    assert {name: one.normalized for name, one in made.fields.items()} == {
        "买方": "测试购方企业",
        "total": "7018.83",
        "fax": None,
    }
    assert made.fields["total"].value == "￥7018.83"
    assert made.fields["total"].box is not None
    assert [line["name"].normalized for line in made.items] == ["计算机"]
    assert made.verdict == "fail"  # fax is required


EVIL = """
name: evil
title: {zh: 恶意, en: Evil}
fields:
  word:
    title: {zh: 词, en: Word}
    from: [{pattern: '(a|aa)+$', rows: true}, {label: 合计}]
"""


def test_a_pattern_without_bounds_does_not_hang_and_the_result_says_so() -> None:
    template = load_template(EVIL, "evil.yaml")
    many = page(*["a" * 60 + "!"] * 30)
    began = time.thread_time()
    made = extract(readings(many), template, today=TODAY, limit_s=1.0)
    assert time.thread_time() - began < 10
    assert passed(made) == {"time_limit": None}
    assert made.verdict == "review"


SEEN = {"number": "87654321", "buyer": "测试购方企业", "total": "6778.87", "kind": "special", "code": None}


def test_two_readings_that_agree_are_surer() -> None:
    alone = extracted("vat_invoice", special_invoice())
    both = extracted("vat_invoice", special_invoice(), seen=SEEN)
    assert both.fields["buyer"].confidence > alone.fields["buyer"].confidence
    assert both.fields["code"].confidence == alone.fields["code"].confidence
    assert "second_reading" not in passed(both)


def test_two_readings_that_differ_go_to_a_person_and_what_has_a_place_stays() -> None:
    made = extracted("vat_invoice", special_invoice(), seen={**SEEN, "buyer": "测试购方公司"})
    assert made.fields["buyer"].value == "测试购方企业"
    [check] = [one for one in made.fields["buyer"].checks if one.name == "second_reading"]
    assert check.passed is None
    assert "测试购方公司" in check.message
    assert made.verdict == "review"


def test_the_second_reading_wins_where_the_checks_hold_with_it() -> None:
    page = special_invoice(total="6778.37")
    made = extracted("vat_invoice", page, seen={**SEEN, "total": "¥6,778.87"})
    assert made.fields["total"].normalized == "6778.87"
    assert passed(made)["net_plus_tax"] is True
    assert passed(made)["second_reading"] is None
    assert made.verdict == "review"


def test_what_only_the_second_reading_says_is_taken_without_a_place() -> None:
    made = extracted("vat_invoice", special_invoice(), seen={"remarks": "订单 42", "kind": "nonsense"})
    remarks = made.fields["remarks"]
    assert (remarks.value, remarks.box) == ("订单 42", None)
    assert remarks.confidence < 0.8
    assert made.fields["kind"].normalized == "special"
    assert made.verdict == "review"
