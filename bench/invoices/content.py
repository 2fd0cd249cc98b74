"""What stands on an invoice: made-up companies, people and goods; sums and check characters are right."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from vlpro.workflows.extraction.credit_code import ALPHABET, check_character

CENT = Decimal("0.01")
PROVINCES = {
    "北京": "11", "天津": "12", "河北": "13", "上海": "31", "江苏": "32", "浙江": "33", "安徽": "34", "福建": "35",
    "山东": "37", "河南": "41", "湖北": "42", "湖南": "43", "广东": "44", "重庆": "50", "四川": "51", "陕西": "61",
}  # fmt: skip
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰建国志文海波宇欣怡晨浩然子轩雨彤佳琪"
WORDS = (
    "华东", "恒通", "瑞丰", "中科", "天宇", "鼎盛", "博远", "联创", "金诚", "新阳", "海纳", "云岫",
    "明德", "宏达", "立信", "众合", "启航", "盛世", "远景", "汇泽",
)  # fmt: skip
TRADES = (
    "科技", "电子", "机械设备", "信息技术", "商贸", "建筑工程", "文化传播", "物流", "仪器仪表",
    "办公用品", "餐饮管理", "酒店管理",
)  # fmt: skip
FORMS = ("有限公司", "有限公司", "有限公司", "股份有限公司", "有限责任公司")
CITIES = (
    "上海", "南京", "杭州", "苏州", "合肥", "济南", "青岛", "郑州", "武汉", "长沙", "广州", "深圳",
    "成都", "重庆", "西安", "天津", "石家庄", "徐州", "宁波", "厦门",
)  # fmt: skip
ENDS = ("", "南", "东", "北", "西", "虹桥")
BANKS = ("中国工商银行", "中国建设银行", "招商银行", "交通银行", "中国银行")
GOODS = (
    ("电子计算机", "笔记本电脑", "T14-i5", "台"),
    ("计算机配套产品", "激光打印机", "M405dw", "台"),
    ("纸制品", "A4复印纸", "80g", "箱"),
    ("信息技术服务", "软件服务费", "", "项"),
    ("餐饮服务", "餐费", "", ""),
    ("住宿服务", "住宿费", "", "天"),
    ("研发和技术服务", "技术咨询费", "", "次"),
    ("办公用品", "订书机", "0414", "个"),
    ("家具", "办公椅", "BX-203", "把"),
    ("运输服务", "运输费", "", ""),
    ("金属制品", "不锈钢螺栓", "M8*30", "套"),
    ("化学原料及制品", "工业酒精", "95%", "桶"),
    ("供电", "电费", "", "千瓦时"),
    ("广告服务", "广告设计费", "", "项"),
    ("电线电缆", "电力电缆", "YJV-3*25", "米"),
    ("仪器仪表", "压力变送器", "3051", "台"),
    ("劳务", "设备维修费", "", "次"),
    ("会展服务", "会议费", "", "场"),
)


@dataclass(frozen=True)
class Party:
    """A company."""

    name: str
    code: str
    address: str
    bank: str


@dataclass(frozen=True)
class Line:
    """One line of an invoice."""

    name: str
    spec: str
    unit: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    rate: Decimal
    tax: Decimal


def digits(random: Random, count: int) -> str:
    return "".join(str(random.randrange(10)) for _ in range(count))


def credit_code(random: Random) -> str:
    """A unified social credit code with a right check character."""
    place = random.choice([*PROVINCES.values()]) + f"{random.randrange(1, 25):02}{random.randrange(1, 30):02}"
    body = "".join(random.choice("0123456789" if random.random() < 0.6 else ALPHABET) for _ in range(9))
    first = random.choice(("91", "91", "92", "12")) + place + body
    return first + check_character(first)


def person(random: Random) -> str:
    return random.choice(SURNAMES) + "".join(random.choice(GIVEN) for _ in range(random.choice((1, 2, 2))))


def party(random: Random) -> Party:
    city = random.choice(CITIES)
    place = random.choice((f"{city}", f"{city}市", ""))
    name = place + random.choice(WORDS) + random.choice(("", random.choice(WORDS))) + random.choice(TRADES)
    if random.random() < 0.15:
        name = name + f"（{city}）"
    return Party(
        name + random.choice(FORMS),
        credit_code(random),
        f"{city}市{random.choice(('人民路', '中山北路', '科技园路', '解放大道'))}{random.randrange(1, 900)}号"
        f"0{random.randrange(10, 99)}-{digits(random, 8)}",
        f"{random.choice(BANKS)}{city}分行营业部{digits(random, 16)}",
    )


def day(random: Random, first: int = 2018, last: int = 2026) -> dt.date:
    return dt.date(first, 1, 1) + dt.timedelta(
        days=random.randrange((dt.date(last, 10, 30) - dt.date(first, 1, 1)).days)
    )


def lines(random: Random, rates: tuple[str, ...] = ("0.13", "0.06", "0.09", "0.03", "0.01")) -> list[Line]:
    rate = Decimal(random.choice(rates))
    made = []
    for category, name, spec, unit in random.sample(GOODS, random.choice((1, 1, 1, 2, 2, 3, 4))):
        count = Decimal(random.randrange(1, 60))
        price = Decimal(random.randrange(100, 300_000)) / 100
        amount = (price * count).quantize(CENT, ROUND_HALF_UP)
        tax = (amount * rate).quantize(CENT, ROUND_HALF_UP)
        made.append(Line(f"*{category}*{name}", spec, unit, count, price, amount, rate, tax))
    return made
