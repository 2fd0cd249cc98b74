"""How the page asks for a word; the words themselves stand in :mod:`vlpro.ui.texts`."""

from __future__ import annotations

from typing import Literal

from vlpro.ui.texts import SUBJECTS

__all__ = ["LANGUAGES", "STRINGS", "Language", "text"]

Language = Literal["zh", "en"]

LANGUAGES: dict[Language, str] = {"zh": "中文", "en": "English"}

STRINGS: dict[str, tuple[str, str]] = {
    key: pair for texts in SUBJECTS.values() for key, pair in texts.items()
}
"""Chinese and English, by key."""


def text(key: str, language: Language, **values: object) -> str:
    """A sentence in a language, with its places filled.

    Raises:
        KeyError: There is no such sentence, or a place has no value.
    """
    sentence = STRINGS[key][0 if language == "zh" else 1]
    return sentence.format(**values) if values else sentence
