"""What an office asks of its papers: answers that the page proves, and none that it does not."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.engines.ocr.asking import Reader, ask, collect, picture, said
from tests.unit.engines.ocr.pages_of import english_receipt, page, till_receipt
from vlpro.engines.interface import Message, Request, Sampling
from vlpro.engines.ocr.engine import OcrEngine
from vlpro.engines.ocr.page import Page
from vlpro.engines.ocr.questions import parse
from vlpro.engines.ocr.wording import leftover


def supermarket() -> Page:
    return page(
        "永安超市（人民路店）",
        "流水号：0023198844",
        "交易时间：2026-10-0318:25:41",
        ((40, "品名"), (500, "单价"), (650, "数量"), (850, "金额")),
        ((40, "纯牛奶250ml*12"), (500, "49.90"), (650, "1"), (850, "49.90")),
        ((40, "大豆油5L"), (500, "62.50"), (650, "2"), (850, "125.00")),
        ((40, "鲜鸡蛋30枚"), (500, "26.80"), (650, "1"), (850, "26.80")),
        ((40, "总件数："), (850, "4")),
        ((40, "应付金额："), (850, "201.70")),
        ((40, "优惠金额："), (850, "-1.70")),
        ((40, "实付金额："), (850, "200.00")),
        ((40, "现金："), (850, "300.00")),
        ((40, "找零："), (850, "100.00")),
        "本次积分：200累计积分：4385",
    )


def hotel() -> Page:
    return page(
        "漓江大酒店",
        ((40, "客人姓名：李建国"), (500, "房号：1806")),
        ((40, "入住日期：2026-08-12"), (500, "离店日期：2026-08-15")),
        ((40, "账单号：F20260815031"), (500, "人数：2")),
        ((40, "08-12"), (240, "房费"), (600, "480.00")),
        ((40, "08-13"), (240, "房费"), (600, "500.00")),
        ((40, "消费合计"), (600, "980.00")),
        ((40, "已付押金"), (600, "600.00")),
        ((40, "应补金额"), (600, "380.00")),
    )


def contract() -> Page:
    return page(
        "设备采购合同",
        "合同编号：CG-2026-1102",
        "签订日期：2026年11月02日",
        "甲方（买方）：星河智能制造有限公司",
        "乙方（卖方）：海曙自动化设备有限公司",
        "一、标的：全自动贴标机2台，单价人民币86,000.00元。",
        "二、合同总价：人民币172,000.00元（大写：壹拾柒万贰仟元整），含13%",
        "四、交货期限：2026年12月20日前。",
        ((40, "甲方（盖章）："), (560, "乙方（盖章）：")),
        ((40, "法定代表人：刘伟"), (560, "法定代表人：赵敏")),
        ((40, "联系电话：0571-88001122"), (560, "联系电话：0574-87003344")),
        ((40, "账号：1202020209900012345"), (560, "账号：33101983679050501234")),
    )


def purchase() -> Page:
    return page(
        "设备采购合同",
        ((40, "合同编号：HT-2026-0815"), (500, "签订日期：2026年8月15日")),
        "甲方（采购方)：苏州恒远精密机械有限公司",
        "乙方(供货方)：上海凌川自动化设备有限公司",
        "一、甲方采购机械臂三台，单价人民币128,000元，合同总金额人民币384,000元（大写：",
        "叁拾捌万肆仟元整)。",
        "四、违约责任：每逾期一日按合同总金额的0.5%支付违约金。",
        ((40, "甲方代表：李晓燕"), (500, "乙方代表：王志强")),
        ((40, "联系电话：0512-66881234"), (500, "联系电话：021-58763321")),
    )


def laboratory() -> Page:
    return page(
        "市第一人民医院检验报告单",
        "姓名：张建国性别：男 年龄：56岁 科室：心内科 床号：12",
        ((80, "项目"), (260, "结果"), (420, "单位"), (600, "参考范围"), (860, "提示")),
        ((40, "总胆固醇"), (230, "6.21"), (380, "mmol/L"), (560, "2.80-5.70"), (850, "↑")),
        ((40, "甘油三酯"), (230, "1.35"), (380, "mmol/L"), (560, "0.56-1.70")),
        ((40, "葡萄糖"), (230, "7.80"), (380, "mmol/L"), (560, "3.90-6.10"), (850, "↑")),
        "检验者：陈敏 审核者：刘洋 报告时间：2026-11-2010:32",
    )


def shift_report() -> Page:
    return page(
        ((40, "三号产线生产日报"), (400, "2026-11-25 班次：白班 班长：赵磊")),
        ((40, "产品型号"), (240, "计划产量"), (420, "实际产量"), (600, "不良数"), (780, "合格率")),
        ((40, "A6100"), (240, "1200"), (420, "1188"), (600, "13"), (780, "98.9%")),
        ((40, "B2200"), (240, "800"), (420, "812"), (600, "11"), (780, "98.6%")),
        ((40, "合计"), (240, "2000"), (420, "2000"), (600, "24"), (780, "98.8%")),
        "停机时间：42分钟 原因：送料器卡料",
    )


def notice() -> Page:
    return page(
        "关于2026年国庆节放假安排的通知",
        "各部门：",
        "根据国务院办公厅通知精神，结合公司实际，现将2026年国庆节放假安排通知如下：",
        "10月1日（星期四）至10月7日（星期三）放假调休，共7天。",
        ((700, "行政人事部"),),
        ((700, "2026年9月20日"),),
    )


def identity_card() -> Page:
    return page(
        "姓名王小明",
        "性别男 民族汉",
        "出生1990年3月12日",
        "住址江苏省苏州市工业园区星海街200号5幢1203室",
        "公民身份号码 32050619900312401X",
    )


def purchase_order() -> Page:
    return page(
        "PURCHASE ORDER",
        "PO Number: PO-2026-00417 Date: Nov 12, 2026",
        "Vendor: Bright Tools Ltd.",
        "Ship To: Hengyuan Precision, 88 Xinghai Road, Suzhou",
        "Payment Terms: Net 30 days Delivery Date: Dec 20, 2026",
        ((40, "Item"), (120, "Description"), (500, "Qty"), (640, "Unit Price"), (850, "Amount")),
        ((40, "1"), (120, "Torque wrench 1/2 inch"), (500, "10"), (640, "45.00"), (850, "450.00")),
        ((40, "2"), (120, "Hex key set"), (500, "25"), (640, "12.80"), (850, "320.00")),
        ((640, "Total: USD 770.00"),),
    )


def resume() -> Page:
    return page(
        "个人简历",
        ((40, "姓名：陈思远"), (500, "性别：女出生年月：1993年5月")),
        "学历：硕士毕业院校：东南大学专业：机械工程",
        "工作经历",
        "2018.07-2022.03 苏州恒远精密机械有限公司 工艺工程师",
    )


def business_card() -> Page:
    return page(
        "王志强销售总监",
        "上海凌川自动化设备有限公司",
        "手机：13800138000",
        "电话：021-58763321",
        "邮箱：wang.zq@lingchuan.example.cn",
    )


def delivery_note() -> Page:
    return page(
        "华盛五金制品厂送货单",
        ((40, "客户名称：明远电子有限公司"), (600, "单号：SH20261107015")),
        ((40, "送货地址：宝安区西乡街道固戍路5号"), (600, "送货日期：2026/11/07")),
        ((40, "联系人：王工13812345678"), (600, "订单号：PO-88213")),
        ((40, "序号"), (120, "品名"), (360, "单位"), (500, "数量"), (640, "单价"), (850, "金额")),
        ((40, "1"), (120, "不锈钢螺丝"), (360, "盒"), (500, "50"), (640, "18.50"), (850, "925.00")),
        ((40, "2"), (120, "铝合金支架"), (360, "件"), (500, "120"), (640, "14.20"), (850, "1704.00")),
        ((40, "合计"), (500, "170"), (850, "2629.00")),
        "收货人（签字）：",
        "电话：0769-22334455传真：0769-22334466",
    )


def nameplate() -> Page:
    return page(
        "三相异步电动机",
        ((40, "型号 YE3-160M-4"), (480, "编号2603518")),
        ((40, "额定功率 11 kW"), (480, "额定电压 380 V")),
        ((40, "功率因数0.85"), (480, "防护等级IP55")),
        ((40, "接法△"), (480, "出厂日期2026.03")),
    )


def taxi() -> Page:
    return page(
        "上海市出租汽车专用发票",
        "发票号码 26578933",
        "单位强生出租汽车有限公司",
        "车号沪A·D1234",
        "日期2026年09月18日",
        "上车 08:12",
        "下车 08:47",
        "里程 15.3km",
        "金额58.00元",
        "卡号",
        "原额",
    )


def bank_slip() -> Page:
    return page(
        "工商银行电子回单",
        "回单编号：0261116008821",
        "付款人户名：星河智能制造有限公司",
        "收款人户名：海曙自动化设备有限公司",
        "收款人账号：33101983679050501234",
        "金额(小写)：¥51,600.00",
        "金额（大写)：人民币伍万壹仟陆佰元整",
        "手续费：5.50",
        "用途：合同CG-2026-1102预付款",
        "交易流水号：8820261116093312",
    )


def diner() -> Page:
    return page(
        "THE OLIVE BISTRO",
        "214 W 42nd St, New York, NY 10036",
        "(212) 555-0147",
        ((40, "Server: Maria"), (500, "Guests: 3")),
        "03/08/2026 7:42 PM",
        ((40, "1"), (100, "Ribeye Steak"), (800, "42.50")),
        ((40, "3"), (100, "Iced Tea"), (800, "11.25")),
        ((40, "Subtotal"), (800, "53.75")),
        ((40, "Sales Tax 8.875%"), (800, "4.77")),
        ((40, "Tip"), (800, "10.00")),
        ((40, "Grand Total"), (800, "68.52")),
        "VISA ************4417",
    )


def invoice() -> Page:
    return page(
        ((40, "Northwind Office Supplies Ltd."), (780, "INVOICE")),
        "12 Harbour Street, Bristol BS1 4QA, United Kingdom",
        ((40, "Bill To: Acme Design Studio"), (650, "Invoice No: INV-2026-0457")),
        ((650, "Invoice Date: 12 May 2026"),),
        ((650, "Due Date: 11 June 2026"),),
        ((650, "PO Number: 77120"),),
        ((40, "Description"), (450, "Quantity"), (620, "Unit Price"), (850, "Amount")),
        ((40, "Ergonomic Chair"), (450, "4"), (620, "£189.00"), (850, "£756.00")),
        ((40, "Standing Desk"), (450, "2"), (620, "£425.50"), (850, "£851.00")),
        ((40, "VAT (20%)"), (850, "£321.40")),
        ((40, "Total Due"), (850, "£1,928.40")),
        "Bank: Barclays Account: 20417788 Sort code: 20-45-77",
        "Email: billing@northwind.example",
    )


@pytest.mark.parametrize(
    ("made", "question", "words"),
    [
        # The label that the question words, not the nearest field of that kind.
        (hotel(), "离店日期是哪天", "离店日期：**2026-08-15**"),
        (hotel(), "什么时候退房", "**2026-08-15**"),
        (hotel(), "What is the check-out date?", "**2026-08-15**"),
        (hotel(), "应补金额", "**380.00**"),
        (hotel(), "房间号", "**1806**"),
        (hotel(), "How much was the deposit?", "**600.00**"),
        (taxi(), "下车时间是几点", "**08:47**"),
        (taxi(), "上车时间", "**08:12**"),
        (taxi(), "车牌号", "**沪A·D1234**"),
        (taxi(), "里程多少公里", "**15.3km**"),
        (taxi(), "车费", "**58.00元**"),
        (contract(), "交货日期", "**2026年12月20日前。**"),
        (contract(), "合同编号", "**CG-2026-1102**"),
        (contract(), "合同总价是多少", "**172,000.00元**"),
        (contract(), "标的是什么", "全自动贴标机"),
        (contract(), "Who is party A?", "**星河智能制造有限公司**"),
        (contract(), "谁是卖方", "**海曙自动化设备有限公司**"),
        (delivery_note(), "联系人电话", "**13812345678**"),
        (delivery_note(), "合计数量", "**170**"),
        (delivery_note(), "送货单号", "**SH20261107015**"),
        (delivery_note(), "delivery address", "固戍路5号"),
        (delivery_note(), "供应商是谁", "**华盛五金制品厂**"),
        (delivery_note(), "传真", "**0769-22334466**"),
        (supermarket(), "几点买的？", "**18:25:41**"),
        (supermarket(), "累计积分", "**4385**"),
        (supermarket(), "本次积分是多少", "**200**"),
        (supermarket(), "付了多少现金？", "**300.00**"),
        (supermarket(), "一共省了多少钱", "**-1.70**"),
        (supermarket(), "你好，请问找零多少", "找零：**100.00**"),
        (supermarket(), "牛奶多少钱一箱", "**49.90**"),
        (supermarket(), "大豆油的数量和金额", "金额：**125.00**"),
        (nameplate(), "功率", "额定功率：**11 kW**"),
        (nameplate(), "接法", "**△**"),
        (nameplate(), "出厂日期", "**2026.03**"),
        (nameplate(), "rated voltage", "**380 V**"),
        (bank_slip(), "转账金额", "**¥51,600.00**"),
        (bank_slip(), "流水号", "**8820261116093312**"),
        (bank_slip(), "收款方名称", "**海曙自动化设备有限公司**"),
        (bank_slip(), "who is the payer", "**星河智能制造有限公司**"),
        (bank_slip(), "手续费和金额一共多少", "手续费：**5.50**"),
        (diner(), "What's the tax rate?", "**8.875%**"),
        (diner(), "小费多少", "**10.00**"),
        (diner(), "phone number of the restaurant", "**(212) 555-0147**"),
        (diner(), "How was it paid?", "4417**"),
        (invoice(), "who is the supplier", "**Northwind Office Supplies Ltd.**"),
        (invoice(), "什么时候到期", "**11 June 2026**"),
        (invoice(), "when must it be paid", "**11 June 2026**"),
        (invoice(), "email address", "**billing@northwind.example**"),
        (invoice(), "sort code", "**20-45-77**"),
        (invoice(), "account number", "**20417788**"),
        (invoice(), "VAT rate", "**20%**"),
    ],
)
def test_the_words_of_the_question_settle_which_value(made: Page, question: str, words: str) -> None:
    assert words in said(ask(question, made))


@pytest.mark.parametrize(
    ("made", "question", "wrong"),
    [
        (hotel(), "早餐多少钱", "消费合计：**980.00**"),
        (supermarket(), "买水果花了多少钱", "实付金额：**200.00**"),
        (supermarket(), "平均每件多少钱", "实付金额：**200.00**"),
        (supermarket(), "优惠前是多少钱？", "实付金额：**200.00**"),
        (hotel(), "when did the guest leave", "入住日期: **2026-08-12**"),
        (english_receipt(), "company registration number", "**GOOD LUCK HARDWARE SDN BHD**"),
        (nameplate(), "效率等级", "防护等级：**IP55**"),
    ],
)
def test_what_more_was_asked_is_not_passed_over(made: Page, question: str, wrong: str) -> None:
    answer = said(ask(question, made))
    assert answer.startswith(("没有找到", "No match for", "图中没有找到"))
    assert not answer.startswith(wrong)


@pytest.mark.parametrize(
    ("made", "question", "wrong"),
    [
        (delivery_note(), "收货单位是谁", "数量"),
        (delivery_note(), "数量最多的是什么", "单价"),
        (taxi(), "卡号是多少", "原额"),
        (invoice(), "delivery address", "Description"),
        (delivery_note(), "客户电话", "\n电话"),
        (contract(), "甲方地址", "：**星河智能制造有限公司**"),
        (purchase(), "这是哪家公司的合同", "叁拾捌万"),
        (purchase(), "甲方", "李晓燕"),
        (nameplate(), "合计是多少", "商户"),
        (bank_slip(), "哪家银行", "收款人户名：**海曙自动化设备有限公司**（"),
        (supermarket(), "鸡蛋多少钱", "**30"),
    ],
)
def test_a_label_or_a_stranger_is_no_value(made: Page, question: str, wrong: str) -> None:
    assert wrong not in said(ask(question, made))


@pytest.mark.parametrize(
    ("made", "question", "answer"),
    [
        (purchase(), "甲方是谁？", "甲方（采购方)：**苏州恒远精密机械有限公司**"),
        (purchase(), "乙方是谁", "乙方(供货方)：**上海凌川自动化设备有限公司**"),
        (purchase(), "采购方是谁", "甲方（采购方)：**苏州恒远精密机械有限公司**"),
        (purchase(), "甲方代表是谁", "甲方代表：**李晓燕**"),
        (purchase(), "合同金额是多少", "合同总金额人民币：**384,000元**"),
        (laboratory(), "病人叫什么名字", "姓名：**张建国**"),
        (laboratory(), "患者多大年纪？", "年龄：**56岁**"),
        (laboratory(), "性别", "性别：**男**"),
        (laboratory(), "总胆固醇的参考范围", "总胆固醇 · 参考范围：**2.80-5.70**"),
        (laboratory(), "葡萄糖的单位是什么", "葡萄糖 · 单位：**mmol/L**"),
        (laboratory(), "报告时间", "报告时间：**2026-11-20 10:32**"),
        (shift_report(), "A6100的实际产量", "A6100 · 实际产量：**1188**"),
        (shift_report(), "合计不良数", "合计 · 不良数：**24**"),
        (shift_report(), "计划产量是多少", "计划产量：**1200、800、2000**"),
        (shift_report(), "停机时间多久", "停机时间：**42分钟**"),
        (identity_card(), "他叫什么名字", "姓名：**王小明**"),
        (identity_card(), "民族", "民族：**汉**"),
        (identity_card(), "身份证号码", "公民身份号码：**32050619900312401X**"),
        (purchase_order(), "How many hex key sets?", "Hex key set · Qty: **25**"),
        (
            purchase_order(),
            "unit price of the torque wrench",
            "Torque wrench 1/2 inch · Unit Price: **45.00**",
        ),
        (purchase_order(), "When is delivery?", "Delivery Date: **Dec 20, 2026**"),
        (purchase_order(), "payment terms", "Payment Terms: **Net 30 days**"),
        (purchase_order(), "ship to address", "Ship To: **Hengyuan Precision, 88 Xinghai Road, Suzhou**"),
        (resume(), "学历", "学历：**硕士**"),
        (resume(), "毕业院校是哪里", "毕业院校：**东南大学**"),
        (resume(), "出生年月", "出生年月：**1993年5月**"),
        (business_card(), "手机号是多少", "手机：**13800138000**"),
        (business_card(), "电话", "电话：**021-58763321**"),
    ],
)
def test_papers_that_are_no_bill(made: Page, question: str, answer: str) -> None:
    assert said(ask(question, made)).startswith(answer)


@pytest.mark.parametrize(
    ("made", "question"),
    [
        (laboratory(), "甘油三酯的提示"),  # the column is there, and this row has nothing in it
        (business_card(), "他叫什么名字"),
        (shift_report(), "总不良数"),
        (shift_report(), "这是哪家公司"),
        (notice(), "什么时候放假"),
        (identity_card(), "商户是谁"),
        (resume(), "现在在哪家公司"),
        (page("2026年第三季度经营分析", "营业收入 3.82亿元"), "大写金额是多少"),
    ],
)
def test_what_the_page_does_not_say_is_not_answered(made: Page, question: str) -> None:
    assert said(ask(question, made)).startswith(("没有找到", "图中没有找到"))


def test_a_page_asked_about_as_a_whole_is_told_by_its_fields_or_read_out() -> None:
    bill = said(ask("这张小票的内容是什么？", till_receipt()))
    assert bill.startswith("图中可以确认的有：")
    assert "**" in bill
    report = said(ask("这张报告的内容是什么？", laboratory()))
    assert "参考范围" in report
    assert "0.56-1.70" in report


def test_of_several_telephones_all_are_told() -> None:
    answer = said(ask("电话是多少", purchase()))
    assert "**0512-66881234**" in answer
    assert "**021-58763321**" in answer


def test_of_two_parties_the_asked_one() -> None:
    for question, value, other in (
        ("乙方法定代表人是谁", "赵敏", "刘伟"),
        ("甲方法定代表人", "刘伟", "赵敏"),
        ("乙方的电话", "0574-87003344", "0571-88001122"),
        ("乙方账号", "33101983679050501234", "1202020209900012345"),
    ):
        answer = said(ask(question, contract()))
        assert f"**{value}**" in answer
        assert other not in answer


def test_a_label_that_stands_twice_is_answered_twice() -> None:
    answer = said(ask("账号是多少", contract()))
    assert "**1202020209900012345**" in answer
    assert "**33101983679050501234**" in answer
    assert said(ask("房费是多少", hotel())).count("房费") == 2


def test_headers_read_as_one_cell_are_two_columns() -> None:
    made = page(
        "电子发票（普通发票）",
        ((40, "项目名称"), (300, "数量"), (400, "单价"), (520, "金额"), (680, "税率/征收率税额")),
        ((40, "安装服务"), (300, "1"), (400, "1200.00"), (520, "1200.00"), (690, "6%"), (850, "72.00")),
        ((40, "合计"), (520, "¥1200.00"), (850, "¥72.00")),
        ((40, "价税合计（小写）"), (520, "¥1272.00")),
    )
    assert "**6%**" in said(ask("税率是多少", made))
    assert "**72.00**" in said(ask("安装服务的税额", made))
    assert "**¥72.00**" in said(ask("税额合计", made))


def test_a_summary_of_taxes_is_no_list_of_articles() -> None:
    made = page(
        "CORNER SHOP",
        ((40, "BREAD"), (800, "4.00")),
        ((40, "Total"), (800, "4.00")),
        ((40, "GST Code"), (400, "Amount(RM)"), (800, "Tax(RM)")),
        ((40, "Z 00.0%"), (400, "4.00"), (800, "0.00")),
    )
    assert said(ask("how many items", made)) == "**1** item: BREAD."


def test_taxable_is_no_tax() -> None:
    made = page("BAR", ((40, "Taxable:"), (800, "23.00")), ((40, "Total Due:"), (800, "23.00")))
    assert "**23.00**" not in said(ask("how much tax", made))


@pytest.mark.parametrize(
    ("made", "question", "words"),
    [
        (supermarket(), "买了几样东西", "共有 **3** 项"),
        (supermarket(), "一共买了几件商品", "页面上写有：**总件数： 4**"),
        (diner(), "How many guests?", "Guests: **3**"),
        (diner(), "How many iced teas?", "Iced Tea: **3**"),
        (invoice(), "how many chairs", "**4**"),
        (diner(), "How many steaks on the bill?", "**1**"),
        (english_receipt(), "how many screws", "was not found in the text"),
        (english_receipt(), "How often does TOTAL appear?", "**2** times"),
    ],
)
def test_counting_things_is_not_counting_words(made: Page, question: str, words: str) -> None:
    assert words in said(ask(question, made))


@pytest.mark.parametrize(
    ("made", "question", "words"),
    [
        (supermarket(), "最贵的商品是什么", "大豆油5L — **62.50**"),
        (supermarket(), "最便宜的是哪个？", "鲜鸡蛋30枚 — **26.80**"),
        (delivery_note(), "数量最多的是什么", "铝合金支架 — **120**"),
        (diner(), "What is the most expensive item?", "Ribeye Steak — **42.50**"),
        (nameplate(), "最贵的是哪个", "没有找到可以比较的明细"),
    ],
)
def test_the_dearest_of_the_pages_own_items(made: Page, question: str, words: str) -> None:
    assert words in said(ask(question, made))


def test_one_article_of_two_receipts_is_compared() -> None:
    other = page("盒子生鲜", ((40, "纯牛奶250ml*12"), (800, "52.90")), ((40, "实付"), (800, "52.90")))
    answer = said(ask("哪家的牛奶便宜", supermarket(), other))
    assert "第 1 张图更便宜" in answer
    assert "52.90 − 49.90 = **3.00**" in answer
    assert "无法比较" in said(ask("大豆油哪家便宜", supermarket(), other))
    assert "200.00 − 52.90" in said(ask("哪家更便宜，便宜多少", supermarket(), other))


def test_the_cheapest_of_several_pictures_is_a_picture() -> None:
    receipts = [english_receipt("10.60"), english_receipt("12.10")]
    assert "Picture 1 is cheaper" in ask("Which one is the cheapest?", *receipts)
    assert "第 2 张图更高" in ask("哪个最贵？", *receipts)
    assert "Of the 2 items" in ask("What is the cheapest item?", *receipts)


def test_more_recent_is_a_question_of_dates() -> None:
    answer = ask(
        "which one is more recent?", english_receipt(date="25/03/2018"), english_receipt(date="20/03/2018")
    )
    assert "Picture 1 is later, by **5** days" in answer


@pytest.mark.parametrize(
    ("made", "question", "words"),
    [
        (supermarket(), "是现金支付的吗", "**现金：** 300.00"),
        (supermarket(), "是微信支付的吗？", "文字中的支付方式是：**现金**"),
        (diner(), "Is this paid in cash?", "It names another way to pay: **VISA"),
        (supermarket(), "买酱油了吗", "没有找到「酱油」"),
        (english_receipt(), "Did I buy a hammer?", "**HAMMER 16OZ**"),
    ],
)
def test_yes_or_no(made: Page, question: str, words: str) -> None:
    assert words in said(ask(question, made))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("谢谢，你真棒", "你好"),
        ("hello there", "Hello"),
        ("how are you?", "Hello"),
        ("are you Qwen?", "embedded text reader"),
        ("what is your name?", "embedded text reader"),
        ("你是chatgpt吗", "内置的文字识别引擎"),
    ],
)
def test_small_talk(question: str, words: str) -> None:
    assert words in said(ask(question, till_receipt()))


def talk(*questions: str) -> str:
    """The last answer of a conversation about the supermarket's receipt."""
    made = supermarket()
    first, *rest = questions
    messages = [Message("user", (picture(1, made), first))]
    for question in rest:
        messages += [Message("assistant", ("…",)), Message("user", (question,))]

    async def run() -> str:
        engine = OcrEngine(load=lambda: Reader({1: made}))
        await engine.start()
        try:
            return (await collect(engine, Request(tuple(messages), Sampling(max_tokens=2000))))[0]
        finally:
            await engine.stop()

    return said(asyncio.run(run()))


def test_it_is_what_was_asked_for_before() -> None:
    assert talk("找零多少", "在哪里？").startswith("- **100.00** —")
    assert talk("How much change?", "Where is it?").startswith("- **100.00** —")
    assert "100.00" in talk("找零多少", "确定吗？")
    assert "100.00" in talk("How much change?", "are you sure?")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("离店", "离店"),
        ("这家店", ""),
        ("我们一共", ""),
        ("下车", "下车"),
        ("打的车", ""),
        ("check-out", "check out"),
        ("of the store", ""),
        ("after rounding", ""),
        ("before tip", "before tip"),
    ],
)
def test_idle_words_ask_for_nothing(text: str, left: str) -> None:
    assert leftover(text) == left


def test_party_a_keeps_its_letter() -> None:
    (want,) = parse("Who is party A?").wants
    assert want.literal == "party a"


def test_a_currency_that_only_one_of_two_pictures_says_is_not_given_to_the_difference() -> None:
    plain = page("SHOP A", ((40, "TOTAL"), (850, "112.46")))
    dollars = page("SHOP B", ((40, "TOTAL"), (850, "$8.20")))
    assert "112.46 − 8.20 = **104.26**" in ask("哪张更贵？", plain, dollars)
    assert "= **120.66**" in ask("两张一共多少钱？", plain, dollars)


def test_words_between_two_wishes_are_no_labels() -> None:
    answer = ask("合计金额是多少？另外请告诉我商户名称", english_receipt())
    assert "10.60" in answer
    assert "GOOD LUCK HARDWARE" in answer
    assert "没有找到" not in answer
