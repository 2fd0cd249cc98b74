"""The text of an answer as its tokens come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers.decoders import DecodeStream

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Words"]


class Words:
    """Makes text of tokens, a whole character at a time.

    Args:
        tokenizer: The model's.
        control: Tokens that are no text.
    """

    def __init__(self, tokenizer: Tokenizer, control: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._control = control
        self._stream = DecodeStream(skip_special_tokens=True)
        self._text: list[str] = []
        self._plain = True
        self._open = False

    def take(self, token: int) -> str:
        """What a token adds to the text; empty where it ends within a character, or is no text."""
        text = self._stream.step(self._tokenizer, token) or ""
        self._text.append(text)
        self._open = not text
        self._plain = self._plain and token not in self._control
        return text

    def whole(self) -> str | None:
        """The text of an answer whose tokens may stand in a prompt as they are.

        None where they may not: they hold control tokens, which would open or close turns, or end within a character.
        """
        return "".join(self._text) if self._plain and not self._open else None
