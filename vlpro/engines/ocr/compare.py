"""Arithmetic over values that several pages show: differences and sums."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts
from vlpro.engines.ocr.checks import plain
from vlpro.engines.ocr.evidence import Answer, of_cells, of_found
from vlpro.engines.ocr.questions import Want
from vlpro.engines.ocr.resolve import kind_name, resolve
from vlpro.engines.ocr.text import compact, escape_markdown

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from vlpro.engines.ocr.fields.found import Found
    from vlpro.engines.ocr.scene import Scene, Shown

__all__ = ["add_up", "compare"]

_MONEY = ("total", "subtotal", "tax", "discount", "paid", "due", "change", "tendered", "rounding", "capitals")


def currency_of(found: Found) -> str:
    """The currency that an amount is written with; empty where none is."""
    amounts = find_amounts(found.text)
    sign = amounts[0].currency if amounts else ""
    return {"元": "¥", "CNY": "¥", "RMB": "¥", "MYR": "RM", "US$": "$", "USD": "$"}.get(sign, sign)


def _money(shown: Shown, kind: str) -> Found | None:
    fields = shown.document.fields
    found = fields.get(kind)
    if found is None and kind == "total":
        found = fields.get("capitals")
    return found if found is not None and isinstance(found.value, Decimal) else None


def _kind(scene: Scene) -> str:
    return next((want.kind for want in scene.ask.wants if want.kind in _MONEY), "total")


def _missing(scene: Scene, shown: Shown, kind: str) -> str:
    name = kind_name(kind, scene.language)
    return scene.say(
        f"{scene.picture(shown.number)}: no {name} was found.",
        f"{scene.picture(shown.number)}：没有找到{name}。",
    )


def _need_more(scene: Scene) -> Answer:
    return Answer(
        scene.say(
            "A comparison needs at least two pictures, and this conversation has only one. Add the other "
            "one and ask again.",
            "比较至少需要两张图片，而这段对话里只有一张。请再添加一张后提问。",
        )
    )


def compare(scene: Scene) -> Answer:
    """Compare two or more pictures by a field, and show the arithmetic.

    Args:
        scene: The question with its pictures.
    """
    if len(scene.shown) < 2:
        return _need_more(scene)
    wanted = [want.kind for want in scene.ask.wants]
    if scene.ask.detail in {"earlier", "later"} or wanted[:1] == ["date"]:
        return _compare_dates(scene)
    others = [kind for kind in wanted if kind not in _MONEY]
    if scene.ask.target or (others and others == wanted):
        item = scene.ask.target
        return _compare_items(scene, item) if item else _compare_texts(scene, others)
    kind = _kind(scene)
    name = kind_name(kind, scene.language)
    pairs = [(shown, _money(shown, kind)) for shown in scene.shown]
    known = [(shown, found) for shown, found in pairs if found is not None]
    evidence = tuple(of_found(shown.number, shown.document.page, found, name) for shown, found in known)
    lines = [
        f"- {scene.at(shown.number)}{name} {scene.bold(found.text)}"
        if found
        else f"- {_missing(scene, shown, kind)}"
        for shown, found in pairs
    ]
    if len(known) < 2:
        head = scene.say("They cannot be compared: ", "无法比较：")
        return Answer(
            head + scene.say("an amount is missing.", "缺少金额。") + "\n\n" + "\n".join(lines), evidence
        )
    if len({currency_of(found) for _, found in known} - {""}) > 1:
        head = scene.say(
            "The amounts are in different currencies, so they cannot be compared by number.",
            "金额的币种不同，不能直接比较。",
        )
        return Answer(head + "\n\n" + "\n".join(lines), evidence)
    return Answer(_difference(scene, known) + "\n\n" + "\n".join([*lines, *_also(scene)]), evidence)


def _compare_items(scene: Scene, item: str) -> Answer:
    """Compare the price of one thing that several pages list: 哪家的牛奶便宜."""
    asked = f"{item} price"
    known: list[tuple[Decimal, Shown, str]] = []
    lines, evidence, signs = [], [], set()
    for shown in scene.shown:
        result = resolve(shown.document, Want("", asked, asked, asked))
        amounts = find_amounts(result.text) if result else []
        if result is None or not amounts:
            lines.append(
                f"- {scene.at(shown.number)}"
                + scene.say(
                    f"no price of {scene.quote(item)} was found", f"没有找到{scene.quote(item)}的价格"
                )
            )
            continue
        known.append((amounts[-1].value, shown, result.text))
        signs.add(amounts[-1].currency)
        lines.append(f"- {scene.at(shown.number)}{escape_markdown(result.name)} {scene.bold(result.text)}")
        evidence.append(
            of_cells(shown.number, shown.document.page, result.cells[:1], result.name, result.text)
        )
    body = "\n".join(lines)
    if len(known) < 2 or len(signs - {""}) > 1:
        head = scene.say("They cannot be compared.", "无法比较。")
        return Answer(f"{head}\n\n{body}", tuple(evidence))
    low, high = min(known, key=lambda one: one[0]), max(known, key=lambda one: one[0])
    if low[0] == high[0]:
        head = scene.say("The prices are **equal**.", "价格**相同**。")
    else:
        difference = f"{plain(high[0])} − {plain(low[0])} = **{plain(high[0] - low[0])}**"
        head = scene.say(
            f"{scene.picture(low[1].number)} has the lower price: {difference}",
            f"{scene.picture(low[1].number)}更便宜，少 {difference}",
        )
    return Answer(f"{head}\n\n{body}", tuple(evidence))


def _value(found: Found) -> Decimal:
    assert isinstance(found.value, Decimal)  # noqa: S101 - _money saw to it
    return found.value


def _difference(scene: Scene, known: list[tuple[Shown, Found]]) -> str:
    ordered = sorted(known, key=lambda pair: _value(pair[1]))
    (low_shown, low), (high_shown, high) = ordered[0], ordered[-1]
    difference = _value(high) - _value(low)
    if not difference:
        return scene.say("The amounts are **equal**.", "金额**相同**。")
    sign = _common_sign([high, low])
    sum_line = f"{plain(_value(high))} − {plain(_value(low))} = **{with_currency(sign, difference)}**"
    if len(known) > 2:
        return scene.say(
            f"{scene.picture(low_shown.number)} is the lowest, {scene.picture(high_shown.number).lower()} "
            f"the highest: {sum_line}",
            f"{scene.picture(low_shown.number)}最低，{scene.picture(high_shown.number)}最高，相差 {sum_line}",
        )
    if scene.ask.detail == "more":
        return scene.say(
            f"{scene.picture(high_shown.number)} is higher: {sum_line}",
            f"{scene.picture(high_shown.number)}更高，多 {sum_line}",
        )
    return scene.say(
        f"{scene.picture(low_shown.number)} is cheaper: {sum_line}",
        f"{scene.picture(low_shown.number)}更便宜，少 {sum_line}",
    )


def _common_sign(amounts: Sequence[Found]) -> str:
    """The currency that all of the amounts are written with; empty where one does not say its own."""
    signs = {currency_of(found) for found in amounts}
    return signs.pop() if len(signs) == 1 else ""


def with_currency(sign: str, value: Decimal) -> str:
    """An amount with its currency."""
    return f"{sign}{' ' if sign.isalpha() else ''}{plain(value)}" if sign else plain(value)


def _also(scene: Scene) -> list[str]:
    """Rows of other fields that both pictures have, for a general comparison."""
    if scene.ask.wants or scene.ask.detail:
        return []
    rows = []
    for kind in ("merchant", "date", "number", "tax"):
        found = [(shown, shown.document.fields.get(kind)) for shown in scene.shown]
        if all(value is not None for _, value in found):
            parts = scene.say("; ", "；").join(
                f"{scene.at(shown.number)}{scene.bold(value.text)}" for shown, value in found if value
            )
            rows.append(f"- {kind_name(kind, scene.language)}{scene.say(' – ', ' — ')}{parts}")
    return rows


def _compare_texts(scene: Scene, kinds: list[str]) -> Answer:
    lines, evidence = [], []
    for kind in kinds:
        name = kind_name(kind, scene.language)
        known = [(shown, shown.document.fields.get(kind)) for shown in scene.shown]
        keys = {compact(found.text) for _, found in known if found}
        complete = all(found for _, found in known)
        verdict = (
            scene.say("**the same**", "**相同**")
            if complete and len(keys) == 1
            else scene.say("**different**", "**不同**")
        )
        if not complete:
            verdict = scene.say("cannot be compared", "无法比较")
        lines.append(f"{name}{scene.say(': ', '：')}{verdict}")
        for shown, found in known:
            if found:
                lines.append(f"- {scene.at(shown.number)}{scene.bold(found.text)}")
                evidence.append(of_found(shown.number, shown.document.page, found, name))
            else:
                lines.append(f"- {_missing(scene, shown, kind)}")
    return Answer("\n".join(lines), tuple(evidence))


def _compare_dates(scene: Scene) -> Answer:
    name = kind_name("date", scene.language)
    known: list[tuple[Shown, Found, dt.date]] = []
    lines, evidence = [], []
    for shown in scene.shown:
        found = shown.document.fields.get("date")
        if found is None or isinstance(found.value, (str, Decimal)):
            lines.append(f"- {_missing(scene, shown, 'date')}")
            continue
        known.append((shown, found, found.value))
        lines.append(f"- {scene.at(shown.number)}{scene.bold(found.text)}")
        evidence.append(of_found(shown.number, shown.document.page, found, name))
    body = "\n".join(lines)
    if len(known) < 2:
        return Answer(
            scene.say("They cannot be compared: a date is missing.", "无法比较：缺少日期。") + "\n\n" + body,
            tuple(evidence),
        )
    first, last = min(known, key=lambda item: item[2]), max(known, key=lambda item: item[2])
    days = (last[2] - first[2]).days
    named = last if scene.ask.detail == "later" else first
    if not days:
        head = scene.say("The dates are **the same**.", "日期**相同**。")
    else:
        head = scene.say(
            f"{scene.picture(named[0].number)} is {'earlier' if named is first else 'later'}, by **{days}** "
            f"day{'s' if days > 1 else ''}.",
            f"{scene.picture(named[0].number)}更{'早' if named is first else '晚'}，相差 **{days}** 天。",
        )
    if any(found.other for _, found, _ in known):
        head += scene.say(" (Dates read with the day first.)", "（日期按“日/月/年”理解。）")
    return Answer(head + "\n\n" + body, tuple(evidence))


def add_up(scene: Scene) -> Answer:
    """Add an amount over all pictures, and show each addend.

    Args:
        scene: The question with its pictures.
    """
    kind = _kind(scene)
    name = kind_name(kind, scene.language)
    lines, evidence, values = [], [], []
    found_all: list[Found] = []
    for shown in scene.shown:
        found = _money(shown, kind)
        if found is None:
            lines.append(f"- {_missing(scene, shown, kind)}")
            continue
        values.append(_value(found))
        found_all.append(found)
        lines.append(f"- {scene.at(shown.number)}{scene.bold(found.text)}")
        evidence.append(of_found(shown.number, shown.document.page, found, name))
    if not values:
        return Answer("\n".join(lines))
    if len({currency_of(found) for found in found_all} - {""}) > 1:
        head = scene.say(
            "The amounts are in different currencies, so they cannot be added.", "金额的币种不同，不能相加。"
        )
        return Answer(head + "\n\n" + "\n".join(lines), tuple(evidence))
    sign = _common_sign(found_all)
    formula = " + ".join(plain(value) for value in values)
    total = with_currency(sign, sum(values, Decimal(0)))
    head = f"{formula} = **{total}**" if len(values) > 1 else f"**{total}**"
    head = scene.say(f"Together: {head}", f"合计：{head}")
    if len(values) < len(scene.shown):
        head += scene.say(
            " (without the pictures below whose amount was not found)", "（不含下面未找到金额的图片）"
        )
    return Answer(head + "\n\n" + "\n".join(lines), tuple(evidence))
