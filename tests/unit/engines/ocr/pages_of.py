"""Pages built by hand, so that rules are tested without reading pictures."""

from __future__ import annotations

from vlpro.engines.ocr.page import Code, Line, Page, Quad

__all__ = ["english_receipt", "page", "quad", "till_receipt", "vat_invoice"]


def quad(x1: float, y1: float, x2: float, y2: float) -> Quad:
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


def line(text: str, x: float, y: float, *, size: float = 20, confidence: float = 0.99) -> Line:
    width = sum(size if ord(char) > 0x2E80 else size / 2 for char in text)
    return Line(text, confidence, quad(x, y, x + width, y + size))


def page(*rows: tuple[tuple[float, str], ...] | str, codes: tuple[Code, ...] = (), gap: float = 32) -> Page:
    """A page of 1000 × 1000 pixels: each row is a text, or pairs of its left edge and a text."""
    lines = []
    for index, row in enumerate(rows):
        cells = ((40.0, row),) if isinstance(row, str) else row
        lines += [line(text, x, 20 + gap * index) for x, text in cells]
    return Page(1000, 1000, tuple(lines), codes)


def english_receipt(
    total: str = "10.60", date: str = "25/03/2018", name: str = "GOOD LUCK HARDWARE SDN BHD"
) -> Page:
    return page(
        f"{name} (123456-X)",
        "NO. 7, JALAN MERANTI 2",
        "81100 JOHOR BAHRU, JOHOR",
        "TEL: 07-352 3888",
        "GST ID: 000849813504",
        "TAX INVOICE",
        ((40, "Invoice No: CS00031663"), (600, f"Date: {date}")),
        ((40, "Salesperson: LEE"), (600, "Time: 14:22")),
        ((40, "Description"), (500, "Qty"), (650, "Price"), (850, "Amount")),
        ((40, "HAMMER 16OZ"), (500, "1"), (650, "8.00"), (850, "8.00")),
        ((40, "NAILS BOX"), (500, "2"), (650, "1.00"), (850, "2.00")),
        ((40, "SUBTOTAL"), (850, "10.00")),
        ((40, "GST 6%"), (850, "0.60")),
        ((40, "TOTAL RM"), (850, total)),
        ((40, "CASH"), (850, "20.60")),
        ((40, "CHANGE"), (850, "10.00")),
        "THANK YOU",
    )


def till_receipt() -> Page:
    return page(
        "江宁路办公用品商店",
        "销售小票",
        "单号XS-20261118-0472",
        ((40, "时间 2026-11-18 15:42"), (700, "收银03")),
        ((40, "品名"), (500, "数量"), (650, "单价"), (850, "金额")),
        ((40, "A4复印纸70g"), (500, "6"), (650, "24.50"), (850, "147.00")),
        ((40, "订书机"), (500, "2"), (650, "38.00"), (850, "76.00")),
        ((40, "合计"), (850, "223.00")),
        ((40, "优惠"), (850, "-3.00")),
        ((40, "实付"), (850, "￥220.00")),
        "支付方式对公转账",
    )


def vat_invoice(figure: str = "￥7018.83") -> Page:
    tall = Line("购买方", 0.99, quad(10, 90, 30, 160))
    seller = Line("销售方", 0.99, quad(10, 400, 30, 480))
    rows = page(
        ((40, "1100094140"), (400, "增值税专用发票"), (750, "No87654321")),
        ((650, "开票日期：2010年11月18日"),),
        ((60, "名"), (100, "称：测试购方企业")),
        "",
        ((60, "纳税人识别号：410305123456789"),),
        (
            (40, "货物名称"),
            (300, "规格型号"),
            (450, "数量"),
            (550, "单价"),
            (650, "金额"),
            (750, "税率"),
            (850, "税额"),
        ),
        (
            (40, "计算机"),
            (300, "A6100"),
            (450, "1"),
            (550, "5999.00"),
            (650, "5999.00"),
            (750, "17%"),
            (850, "1019.83"),
        ),
        ((60, "合"), (120, "计"), (650, "￥5999.00"), (850, "￥1019.83")),
        ((40, "价税合计（大写）"), (300, "柒仟零壹拾捌圆捌角叁分"), (650, f"（小写）{figure}")),
        "",
        "",
        "",
        ((60, "名称：测试销方企业"),),
        ((60, "纳税人识别号：410305012345678"),),
        ((60, "收款人：王芳"), (400, "开票人：李雷")),
    )
    return Page(1000, 1000, (*rows.lines, tall, seller))
