"""What a bookkeeper would check: each rule of a template over the fields that were found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from vlpro.engines.ocr.checks import plain
from vlpro.engines.ocr.text import fold
from vlpro.workflows.extraction.credit_code import as_meant, is_valid
from vlpro.workflows.extraction.result import Check, ExtractedField, Verdict
from vlpro.workflows.extraction.template import Rule, Template, Title

__all__ = ["Finding", "Material", "run_checks", "verdict_of"]

_CENT = Decimal("0.01")
_TAX_SLACK = Decimal("0.06")
"""How far tax may lie from amount × rate: the invoicing software rounds each line."""
_RATES = frozenset(
    map(
        Decimal,
        [
            "0",
            "0.005",
            "0.01",
            "0.015",
            "0.02",
            "0.03",
            "0.04",
            "0.05",
            "0.06",
            "0.09",
            "0.1",
            "0.11",
            "0.13",
            "0.16",
            "0.17",
        ],
    )
)
_FIRST_DAY = dt.date(1980, 1, 1)
SURE = 0.8
"""A field that is read with less is for a person to look at."""

Items = Sequence[Mapping[str, ExtractedField]]


@dataclass(frozen=True, slots=True)
class Material:
    """What is checked.

    Args:
        fields: By name.
        items: Lines of the table.
        today: No document is of a later day.
        coded: What the tax administration's code says, by field.
        printed: What the text says for fields of which the code says something, too.
        tabled: Whether the lines stand under a header; otherwise a sum that they do not make says nothing of them.
    """

    fields: Mapping[str, ExtractedField]
    items: Items
    today: dt.date
    coded: Mapping[str, str]
    printed: Mapping[str, str]
    tabled: bool = True

    def text(self, name: str) -> str | None:
        """A field's normal form."""
        found = self.fields.get(name)
        return found.normalized if found else None

    def number(self, name: str) -> Decimal | None:
        """A field as a number."""
        text = self.text(name)
        return Decimal(text) if text is not None else None


@dataclass(frozen=True, slots=True)
class Finding:
    """A check with the fields that it concerns.

    Args:
        check: What came out.
        fields: Names.
    """

    check: Check
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Outcome:
    passed: bool | None
    en: str
    zh: str
    fields: tuple[str, ...] | None = None  # that it concerns, where these are not all of the rule's


def _held(en: str, zh: str) -> _Outcome:
    return _Outcome(passed=True, en=en, zh=zh)


def _failed(en: str, zh: str) -> _Outcome:
    return _Outcome(passed=False, en=en, zh=zh)


def _open(en: str, zh: str) -> _Outcome:
    return _Outcome(passed=None, en=en, zh=zh)


def run_checks(template: Template, material: Material) -> list[Finding]:
    """All checks of a template.

    Args:
        template: Of the document.
        material: What was found.

    Returns:
        What came out, in the template's order; optional ones that lack a field are left out.
    """
    findings = []
    for rule in template.rules:
        if not _applies(rule, material):
            continue
        outcome = _RULES[rule.check](rule, material, template)
        if outcome is None or (outcome.passed is None and rule.optional):
            continue
        passed = None if rule.soft and outcome.passed is False else outcome.passed
        check = Check(rule.name, passed, outcome.en, outcome.zh)
        concerned = tuple(_fields_of(rule)) if outcome.fields is None else outcome.fields
        findings.append(Finding(check, concerned))
    return findings


def verdict_of(template: Template, fields: Mapping[str, ExtractedField], checks: Iterable[Check]) -> Verdict:
    """What to do with a document.

    Args:
        template: Tells which fields are required.
        fields: What was found.
        checks: What came out.

    Returns:
        ``fail`` where a check fails or a required field is missing; ``review`` where something could not be checked
        or was read with a confidence below .8; otherwise ``pass``.
    """
    checks = list(checks)
    missing = any(one.required and fields[one.name].value is None for one in template.fields)
    if missing or any(check.passed is False for check in checks):
        return "fail"
    unsure = any(found.value is not None and found.confidence < SURE for found in fields.values())
    return "review" if unsure or any(check.passed is None for check in checks) else "pass"


def _applies(rule: Rule, material: Material) -> bool:
    when: Mapping[str, tuple[str, ...]] = rule.arguments.get("when", {})
    return all(material.text(name) in values for name, values in when.items())


def _fields_of(rule: Rule) -> list[str]:
    names: list[str] = []
    for argument, value in rule.arguments.items():
        if (
            argument in {"pattern", "within", "when", "absent"}
            or "column" in argument
            or rule.check == "line_amounts"
        ):
            continue
        names += [value] if isinstance(value, str) else list(value)
    return names


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _title(template: Template, name: str) -> Title:
    return template.field(name).title


def _lacking(template: Template, names: Sequence[str]) -> _Outcome:
    en = " and ".join(_title(template, name).en for name in names)
    zh = "、".join(_title(template, name).zh for name in names)
    return _open(f"Could not be checked: {en} was not found.", f"无法核对：未找到{zh}。")


def _missing(template: Template, material: Material, names: Sequence[str]) -> _Outcome | None:
    lacking = [name for name in names if material.text(name) is None]
    return _lacking(template, lacking) if lacking else None


def _total_in_words(rule: Rule, material: Material, template: Template) -> _Outcome:
    total, words = rule.arguments["total"], rule.arguments["words"]
    if lacking := _missing(template, material, [total, words]):
        return lacking
    figure, said = Decimal(material.text(total) or 0), Decimal(material.text(words) or 0)
    same = figure == said
    return _Outcome(
        same,
        f"In figures {plain(figure)}, in words {plain(said)}: {'the same' if same else 'not the same'}.",
        f"小写 {plain(figure)}，大写 {plain(said)}：{'一致' if same else '不一致'}。",
    )


def _sum(rule: Rule, material: Material, template: Template) -> _Outcome:
    parts, less = _listed(rule.arguments["parts"]), _listed(rule.arguments.get("less", []))
    goal = material.number(rule.arguments["total"])
    known = [value for name in parts if (value := material.number(name)) is not None]
    off = [abs(value) for name in less if (value := material.number(name)) is not None]
    lacking = _missing(template, material, [rule.arguments["total"], *parts])
    if goal is None or not known or (len(known) < len(parts) and lacking is None):
        return lacking or _lacking(template, parts)
    made = sum(known, Decimal(0)) - sum(off, Decimal(0))
    within = Decimal(str(rule.arguments.get("within", 0)))
    same = abs(made - goal) <= within
    if not same and lacking is not None:
        return lacking
    formula = " + ".join(map(plain, known)) + "".join(f" − {plain(value)}" for value in off)
    return _computed(formula, made, goal, same=same)


def _tax_rate(rule: Rule, material: Material, template: Template) -> _Outcome:
    columns = [rule.arguments.get(name) for name in ("net_column", "column", "tax_column")]
    lines = (
        [tuple(_cell(item, str(name)) for name in columns) for item in material.items] if all(columns) else []
    )
    if lines and all(cell is not None for line in lines for cell in line):
        for net, rate, tax in lines:
            if net is not None and rate is not None and tax is not None:
                outcome = _taxed(net, rate, tax)
                if not outcome.passed:
                    return outcome
        return _held("The tax of each line is its amount × rate.", "每行税额等于金额乘以税率。")
    if len({line[1] for line in lines if line[1] is not None}) > 1:
        return _open("Several rates, and not all lines were read.", "存在多个税率，且部分明细未识别完整。")
    rate_field = rule.arguments.get("rate")
    names = [rule.arguments["net"], rule.arguments["tax"], *([rate_field] if rate_field else [])]
    if lacking := _missing(template, material, names):
        return lacking
    net, tax, rate = (Decimal(material.text(name) or 0) for name in names)
    return _taxed(net, rate, tax, max(1, len(material.items)))


def _taxed(net: Decimal, rate: Decimal, tax: Decimal, lines: int = 1) -> _Outcome:
    percent = f"{(rate * 100).normalize():f}%"
    if rate not in _RATES:
        return _failed(f"There is no tax rate of {percent}.", f"不存在 {percent} 的税率。")
    made = (net * rate).quantize(_CENT, ROUND_HALF_UP)
    same = abs(made - tax) <= _TAX_SLACK * lines
    return _computed(f"{plain(net)} × {percent}", made, tax, same=same)


def _computed(formula: str, made: Decimal, goal: Decimal, *, same: bool) -> _Outcome:
    """What a formula makes, beside what the document says; one figure once where they are equal."""
    if made == goal:
        return _held(f"{formula} = {plain(goal)}.", f"{formula} = {plain(goal)}。")
    line = formula if formula == plain(made) else f"{formula} = {plain(made)}"
    if same:
        return _held(
            f"{line}; the document says {plain(goal)}, which rounding explains.",
            f"{line}，单据上为 {plain(goal)}，差额属于四舍五入。",
        )
    return _failed(
        f"{line}, but the document says {plain(goal)}.", f"{line}，与单据上的 {plain(goal)} 不一致。"
    )


def _cell(item: Mapping[str, ExtractedField], column: str) -> Decimal | None:
    found = item.get(column)
    return Decimal(found.normalized) if found and found.normalized is not None else None


def _items_sum(rule: Rule, material: Material, template: Template) -> _Outcome | None:
    names = _listed(rule.arguments["total"])
    goals = [value for name in names if (value := material.number(name)) is not None]
    if not material.items:
        return _open("No lines were read.", "未识别到明细行。")
    if not goals:
        return _lacking(template, names)
    amounts = [_cell(item, rule.arguments["column"]) for item in material.items]
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        return _open("A line's amount was not read.", "有明细行的金额未识别。")
    made = sum(known, Decimal(0))
    off = sum(
        (abs(value) for name in _listed(rule.arguments.get("less", [])) if (value := material.number(name))),
        Decimal(0),
    )
    goal = next((goal for goal in goals if goal in {made, made - off}), goals[0])
    same = goal in {made, made - off}
    if not same and not material.tabled:
        return None
    if made == goal:
        return _held(f"The lines ({len(known)}) make {plain(goal)}.", f"{len(known)} 行合计 {plain(goal)}。")
    line = f"{plain(made)}{f' − {plain(off)}' if off else ''} {'=' if same else '≠'} {plain(goal)}"
    return _Outcome(same, f"The lines ({len(known)}) make {line}.", f"{len(known)} 行合计 {line}。")


def _line_amounts(rule: Rule, material: Material, template: Template) -> _Outcome | None:  # noqa: ARG001 - as all rules
    checked = 0
    for item in material.items:
        price, count, amount = (_cell(item, rule.arguments[name]) for name in ("price", "quantity", "amount"))
        if price is None or count is None or amount is None:
            continue
        checked += 1
        exponent = price.as_tuple().exponent
        half_unit = Decimal(5).scaleb(exponent - 1) if isinstance(exponent, int) else _CENT
        if abs(price * count - amount) > max(_CENT, abs(count) * half_unit):
            line = f"{plain(price)} × {count.normalize():f} ≠ {plain(amount)}"
            return _failed(f"{line}.", f"{line}。")
    if not checked:
        return None
    return _held("Unit price × quantity is each line's amount.", "每行单价乘以数量等于金额。")


def _date_valid(rule: Rule, material: Material, template: Template) -> _Outcome:
    name = rule.arguments["date"]
    found = material.fields.get(name)
    if found is None or found.value is None:
        return _lacking(template, [name])
    if found.normalized is None:
        return _failed(f"There is no day {found.value}.", f"不存在 {found.value} 这一天。")
    day = dt.date.fromisoformat(found.normalized)
    if day > material.today:
        return _failed(f"{day} lies in the future.", f"{day} 是将来的日期。")
    if day < _FIRST_DAY:
        return _failed(f"{day} is too long ago.", f"{day} 年代过早。")
    return _held(f"{day} exists and is not in the future.", f"{day} 是有效日期，且不晚于今天。")


def _credit_code(rule: Rule, material: Material, template: Template) -> _Outcome:
    name = rule.arguments["code"]
    code = material.text(name)
    if code is None:
        return _lacking(template, [name])
    if len(code) in {15, 20}:
        return _open(
            f"{code} is an older tax number, which has no check character.",
            f"{code} 为旧版纳税人识别号，无校验位，无法核对。",
        )
    found = material.fields[name]
    if is_valid(code) and found.value and _letters(found.value) != code:
        return _open(
            f"Read as {found.value}, which is not valid; {code} is (GB 32100-2015). Compare it with the page.",
            f"识别为 {found.value}，校验不通过；{code} 校验正确（GB 32100-2015），请对照原件。",
        )
    if is_valid(code):
        return _held("The check character is right (GB 32100-2015).", "校验位正确（GB 32100-2015）。")
    return _failed(
        f"{code} is no unified social credit code: its check character is wrong (GB 32100-2015).",
        f"{code} 不是有效的统一社会信用代码：校验位错误（GB 32100-2015）。",
    )


def _letters(written: str) -> str:
    return as_meant("".join(fold(written).upper().split()))


def _format(rule: Rule, material: Material, template: Template) -> _Outcome:
    name = rule.arguments["field"]
    text = material.text(name)
    if text is None:
        return _lacking(template, [name])
    holds = rule.arguments["pattern"].fullmatch(text, timeout=0.05) is not None
    title = _title(template, name)
    return _Outcome(
        holds,
        f"{title.en} {text} has {'the right' if holds else 'a wrong'} form for this kind.",
        f"{title.zh} {text} {'符合' if holds else '不符合'}该票种的格式。",
    )


def _qr_code(rule: Rule, material: Material, template: Template) -> _Outcome | None:
    if not material.coded:
        return None
    compared = []
    for name in _listed(rule.arguments["fields"]):
        coded, printed = material.coded.get(name), material.printed.get(name)
        if coded is None or printed is None:
            continue
        compared.append(name)
        if coded != printed and not (len(coded) == 6 and printed.endswith(coded)):
            title = _title(template, name)
            return _Outcome(
                passed=False,
                en=f"{title.en}: printed {printed}, in the code {coded}.",
                zh=f"{title.zh}：票面为 {printed}，二维码为 {coded}。",
                fields=(name,),
            )
    if not compared:
        return _open(
            "The code was read, but nothing printed that it could be compared with.",
            "已读取二维码，但没有可比对的票面内容。",
        )
    titles = [_title(template, name) for name in compared]
    return _Outcome(
        passed=True,
        en=f"The code says the same as the text: {', '.join(title.en for title in titles)}.",
        zh=f"二维码与票面一致：{'、'.join(title.zh for title in titles)}。",
        fields=tuple(compared),
    )


_RULES: Mapping[str, Callable[[Rule, Material, Template], _Outcome | None]] = {
    "total_in_words": _total_in_words,
    "sum": _sum,
    "tax_rate": _tax_rate,
    "items_sum": _items_sum,
    "line_amounts": _line_amounts,
    "date_valid": _date_valid,
    "credit_code": _credit_code,
    "format": _format,
    "qr_code": _qr_code,
}
