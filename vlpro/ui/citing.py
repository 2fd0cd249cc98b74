"""Answers from documents: ``[1]`` as a way to its page, a passage as a quotation, what was asked for in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from vlpro.schema.knowledge import Citation
from vlpro.ui.markdown import CODE_SPAN

__all__ = ["ANCHOR", "found_words", "linked", "quoted"]

ANCHOR = "#cite-"
"""What the address of a citation's link begins with; the part ``sources`` takes a click on it."""

# As vlpro.chat.material reads citations: [1], [1, 2], 【1】, [1、2]; not where the bracket is escaped.
_CITED = re.compile(r"(?<!\\)[\[\u3010]\s*(\d{1,2}(?:\s*[,\uff0c\u3001]\s*\d{1,2})*)\s*[\]\u3011]")
_WORD = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*")
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_COMMON = frozenset(
    word
    for line in (
        "a an and are at be by can do does for from has have how i if in is it my of on or our the their this to was",
        "what when where which who why will with you your",
    )
    for word in line.split()
)
_COMMON_PAIRS = frozenset(
    pair
    for line in (
        "什么 怎么 怎样 如何 多少 哪里 在哪 哪个 哪些 是否 可以 需要 应该 为何 因为 所以 一个 这个 那个",
    )
    for pair in line.split()
)


def linked(text: str, numbers: Collection[int], key: str) -> str:
    """Markdown in which each citation is a link to a place of this page; in code it stays as it is.

    Args:
        text: Made harmless (:func:`vlpro.ui.markdown.harmless`).
        numbers: That stand for a source; others stay text.
        key: Of the answer, letters and digits.
    """

    def link(found: re.Match[str]) -> str:
        told = [int(number) for number in re.findall(r"\d+", found[1])]
        if not all(number in numbers for number in told):
            return found[0]
        return " ".join(rf"[\[{number}\]]({ANCHOR}{key}-{number})" for number in told)

    parts, end = [], 0
    for code in CODE_SPAN.finditer(text):
        parts += [_CITED.sub(link, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _CITED.sub(link, text[end:])])


def quoted(text: str, citations: Sequence[Citation]) -> str | None:
    """The passage, where an answer is nothing but that and where it is from; None: it is an answer of other words.

    The embedded engine answers so. A document's words are no Markdown.
    """
    if len(citations) != 1:
        return None
    passage = citations[0].text.strip()
    return passage if passage and text.startswith(f"{passage} [{citations[0].number}]\n\n[") else None


def found_words(query: str, text: str) -> list[tuple[str, bool]]:
    """A passage in parts, each with whether it is of the question: words and codes, and pairs of Chinese characters.

    Args:
        query: What was asked for.
        text: The passage.
    """
    words = {word.lower() for word in _WORD.findall(query)} - _COMMON
    runs = _CHINESE.findall(query)
    pairs = {run[at : at + 2] for run in runs for at in range(len(run) - 1)} - _COMMON_PAIRS
    marked = [False] * len(text)
    for found in _WORD.finditer(text):
        if found[0].lower() in words:
            marked[found.start() : found.end()] = [True] * len(found[0])
    for at in range(len(text) - 1):
        if text[at : at + 2] in pairs:
            marked[at : at + 2] = [True, True]
    parts: list[tuple[str, bool]] = []
    for letter, mark in zip(text, marked, strict=True):
        if parts and parts[-1][1] == mark:
            parts[-1] = (parts[-1][0] + letter, mark)
        else:
            parts.append((letter, mark))
    return parts
