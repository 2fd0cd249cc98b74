"""A report by an engine that reads and does not see: texts, codes, and where pictures say different things.

It judges nothing: the verdict is always that a person should look, and the summary says why.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlpro.engines.interface import Language
from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.reading import ReadField, Reading
from vlpro.workflows.report.result import Finding

__all__ = ["concluded", "found"]

_MOST_LINES, _MOST_CODES = 60, 10
_MOST_TEXT = 500

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
        "有 {count} 项内容在图片之间不一致，见发现列表。",
        "In {count} things the pictures differ: see the findings.",
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
            boxes = tuple(line.box for line in reading.lines[:_MOST_LINES])
            findings.append(Finding(image, _say(language, "text", text=text), "info", "text", boxes))
    return tuple(findings)


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
    fields = _by_kind(readings)
    same = [
        f"{_name(kind, language)} {values[0][1].text}"
        for kind, values in fields.items()
        if len(values) > 1 and len({field.value for _, field in values}) == 1
    ]
    different = sum(len({field.value for _, field in values}) > 1 for values in fields.values())
    if same:
        parts.append(_say(language, "same", values=_say(language, "comma").join(same)))
    if different:
        parts.append(_say(language, "different", count=different))
    return _say(language, "title"), ("" if language == "zh" else " ").join(parts)


def _differences(readings: Sequence[Reading], language: Language) -> list[Finding]:
    findings = []
    for kind, values in _by_kind(readings).items():
        images: dict[str, list[int]] = {}
        for image, field in values:
            images.setdefault(field.value, []).append(image)
        if len(images) < 2:
            continue
        shown = {field.value: field.text for _, field in reversed(values)}
        listed = _say(language, "comma").join(
            _say(language, "value", value=shown[value][:80], images=", ".join(map(str, where)))
            for value, where in images.items()
        )
        text = _say(language, "differs", name=_name(kind, language), values=listed)
        findings += [Finding(image, text, "minor", "difference", (field.box,)) for image, field in values]
    return findings


def _by_kind(readings: Sequence[Reading]) -> dict[str, list[tuple[int, ReadField]]]:
    """Fields that several pictures have."""
    found: dict[str, list[tuple[int, ReadField]]] = {}
    for image, reading in enumerate(readings, 1):
        for kind, field in reading.fields.items():
            found.setdefault(kind, []).append((image, field))
    return {kind: values for kind, values in found.items() if len(values) > 1}


def _name(kind: str, language: Language) -> str:
    known = KINDS.get(kind)
    return kind if known is None else known.zh if language == "zh" else known.en


def _say(language: Language, key: str, **values: object) -> str:
    return _WORDS[key][0 if language == "zh" else 1].format(**values)
