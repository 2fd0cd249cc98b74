"""What a question is asked about: the conversation's pictures, each with its number and its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vlpro.engines.ocr.text import escape_markdown

if TYPE_CHECKING:
    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.questions import Ask

__all__ = ["Scene", "Shown", "choose"]


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture.

    Args:
        number: In the conversation, from 1.
        document: Its page.
    """

    number: int
    document: Document


@dataclass(frozen=True, eq=False)
class Scene:
    """A question with its pictures.

    Args:
        ask: The question, understood.
        shown: The pictures that it is about.
        total: How many pictures the conversation has.
        language: Of the answer.
    """

    ask: Ask
    shown: tuple[Shown, ...]
    total: int
    language: Literal["zh", "en"]

    def say(self, en: str, zh: str) -> str:
        """The sentence in the answer's language."""
        return zh if self.language == "zh" else en

    def picture(self, number: int) -> str:
        """How to call a picture."""
        return self.say(f"Picture {number}", f"第 {number} 张图")

    def at(self, number: int) -> str:
        """Prefix for a line about one picture; empty where there is only one."""
        return self.picture(number) + self.say(": ", "：") if self.total > 1 else ""

    def bold(self, text: str) -> str:
        """Text of the page, as the value of an answer."""
        return f"**{escape_markdown(text)}**"

    def quote(self, text: str) -> str:
        """Text of the page or of the question, quoted."""
        return self.say(f"“{escape_markdown(text)}”", f"「{escape_markdown(text)}」")


def choose(ask: Ask, groups: tuple[int, ...]) -> tuple[int, ...]:
    """Which pictures a question is about.

    Args:
        ask: The question, understood.
        groups: Number of pictures in each message of the conversation, oldest first.

    Returns:
        Numbers of the pictures, from 1, in order: those that the question names; all, where it compares, adds or
        says so; else those of the latest message that has any. Empty where there is no picture, or where it
        names one that does not exist.
    """
    total = sum(groups)
    latest = next((count for count in reversed(groups) if count), 0)
    first = total - latest + 1
    several = ask.intent in {"compare", "sum"} or ask.every
    chosen = tuple(range(1 if several and latest == 1 else first, total + 1))
    if not ask.pictures or (ask.intent in {"compare", "sum"} and len(ask.pictures) == 1):
        return chosen
    # "The second picture" counts within the question's own pictures where it has several.
    base = first - 1 if groups[-1:] > (1,) else 0
    numbers = tuple(base + n if n > 0 else total + 1 + n for n in ask.pictures)
    return numbers if all(1 <= number <= total for number in numbers) else ()
