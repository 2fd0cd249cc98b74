"""A report as a document for people, and its pictures with numbered boxes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import cv2
import numpy as np

from vlpro.documents.document import Block, Document, Figure, Heading, Paragraph, Table
from vlpro.documents.label import Label
from vlpro.imaging.decode import decode
from vlpro.imaging.encode import pixels_to_jpeg
from vlpro.imaging.header import read_header
from vlpro.imaging.overlay import Drawn, draw
from vlpro.workflows.report.result import Report
from vlpro.workflows.report.store import StoredReport

__all__ = ["annotated", "document_of", "numbered", "severity_word", "verdict_word"]

_LONGEST = 1_600  # pixels of a picture's longer side in a document: some 230 dpi on its page

_WORDS: dict[str, tuple[str, str]] = {
    "verdict": ("结论：{word}", "Verdict: {word}"),
    "summary": ("摘要", "Summary"),
    "about": ("概况", "About this report"),
    "findings": ("发现", "Findings"),
    "pictures": ("图片", "Pictures"),
    "none": ("没有列出发现。", "No finding is listed."),
    "number": ("编号", "No."),
    "picture": ("图片", "Picture"),
    "finding": ("发现", "Finding"),
    "severity": ("严重程度", "Severity"),
    "id": ("报告编号", "Report"),
    "created": ("生成时间", "Made"),
    "engine": ("引擎", "Engine"),
    "instruction": ("检查要求", "Instruction"),
    "caption": ("图 {number}：{name}", "Picture {number}: {name}"),
    "of": ("第 {page} 页", "page {page}"),
    "unnamed": ("未命名", "unnamed"),
    "boxes": ("图中编号对应上表的发现。", "Numbers in a picture are those of the findings above."),
    "gone": (
        "图片已按保存期限删除，只保留摘要值。",
        "The pictures were deleted when their time was over; their digests are left.",
    ),
    "item": ("项目", "Item"),
    "value": ("内容", "Value"),
    "pass": ("未见问题", "Nothing wrong was seen"),
    "review": ("需要人工确认", "A person must look"),
    "fail": ("存在问题", "Something is wrong"),
    "info": ("记录", "For the record"),
    "minor": ("轻微", "Minor"),
    "major": ("严重", "Major"),
    "critical": ("危险", "Critical"),
}


def verdict_word(report: Report) -> str:
    """The verdict in the report's language."""
    return _say(report, report.verdict)


def severity_word(report: Report, severity: str) -> str:
    """A severity in the report's language."""
    return _say(report, severity)


def document_of(stored: StoredReport, pictures: Mapping[int, bytes], label: Label) -> Document:
    """The document.

    Args:
        stored: The report.
        pictures: JPEG files of those pictures that are still kept, by number.
        label: That it was generated.
    """
    report = stored.report
    when = datetime.fromtimestamp(stored.created, tz=UTC).astimezone()
    about = [
        (_say(report, "id"), stored.id),
        (_say(report, "created"), f"{when:%Y-%m-%d %H:%M:%S %z}"),
        (_say(report, "engine"), f"{report.engine} ({report.model})"),
    ]
    if report.instruction:
        about.append((_say(report, "instruction"), report.instruction))
    blocks: list[Block] = [
        Paragraph(_say(report, "verdict", word=verdict_word(report)), bold=True),
        Heading(_say(report, "summary")),
        Paragraph(report.summary),
        Heading(_say(report, "findings")),
        _findings(report),
        Paragraph(_say(report, "boxes" if pictures else "gone"), small=True),
        Heading(_say(report, "pictures")),
    ]
    for number, picture in enumerate(report.pictures, 1):
        caption = _say(report, "caption", number=number, name=_name(report, number))
        caption += f"\n{picture.width} × {picture.height}, SHA-256 {picture.sha256}"
        if number in pictures:
            jpeg, (width, height) = annotated(report, number, pictures[number])
            blocks.append(Figure(jpeg, width, height, caption, share=0.85 if width >= height else 0.55))
        else:
            blocks.append(Paragraph(caption, small=True))
    blocks += [
        Heading(_say(report, "about")),
        Table((_say(report, "item"), _say(report, "value")), about, (1, 4)),
    ]
    return Document(report.title, blocks, report.language, when, label)


def numbered(report: Report, image: int) -> list[Drawn]:
    """The places of one picture, each with the number of its finding, in pixels of the original."""
    return [
        Drawn(number, box)
        for number, finding in enumerate(report.findings, 1)
        for box in finding.boxes
        if finding.image == image
    ]


def annotated(report: Report, image: int, jpeg: bytes) -> tuple[bytes, tuple[int, int]]:
    """A picture with its numbered boxes.

    Args:
        report: With the findings.
        image: Number of the picture.
        jpeg: As the store has it; ours, so it is decoded here.

    Returns:
        A JPEG, and its width and height.
    """
    header = read_header(jpeg)
    pixels = decode(jpeg, header, header.width, header.height)
    scale = min(1.0, _LONGEST / max(header.width, header.height))
    if scale < 1:
        size = max(1, round(header.width * scale)), max(1, round(header.height * scale))
        pixels = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width, _ = pixels.shape
    known = report.pictures[image - 1]
    across, down = width / known.width, height / known.height
    places = [
        Drawn(
            one.number,
            (one.corners[0] * across, one.corners[1] * down, one.corners[2] * across, one.corners[3] * down),
        )
        for one in numbered(report, image)
    ]
    drawn = draw(pixels, places) if places else pixels
    return pixels_to_jpeg(np.ascontiguousarray(drawn)), (width, height)


def _findings(report: Report) -> Block:
    if not report.findings:
        return Paragraph(_say(report, "none"))
    header = [_say(report, key) for key in ("number", "picture", "finding", "severity")]
    rows = [
        (str(number), str(one.image), one.text, severity_word(report, one.severity))
        for number, one in enumerate(report.findings, 1)
    ]
    return Table(header, rows, (1, 1, 7, 2))


def _name(report: Report, number: int) -> str:
    picture = report.pictures[number - 1]
    name = picture.name or _say(report, "unnamed")
    several = any(one.page > 1 and one.sha256 == picture.sha256 for one in report.pictures)
    return f"{name}, {_say(report, 'of', page=picture.page)}" if several else name


def _say(report: Report, key: str, **values: object) -> str:
    return _WORDS[key][0 if report.language == "zh" else 1].format(**values)
