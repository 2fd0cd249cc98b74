"""Security labels: how confidential something is, and up to which level a person may read (8.1.4.2 g)."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from vlpro.errors import ForbiddenError

__all__ = ["Level", "check_read"]


class Level(IntEnum):
    """公开, 内部, 秘密."""

    PUBLIC = 0
    INTERNAL = 1
    SECRET = 2

    @property
    def word(self) -> Literal["public", "internal", "secret"]:
        """As the API has it."""
        return _WORDS[self]

    @classmethod
    def of(cls, word: str) -> Level:
        """The level of a word. Raises: ValueError."""
        return cls(_WORDS.index(word))


_WORDS: tuple[Literal["public"], Literal["internal"], Literal["secret"]] = ("public", "internal", "secret")


def check_read(person: Level, held: Level) -> None:
    """No read-up (Bell and LaPadula 1973, simple security property).

    Args:
        person: The level up to which somebody may read.
        held: The level of what is to be read.

    Raises:
        ForbiddenError: It is above the person's.
    """
    if held > person:
        raise ForbiddenError(
            "This is marked above the level that you may read.",
            zh="该内容的密级高于您的权限。",
            code="label_too_high",
        )
