"""From a question with its pages to an answer that the pages prove, or to saying what was not found."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.checks import verify
from vlpro.engines.ocr.compare import add_up, compare
from vlpro.engines.ocr.counting import columns_line, count, extreme, in_line
from vlpro.engines.ocr.evidence import Answer, Evidence, of_cells, of_codes, of_found
from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.ocr.questions import Want
from vlpro.engines.ocr.resolve import Result, items_of, kind_name, nearest, resolve, search
from vlpro.engines.ocr.schema_fill import plain_value
from vlpro.engines.ocr.text import compact, escape_markdown, has_cjk
from vlpro.engines.ocr.wording import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.scene import Scene, Shown

__all__ = ["answer", "without_pictures"]

_OVERVIEW = ("merchant", "buyer", "date", "number", "total", "capitals", "tax", "address", "payment")


def answer(scene: Scene) -> Answer:
    """Answer a question about pictures.

    Args:
        scene: The question with its pictures, at least one.

    Returns:
        The answer with its evidence.
    """
    ask = scene.ask
    handlers: dict[str, Callable[[Scene], Answer]] = {
        "overview": _overview,
        "greeting": _greeting,
        "help": _greeting,
        "read": _read,
        "where": _where,
        "count": count,
        "codes": _codes,
        "compare": extreme if ask.counted and len(scene.shown) < 2 else compare,
        "sum": add_up if len(scene.shown) > 1 else _wants,
        "check": verify,
        "exists": _exists,
        "extreme": extreme,
        "sight": _sight,
        "wants": _wants,
    }
    if not any(
        shown.document.page.lines or shown.document.page.codes for shown in scene.shown
    ) and ask.intent not in {
        "greeting",
        "help",
        "sight",
    }:
        return _nothing_read(scene)
    answered = handlers[ask.intent](scene)
    if not ask.text_too or answered.boxes_only:
        return answered
    read = _read(scene)
    return Answer(f"{answered.text}\n\n{read.text}", answered.evidence + read.evidence)


def _who(scene: Scene) -> str:
    return scene.say(
        "This is the embedded text reader: it reads printed text and codes in pictures, with their places, "
        "and answers what the text proves.",
        "这里是内置的文字识别引擎：它读取图片中的文字和条码及其位置，只回答文字能够证明的内容。",
    )


def _how_to_see(scene: Scene) -> str:
    return scene.say(
        "To have pictures understood as well, set `VLPRO_MODEL_DIR` to the folder of Qwen3-VL's weights, or "
        "`VLPRO_UPSTREAM_URL` to an OpenAI-compatible server in your network that runs it; see “Add the "
        "Qwen3-VL weights” in the README.",
        "如需看懂画面，请把 `VLPRO_MODEL_DIR` 设为 Qwen3-VL 权重所在的文件夹，或把 `VLPRO_UPSTREAM_URL` 设为内网中"
        "运行该模型的 OpenAI 兼容服务，见 README「添加 Qwen3-VL 权重」。",
    )


def _can(scene: Scene) -> str:
    return scene.say(
        "You can ask it for: the total, date, merchant, number or tax id; any label on the page; all the "
        "text; where a word stands; "
        "how many lines or items there are; the difference between two receipts; whether the sums are right.",
        "可以这样问：合计金额、日期、商户、单号、税号；页面上任何一栏的内容；读出全部文字；某个词在哪里；"
        "有几行、几项；两张小票相差多少；金额对不对。",
    )


def without_pictures(scene: Scene) -> Answer:
    """The answer where the conversation has no picture, or not the one that is asked about."""
    if scene.total:
        named = "、".join(str(number) for number in scene.ask.pictures if number > 0)
        return Answer(
            scene.say(
                f"There is no such picture: this conversation has {scene.total}, and the question names "
                f"{named or 'another one'}.",
                f"没有这张图片：这段对话共有 {scene.total} 张，问题里提到的是第 {named or '?'} 张。",
            )
        )
    if scene.ask.intent in {"greeting", "help", "overview"}:
        return _greeting(scene)
    return Answer(
        scene.say(
            "There is no picture in this conversation yet, so there is nothing to read. Add a picture of a "
            "receipt, an invoice or another document and ask again. ",
            "这段对话里还没有图片，无法回答。请添加小票、发票或其他文档的图片后再提问。",
        )
        + ("\n\n" + _who(scene) + " " + _how_to_see(scene) if scene.ask.intent == "sight" else "")
    )


def _greeting(scene: Scene) -> Answer:
    hello = scene.say("Hello. ", "你好。") if scene.ask.intent == "greeting" else ""
    more = (
        scene.say("Add a picture and ask a question about it. ", "请添加图片并提问。")
        if not scene.total
        else ""
    )
    return Answer(hello + _who(scene) + scene.say(" ", "") + more + scene.say("", "") + _can(scene))


def _nothing_read(scene: Scene) -> Answer:
    if scene.ask.boxes_only:
        return Answer("", boxes_only=True)
    return Answer(
        scene.say(
            "No text and no code was read in the picture. If it shows text, try a sharper, upright or "
            "larger picture. ",
            "图中没有读到文字或条码。如果图中有文字，请换一张更清晰、方向端正或更大的图片。",
        )
        + "\n\n"
        + _who(scene)
        + scene.say(" ", "")
        + _how_to_see(scene)
    )


def _sight(scene: Scene) -> Answer:
    text = (
        _who(scene)
        + scene.say(
            " It does not see scenes, objects, people, colours or charts, and it does not judge, summarise "
            "or translate. ",
            "它看不到场景、物体、人物、颜色和图表，也不做判断、总结或翻译。",
        )
        + _how_to_see(scene)
    )
    lines, evidence = _facts(scene) if scene.ask.detail == "whole" else ([], [])
    if lines:
        text += (
            "\n\n"
            + scene.say("What the text of the picture says:", "图中文字能够证明的有：")
            + "\n"
            + "\n".join(lines)
        )
    else:
        text += "\n\n" + _can(scene)
    return Answer(text, tuple(evidence))


def _facts(scene: Scene) -> tuple[list[str], list[Evidence]]:
    lines: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        fields = shown.document.fields
        if len({"total", "date", "number", "capitals"} & fields.keys()) < 1:
            continue
        for kind in _OVERVIEW:
            if found := fields.get(kind):
                name = kind_name(kind, scene.language)
                lines.append(
                    f"- {scene.at(shown.number)}{name}{scene.say(': ', '：')}{scene.bold(found.text)}"
                )
                evidence.append(of_found(shown.number, shown.document.page, found, name))
    return lines, evidence


_TELLING = 3  # so many fields say what a page is about


def _overview(scene: Scene) -> Answer:
    lines, evidence = _facts(scene)
    # Who asks what is on a page wants more of it than its date.
    if len(lines) < (_TELLING if scene.ask.detail else 1):
        return _read(scene)
    head = scene.say("The text of the picture says:", "图中可以确认的有：")
    if not scene.ask.detail:
        head = scene.say(
            "The picture came without a question. It says:", "图片没有附带问题。图中可以确认的有："
        )
    return Answer(head + "\n" + "\n".join(lines), tuple(evidence))


def _read(scene: Scene) -> Answer:
    blocks: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        document = shown.document
        evidence += of_codes(shown.number, document.page)
        evidence += [
            of_cells(shown.number, document.page, [cell], "", cell.text)
            for cell in document.layout.in_reading_order()
        ]
        head = [f"**{scene.picture(shown.number)}**", ""] if scene.total > 1 else []
        lines = [escape_markdown(text) for text in document.layout.as_text()]
        lines += [
            f"{scene.say('Code', '码')} ({escape_markdown(code.format)}): {escape_markdown(code.text[:300])}"
            for code in document.page.codes
        ]
        if not lines:
            lines = [scene.say("No text was read in this picture.", "这张图里没有读到文字。")]
        blocks.append("\n".join(head) + ("\n" if head else "") + "  \n".join(lines))
    if scene.ask.boxes_only:
        return Answer("", tuple(evidence), boxes_only=True)
    return Answer("\n\n".join(blocks), tuple(evidence))


def _codes(scene: Scene) -> Answer:
    lines: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        codes = shown.document.page.codes
        evidence += of_codes(shown.number, shown.document.page)
        lines += [
            f"- "
            f"{scene.at(shown.number)}{escape_markdown(code.format)}{scene.say(': ', '：')}"
            f"{scene.bold(code.text[:600])}"
            for code in codes
        ]
        vat = {kind: found for kind, found in shown.document.fields.items() if found.code is not None}
        if vat:
            parts = [
                f"{kind_name(kind, scene.language)} {escape_markdown(found.text)}"
                for kind, found in vat.items()
                if kind != "code_amount"
            ]
            lines.append(
                "  "
                + scene.say("VAT invoice code: ", "增值税发票二维码：")
                + scene.say(", ", "，").join(parts)
            )
        if not codes:
            lines.append(
                f"- {scene.at(shown.number)}{scene.say('no QR code or bar code was read', '没有读到二维码或条形码')}"
            )
    return Answer("\n".join(lines), tuple(evidence))


def _where(scene: Scene) -> Answer:
    target = scene.ask.target
    lines: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        document = shown.document
        page = document.page
        hits = [cell for cell, how in search(document, target) if how != "part"] or [
            cell for cell, _ in search(document, target)
        ]
        found = [of_cells(shown.number, page, [cell], target, cell.text) for cell in hits[:20]]
        if not found:
            found = [
                of_found(shown.number, page, value, kind_name(want.kind, scene.language))
                for want in scene.ask.wants
                if (value := document.fields.get(want.kind))
            ]
        if re.search(r"qr|code|二维码|条码|条形码", target.lower()):
            found = of_codes(shown.number, shown.document.page) or found
        evidence += found
        prefix = scene.at(shown.number)
        lines += [f"- {prefix}{scene.bold(item.text)} — {_place(scene, item)}" for item in found]
        if not found:
            lines.append(
                f"- {scene.at(shown.number)}{scene.say('not found: ', '没有找到')}{scene.quote(target)}"
            )
    if scene.ask.boxes_only:
        return Answer("", tuple(evidence), boxes_only=True)
    if not target and not evidence:
        return Answer(
            scene.say(
                "Say which word or field to look for, for example: where is “Total”?",
                "请说明要找哪个词或哪一栏，例如：「合计」在哪里？",
            )
        )
    return Answer("\n".join(lines), tuple(evidence))


def _place(scene: Scene, item: Evidence) -> str:
    x, y = (item.box[0] + item.box[2]) / 2, (item.box[1] + item.box[3]) / 2
    column = 0 if x < 334 else 1 if x < 667 else 2
    row = 0 if y < 334 else 1 if y < 667 else 2
    if scene.language == "zh":
        vertical, horizontal = ("上", "中", "下")[row], ("左", "中", "右")[column]
        return (
            "正中"
            if vertical == horizontal == "中"
            else f"{horizontal}{vertical}部"
            if horizontal != "中"
            else f"{vertical}部中间"
        )
    vertical, horizontal = ("top", "middle", "bottom")[row], ("left", "centre", "right")[column]
    return "in the centre" if (row, column) == (1, 1) else f"{vertical} {horizontal}"


def _items_lines(scene: Scene, shown: Shown, evidence: list[Evidence]) -> list[str]:
    items = items_of(shown.document)
    if not items:
        return [
            scene.at(shown.number)
            + scene.say("No list of items was found on the page.", "页面上没有找到商品明细。")
        ]
    lines = [
        scene.at(shown.number)
        + scene.say(f"{len(items)} item{'s' if len(items) != 1 else ''}:", f"共 {len(items)} 项：")
    ]
    table = shown.document.table
    if table is not None and table.items:
        lines += ["", "| " + " | ".join(escape_markdown(column.name) for column in table.columns) + " |"]
        lines.append("|" + " --- |" * len(table.columns))
        lines += [
            "| " + " | ".join(escape_markdown(item.text(i)) for i in range(len(table.columns))) + " |"
            for item in table.items
        ]
    else:
        lines += [
            f"- {escape_markdown(name)}{scene.say(': ', '：')}{scene.bold(amount)}"
            for name, amount, _ in items
        ]
    evidence += [of_cells(shown.number, shown.document.page, cells, name) for name, _, cells in items]
    return lines


def _note(scene: Scene, shown: Shown, result: Result) -> str:
    """What a reader must know beside a value: an ambiguous date, figures that contradict the capitals."""
    found, fields = result.found, shown.document.fields
    if found is None:
        return ""
    if found.other is not None:
        return scene.say(
            f" (day first: {found.value}; month first: {found.other})",
            f"（日在前为 {found.value}，月在前为 {found.other}）",
        )
    if result.kind in {"total", "capitals"} and "capitals" in fields and "total" in fields:
        capitals, total = fields["capitals"].value, fields["total"].value
        if capitals != total:
            shown_total, written = scene.bold(fields["total"].text), escape_markdown(fields["capitals"].text)
            return scene.say(
                f" (**note**: the figures {shown_total} and the capitals {written}, which is "
                f"{capitals:,.2f}, do not agree)",
                f"（**注意**：小写 {shown_total} 与大写 {written} 即 {capitals:,.2f} 不一致）",
            )
    if result.kind == "capitals" and isinstance(found.value, Decimal):
        return f" ({found.value:,})"
    return ""


_NOUN = re.compile(
    r"(?:号码?|日期|时间|名称|金额|代码|地址|电话|方式|税号|税额|商户|卖家|买家|商家|店名|公司|销售方|购买方)$|"
    r"\b(?:number|no|id|date|name|amount|total|address|code|method|seller|buyer|merchant|vendor|store|"
    r"company|tax|time)$"
)


def spoken(want: Want, language: str) -> str:
    """What to call a field: as the question did, where its words are a name in the answer's language."""
    phrase = want.phrase
    fits = has_cjk(phrase) == (language == "zh") and "_" not in phrase and not re.match("how|wh", phrase)
    named = fits and phrase in KINDS[want.kind].asks and _NOUN.search(phrase)
    return phrase if named else kind_name(want.kind, language)


_NAMELESS = re.compile(r"^(?:名\s?称|地址.*|开户.*|TEL|QR|纳税人识别号.*|统一社会信用代码.*)$")


def _value_line(scene: Scene, shown: Shown, want: Want, result: Result) -> str:
    label = result.found.label if result.found else result.name
    name = label
    if result.kind:  # another than was asked for: one party's, where the question did not say whose
        own = result.kind == want.kind
        name = spoken(want, scene.language) if own else kind_name(result.kind, scene.language)
    if (
        result.kind
        and label
        and len(label) <= 30
        and compact(label) != compact(name)
        and not _NAMELESS.match(label)
    ):
        if scene.language == "zh" and has_cjk(label):
            name = label  # the page's own word says it best
        else:
            name = f"{name} ({label})" if scene.language == "en" else f"{name}（{label}）"
    name = escape_markdown(name[:1].upper() + name[1:])
    value = f"{scene.bold(result.text)}{_note(scene, shown, result)}"
    return f"{scene.at(shown.number)}{name}{scene.say(': ', '：')}{value}"


def _wants(scene: Scene) -> Answer:
    if not scene.ask.wants:
        return Answer(
            scene.say("It is not clear what to look for. ", "没有看懂要找什么。")
            + _who(scene)
            + scene.say(" ", "")
            + _can(scene)
        )
    lines: list[str] = []
    evidence: list[Evidence] = []
    data: list[dict[str, object]] = []
    for shown in scene.shown:
        values: dict[str, object] = {}
        for want in scene.ask.wants:
            if want.kind == "table_columns":
                lines.append(columns_line(scene, shown, evidence))
                continue
            if want.kind == "items":
                lines += _items_lines(scene, shown, evidence)
                continue
            result = resolve(shown.document, want)
            name = spoken(want, scene.language) if want.kind else want.literal
            values[want.kind or want.literal] = (
                plain_value(result.found) if result and result.found else result.text if result else None
            )
            if result is None:
                if near := nearest(shown.document, want):
                    lines += _besides(scene, shown, want, near, evidence)
                    lines.append(_near_line(scene, shown, want, near))
                    evidence.append(_evidence(shown, near, name))
                    continue
                lines += _lines_with(scene, shown, want, evidence) or [_missing(scene, shown, want, name)]
                continue
            lines += _besides(scene, shown, want, result, evidence)
            lines.append(_value_line(scene, shown, want, result))
            evidence.append(_evidence(shown, result, name))
            for more in result.also:
                lines.append(_value_line(scene, shown, want, more))
                evidence.append(_evidence(shown, more, name))
        data.append(values)
    if scene.ask.as_json and any(data):
        body = json.dumps(data[0] if len(data) == 1 else data, ensure_ascii=False, indent=2)
        return Answer(f"```json\n{body}\n```")
    listed = len(lines) > 1 and not any(line.startswith(("|", "- ")) or not line for line in lines)
    return Answer("\n".join(f"- {line}" for line in lines) if listed else "\n".join(lines), tuple(evidence))


def _near_line(scene: Scene, shown: Shown, want: Want, near: Result) -> str:
    """What the page does have, said so that it cannot be taken for what was asked."""
    value = f"{scene.bold(near.text)}{_note(scene, shown, near)}"
    named = near.name and not _NAMELESS.match(near.name)
    label = near.name if named else (spoken(want, scene.language) if want.kind else want.literal)
    return scene.at(shown.number) + scene.say(
        f"No match for {scene.quote(near.unproven)} was found. What the text has is {escape_markdown(label)}: "
        f"{value}",
        f"没有找到与{scene.quote(near.unproven)}对应的内容；文字中有的是{escape_markdown(label)}：{value}",
    )


def _besides(scene: Scene, shown: Shown, want: Want, result: Result, evidence: list[Evidence]) -> list[str]:
    """The page's own figure under the very word that was asked with, where the total is another one."""
    if want.kind != "total" or result.found is None:
        return []
    named = shown.document.sum_line(want.phrase)
    if named is None or named.value == result.found.value:
        return []
    if any(cell in result.found.cells for cell in named.cells[:1]):
        return []  # it is the same figure, and was misread: 7100 for 71.00
    evidence.append(of_found(shown.number, shown.document.page, named, named.label))
    return [
        f"{scene.at(shown.number)}{escape_markdown(named.label)}{scene.say(': ', '：')}{scene.bold(named.text)}"
    ]


def _lines_with(scene: Scene, shown: Shown, want: Want, evidence: list[Evidence]) -> list[str]:
    """Lines that have the asked words in them, where no value belongs to the words."""
    words = want.literal.replace(want.phrase, " ").strip() if want.kind else want.literal
    if len(compact(words)) < 2:
        return []
    cells = [cell for cell, how in search(shown.document, words) if how != "alike"][:5]
    evidence += [of_cells(shown.number, shown.document.page, [cell], words, cell.text) for cell in cells]
    texts = scene.say("; ", "；").join(scene.bold(cell.text) for cell in cells)
    asked = scene.quote(want.literal)
    return (
        [
            scene.at(shown.number)
            + scene.say(
                f"No value of {asked} was found. The text has it here: {texts}",
                f"没有找到{asked}对应的内容，含有这个词的文字是：{texts}",
            )
        ]
        if cells
        else []
    )


def _missing(scene: Scene, shown: Shown, want: Want, name: str) -> str:
    fields = shown.document.fields
    has = [
        kind_name(kind, scene.language)
        for kind in (*_OVERVIEW, "subtotal", "tax_id", "phone")
        if kind in fields and kind != want.kind
    ]
    asked = scene.quote(name)
    text = scene.at(shown.number) + scene.say(
        f"{asked} was not found in the picture.", f"图中没有找到{asked}。"
    )
    if has:
        text += scene.say(
            f" The text does give: {', '.join(dict.fromkeys(has))}.",
            f"文字中能确认的有：{'、'.join(dict.fromkeys(has))}。",
        )
    elif shown.document.page.lines:
        first = [line.text for line in shown.document.page.lines[:3]]
        text += scene.say(
            f" The text begins: {escape_markdown(' / '.join(first))[:160]}",
            f"读到的文字开头是：{escape_markdown(' / '.join(first))[:160]}",
        )
    if want.kind == "":
        text += scene.say(
            " (This engine reads text only; it does not see scenes.)", "（本引擎只读文字，看不到画面。）"
        )
    return text


def _evidence(shown: Shown, result: Result, name: str) -> Evidence:
    page = shown.document.page
    if result.found:
        return of_found(shown.number, page, result.found, name)
    return of_cells(shown.number, page, result.cells[:1], result.name, result.text)


def _beyond(target: str, kinds: Sequence[Want]) -> list[str]:
    """The words of a yes-or-no question that are not the fields' names: what would have to be proven."""
    for want in kinds:
        target = target.replace(want.phrase, " ")
    return [word for word in re.split(r"[\s,，?？]+", clean(target)) if len(word) > 1 or word.isdigit()]


_CASH = {
    "cash": "cash|现金|tunai",
    "card": "visa|master|amex|credit(?! note)|debit|银行卡|刷卡|card",
    "wechat": "微信|wechat",
    "alipay": "支付宝|alipay",
}
_ASKED_PAY = {
    "cash": "cash|现金",
    "card": "card|visa|master|刷卡|银行卡|信用卡",
    "wechat": "微信|wechat",
    "alipay": "支付宝|alipay",
}


def _exists(scene: Scene) -> Answer:
    target = scene.ask.target
    asked = next((name for name, pattern in _ASKED_PAY.items() if re.search(pattern, target.lower())), "")
    paying = bool(asked) and bool(re.search(r"pa[iy]|付|支付|结", target.lower()))
    lines: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        page, document = shown.document.page, shown.document
        cells: Sequence[Cell] = []
        if paying:
            cells = [
                cell for cell in document.layout.cells if re.search(_CASH[asked], cell.flat, re.IGNORECASE)
            ][:3]
        elif kinds := [want for want in scene.ask.wants if want.kind]:
            rest = _beyond(target, kinds)
            cells = [cell for word in rest for cell, how in search(document, word) if how != "alike"]
            if not cells:  # 有没有服务费 names a kind in passing: the words themselves may be on the page
                cells = [cell for cell, how in search(document, target) if how != "alike"]
            if not rest:
                for want in kinds:
                    result = resolve(document, want)
                    lines.append(
                        _value_line(scene, shown, want, result)
                        if result
                        else _missing(scene, shown, want, want.phrase)
                    )
                    if result:
                        evidence.append(_evidence(shown, result, want.phrase))
                continue
        else:
            cells = [cell for cell, how in search(document, target) if how != "alike"]
        if cells:
            texts = scene.say("; ", "；").join(in_line(scene, shown, cell) for cell in cells[:5])
            lines.append(
                scene.at(shown.number) + scene.say(f"The text says: {texts}", f"图中文字写有：{texts}")
            )
            evidence += [of_cells(shown.number, page, [cell], target, cell.text) for cell in cells[:20]]
        else:
            lines.append(scene.at(shown.number) + scene.say(
                f"The text of the picture does not prove it: {scene.quote(target)} was not found.",
                f"图中文字不能证明这一点：没有找到{scene.quote(target)}。"))  # fmt: skip
            if paying and (other := document.fields.get("payment")):
                lines[-1] += scene.say(f" It names another way to pay: {scene.bold(other.text)}",
                                       f"文字中的支付方式是：{scene.bold(other.text)}")  # fmt: skip
                evidence.append(of_found(shown.number, page, other, kind_name("payment", scene.language)))
    return Answer("\n".join(lines), tuple(evidence))
