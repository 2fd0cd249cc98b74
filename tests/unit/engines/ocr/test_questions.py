from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.engines.ocr.questions import language_of, parse


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("What is the total?", ["total"]),
        ("how much did I pay", ["total"]),
        ("合计金额是多少？", ["total"]),
        ("花了多少钱", ["total"]),
        ("大写金额？", ["capitals"]),
        ("invoice number", ["number"]),
        ("日期", ["date"]),
        ("哪天买的", ["date"]),
        ("卖家是谁？", ["merchant"]),
        ("税号是多少", ["tax_id"]),
        ("购买方的纳税人识别号", ["buyer_tax_id"]),
        ("销售方名称和税号", ["merchant", "seller_tax_id"]),
        ("商户、日期和合计分别是什么？", ["merchant", "date", "total"]),
        ("What are the merchant, date and total?", ["merchant", "date", "total"]),
        ("how much tax was paid?", ["tax"]),
        ("税额合计", ["tax"]),
        ("where is the store?", ["address"]),
        ("What are the names of the columns?", ["table_columns"]),
        ("买了什么", ["items"]),
        ("买了些什么", ["items"]),
        ("把表格转成 Excel", ["items"]),
        ("谁开的票", ["merchant"]),
        ("发票代码和发票号码", ["code", "number"]),
    ],
)
def test_fields_are_understood(question: str, kinds: list[str]) -> None:
    ask = parse(question)
    assert ask.intent == "wants"
    assert [want.kind for want in ask.wants] == kinds


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("read everything", "read"),
        ("读出全部文字", "read"),
        ("OCR", "read"),
        ("transcribe this page", "read"),
        ("图片上写了什么？", "read"),
        ("照片里写着什么", "read"),
        ("这份合同上写了什么？", "read"),
        ("铭牌上写的是什么", "read"),
        ("你好！图片上写了什么？谢谢！", "read"),
        ("What does this image say?", "read"),
        ("What do these pictures say?", "read"),
        ("备注写了什么", "wants"),
        ("备注栏里写着什么", "wants"),
        ("Where is the total?", "where"),
        ("「合计」在哪里", "where"),
        ("How many lines are there?", "count"),
        ("有几行字", "count"),
        ("哪张更便宜", "compare"),
        ("how much cheaper is the second?", "compare"),
        ("两张相差多少", "compare"),
        ("这三张小票一共多少钱", "sum"),
        ("金额对不对", "check"),
        ("Do the items add up?", "check"),
        ("二维码里是什么", "codes"),
        ("What color is the car?", "sight"),
        ("描述这张图片", "sight"),
        ("Summarise this document", "sight"),
        ("翻译成英文", "sight"),
        ("图中有几个人", "sight"),
        ("hello", "greeting"),
        ("ping", "greeting"),
        ("你好", "greeting"),
        ("", "overview"),
        ("帮我看看这张图", "overview"),
        ("这张发票的内容是什么？", "overview"),
        ("这张报告的内容是什么？", "overview"),
        ("提取关键信息", "overview"),
        ("识别这张发票", "overview"),
        ("图里说了什么", "overview"),
        ("What information is in this document?", "overview"),
        ("备注的内容", "wants"),
        ("bank details", "wants"),
        ("转成文字", "read"),
        ("is this paid by cash?", "exists"),
        ("有没有优惠", "exists"),
    ],
)
def test_intents(question: str, intent: str) -> None:
    assert not parse(question).text_too
    assert parse(question).intent == intent


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("图片上写了什么？合计是多少？", ["total"]),
        ("合计是多少？日期呢？再把全部文字读出来。", ["total", "date"]),
        ("What does the picture say? What is the total?", ["total"]),
        ("Hello! What is written here? And what is the date?", ["date"]),
    ],
)
def test_all_the_text_beside_what_is_asked(question: str, kinds: list[str]) -> None:
    ask = parse(question)
    assert ([want.kind for want in ask.wants], ask.text_too) == (kinds, True)


@pytest.mark.parametrize(
    "question", ["Read all the text. Return total and date as JSON!", "读出文字中的合计。"]
)
def test_no_text_beside_what_a_program_reads(question: str) -> None:
    assert not parse(question).text_too


def test_a_label_of_the_page_may_be_anything() -> None:
    (want,) = parse("收货人是谁？").wants
    assert (want.kind, want.literal) == ("", "收货人")
    (want,) = parse("What is the Driver Name?").wants
    assert (want.kind, want.literal) == ("", "driver name")


def test_pictures_are_named() -> None:
    assert parse("第二张的日期").pictures == (2,)
    assert parse("the total of the first receipt").pictures == (1,)
    assert parse("最后一张的合计").pictures == (-1,)
    assert parse("第十二张图").pictures == (12,)


def test_qwens_own_prompts_want_json_only() -> None:
    assert parse("Spotting all the text in the image with line-level, and output in JSON format.").boxes_only
    locate = parse(
        "Locate every instance that belongs to the following categories: 'total'. "
        "Report bbox coordinates in JSON format."
    )
    assert (locate.intent, locate.target, locate.boxes_only) == ("where", "total", True)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("合计是多少", "zh"),
        ("What is the total?", "en"),
        ("What is the value of “合计”?", "en"),
        ("合计多少？ Answer in English", "en"),
        ("total? 用中文回答", "zh"),
        ("", "en"),
    ],
)
def test_language(question: str, language: str) -> None:
    assert language_of(question) == language


@given(st.text(max_size=300))
def test_any_question_is_survived(question: str) -> None:
    parse(question)
    language_of(question)


@pytest.mark.parametrize(
    "piece", ["where is ", "合计", "total and ", "「", "a ", "第一张", "how many ", "?", "的"]
)
def test_time_is_bounded_for_long_questions(piece: str) -> None:
    begin = time.thread_time()
    parse(piece * 20_000)
    assert time.thread_time() - begin < 2
