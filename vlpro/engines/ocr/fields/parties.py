"""Who and where: the merchant's name, the buyer's, the address, tax ids and telephone."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts, find_capitals
from vlpro.engines.ocr.dates import find_dates
from vlpro.engines.ocr.fields.found import Found
from vlpro.engines.ocr.fields.table import is_header
from vlpro.engines.ocr.layout import Row
from vlpro.engines.ocr.text import compact, fold, has_cjk

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Cell, Layout

__all__ = ["find_header"]

_LEGAL = re.compile(
    r"\bS/?B\b|SDN\.?\s?BHD|SDNBHD|\bBHD\b|\bPLT\b|\bPTE\b|\bLTD\b|\bLLC\b|\bINC\b|\bGMBH\b|\bCORP\b|"
    r"\bCO\.|\bCOMPANY\b|\bLIMITED\b"
    r"|有限公司|有限责任公司|股份公司|集团|\bS\.?\s?L\.?\b|\bS\.A\.|\bLLP\b|\bPT\.?\s[A-Z]",
    re.IGNORECASE,
)
_TRADE = re.compile(
    r"ENTERPRISE|TRADING|HARDWARE|RESTAURANT|RESTORAN|KEDAI|PERNIAGAAN|SYARIKAT|STATIONER|BAKER|PHARMACY|"
    r"MART\b|\bSTORES?\b|SHOP|CAFE|COFFEE|"
    r"\bBOOK|HOUSE|KITCHEN|SUPERMARKET|MARKET|HOTEL|BAR\b|GRILL|PIZZA|BISTRO|DELI|FOODS?\b|ELECTRIC|"
    r"BATTERY|MOTOR|SERVICES?\b|"
    r"店|超市|商场|商行|餐厅|饭店|酒店|药房|百货|便利|咖啡|公司|中心|馆|坊|楼",
    re.IGNORECASE,
)
# Words that a firm is registered with, in lands where it need not be a company.
_FIRM = re.compile(r"ENTERPRISE|TRADING|RESTORAN|KEDAI|PERNIAGAAN|SYARIKAT|公司", re.IGNORECASE)
_NUMBERED = re.compile(r"\d[\d-]*[A-Z]?\s")
_NOT_NAME = re.compile(
    r"tax\s?invoice|invoice|receipt|cash\s?bill|cash\s?sale|^cash$|\btel\b|\bfax\b|phone|gst|\bsst\b|"
    r"\bvat\b|www\.|http|@|\.com|thank|"
    r"\breg|\bco\.?\s?no|company\s?no|roc\s?no|licen|\bdate\b|cashier|copy|duplicate|original|\border\b|"
    r"\btable\b|customer|\bdoc\b|"
    r"小票|发票|收据|欢迎|谢谢|账单|结账|单号|日期|时间|电话|地址|存根|付款|凭证|统一|监制|^\W*$|\bqty\b|"
    r"^关于|通知$|公告$|证明$|日报|月报|[申登]\w表$|"
    r"合同|协议|回单|送货单|出库单|报价单|\b(?:po|account|order|ref\w*) (?:number|no)\b|"
    r"\bstore\s?(?:#|no\b|num|:|\d)|^c[/\\]\s|prepay|"
    r"\bdesc|\bprice|facebook|like us|follow us|since \d|guest\s?check|check\s?#|host:|server|"
    r"^\W*(?:welcome(?:\s+to)?|hello|bienvenid\w+|bienvenue|willkommen|selamat datang)\W*$|"
    r"\b(?:dine|eat|drive|carry|take)[\s-]?(?:in|out|away|thru)\b|\bto[\s-]go\b|self[\s-]?checkout|"
    r"^\W*(?:bill|sale|ticket|rechnung|quittung|kassenbon|beleg|factura(?:\s+simplificada)?|boleta|bon)\W*$|"
    r"\b(?:debit|credit|merchant|terminal)\b|^(?:manager|operator|guests?|tisch|mesa)\b\s*[:#\d]|"
    r"^(?:manager|operator)\s|\b(?:cif|nif|nit|ust|siret)\b|\bt[eé]l[eéf]*[.:]|\btlf\b",
    re.IGNORECASE,
)
_REGISTRATION = re.compile(
    r"[(（\[]?\s?(?:co\.?\s?(?:reg\.?\s?)?no\.?\s?[:.]?\s?)?(?:[A-Z]{0,3}\d{4,12}\s?-?\s?[A-Z]{0,2}|"
    r"\d{12})\s?[)）\]]?\s*$",
    re.IGNORECASE,
)
_POSTCODE = re.compile(r"\d{5}")
_SUFFIX = re.compile(r"\b(?:SDN\.?\s?BHD|SDNBHD|S/B|BHD|PTE\.?\s?LTD|LTD|LLC|CO(?=\.\s))\b\.?", re.IGNORECASE)
_ONLY_LEGAL = re.compile(
    r"\W*(?:CO\.?\s?)?(?:\(M\)|\(KL\))?\s*(?:SDN\.?\s?BHD\.?|SDNBHD|S/B|BHD\.?|CO\.?|ENTERPRISE|TRADING|"
    r"(?:PTE\.?\s?)?LTD\.?)\W*(?:\([\w -]+\))?",
    re.IGNORECASE,
)
# What kind of shop it is, without whose: the name stands above.
_ONLY_TRADE = re.compile(
    r"\W{0,2}(?:(?:vegetarian|seafood|family|thai|chinese|indian|italian|japanese|korean|halal|fresh|fine|super|mini|"
    r"hyper|coffee|tea|sushi|pizza|noodle|book|gift|general|hand|auto|car)\W{1,3}){0,2}(?:restaurants?|restoran|"
    r"caf[eé]|coffee|super\s?markets?|mini\s?mart|markets?|stores?|shops?|bakery|pharmacy|hotel|bistro|grill|kitchen|"
    r"house|bar|deli|trading|enterprise|hardware)(?:\W{1,3}(?:limited|ltd|inc|llc|sdn\.?\s?bhd|s/b))?\W{0,3}",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\bno\.?\s?\d|\bno\.\s?[A-Z]{1,2}-|\blot\b|\bjalan\b|\bjln\b|\bjl\b\.?|lorong|\blrg\b|taman|\btmn\b|"
    r"bandar|kampung|\bkg\b|persiaran|seksyen|lebuh|wisma|plaza|"
    r"\bkuala\b|lumpur|selangor|johor|penang|perak|kedah|melaka|sembilan|pahang|sabah|sarawak|kelantan|"
    r"terengganu|perlis|petaling|shah\s?alam|"
    r"puchong|klang|cheras|ipoh|malaysia|kawasan|\bfloor\b|\blevel\b|\bmall\b|\bunit\b|\bblock\b|\bblk\b|"
    r"ground\s?fl|\bfl\.?r\b|\bbatu\b|"
    r"\bst\b\.?|street|\bave\b\.?|avenue|\brd\b\.?|\broad\b|\bblvd\b|boulevard|\bdr\b\.?|\bdrive\b|"
    r"\blane\b|\bln\b|\bhwy\b|highway|\bpkwy\b|"
    r"\bsuite\b|\bste\b|square|\bcentre\b|\bcenter\b|\bpark\b|^\d{3,5}\s?[A-Z]{2}\b|"
    r"\b[A-Z]{2}\s?\d{5}(?:-\d{4})?\b|(?<!\d)\d{5}(?!\d)(?=\s?[A-Z,]|$)|singapore|"
    r"省|市|区|县|镇|路|街|大道|巷|弄|号楼|\d号|\d楼|\d层",
    re.IGNORECASE,
)
_STRONG_PLACE = re.compile(
    r"\bjalan|\bjln|lorong|\blrg\b|taman|\btmn\b|(?<![\d#])\d{5}(?!\d)|\blot\b|\bno\.?\s?\d|\blevel\b|"
    r"\bst\b\.?$|street|avenue|\bave\b|\brd\b|路\d|街\d|\d号|\b(?:suite|ste|space|unit)\b\.?\s?#",
    re.IGNORECASE,
)
_PLACE_WORDS = (
    *("JALAN", "TAMAN", "LORONG", "BANDAR", "KUALA", "LUMPUR", "SELANGOR", "JOHOR", "MALAYSIA", "PETALING"),
    *(
        "SEKSYEN",
        "KAWASAN",
        "PERSIARAN",
        "PERINDUSTRIAN",
        "INDUSTRIAL",
        "KAMPUNG",
        "WISMA",
        "GROUND",
        "FLOOR",
    ),
    *("STREET", "AVENUE", "KELANTAN", "PUCHONG", "CHERAS", "SUBANG", "PENANG", "MELAKA", "SARAWAK"),
    *("TERENGGANU", "SINGAPORE"),
)
_ROAD = re.compile(
    r"\b(?:st|street|ave|avenue|rd|road|blvd|boulevard|dr|drive|lane|ln|hwy|highway|pkwy|fwy|way|court|ct|"
    r"plaza|pl)\b",
    re.IGNORECASE,
)
_STOP = re.compile(
    r"\btel\b|tel[:.\s]|\bfax|phone|\bgst|\bsst\b|\bvat\b|tax\s?inv|invoice|receipt|cash\s?bill|\bdate\b|"
    r"www|http|@|\.com|cashier|\border\b|\btable\b|"
    r"\bco\.?\s?reg|\breg\.?\s?no|\broc\b|\btax\s?id|company\s?reg|hotline|\bhp\b|h/p|whatsapp|email|"
    r"e-mail|服务|电话|税号|\bdoc\b|\bcounter\b|"
    r"\bcheck\b|\bserver\b|\bqty\b|\bitem|\bbill\b|member|served|\bpos\b|\bmon\b|welcome|closed|member|"
    r"licen|customer|operating|business\shour|\btotal\b|prepay|\bnumber\b",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?:\+?\d{1,3}[\s-]?)?(?:\(\d{2,4}\)|\d{2,4})[\s-]?\d{3,4}[\s-]?\d{3,4}(?:[-/]\d{1,4})?|\d{7,12}|"
    r"400-?\d{3}-?\d{4}"
)
_AMERICAN_PHONE = re.compile(r"\(\d{3}\)\s?\d{3}[-.\s]\d{4}|\d{3}[-.]\d{3}[-.]\d{4}")
_HEADER_ROWS = 18
_NAME_ROWS = 3  # that one name is printed in, at most
_MISREAD_BELOW = 0.8  # confidence of a logo's fancy letters, mostly misread
_DISPLAY = 0.7  # of its height has a row beside that of a larger type


def _named(text: str) -> str:
    """A row without what often stands around a name: a welcome before it, a telephone behind it."""
    text = re.sub(r"^(?:收款)?单位(?:名称)?[:：\s]*(?=\S{4,})", "", text)
    text = re.sub(
        r"(?<=\S{4})\s*(?:送货单|出库单|销货清单|销售清单|报价单|电子回单|回单|(?:检[验查]|化验|诊断|体检)?报告单?)\s*$",
        "",
        text,
    )
    text = re.sub(r"^\s*welcome to\s+|^\s*(?:the\s)?name\s?:\s*", "", text, flags=re.IGNORECASE)
    return re.split(r"\s(?:tel|phone|fax|ph)\b", text, maxsplit=1, flags=re.IGNORECASE)[0]


def _is_place(text: str) -> bool:
    """Whether a row is part of an address rather than a name that has a word like Street in it."""
    text = _REGISTRATION.sub(lambda match: match[0] if _POSTCODE.fullmatch(match[0].strip()) else "", text)
    return (bool(_STRONG_PLACE.search(text)) and bool(re.search(r"\d|,", text))) or bool(
        re.match(r"\d{1,5}\s\w", text) and _ROAD.search(text)
    )


# A labelled value with Chinese in the label (收款人户名：…, 甲方（买方）：…) is no name that heads a page.
_OTHER_LABEL = re.compile(
    r"(?:po|p\.o\.|order|account|customer|invoice|bill|ref\w*)\b[^:]{0,12}:", re.IGNORECASE
)
_LABELLED = re.compile(r"^[^:]{0,12}[\u4e00-\u9fff][^:]{0,6}:\s?\S")


# Lines of a text's body, whom it is addressed to, and the labels of a card: none names who issued it.
_BODY = re.compile(
    r"^\s*[一二三四五六七八九十]{1,3}\s?[、.．]|[。；]\W*$|[\u4e00-\u9fff]\s?[，,]\s?[\u4e00-\u9fff]|"
    r"[\u4e00-\u9fff]\s?[:：]\s*$|^\d{4}[./年-]\d{1,2}\b|^(?:姓\s?名|性\s?别|出生|住址|公民)"
)
_MOST_CELLS = 4  # a row of so many is the head of a table


def _is_name(row: Row) -> bool:
    text = _named(row.text)
    if _LABELLED.match(fold(text)):
        return False
    letters = sum(char.isalpha() for char in text)
    if letters < 3 or _NOT_NAME.search(text) or find_dates(text):
        return False
    if _BODY.search(text) or find_capitals(text) or len(row.cells) >= _MOST_CELLS:
        return False
    if any(amount.decimals == 2 for amount in find_amounts(text)):
        return False
    digits = sum(char.isdigit() for char in text)
    return digits <= letters


def _clean_name(text: str) -> str:
    text = re.sub(r"\b5/B\b", "S/B", text)  # SENDIRIAN BERHAD, misread
    text = re.sub(r"\(([A-Z]{1,2})[J1lI](?=\s|$)", r"(\1)", text)  # a bracket, misread: (MJ SDN BHD
    text = re.sub(r"\w*[À-ÿ]\w*", _unaccented_trade, text)
    text = re.sub(r"(?<=\w)\s?(?:TM|[®™©])\s*$", "", text)
    if (ends := list(_SUFFIX.finditer(text))) and not has_cjk(text):
        text = text[: ends[-1].end()]
    shortened = (
        _REGISTRATION.sub("", text).strip(" -:：,.|*~_'\"") if not has_cjk(text) else text.strip(" :：-*")
    )
    name = shortened or text.strip()
    if text.rstrip().endswith(".") and re.search(r"\b(?:co|bhd|ltd|inc)$", name, re.IGNORECASE):
        name += "."
    return name


def _unaccented_trade(match: re.Match[str]) -> str:
    """A word of trade without an accent that is dirt on the paper: HARDWARÉ."""
    plain = "".join(
        char for char in unicodedata.normalize("NFD", match[0]) if not unicodedata.combining(char)
    )
    return plain if _TRADE.search(plain) else match[0]


def _without_specks(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Cells of a row without one or two characters that stand far off: stamps, page numbers, dirt."""
    main = max(cells, key=lambda cell: len(cell.text))
    return tuple(
        cell
        for cell in cells
        if len(cell.text) > 2
        or cell.text.isalpha()
        or max(cell.x1 - main.x2, main.x1 - cell.x2) < 2 * main.height
        or cell is main
    )


def _merge_text(cells: tuple[Cell, ...]) -> str:
    return " ".join(cell.text.strip() for cell in _without_specks(cells))


def _mend_place(text: str) -> str:
    """Misread figures (4115O), and common words of addresses with one misread letter (JA:AN), put right."""

    def mend(match: re.Match[str]) -> str:
        word = match[0]
        upper = word.upper()
        for known in _PLACE_WORDS:
            if len(known) == len(upper) and sum(a != b for a, b in zip(known, upper, strict=True)) == 1:
                return known if sum(char.isupper() for char in word) > len(word) / 2 else known.capitalize()
        return word

    text = re.sub(r"(?<=\d\d)O(?=\d|\b)", "0", text)  # 4115O, NO 29O
    text = re.sub(r"\b(Leve|LEVE)1\b", lambda found: found[1] + ("L" if found[1].isupper() else "l"), text)
    text = re.sub(r"^L[UQD0]T(?=\s\d)", "LOT", text)
    return re.sub(r"[A-Za-z][A-Za-z:_;|!]{3,14}[A-Za-z]", mend, text)


def find_header(layout: Layout) -> dict[str, Found]:
    """Merchant, address and telephone from the head of a receipt.

    Args:
        layout: The page.

    Returns:
        ``merchant``, ``address`` and ``phone``, as far as found.
    """
    found: dict[str, Found] = {}
    rows = layout.rows[:_HEADER_ROWS]
    first_stop = next(
        (
            i
            for i, row in enumerate(rows)
            if i > 1 and (any(a.decimals == 2 for a in find_amounts(row.text)) or is_header(row))
        ),
        len(rows),
    )
    head = rows[: max(first_stop, 3)]
    name_index = _find_name(tuple(map(_without_title, head)))
    if name_index is not None:
        row = _without_title(head[name_index])
        name = _clean_name(_named(_merge_text(row.cells)))
        cells = row.cells
        if name_index and _begins_name(head[name_index - 1], row):
            cells = head[name_index - 1].cells + cells
            name = f"{_clean_name(_merge_text(head[name_index - 1].cells))} {name}"
        else:
            body = median(row.height for row in layout.rows)
            for upper, lower in pairwise(head[name_index : name_index + _NAME_ROWS]):
                if not _continues_name(name, upper, lower, body):
                    break
                cells += lower.cells
                name = f"{name} {_clean_name(_merge_text(lower.cells))}"
        sure = 1.0 if _LEGAL.search(name) or _TRADE.search(name) else 0.7
        found["merchant"] = Found(
            "merchant", name, name, cells, sure * min(cell.confidence for cell in cells)
        )
    address = _find_address(head, name_index)
    if address:
        cells = tuple(cell for row in address for cell in _without_specks(row.cells))
        text = _mend_place(" ".join(_merge_text(row.cells) for row in address))
        found["address"] = Found("address", text, text, cells, 0.9 * min(cell.confidence for cell in cells))
    for cell in layout.cells:
        label = re.search(r"tel|phone|hotline|电话|热线|\bhp\b|h/p|contact", cell.flat, re.IGNORECASE)
        if label and (match := _PHONE.search(cell.flat)):
            text = cell.text[match.start() : match.end()]
            found["phone"] = Found("phone", text, text, (cell,), cell.confidence, "TEL")
            break
    if "phone" not in found:  # American receipts print theirs under the address, without a word
        for cell in (cell for row in head[:8] for cell in row.cells):
            if _AMERICAN_PHONE.fullmatch(cell.flat.strip()):
                text = cell.text.strip()
                found["phone"] = Found("phone", text, text, (cell,), 0.8 * cell.confidence, "TEL")
                break
    return found


# What may stand beside a name in its row and is none: the kind of document.
_TITLE = re.compile(
    r"(?:tax\s?)?invoice|receipt|bill|quotation|statement|发\s?票|收\s?据|小票|送货单|报价单|原件|副本",
    re.IGNORECASE,
)


def _without_title(row: Row) -> Row:
    cells = tuple(cell for cell in row.cells if not _TITLE.fullmatch(cell.flat.strip()))
    return Row(cells) if cells else row


# A slogan is a sentence: it has such a word, or it ends (or goes on) behind a full stop.
_SENTENCE_WORD = re.compile(
    r"\b(?:your|we|our|is|are|where|how|that|always|every\s?day|proud(?:ly)?|serving)\b", re.IGNORECASE
)
_SENTENCE = re.compile(r"[a-z]{3}[.!?](?:\s+[a-z]|\W*$)", re.IGNORECASE)
_TOWN = re.compile(
    r"[A-Za-z][A-Za-z .'-]{2,30}(?:,\s?[A-Z]{2}(?:,?\s*\d{5}(?:-\d{4})?)?|\s+[A-Z]{2},?\s+\d{5}(?:-\d{4})?)\W*$"
)


def _is_slogan(text: str) -> bool:
    """Whether a row reads as a sentence: "Save money. Live better.", "Where creativity happens"."""
    if len(text.split()) < 3 or has_cjk(text) or _LEGAL.search(text):
        return False
    return bool(_SENTENCE_WORD.search(text) or _SENTENCE.search(text))


def _weakness(row: Row) -> int:
    """How little a row can be the name of a shop: 0 well, 3 only where there is nothing else."""
    text = _named(row.text)
    if _is_place(text) or _TOWN.match(text.strip()):
        return 3
    if _is_slogan(text):
        return 2
    unnumbered = re.sub(r"#\s?\d[\d-]*", "", _REGISTRATION.sub("", text))
    digits, letters = (sum(map(kind, unnumbered)) for kind in (str.isdigit, str.isalpha))
    misread = min(cell.confidence for cell in row.cells) < _MISREAD_BELOW
    return 1 if misread or digits > 0.6 * letters else 0


def _find_name(head: tuple[Row, ...]) -> int | None:
    candidates = [i for i, row in enumerate(head[:8]) if _is_name(row)]
    if not candidates:
        return None
    for i in candidates:
        if _LEGAL.search(head[i].text) and not _is_place(head[i].text):
            return i
    least = min(_weakness(head[i]) for i in candidates)
    likely = [i for i in candidates if _weakness(head[i]) == least]
    first = head[likely[0]]
    for i in likely[:3]:
        row = head[i]
        # A word of trade outdoes what stands above, but not a name in larger type, nor from within an address.
        if _FIRM.search(row.text) or (
            _TRADE.search(row.text)
            and (row.height > _DISPLAY * first.height or len(compact(first.text)) < 4)
            and (row is first or not _NUMBERED.match(row.text))
        ):
            return i
    return likely[0]


def _alike(upper: Row, lower: Row) -> bool:
    """Whether two rows look like one name in two lines: as high, close, and both centred or both to the left."""
    ratio = upper.height / lower.height
    gap = lower.box[1] - upper.box[3]
    middle = abs(upper.box[0] + upper.box[2] - lower.box[0] - lower.box[2]) / 2
    left = abs(upper.box[0] - lower.box[0])
    return 0.7 < ratio < 1.4 and gap < 0.6 * lower.height and min(middle, left) < 1.5 * lower.height


_GREETING = re.compile(r"welcome|thank|hello", re.IGNORECASE)


def _plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))


def _near(upper: Row, lower: Row) -> bool:
    """Whether two rows stand close above each other, the one over the other."""
    gap = lower.box[1] - upper.box[3]
    overlap = min(upper.box[2], lower.box[2]) - max(upper.box[0], lower.box[0])
    return gap < 1.2 * lower.height and overlap > 0 and 0.4 < upper.height / lower.height < 2.5


def _begins_name(upper: Row, row: Row) -> bool:
    text = _merge_text(row.cells)
    if not _is_name(upper) or _LEGAL.search(upper.text):
        return False
    if _ONLY_LEGAL.fullmatch(text):
        return True
    if _ONLY_TRADE.fullmatch(_plain(text)):
        return not re.search(r"\d", upper.text) and not _GREETING.search(upper.text) and _near(upper, row)
    return (
        bool(_LEGAL.search(text))
        and len(text) < 24
        and not re.search(r"\d", upper.text)
        and _alike(upper, row)
        and upper.text.isupper() == text.isupper()
    )


# A name does not end with such a word, and no other begins with one: GASTROBAR EL / GALLO, BED BATH / & BEYOND.
_OPEN_END = re.compile(
    r"(?:[&+]|\b(?:and|of|the|at|el|la|los|las|de|del|di|du|le|les|der|die|das|und|et|y))$", re.IGNORECASE
)
_OPEN_START = re.compile(r"(?:[&+]|(?:and|of|de|del|di|du|und|et|y)\b)\s?\w", re.IGNORECASE)


def _continues_name(name: str, upper: Row, row: Row, body: float) -> bool:
    """Whether a row goes on with a name; ``body`` is the height of the page's ordinary rows."""
    text = _merge_text(row.cells)
    if _SUFFIX.search(name) or _STRONG_PLACE.search(text) or not _is_name(row):
        return False
    if _ONLY_LEGAL.fullmatch(text):
        return True
    if re.search(r"\d|,", text) or not _alike(upper, row):
        return False
    if _TRADE.search(text) or _LEGAL.search(text):
        return True
    if has_cjk(text):  # in large type, too, below a name: 外卖单, 顾客联
        return False
    displayed = min(upper.height, row.height) > body / _DISPLAY and not _is_slogan(text)
    stacked = " " not in text and text.isupper() == name.isupper() and not _PLACE.search(text)
    return bool(displayed or stacked or _OPEN_END.search(name) or _OPEN_START.match(text))


_BEHIND_COUNTRY = re.compile(r"(?:malaysia|singapore|china|usa)\W*$", re.IGNORECASE)
_PREMISES = re.compile(r"(?:no|lot|unit|level)\b\.?\s?\w", re.IGNORECASE)


def _ends_address(text: str) -> bool:
    return bool(_STOP.search(text) or find_dates(text) or re.search(r"[:)]\s?\+?[\d\s-]{7,}$", text))


def _continues_address(run: list[Row], text: str) -> bool:
    if _BEHIND_COUNTRY.search(run[-1].text):
        return False
    return bool(_PLACE.search(text)) or _looks_like_place(text)


def _find_address(head: tuple[Row, ...], name_index: int | None) -> list[Row]:
    run: list[Row] = []
    start = 0 if name_index is None else name_index + 1
    for row in head[start:]:
        text = row.text
        number = _REGISTRATION.fullmatch(text.strip()) or re.search(
            r"co\.?\s?no\b|reg\b", text, re.IGNORECASE
        )
        labelled = bool(_LABELLED.match(fold(text)) or _OTHER_LABEL.match(text)) and not re.match(
            r".{0,4}(?:地\s?址|店址)", text
        )
        begins = bool(_PLACE.search(text)) and not number and not labelled
        if not run and (not begins or _ends_address(text)):
            continue
        if run and (labelled or len(run) == 6 or _ends_address(text) or not _continues_address(run, text)):
            break
        run.append(row)
    if not run and name_index is not None:  # no word for a place: a line such as "USJ Summit, Subang (SS)"
        loose = [
            row
            for row in head[start : start + 6]
            if "," in row.text and not _ends_address(row.text) and _is_name(row)
        ]
        return loose[:1]
    for index in (1, 2):  # a name of a building or town above the address proper
        above = "".join(row.text for row in run[:index])
        if index < len(run) and _PREMISES.match(run[index].text) and not any(map(str.isdigit, above)):
            return run[index:]
    return run


def _looks_like_place(text: str) -> bool:
    letters = sum(char.isalpha() for char in text)
    return (
        letters >= 4
        and not any(amount.decimals == 2 for amount in find_amounts(text))
        and len(compact(text)) < 60
    )
