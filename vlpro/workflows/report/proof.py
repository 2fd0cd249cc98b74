"""A report by an engine that reads and does not see: texts, codes, and where pictures say different things.

It judges nothing: the verdict is always that a person should look, and the summary says why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vlpro.engines.interface import Language
from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.reading import Reading
from vlpro.workflows.report.result import Box, Finding

__all__ = ["concluded", "found"]

_MOST_CODES = 10
_MOST_TEXT = 500
_WITHOUT_VALUE = frozenset({"items", "table_columns"})
_LABELLED = re.compile(r"([^:：]{1,30})[:：](.{1,120})")

_WORDS: dict[str, tuple[str, str]] = {
    "title": ("图片文字报告", "Texts in pictures"),
    "text": ("图中文字：{text}", "Text: {text}"),
    "more": ("……（共 {lines} 行）", "… ({lines} lines)"),
    "code": ("{kind} 码：{text}", "{kind} code: {text}"),
    "differs": ("{name}在各图片中不一致：{values}", "{name} differs between the pictures: {values}"),
    "value": ("{value}（图片 {images}）", "{value} (picture {images})"),
    "comma": ("；", "; "),
    "blind": (
        "当前引擎（{engine}）只识别文字和条码，看不懂画面：没有判断物品的状态、缺陷和场景，结论须由人工看图后作出。",
        (
            "The engine in use ({engine}) reads texts and codes and does not see: the state of things, defects and "
            "scenes were not judged. A person must look at the pictures and conclude."
        ),
    ),
    "counted": (
        "{total} 张图片中读到 {lines} 行文字、{codes} 个条码或二维码。",
        "In {total} pictures {lines} lines of text and {codes} codes were read.",
    ),
    "same": ("各图片一致的内容：{values}。", "The pictures agree on: {values}."),
    "different": (
        "在图片之间不一致的内容：{count} 项，见发现列表。",
        "Things that differ between the pictures, as the findings tell: {count}.",
    ),
}


def found(readings: Sequence[Reading], language: Language) -> tuple[Finding, ...]:
    """What can be proven, picture by picture.

    Args:
        readings: One a picture, in order.
        language: To write in.
    """
    differences = _differences(readings, language)
    findings: list[Finding] = []
    for image, reading in enumerate(readings, 1):
        findings += [finding for finding in differences if finding.image == image]
        findings += [
            Finding(
                image,
                _say(language, "code", kind=code.format, text=code.text[:_MOST_TEXT]),
                "info",
                "code",
                (code.box,),
            )
            for code in reading.codes[:_MOST_CODES]
        ]
        if reading.lines:
            text = " / ".join(line.text for line in reading.lines)
            if len(text) > _MOST_TEXT:
                text = text[:_MOST_TEXT] + _say(language, "more", lines=len(reading.lines))
            findings.append(
                Finding(image, _say(language, "text", text=text), "info", "text", (_around(reading),))
            )
    return tuple(findings)


def _around(reading: Reading) -> Box:
    """One box around all lines: one for each would hide them."""
    sides = list(zip(*(line.box for line in reading.lines), strict=True))
    return min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3])


def concluded(readings: Sequence[Reading], engine: str, language: Language) -> tuple[str, str]:
    """Title and summary.

    Args:
        readings: One a picture, in order.
        engine: Its name.
        language: To write in.
    """
    lines = sum(len(reading.lines) for reading in readings)
    codes = sum(len(reading.codes) for reading in readings)
    parts = [
        _say(language, "blind", engine=engine),
        _say(language, "counted", total=len(readings), lines=lines, codes=codes),
    ]
    compared = _compared(readings, language).values()
    same = [
        f"{values[0].name} {values[0].text}" for values in compared if len({one.value for one in values}) == 1
    ]
    different = sum(len({one.value for one in values}) > 1 for values in compared)
    if same:
        parts.append(_say(language, "same", values=_say(language, "comma").join(same)))
    if different:
        parts.append(_say(language, "different", count=different))
    return _say(language, "title"), ("" if language == "zh" else " ").join(parts)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one picture says under a name: as written, and in a form to compare."""

    image: int
    name: str
    text: str
    value: str
    box: Box


def _differences(readings: Sequence[Reading], language: Language) -> list[Finding]:
    findings = []
    for values in _compared(readings, language).values():
        images: dict[str, list[_Said]] = {}
        for one in values:
            images.setdefault(one.value, []).append(one)
        if len(images) < 2:
            continue
        listed = _say(language, "comma").join(
            _say(language, "value", value=same[0].text[:80], images=", ".join(str(one.image) for one in same))
            for same in images.values()
        )
        text = _say(language, "differs", name=values[0].name, values=listed)
        findings += [Finding(one.image, text, "minor", "difference", (one.box,)) for one in values]
    return findings


def _compared(readings: Sequence[Reading], language: Language) -> dict[str, list[_Said]]:
    """What several pictures say under the same name, once a picture."""
    found: dict[str, dict[int, _Said]] = {}
    for image, reading in enumerate(readings, 1):
        for one_key, one in _named(image, reading, language):
            found.setdefault(one_key, {}).setdefault(image, one)
    return {key: list(values.values()) for key, values in found.items() if len(values) > 1}


def _named(image: int, reading: Reading, language: Language) -> Iterator[tuple[str, _Said]]:
    """Values that the picture itself names: fields beside their label, and lines such as ``Serial No: 48213``."""
    known = []
    for kind, field in reading.fields.items():
        if field.label and kind not in _WITHOUT_VALUE:
            known.append(field.text)
            yield kind, _Said(image, _name(kind, language), field.text, field.value, field.box)
    for line in reading.lines:
        labelled = _LABELLED.fullmatch(line.text.strip())
        if labelled is None or any(text in line.text for text in known):
            continue
        name, text = labelled[1].strip(), labelled[2].strip()
        yield f"line {_compact(name)}", _Said(image, name, text, _compact(text), line.box)


def _compact(text: str) -> str:
    """Letters and digits alone: spaces and points are what readings differ in without meaning it."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def _name(kind: str, language: Language) -> str:
    known = KINDS.get(kind)
    return kind if known is None else known.zh if language == "zh" else known.en


def _say(language: Language, key: str, **values: object) -> str:
    return _WORDS[key][0 if language == "zh" else 1].format(**values)
