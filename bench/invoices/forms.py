"""The forms: each draws one document and says what is on it, in normal form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from random import Random

from PIL import Image

from bench.invoices import content
from bench.invoices.canvas import Canvas
from vlpro.engines.ocr.amounts import to_capitals

Labels = dict[str, str]
Drawn = tuple[Image.Image, Labels]

_QR_KINDS = {"special": "01", "ordinary": "04", "electronic_special": "08", "electronic_ordinary": "10"}


def _day(day: dt.date) -> str:
    return f"{day.year}年{day.month:02}月{day.day:02}日"


def _share(rate: Decimal) -> str:
    return f"{rate.normalize():f}"


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f}%"


def _parties(random: Random) -> tuple[content.Party, content.Party]:
    return content.party(random), content.party(random)


Inks = tuple[str, str]
"""Of the form, and of what is printed into it."""


def _grouped(check: str) -> str:
    return " ".join(check[i : i + 5] for i in range(0, 20, 5))


def _electronic_head(
    canvas: Canvas, colon: str, numbers: tuple[str, str, str], day: dt.date, inks: Inks
) -> None:
    code, number, check = numbers
    canvas.text(190, 120, f"机器编号{colon}{content.digits(canvas.random, 12)}", 20, inks[1])
    rows = (("发票代码", code), ("发票号码", number), ("开票日期", _day(day)), ("校 验 码", _grouped(check)))
    for row, (label, value) in enumerate(rows):
        end = canvas.text(1030, 35 + 32 * row, label + colon, 22, inks[0])
        canvas.text(end + 4, 35 + 32 * row, value, 22, inks[1], most=1490 - end)


def _paper_head(canvas: Canvas, colon: str, numbers: tuple[str, str, str], day: dt.date, inks: Inks) -> None:
    random, (ink, black), (code, number, check) = canvas.random, inks, numbers
    canvas.text(190, 45, code, 34, black, family=random.choice(("", "mono")))
    if check:
        canvas.text(190, 110, f"校验码 {_grouped(check)}", 20, black)
    canvas.text(1080, 40, random.choice(("No", "№", "No.")), 34, ink)
    canvas.text(1160, 40, number, 36, random.choice((black, "#22307a")))
    canvas.text(1350, 52, code, 17, black)
    canvas.text(1350, 76, number, 17, black)
    end = canvas.text(1080, 112, f"开票日期{colon}", 22, ink)
    canvas.text(end + 4, 112, _day(day), 22, black)


def _side(canvas: Canvas, y: float, words: tuple[str, str], who: content.Party, inks: Inks) -> None:
    """Name, tax number, address and bank of one of the parties."""
    (caption, colon), (ink, black) = words, inks
    canvas.upright(60, y + 18, caption, 24, ink)
    canvas.line(100, y, 100, y + 140, ink)
    spread = canvas.random.random() < 0.7
    rows = (
        ("名" + ("        " if spread else "") + "称", who.name),
        ("纳税人识别号", who.code),
        ("地 址、电 话" if spread else "地址、电话", who.address),
        ("开户行及账号", who.bank),
    )
    for row, (label, value) in enumerate(rows):
        end = canvas.text(112, y + 8 + 33 * row, label + colon, 21, ink)
        canvas.text(max(end, 265) + 4, y + 8 + 33 * row, value, 22, black, most=900 - max(end, 265))


def _table(
    canvas: Canvas,
    y: float,
    columns: tuple[tuple[int, ...], tuple[str, ...]],
    items: list[content.Line],
    inks: Inks,
    *,
    rules: bool,
) -> None:
    """The lines of goods, with their eight columns."""
    (ink, black), (edges, heads) = inks, columns
    for x1, x2, head in zip(edges, edges[1:], heads, strict=False):
        canvas.text((x1 + x2) / 2, y + 6, head, 21, ink, anchor="ma", most=x2 - x1 - 8)
        if rules:
            canvas.line(x2, y, x2, 680, ink)
    for row, item in enumerate(items):
        at = y + 42 + 34 * row
        canvas.text(edges[0] + 8, at, item.name, 21, black, most=edges[1] - edges[0] - 15)
        canvas.text(edges[1] + 8, at, item.spec, 21, black, most=edges[2] - edges[1] - 12)
        canvas.text(
            (edges[2] + edges[3]) / 2, at, item.unit, 21, black, anchor="ma", most=edges[3] - edges[2]
        )
        for edge, value in ((4, f"{item.quantity:f}"), (5, f"{item.price:f}"), (6, f"{item.amount:f}")):
            canvas.text(edges[edge] - 8, at, value, 21, black, anchor="ra")
        canvas.text((edges[6] + edges[7]) / 2, at, _percent(item.rate), 21, black, anchor="ma")
        canvas.text(edges[8] - 8, at, f"{item.tax:f}", 21, black, anchor="ra")


def vat_form(random: Random, kind: str) -> Drawn:  # noqa: PLR0915 - a form, from top to bottom
    """The form that has an invoice code: special, ordinary, and their electronic kinds."""
    electronic = kind.startswith("electronic")
    special = kind.endswith("special")
    canvas = Canvas(1500, 930, random, random.choice(("white", "#fdfcf7", "#fbfdfb")))
    ink = random.choice(("#8a4a20", "#7a3b10", "#a0522d", "#5a3a8a" if special else "#8a4a20"))
    black = random.choice(("#111", "#222", "#1a1a60"))
    buyer, seller = _parties(random)
    items = content.lines(random)
    net, tax = sum((i.amount for i in items), Decimal(0)), sum((i.tax for i in items), Decimal(0))
    total, day = net + tax, content.day(random)
    province = random.choice([*content.PROVINCES])
    code = content.PROVINCES[province] + content.digits(random, 8)
    if electronic:
        code = "0" + content.PROVINCES[province] + "00" + content.digits(random, 7)
    number, check = content.digits(random, 8), content.digits(random, 20)
    has_check = not special or electronic
    coded = f"01,{_QR_KINDS[kind]},{code},{number},{net:f},{day:%Y%m%d},{check if has_check else ''}"
    canvas.qr(50, 25, f"{coded},{content.digits(random, 4)},", 120)
    name = ("电子" if electronic else "") + ("专用" if special else "普通")
    title = f"{province}增值税{name}发票" if random.random() < 0.8 else f"增值税{name}发票"
    canvas.text(750, 40, title, 40, ink, anchor="ma", bold=random.random() < 0.4)
    canvas.line(540, 102, 960, 102, ink)
    canvas.line(540, 108, 960, 108, ink)
    colon = random.choice(("：", ":", "： "))
    lines = _electronic_head if electronic else _paper_head
    lines(canvas, colon, (code, number, check if has_check else ""), day, (ink, black))
    left, right, top = 50, 1450, 160
    canvas.box(left, top, right, 860, ink)
    _side(canvas, top, ("购买方", colon), buyer, (ink, black))
    canvas.line(905, top, 905, top + 140, ink)
    canvas.upright(915, top + 25, "密码区", 24, ink)
    canvas.line(950, top, 950, top + 140, ink)
    for row in range(4):
        cipher = "".join(random.choice("0123456789+-*/<>") for _ in range(28))
        canvas.text(962, top + 8 + 33 * row, cipher, 22, black, family="mono", most=480)
    y = top + 140
    canvas.line(left, y, right, y, ink)
    edges = (50, 400, 560, 630, 760, 910, 1110, 1210, 1450)
    heads = ("货物或应税劳务、服务名称", "规格型号", "单位", "数 量", "单 价", "金 额", "税率", "税 额")
    if electronic and random.random() < 0.5:
        heads = ("项目名称", *heads[1:])
    _table(canvas, y, (edges, heads), items, (ink, black), rules=True)
    sign = random.choice(("￥", "¥"))
    canvas.text(225, 642, "合        计", 22, ink, anchor="ma")
    canvas.text(1102, 642, f"{sign}{net:f}", 22, black, anchor="ra")
    canvas.text(1442, 642, f"{sign}{tax:f}", 22, black, anchor="ra")
    canvas.line(left, 680, right, 680, ink)
    canvas.text(75, 690, "价税合计（大写）", 22, ink)
    canvas.line(400, 680, 400, 725, ink)
    canvas.text(420, 690, random.choice(("⊗ ", "", "⊗")) + to_capitals(total), 23, black, most=620)
    end = canvas.text(1080, 690, "（小写）", 22, ink)
    canvas.text(end + 6, 690, f"{sign}{total:f}", 23, black)
    canvas.line(left, 725, right, 725, ink)
    _side(canvas, 725, ("销售方", colon), seller, (ink, black))
    canvas.line(905, 725, 905, 860, ink)
    canvas.upright(915, 750, "备注", 24, ink)
    canvas.line(950, 725, 950, 860, ink)
    if random.random() < 0.5:
        canvas.text(965, 740, f"订单号{content.digits(random, 10)}", 20, black)
    at = 75
    for label in ("收款人", "复核", "开票人"):
        end = canvas.text(at, 880, f"{label}{colon}", 21, ink)
        canvas.text(end + 4, 880, content.person(random), 21, black)
        at += 340
    canvas.text(1110, 880, "销售方：（章）", 21, ink)
    if random.random() < 0.7:
        canvas.seal(random.randrange(1080, 1330), random.randrange(780, 840), seller.name)
    labels = {
        "kind": kind, "code": code, "number": number, "date": day.isoformat(), "buyer": buyer.name,
        "buyer_tax_id": buyer.code, "seller": seller.name, "seller_tax_id": seller.code, "net": f"{net:f}",
        "tax": f"{tax:f}", "tax_rate": _share(items[0].rate), "total": f"{total:f}", "total_words": f"{total:f}",
    }  # fmt: skip
    if has_check:
        labels["check_code"] = check
    return canvas.image, labels


def digital_form(random: Random, kind: str) -> Drawn:
    """数电票: twenty-digit number, buyer and seller side by side."""
    canvas = Canvas(1500, 960, random)
    ink, black = random.choice(("#8b1a1a", "#7a2020", "#803010")), "#111"
    buyer, seller = _parties(random)
    items = content.lines(random)
    net, tax = sum((i.amount for i in items), Decimal(0)), sum((i.tax for i in items), Decimal(0))
    total, day = net + tax, content.day(random, 2023)
    number = f"{day:%y}" + random.choice([*content.PROVINCES.values()]) + "2000" + content.digits(random, 12)
    qr_kind = "31" if kind == "digital_special" else "32"
    canvas.qr(60, 30, f"01,{qr_kind},,{number},{total:f},{day:%Y%m%d},,{content.digits(random, 4)}", 130)
    name = "增值税专用发票" if kind == "digital_special" else "普通发票"
    canvas.text(750, 45, f"电子发票（{name}）", 40, ink, anchor="ma", bold=random.random() < 0.4)
    canvas.line(510, 112, 990, 112, ink)
    canvas.line(510, 118, 990, 118, ink)
    colon = random.choice(("：", ":", "： "))
    for row, (label, value) in enumerate((("发票号码", number), ("开票日期", _day(day)))):
        end = canvas.text(1060, 60 + 38 * row, label + colon, 22, ink)
        canvas.text(end + 4, 60 + 38 * row, value, 22, black)
    canvas.box(50, 160, 1450, 880, ink)
    canvas.line(750, 160, 750, 290, ink)
    for x, caption, who in ((50, "购买方信息", buyer), (750, "销售方信息", seller)):
        canvas.upright(x + 8, 166, caption, 20, ink)
        canvas.line(x + 42, 160, x + 42, 290, ink)
        end = canvas.text(x + 55, 180, f"名称{colon}", 22, ink)
        canvas.text(end + 4, 180, who.name, 23, black, most=x + 690 - end)
        label = random.choice(
            ("统一社会信用代码/纳税人识别号", "统一社会信用代码/纳税人识别号", "纳税人识别号")
        )
        end = canvas.text(x + 55, 238, label + colon, 21, ink)
        canvas.text(end + 4, 238, who.code, 22, black, most=x + 695 - end)
    canvas.line(50, 290, 1450, 290, ink)
    edges = (50, 380, 540, 640, 760, 910, 1110, 1260, 1450)
    heads = ("项目名称", "规格型号", "单 位", "数 量", "单 价", "金 额", "税率/征收率", "税 额")
    rules = random.random() < 0.3
    _table(canvas, 291, (edges, heads), items, (ink, black), rules=rules)
    canvas.text(215, 640, "合      计", 22, ink, anchor="ma")
    canvas.text(1102, 640, f"¥{net:f}", 22, black, anchor="ra")
    canvas.text(1442, 640, f"¥{tax:f}", 22, black, anchor="ra")
    canvas.line(50, 680, 1450, 680, ink)
    canvas.text(100, 692, "价税合计（大写）", 22, ink)
    canvas.line(380, 680, 380, 730, ink)
    canvas.text(400, 692, random.choice(("⊗ ", "", "⊗")) + to_capitals(total), 23, black, most=600)
    end = canvas.text(1060, 692, "（小写）", 22, ink)
    canvas.text(end + 4, 692, f"¥{total:f}", 23, black)
    canvas.line(50, 730, 1450, 730, ink)
    canvas.upright(60, 760, "备注", 24, ink)
    canvas.line(100, 730, 100, 880, ink)
    if random.random() < 0.5:
        canvas.text(115, 742, f"购方开户银行:{buyer.bank[:14]};", 19, black)
    end = canvas.text(120, 900, f"开票人{colon}", 22, ink)
    canvas.text(end + 4, 900, content.person(random), 22, black)
    return canvas.image, {
        "kind": kind, "number": number, "date": day.isoformat(), "buyer": buyer.name, "buyer_tax_id": buyer.code,
        "seller": seller.name, "seller_tax_id": seller.code, "net": f"{net:f}", "tax": f"{tax:f}",
        "tax_rate": _share(items[0].rate), "total": f"{total:f}", "total_words": f"{total:f}",
    }  # fmt: skip


def _journey(random: Random) -> tuple[str, str, str]:
    first, last = random.sample(content.CITIES, 2)
    train = random.choice("GGGDDCZTK") + str(random.randrange(1, 9999 if random.random() < 0.6 else 200))
    return first + random.choice(content.ENDS[:5]), last + random.choice(content.ENDS[:5]), train


_PINYIN = (
    "Shanghai",
    "Nanjing",
    "Hangzhou",
    "Suzhou",
    "Hefei",
    "Jinan",
    "Qingdao",
    "Zhengzhou",
    "Wuhan",
    "Changsha",
)
_CLASSES = ("二等座", "二等座", "一等座", "商务座", "硬座", "硬卧", "软卧")


def train_paper(random: Random) -> Drawn:
    """The paper ticket, blue or red."""
    canvas = Canvas(1000, 620, random, random.choice(("#dcebf5", "#e4f0f8", "#f6e6ea")))
    first, last, train = _journey(random)
    day, hour = content.day(random, 2015, 2024), f"{random.randrange(5, 23):02}:{random.randrange(60):02}"
    prefix = random.choice(("", f"{random.randrange(1, 30):02}"))
    number = prefix + random.choice("ABCDEFGHJKLM") + content.digits(random, 6)
    price = Decimal(random.randrange(30, 20_000)) / 10
    seat = f"{random.randrange(1, 17):02}车{random.randrange(1, 19):02}{random.choice('ABCDF')}号"
    who, kind = content.person(random), random.choice(_CLASSES)
    canvas.text(60, 30, number, 38, "#c84a50")
    canvas.text(720, 36, f"检票:{random.randrange(1, 25)}{random.choice('AB')}", 28)
    spaced = random.random() < 0.6
    gap = " " if spaced else ""
    canvas.text(230, 100, f"{first}{gap}站", 42, anchor="ma")
    canvas.text(500, 96, train, 44, anchor="ma")
    canvas.text(770, 100, f"{last}{gap}站", 42, anchor="ma")
    canvas.line(420, 152, 580, 152, "#222")
    canvas.text(230, 158, random.choice(_PINYIN), 22, anchor="ma")
    canvas.text(770, 158, random.choice(_PINYIN), 22, anchor="ma")
    canvas.text(60, 210, f"{_day(day)} {hour}开" if random.random() < 0.5 else f"{_day(day)}  {hour}开", 30)
    canvas.text(640, 210, seat, 30)
    canvas.text(60, 268, f"￥{price:.1f}元", 34)
    canvas.text(640, 268, kind, 30)
    canvas.text(60, 325, "限乘当日当次车", 26)
    born, last_four = random.randrange(1955, 2005), content.digits(random, 3) + random.choice("0123456789X")
    masked = f"{content.digits(random, 6)}{born}****{last_four}"
    canvas.text(60, 390, f"{masked}{random.choice(('', ' '))}{who}", 30)
    canvas.box(60, 450, 620, 530, "#333")
    canvas.text(340, 460, "买票请到12306 发货请到95306", 22, anchor="ma")
    canvas.text(340, 494, "中国铁路祝您旅途愉快", 22, anchor="ma")
    canvas.text(60, 560, f"{content.digits(random, 14)}{number}  {first}售", 24)
    canvas.qr(760, 350, content.digits(random, 60), 180)
    return canvas.image, {
        "kind": "paper", "number": number, "from": first, "to": last, "train": train, "date": day.isoformat(),
        "time": hour, "seat": seat, "class": kind, "price": f"{price:.2f}", "passenger": who,
    }  # fmt: skip


def train_electronic(random: Random) -> Drawn:
    """电子发票（铁路电子客票）."""
    canvas = Canvas(1300, 760, random)
    ink, black = "#8b1a1a", "#111"
    first, last, train = _journey(random)
    day, hour = content.day(random, 2024), f"{random.randrange(5, 23):02}:{random.randrange(60):02}"
    issued = day + dt.timedelta(days=random.randrange(10))
    number = f"{issued:%y}" + random.choice([*content.PROVINCES.values()]) + "9" + content.digits(random, 15)
    price = Decimal(random.randrange(30, 20_000)) / 10
    seat = f"{random.randrange(1, 17):02}车{random.randrange(1, 19):02}{random.choice('ABCDF')}号"
    who, kind, buyer = content.person(random), random.choice(_CLASSES), content.party(random)
    canvas.qr(1090, 480, f"01,51,,{number},{price:.2f},{issued:%Y%m%d},,{content.digits(random, 4)}", 140)
    canvas.text(650, 40, "电子发票（铁路电子客票）", 38, ink, anchor="ma")
    canvas.line(410, 100, 890, 100, ink)
    canvas.text(60, 130, f"发票号码:{number}", 24, black)
    canvas.text(880, 130, f"开票日期:{_day(issued)}", 24, black)
    canvas.text(320, 200, f"{first}站", 40, anchor="ma")
    canvas.text(650, 196, train, 40, anchor="ma")
    canvas.text(980, 200, f"{last}站", 40, anchor="ma")
    canvas.line(560, 250, 740, 250, black)
    canvas.text(320, 255, random.choice(_PINYIN), 22, anchor="ma")
    canvas.text(980, 255, random.choice(_PINYIN), 22, anchor="ma")
    canvas.text(120, 310, _day(day), 28)
    canvas.text(470, 310, f"{hour}开", 28)
    canvas.text(700, 310, seat, 28)
    canvas.text(980, 310, kind, 28)
    canvas.text(120, 370, f"票价:￥{price:.2f}", 28)
    masked = f"{content.digits(random, 6)}{random.randrange(1955, 2005)}****{content.digits(random, 4)}"
    canvas.text(120, 430, masked, 28)
    canvas.text(470, 430, who, 28)
    canvas.text(120, 500, f"电子客票号:{content.digits(random, 21)}", 26)
    canvas.text(60, 580, f"购买方名称:{buyer.name}", 25, most=700)
    canvas.text(60, 630, f"统一社会信用代码:{buyer.code}", 25)
    canvas.text(60, 700, "买票请到12306 发货请到95306  中国铁路祝您旅途愉快", 22, ink)
    return canvas.image, {
        "kind": "electronic", "number": number, "issue_date": issued.isoformat(), "from": first, "to": last,
        "train": train, "date": day.isoformat(), "time": hour, "seat": seat, "class": kind,
        "price": f"{price:.2f}", "passenger": who, "buyer": buyer.name, "buyer_tax_id": buyer.code,
    }  # fmt: skip


def taxi(random: Random) -> Drawn:
    """The strip that a taxi's meter prints."""
    canvas = Canvas(560, 1050, random, random.choice(("white", "#fbf7ee", "#f3f8f3")))
    city = random.choice(content.CITIES)
    red, black = "#c03030", random.choice(("#222", "#3a3a6a"))
    code, number = "1" + content.digits(random, 11), content.digits(random, 8)
    day = content.day(random, 2015)
    begin = random.randrange(0, 23 * 60)
    end = begin + random.randrange(5, 60)
    total, price = (
        Decimal(random.randrange(11, 220)),
        Decimal(random.choice(("2.30", "2.50", "2.70", "3.20"))),
    )
    mileage = Decimal(random.randrange(10, 500)) / 10
    plate = (
        random.choice("京沪津渝苏浙粤川鄂陕")
        + random.choice("ABCDE")
        + random.choice(("·", "-", ""))
        + "".join(
            random.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ" if i == 1 else "0123456789") for i in range(5)
        )
    )
    canvas.text(
        280,
        40,
        f"{city}市出租汽车专用发票" if random.random() < 0.7 else f"{city}出租汽车统一发票",
        34,
        red,
        anchor="ma",
        most=520,
    )
    canvas.text(280, 95, "发 票 联", 28, red, anchor="ma")
    joint = random.choice(("", " ", "：", ": "))
    canvas.text(70, 150, f"发票代码{joint}{code}", 28, red)
    canvas.text(70, 195, f"发票号码{joint}{number}", 28, red)
    canvas.text(70, 250, f"电话 {content.digits(random, 8)}", 26, black)
    family = random.choice(("", "mono", ""))
    rows = [
        ("车号", plate), ("证号", content.digits(random, 6)),
        ("日期", random.choice((f"{day:%Y-%m-%d}", f"{day:%Y年%m月%d日}"))),
        ("上车", f"{begin // 60:02}:{begin % 60:02}"), ("下车", f"{end // 60:02}:{end % 60:02}"),
        ("单价", f"{price:.2f}元" if random.random() < 0.5 else f"{price:.2f}"),
        ("里程", f"{mileage:.1f}km" if random.random() < 0.5 else f"{mileage:.1f}"),
        ("等候", f"00:{random.randrange(20):02}:{random.randrange(60):02}"), ("状态", "1"),
        ("金额", random.choice((f"{total:.2f}元", f"￥{total:.2f}", f"{total:.2f}"))),
    ]  # fmt: skip
    wide = random.randrange(150, 240)
    for row, (label, value) in enumerate(rows):
        canvas.text(70, 310 + 62 * row, label, 30, black if random.random() < 0.9 else red)
        canvas.text(
            70 + wide, 310 + 62 * row, value, 30, black, family="" if any(map(_is_han, value)) else family
        )
    canvas.text(280, 980, "手写无效  报销凭证", 24, red, anchor="ma")
    if random.random() < 0.6:
        canvas.seal(380, random.randrange(160, 240), f"{city}出租汽车公司")
    return canvas.image, {
        "code": code, "number": number, "date": day.isoformat(), "plate": plate, "pick_up": rows[3][1],
        "set_down": rows[4][1], "unit_price": f"{price:.2f}", "mileage": f"{mileage:.1f}", "total": f"{total:.2f}",
    }  # fmt: skip


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" or char == "￥"


def quota(random: Random) -> Drawn:
    """通用定额发票."""
    canvas = Canvas(1000, 520, random, random.choice(("#fdf6e8", "#f4faf2", "#fdf2f2")))
    province = random.choice([*content.PROVINCES])
    ink = random.choice(("#a03020", "#804020", "#206040"))
    code, number = (
        "1" + content.PROVINCES[province] + "00" + content.digits(random, 7),
        content.digits(random, 8),
    )
    amount = Decimal(random.choice((1, 2, 5, 10, 20, 50, 100)))
    words = to_capitals(amount).replace("圆", random.choice(("元", "圆")))
    if random.random() < 0.3:
        words = words.removesuffix("整")
    office = random.choice(("国家税务局", "税务局", "地方税务局"))
    canvas.text(
        500,
        35,
        f"{province}{'市' if province in {'北京', '上海', '天津', '重庆'} else '省'}{office}通用定额发票",
        36,
        ink,
        anchor="ma",
    )
    canvas.text(500, 92, "发 票 联", 28, ink, anchor="ma")
    joint = random.choice(("", " ", "："))
    canvas.text(90, 150, f"发票代码{joint}{code}", 30, ink)
    canvas.text(90, 200, f"发票号码{joint}{number}", 30, ink if random.random() < 0.5 else "#203080")
    if random.random() < 0.5:
        canvas.text(
            500, 260, words if random.random() < 0.6 else " ".join(words), 58, ink, anchor="ma", bold=True
        )
        figures = random.random() < 0.6
    else:
        canvas.text(400, 262, words, 54, ink, anchor="ma", bold=True)
        figures = True
        canvas.text(720, 275, f"￥{amount:.2f}", 40, ink)
    if figures and random.random() < 0.5:
        canvas.text(90, 345, f"（{amount:f}元）", 28, ink)
    canvas.text(90, 400, "收款单位（盖章有效）", 26, ink)
    canvas.text(620, 400, "开票日期      年    月    日", 24, ink)
    canvas.text(90, 460, "本发票限于2028年12月31日前填开使用有效", 20, ink)
    if random.random() < 0.8:
        canvas.seal(random.randrange(430, 580), 400, content.party(random).name)
    return canvas.image, {
        "code": code, "number": number, "amount": f"{amount:.2f}", "amount_words": f"{amount:.2f}"
    }  # fmt: skip


FORMS: dict[str, tuple[str, Callable[[Random], Drawn]]] = {
    **{
        kind: ("vat_invoice", lambda random, kind=kind: vat_form(random, kind))  # type: ignore[misc]  # bound at once
        for kind in ("special", "ordinary", "electronic_ordinary")
    },
    **{
        kind: ("vat_invoice", lambda random, kind=kind: digital_form(random, kind))  # type: ignore[misc]  # likewise
        for kind in ("digital_special", "digital_ordinary")
    },
    "train_paper": ("train_ticket", train_paper),
    "train_electronic": ("train_ticket", train_electronic),
    "taxi": ("taxi_receipt", taxi),
    "quota": ("quota_invoice", quota),
}
