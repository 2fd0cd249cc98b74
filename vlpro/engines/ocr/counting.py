"""How many there are of something, which columns a table has, and which of its items is the dearest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts
from vlpro.engines.ocr.evidence import Answer, Evidence, of_cells, of_codes
from vlpro.engines.ocr.questions import Want
from vlpro.engines.ocr.resolve import Result, counted_line, items_of, resolve, search
from vlpro.engines.ocr.text import compact, escape_markdown

if TYPE_CHECKING:
    from decimal import Decimal

    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.scene import Scene, Shown

__all__ = ["columns_line", "count", "extreme", "in_line"]


def count(scene: Scene) -> Answer:
    """Say how many lines, items, codes, words or things there are on each page."""
    what, target = scene.ask.counted, scene.ask.target
    if what == "pictures":
        return Answer(
            scene.say(
                f"This conversation has **{scene.total}** picture{'s' if scene.total != 1 else ''}.",
                f"这段对话共有 **{scene.total}** 张图片。",
            )
        )
    lines: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        document, page = shown.document, shown.document.page
        prefix = scene.at(shown.number)
        if not what:
            lines.append(prefix + _count_target(scene, shown, target, evidence))
        elif what == "codes":
            count = len(page.codes)
            lines.append(
                prefix
                + scene.say(f"**{count}** code{'s' if count != 1 else ''}.", f"共有 **{count}** 个码。")
            )
            evidence += of_codes(shown.number, page)
        elif what == "lines":
            count = len(document.layout.rows)
            pieces = len(page.lines)
            lines.append(
                prefix
                + scene.say(
                    f"**{count}** lines of text ({pieces} separate pieces).",
                    f"共有 **{count}** 行文字（{pieces} 个文字块）。",
                )
            )
        elif what in {"items", "rows"}:
            lines.append(prefix + _count_items(scene, shown, evidence))
        elif what == "columns":
            lines.append(columns_line(scene, shown, evidence))
        else:
            texts = [cell.text for cell in document.layout.cells]
            count = (
                sum(len(text.split()) for text in texts)
                if what == "words"
                else sum(len(compact(text)) for text in texts)
            )
            unit = scene.say(
                "words" if what == "words" else "letters and digits",
                "个词" if what == "words" else "个字（不含标点）",
            )
            lines.append(f"{prefix}**{count}** {unit}")
    return Answer("\n".join(lines), tuple(evidence))


def _count_target(scene: Scene, shown: Shown, target: str, evidence: list[Evidence]) -> str:
    """How many there are of a thing that the question names; how often a word occurs where that is asked."""
    page, times_asked = shown.document.page, scene.ask.detail == "times"
    if not times_asked and (found := _quantity(shown, target)):
        evidence.append(of_cells(shown.number, page, found.cells, found.name, found.text))
        return f"{escape_markdown(found.name)}{scene.say(': ', '：')}{scene.bold(found.text)}"
    if not compact(target):
        return scene.say(
            "Say what to count: lines, items, codes, pictures or a word on the page.",
            "请说明数什么：行数、商品项数、条码、图片，或页面上的某个词。",
        )
    hits = [cell for cell, how in search(shown.document, target) if how != "alike"]
    evidence += [of_cells(shown.number, page, [cell], target, cell.text) for cell in hits]
    if not hits:
        return scene.say(
            f"{scene.quote(target)} was not found in the text. Only what the text proves can be "
            f"counted here: lines, items, codes, or a word.",
            f"文字中没有找到{scene.quote(target)}。这里只能数文字能证明的内容：行、商品项、条码或某个词。",
        )
    if not times_asked:  # how often a word is printed is not how many there are of the thing
        texts = scene.say("; ", "；").join(in_line(scene, shown, cell) for cell in hits[:5])
        return scene.say(
            f"The text does not say how many {escape_markdown(target)} there are. It has: {texts}",
            f"文字没有直接写明{scene.quote(target)}的数量，相关的文字是：{texts}",
        )
    times = sum(max(1, compact(cell.text).count(compact(target))) for cell in hits)
    return scene.say(
        f"{scene.quote(target)} occurs **{times}** time{'s' if times != 1 else ''}.",
        f"{scene.quote(target)}出现了 **{times}** 次。",
    )


def _count_items(scene: Scene, shown: Shown, evidence: list[Evidence]) -> str:
    """How many lines the list of items has, and the number that the page prints itself."""
    page, items = shown.document.page, items_of(shown.document)
    printed = _printed_count(shown)
    own = ""
    if printed:
        own = scene.say(" The page itself says: ", "页面上写有：") + scene.bold(printed.text)
        evidence.append(of_cells(shown.number, page, printed.cells, "", printed.text))
    if not items:
        return scene.say("No list of items was found on the page.", "页面上没有找到商品明细。") + own
    names = scene.say(", ", "、").join(escape_markdown(name) for name, _, _ in items[:30])
    evidence += [of_cells(shown.number, page, cells, name) for name, _, cells in items]
    plural = "s" if len(items) != 1 else ""
    return scene.say(f"**{len(items)}** item{plural}: {names}.", f"共有 **{len(items)}** 项：{names}。") + own


_PRINTED_COUNT = re.compile(
    r"(?:items?sold|itemcount|(?:total)?(?:no|number)?ofitems?|items?purchased|total(?:qty|quantity|items?)|"
    r"总件数|件数|总数量|商品数量?|合计件数)\d{1,4}|\d{1,4}items?sold|共\d{1,4}件商?品?"
)


def _printed_count(shown: Shown) -> Result | None:
    """The number of items that the page prints itself, which may count pieces where the list has lines."""
    for row in shown.document.layout.rows:
        if _PRINTED_COUNT.fullmatch(compact(row.text)):
            return Result("", " ".join(cell.text for cell in row.cells), row.cells)
    return None


def in_line(scene: Scene, shown: Shown, cell: Cell) -> str:
    """A cell as an answer's value, with what stands to its right where it holds no figure itself."""
    right = [] if any(map(str.isdigit, cell.text)) else shown.document.layout.beside(cell)
    return " ".join([scene.bold(cell.text), *(escape_markdown(other.text) for other in right)])


def _quantity(shown: Shown, target: str) -> Result | None:
    """How many of an item a table or a line lists, or what a label such as Guests says."""
    if len(compact(target)) < 2:
        return None
    asked = f"{target} quantity"
    if result := resolve(shown.document, Want("", asked, asked, asked)):
        return result if any(map(str.isdigit, result.text)) else None
    if line := counted_line(shown.document, target):
        return line
    labelled = resolve(shown.document, Want("", target, target))
    whole = labelled is not None and re.fullmatch(r"\d{1,6}\s?\D{0,3}", labelled.text.strip())
    return labelled if whole else None


def _ranked(shown: Shown, counted: str) -> tuple[str, list[tuple[Decimal, str, str, tuple[Cell, ...]]]]:
    """What the items of a page are compared by, and for each its figure, name, figure as text and cells."""
    table, role = shown.document.table, counted or "unit_price"
    if table is not None and table.column(role) is not None:
        rows = [
            (value, table.name(item), f"{value:,f}", tuple(cell for row in item.row for cell in row.cells))
            for item in table.items
            if (value := table.number(item, role)) is not None
        ]
        if rows:
            return role, rows
    if counted:
        return role, []
    return "amount", [
        (amounts[-1].value, name, amount, cells)
        for name, amount, cells in items_of(shown.document)
        if name and (amounts := find_amounts(amount))
    ]


def extreme(scene: Scene) -> Answer:
    """The dearest or cheapest item of each page's list, by the figures that it prints."""
    lines: list[str] = []
    evidence: list[Evidence] = []
    highest = scene.ask.detail == "more"
    for shown in scene.shown:
        role, rows = _ranked(shown, scene.ask.counted.removesuffix("items"))
        if len(rows) < 2:
            none = "No list of items that could be compared was found on the page."
            lines.append(scene.at(shown.number) + scene.say(none, "页面上没有找到可以比较的明细。"))
            continue
        goal = max(row[0] for row in rows) if highest else min(row[0] for row in rows)
        best = [row for row in rows if row[0] == goal][:5]
        by = {
            "unit_price": scene.say("unit price", "单价"),
            "quantity": scene.say("quantity", "数量"),
            "amount": scene.say("amount of the line", "该行金额"),
        }[role]
        word = scene.say("highest" if highest else "lowest", "最高" if highest else "最低")
        found = scene.say("; ", "；").join(
            f"{escape_markdown(row[1])} — {scene.bold(row[2])}" for row in best
        )
        lines.append(
            scene.at(shown.number)
            + scene.say(
                f"Of the {len(rows)} items, the {word} {by}: {found}",
                f"{len(rows)} 项中{by}{word}的是：{found}",
            )
        )
        evidence += [of_cells(shown.number, shown.document.page, row[3], row[1]) for row in best]
    return Answer("\n".join(lines), tuple(evidence))


def columns_line(scene: Scene, shown: Shown, evidence: list[Evidence]) -> str:
    """Name the columns of a page's table; adds their evidence to ``evidence``."""
    table = shown.document.table
    prefix = scene.at(shown.number)
    if table is None:
        return prefix + scene.say("No table with a header row was found.", "没有找到带表头的表格。")
    evidence += [
        of_cells(shown.number, shown.document.page, [column.cell], column.name) for column in table.columns
    ]
    names = scene.say(", ", "、").join(scene.bold(column.name) for column in table.columns)
    return prefix + scene.say(
        f"{len(table.columns)} columns: {names}", f"共 {len(table.columns)} 列：{names}"
    )
