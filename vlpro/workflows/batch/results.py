"""A batch's results as people take them: CSV, Excel, JSON, or a report in Word or PDF with the pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from vlpro.chat.grounding import without_places
from vlpro.documents.document import Block, Document, Figure, Heading, Paragraph, Table
from vlpro.documents.label import Label
from vlpro.documents.tables import Cell, Sheet, to_csv, to_xlsx
from vlpro.documents.writing import written
from vlpro.workflows.batch.batch import COMPLETED, WAITING, Batch, Line

__all__ = ["REPORT_LINES", "Format", "Language", "Result", "as_table", "report", "result_of", "said_in"]

_BOLD = re.compile(r"\*\*([^*\n]{1,500})\*\*")

Format = Literal["csv", "json", "xlsx", "docx", "pdf"]
Language = Literal["zh", "en"]

REPORT_LINES = 500
"""Most lines of a report with pictures: more is no document that anybody reads."""

_NUMBERS = frozenset({"amount", "number", "words"})
_KEPT_AS_TEXT = 15  # digits: beyond them Excel rounds
_WORDS = {
    "name": ("文件", "File"),
    "status": ("状态", "Status"),
    "verdict": ("结论", "Verdict"),
    "answer": ("回答", "Answer"),
    "error": ("错误", "Error"),
    "completed": ("完成", "Completed"),
    "failed": ("失败", "Failed"),
    "waiting": ("未处理", "Waiting"),
    "title": ("批处理结果", "Results of a batch"),
    "field": ("字段", "Field"),
    "value": ("值", "Value"),
    "instruction": ("指令", "Instruction"),
    "template": ("模板", "Template"),
    "lines": (
        "共 {total} 项：完成 {completed}，失败 {failed}",
        "{total} lines: {completed} completed, {failed} failed",
    ),
    "pass": ("通过", "pass"),
    "review": ("需确认", "review"),
    "fail": ("不通过", "fail"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a line.

    Args:
        name: Of its file, or its ``custom_id``.
        status: ``completed``, ``failed`` or ``waiting``.
        text: What was answered, where that is text.
        verdict: Of an extraction or inspection; empty: there is none.
        fields: What was extracted: by name, the title in Chinese and English, the type and the value.
        error: Why there is no answer: the sentence in Chinese and English.
        body: The API's answer.
    """

    name: str
    status: str
    text: str = ""
    verdict: str = ""
    fields: Mapping[str, tuple[str, str, str, str | None]] = field(default_factory=dict)
    error: tuple[str, str] = ("", "")
    body: Any = None


def result_of(line: Line, masked: Callable[[str], str] = lambda text: text) -> Result:
    """A line as its result.

    Args:
        line: The line.
        masked: What is done to each text, where the policy masks what is taken out.
    """
    name = masked(str(line.source["id"]))
    if line.state == WAITING or line.answer is None:
        return Result(
            name, "waiting" if line.state == WAITING else "completed" if line.state == COMPLETED else "failed"
        )
    said = json.loads(line.answer)
    body = said["response"]["body"] if said["response"] is not None else None
    if line.state != COMPLETED:
        error = said["error"] or (body.get("error") if isinstance(body, dict) else None) or {}
        message = str(error.get("message", ""))
        return Result(name, "failed", error=(str((error.get("vlpro") or {}).get("zh") or message), message))
    # Emphasis goes before masks come: both are asterisks.
    text = masked(said_in(body)) if isinstance(body, dict) else ""
    body = _masked(body, masked)
    if not isinstance(body, dict):
        return Result(name, "completed", text=json.dumps(body, ensure_ascii=False), body=body)
    verdict = str(body.get("verdict", ""))
    if isinstance(body.get("fields"), dict):
        return Result(name, "completed", verdict=verdict, fields=_fields(body["fields"]), body=body)
    return Result(name, "completed", text=text, verdict=verdict, body=body)


def as_table(
    batch: Batch,
    results: Callable[[], Iterable[Result]],
    kind: Literal["csv", "json", "xlsx"],
    language: Language,
    label: Label | None,
) -> bytes:
    """Results as one file, a row a line.

    Args:
        batch: Whose.
        results: Reads them; they are read twice.
        kind: Of file.
        language: Of the columns' names.
        label: That answers were generated; None: they were read.
    """
    if kind == "json":
        data = [
            {"custom_id": one.name, "status": one.status, "answer": one.body, "error": one.error[1] or None}
            for one in results()
        ]
        told: dict[str, Any] = {"object": "list", "batch": batch.id, "data": data}
        if label is not None:
            told["AIGC"] = label.fields()
        return json.dumps(told, ensure_ascii=False, indent=1).encode()
    zh = 0 if language == "zh" else 1
    columns: dict[str, str] = {}
    has_text = has_verdict = False
    for one in results():
        has_text, has_verdict = has_text or bool(one.text), has_verdict or bool(one.verdict)
        for name, (title_zh, title_en, _, _) in one.fields.items():
            columns.setdefault(name, (title_zh, title_en)[zh] or name)
    shown = ["name", "status"] + ["verdict"] * has_verdict + ["answer"] * has_text
    header = [*(_WORDS[each][zh] for each in shown), *columns.values(), _WORDS["error"][zh]]

    def rows() -> Iterable[Sequence[Cell]]:
        for one in results():
            row: list[Cell] = [one.name, _WORDS[one.status][zh]]
            row += [_word(one.verdict, zh)] * has_verdict + [one.text] * has_text
            yield [*row, *(_cell(one, name) for name in columns), one.error[zh]]

    if kind == "csv":
        return to_csv(header, rows())
    title = _WORDS["title"][zh]
    return to_xlsx([Sheet(title, header, rows())], title=title, created=datetime.now(UTC), label=label)


def report(
    batch: Batch,
    found: Sequence[tuple[Result, tuple[bytes, int, int] | None]],
    kind: Literal["docx", "pdf"],
    language: Language,
    label: Label | None,
) -> bytes:
    """Results as a document: what was asked, then each picture with its answer.

    Args:
        batch: Whose.
        found: The results, each with its picture as JPEG, width and height; None: there is none.
        kind: Of file.
        language: Of its own words.
        label: That answers were generated; None: they were read.
    """
    zh, head = 0 if language == "zh" else 1, batch.head
    counts = {"total": batch.total, "completed": batch.completed, "failed": batch.failed}
    blocks: list[Block] = [Paragraph(_WORDS["lines"][zh].format(**counts))]
    if head.instruction or head.template:
        what = "instruction" if head.instruction else "template"
        blocks += [Heading(_WORDS[what][zh]), Paragraph(head.instruction or head.template)]
    for one, picture in found:
        blocks.append(Heading(one.name))
        if picture is not None:
            blocks.append(Figure(*picture, share=0.6))
        if one.verdict:
            blocks.append(Paragraph(f"{_WORDS['verdict'][zh]}: {_word(one.verdict, zh)}", bold=True))
        if one.fields:
            header = [_WORDS["field"][zh], _WORDS["value"][zh]]
            rows = [
                [(title_zh, title_en)[zh] or name, value or ""]
                for name, (title_zh, title_en, _, value) in one.fields.items()
            ]
            blocks.append(Table(header, rows, widths=(1, 2)))
        if one.text:
            blocks.append(Paragraph(one.text))
        if one.error[zh]:
            blocks.append(Paragraph(f"{_WORDS['error'][zh]}: {one.error[zh]}"))
        if one.status == "waiting":
            blocks.append(Paragraph(_WORDS["waiting"][zh]))
    document = Document(_WORDS["title"][zh], blocks, language, datetime.now().astimezone(), label)
    return written(document, kind)


def _word(verdict: str, zh: int) -> str:
    return _WORDS[verdict][zh] if verdict in _WORDS else verdict


def _fields(fields: Mapping[str, Any]) -> dict[str, tuple[str, str, str, str | None]]:
    found = {}
    for name, told in fields.items():
        if isinstance(told, dict):
            value = told.get("normalized")
            found[name] = (
                str(told.get("title_zh") or name),
                str(told.get("title") or name),
                str(told.get("type") or ""),
                None if value is None else str(value),
            )
    return found


def _cell(one: Result, name: str) -> Cell:
    told = one.fields.get(name)
    if told is None or told[3] is None:
        return None
    if told[2] in _NUMBERS and len(told[3]) <= _KEPT_AS_TEXT:
        try:
            return Decimal(told[3])
        except InvalidOperation:
            pass
    return told[3]


def said_in(body: Mapping[str, Any]) -> str:
    """What an answer of the API says, as a person reads it in a table: without boxes and emphasis.

    Args:
        body: A chat completion, a Responses answer, an inspection; anything else is given as JSON.
    """
    try:
        if "choices" in body:
            return "\n\n".join(_read(choice["message"]["content"] or "") for choice in body["choices"])
        if body.get("object") == "response":
            parts = [part for item in body["output"] for part in item.get("content", ())]
            return _read("".join(part.get("text", "") for part in parts))
        if "defects" in body:
            return "\n".join(
                f"{each['kind']} {tuple(each['box'])} {each['score']:.2f}" for each in body["defects"]
            )
    except (LookupError, TypeError, ValueError):
        pass
    return json.dumps(body, ensure_ascii=False)


def _masked(value: Any, masked: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [_masked(each, masked) for each in value]
    if isinstance(value, dict):
        return {name: _masked(each, masked) for name, each in value.items()}
    return value


def _read(answer: str) -> str:
    # Where the answer is places and nothing else, they are what was asked for.
    return _BOLD.sub(r"\1", without_places(answer)) or answer
