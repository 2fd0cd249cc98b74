"""Labels and their values, whatever the label is: ``Doc No. : CS00031663``, 收款人：张三."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts
from vlpro.engines.ocr.text import compact, fold

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Cell, Layout

__all__ = ["Pair", "labelled", "loosely_labelled", "value_after"]

_LONGEST_LABEL = 40
_COLON = re.compile(r"(?<!\d):|:(?!\d)")
# A second label within a cell: Chinese behind something that is not, or behind a gap (260累计积分：4385) ...
_NEXT_HAN = re.compile(
    r"(?:(?<=[^\u2e80-\u9fff])|\s)(?P<label>[\u4e00-\u9fff]{2,6}):|"
    # ... also behind a Chinese value from which the gap was not read, where it can be nothing else (张建国性别：男)
    r"(?<=[\u4e00-\u9fff])(?P<sure>性别|年龄|民族|出生日期|出生年月|身份证号码?|毕业院校|学历|学位|专业|"
    r"籍贯|政治面貌|科室|病区|床号|住院号|门诊号|病历号|部门|职务|职位|"
    r"联系电话|手机号?码?):"
)
# ... and a Latin one from its last capital letter on (Barclays  Account: 20417788  Sort code: 20-45-77).
_NEXT_LATIN = re.compile(
    r"\s(?P<label>[A-Z][A-Za-z.]{1,15}(?:\s[a-z]{2,12}|\s(?:No|ID)\.?|"
    r"\s(?:Date|Time|Number|Name|Address|Terms|Code|To|By))?)\s?:(?!\d\d\b)"
)
_ENUMERATION = re.compile(r"^(?:[一二三四五六七八九十]{1,3}|\d{1,2})[、.．]\s?")
# A Chinese label with its value behind it and no colon: 额定功率 11 kW, 上车 08:12, 编号2603518, 接法 △.
# A plate number begins with its province: 车号沪A·D1234.
_LOOSE = re.compile(
    r"(?P<label>[\u4e00-\u9fff]{2,8}?)\s*(?P<value>"
    r"(?:[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼](?=[A-Z][·.\s]?[A-Z0-9]{5}))?[^\s\u2e80-\u9fff\uff00-\uffef:].*)"
)
# Labels of cards and forms whose value stands behind them with nothing between: 姓名王小明, 性别男 民族汉.
_CARD = re.compile(r"(?:^|\s)(?P<label>姓\s?名|性别|民族|出生|住址|公民身份号码|签发机关|有效期限)\s?(?=\S)")
# Labels whose value has a digit in it.
_NUMERIC_LABEL = re.compile(
    r"(?:号|号码|代码|账号|金额|余额|原额|税额|数量|单价|率|日期|时间|电话)$|(?:number|qty|quantity|price|amount|date)$"
)


@dataclass(frozen=True, eq=False)
class Pair:
    """A label with its value.

    Args:
        label: As written, without the colon.
        value: As written.
        cells: The value's cell first, then the label's where it is another one.
    """

    label: str
    value: str
    cells: tuple[Cell, ...]

    @property
    def key(self) -> str:
        """The label for comparing, without the number of a clause before it (二、合同总价)."""
        return compact(_ENUMERATION.sub("", self.label))


def _split(cell: Cell) -> tuple[str, str] | None:
    match = _COLON.search(cell.flat[: _LONGEST_LABEL + 1])
    if not match or not compact(cell.text[: match.start()]):
        return None
    return cell.text[: match.start()].strip(), cell.text[match.end() :].strip(" :：")


def _parts(label: str, value: str, cell: Cell) -> list[Pair]:
    """The pair of a cell, and those of the further labels that its value runs into."""
    pairs = []
    for _ in range(6):
        flat = fold(value)
        found = [match for pattern in (_NEXT_HAN, _NEXT_LATIN) if (match := pattern.search(flat, 1))]
        if not found:
            break
        match = min(found, key=lambda one: one.start(one.lastgroup or 0))
        start, end = match.span(match.lastgroup or 0)
        if own := value[:start].strip():
            pairs.append(Pair(label, own, (cell,)))
        label, value = value[start:end], value[match.end() :].strip(" :：")
    if value:
        pairs.append(Pair(label, value, (cell,)))
    return pairs


def _fits(label: Cell, text: str) -> bool:
    """Whether a text can be the value of a label: that of 卡号 or Amount has a digit, and a label is none."""
    return any(map(str.isdigit, text)) or not _NUMERIC_LABEL.search(compact(label.text))


def value_after(layout: Layout, cell: Cell, *, below: bool = True) -> tuple[str, Cell] | None:
    """The value that belongs to a cell which holds nothing but a label: to its right, else under it.

    Args:
        layout: The page.
        cell: The label's cell.
        below: Whether a value may stand under its label.

    Returns:
        The value's text and cell; None where there is none.
    """
    for right in layout.right_of(cell)[:2]:
        text = right.text.strip().strip(":：").strip()
        if not text:
            continue
        if right.flat.lstrip().startswith(":") or _split(right) is None:
            far = right.x1 - cell.x2 > 12 * cell.height and not any(a.is_money for a in find_amounts(text))
            if far and below and (under := layout.below(cell, rows=1)):
                return (under.text.strip(), under) if _split(under) is None else (text, right)
            # 工行 1234 and 南京路 100号 look like labels with values, but what a colon touches is its value.
            its_own = cell.flat.rstrip().endswith(":") and right.x1 - cell.x2 < 2 * cell.height
            return (text, right) if _fits(cell, text) and (its_own or _loose(right) is None) else None
        return None
    if below and (under := layout.below(cell, rows=1)) and _split(under) is None and _loose(under) is None:
        return (under.text.strip(), under) if _fits(cell, under.text) else None
    return None


def _loose(cell: Cell) -> tuple[str, str] | None:
    match = _LOOSE.fullmatch(cell.text.strip())
    if match is None or not any(
        char.isalnum() or unicodedata.category(char) == "So" for char in match["value"]
    ):
        return None
    return match["label"], match["value"].strip()


def _card(cell: Cell) -> list[Pair]:
    """The pairs of a cell that begins with a label of a card."""
    text = cell.text.strip()
    found = list(_CARD.finditer(text))
    if not found or found[0].start():
        return []
    ends = [*(match.start() for match in found[1:]), len(text)]
    pairs = [
        Pair(match["label"].replace(" ", ""), text[match.end() : end].strip(), (cell,))
        for match, end in zip(found, ends, strict=True)
    ]
    return pairs if all(pair.value for pair in pairs) else []


def loosely_labelled(layout: Layout) -> list[Pair]:
    """Pairs without a colon: a Chinese word with something that is not Chinese behind it in the same cell.

    Args:
        layout: The page.

    Returns:
        The pairs; the name of an article looks the same (鸡蛋30枚), so they count only for who asks by the label.
    """
    return [Pair(*split, (cell,)) for cell in layout.cells if not _split(cell) and (split := _loose(cell))]


def labelled(layout: Layout) -> list[Pair]:
    """All pairs that a colon marks, from top to bottom.

    Args:
        layout: The page.

    Returns:
        The pairs; a label whose value is missing is left out.
    """
    pairs = []
    for row in layout.rows:
        for index, cell in enumerate(row.cells):
            if split := _split(cell):
                label, value = split
                if value:
                    pairs += _parts(label, value, cell)
                elif found := value_after(layout, cell, below=False):
                    pairs.append(Pair(label, found[0], (found[1], cell)))
            elif on_card := _card(cell):
                pairs += on_card
            elif cell.flat.lstrip().startswith(":") and index and (value := cell.text.strip(" :：")):
                pairs.append(Pair(row.cells[index - 1].text.strip(), value, (cell, row.cells[index - 1])))
    return pairs
