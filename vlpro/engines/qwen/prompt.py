"""A conversation in the form that Qwen3-VL was trained on: token ids, with a place for each cell of each picture.

The form is that of the model's chat template with ``add_vision_id``: each picture has "Picture N: " before it. So a
person can speak of the third picture, and the numbers of earlier ones stay when another is added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from vlpro.engines.interface import Message
from vlpro.engines.qwen.words import Words
from vlpro.errors import EngineError
from vlpro.imaging.picture import Picture
from vlpro.imaging.tokens import CELL, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Encoder", "Prompt", "Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture in a prompt.

    Args:
        picture: The picture.
        begin: Index of its first cell among the ids.
        rows: Height in cells of 32 pixels.
        columns: Width in cells.
    """

    picture: Picture
    begin: int
    rows: int
    columns: int

    @property
    def key(self) -> tuple[str, int, int]:
        """Pixels and size: what its features depend on."""
        return self.picture.pixels_sha256, self.rows, self.columns


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as numbers.

    Args:
        ids: Token ids; each cell of a picture is one ``<|image_pad|>``.
        shown: Its pictures, in order.
    """

    ids: list[int]
    shown: tuple[Shown, ...]


class Encoder:
    """Text ↔ ids of one model.

    Args:
        tokenizer: Content of the model's ``tokenizer.json``.
        max_pixels: The most pixels that a picture is given to the model with.
        min_pixels: The fewest.
    """

    def __init__(self, tokenizer: str, *, max_pixels: int, min_pixels: int) -> None:
        self.tokenizer = Tokenizer.from_str(tokenizer)
        # What a person types is text: "<|im_end|>" in it closes no turn.
        self.tokenizer.encode_special_tokens = True
        self._max_pixels = max_pixels
        self._min_pixels = min_pixels
        self._id(_OPENS.token)
        self.end = self._id(_CLOSES.token)
        self._vision_start, self._vision_end = self._id("<|vision_start|>"), self._id("<|vision_end|>")
        self.image_pad = self._id("<|image_pad|>")
        # That switch knows only the tokens that are marked special. "<tool_call>", "<think>" and others are not, and
        # steer the model all the same: each is cut behind its first letter, so that it is never seen whole.
        self._added = {how.content: token for token, how in self.tokenizer.get_added_tokens_decoder().items()}
        self._control = frozenset(self._added.values())
        self._cuts = _behind_first_letters(self._added)

    def _id(self, token: str) -> int:
        found: int | None = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no {token}")
        return found

    def count(self, text: str) -> int:
        """Length of a text in tokens."""
        return len(self._encode(text))

    def _encode(self, text: str) -> list[int]:
        """Content as tokens, none of which is a control token.

        Raises:
            EngineError: The model's tokenizer makes one of it all the same.
        """
        ids: list[int] = []
        for piece in self._cuts.split(text):
            ids += self.tokenizer.encode(piece, add_special_tokens=False).ids
        if not self._control.isdisjoint(ids):
            raise EngineError(
                "The text holds what the model's tokenizer takes for a control token, so it was not given to the "
                "model. Remove markings in angle brackets from it.",
                zh="文字中含有会被模型当作控制符的内容，没有交给模型。请删除其中尖括号标记后重试。",
            )
        return ids

    def grid(self, picture: Picture) -> tuple[int, int]:
        """Rows and columns of cells that a picture has for the model."""
        width, height = fit(picture.width, picture.height, self._max_pixels, min_pixels=self._min_pixels)
        return height // CELL, width // CELL

    def words(self) -> Words:
        """The text of one answer, to be made of its tokens."""
        return Words(self.tokenizer, self._control)

    def beginning(
        self, messages: Sequence[Message], written: Callable[[str], Sequence[int] | None] = lambda _: None
    ) -> Prompt:
        """A conversation up to the end of its last picture: however the text goes on, it begins so.

        The arguments are those of :meth:`prompt`.
        """
        whole = self.prompt(messages, written)
        last = whole.shown[-1]
        return Prompt(whole.ids[: last.begin + last.rows * last.columns + 1], whole.shown)

    def prompt(
        self, messages: Sequence[Message], written: Callable[[str], Sequence[int] | None] = lambda _: None
    ) -> Prompt:
        """A conversation, and the opening of the answer.

        Args:
            messages: Oldest first.
            written: The tokens that an answer of a text was written in, where that is known.
        """
        ids: list[int] = []
        shown: list[Shown] = []
        text = ""

        def flush() -> None:
            nonlocal text
            ids.extend(self._encode(text) if text else [])
            text = ""

        for part in _parts(messages, written):
            if isinstance(part, str):
                text += part
            elif isinstance(part, _Written):
                flush()
                ids.extend(part.ids)
            elif isinstance(part, Picture):
                text += f"Picture {len(shown) + 1}: "
                flush()
                rows, columns = self.grid(part)
                shown.append(Shown(part, len(ids) + 1, rows, columns))
                ids += [self._vision_start, *[self.image_pad] * (rows * columns), self._vision_end]
            elif part.token in self._added:
                flush()
                ids.append(self._added[part.token])
            else:
                text += part.token
        flush()
        return Prompt(ids, tuple(shown))


@dataclass(frozen=True, slots=True)
class _Mark:
    """A control token of the template; text where the model has no such token."""

    token: str


_OPENS, _CLOSES = _Mark("<|im_start|>"), _Mark("<|im_end|>")


@dataclass(frozen=True, slots=True)
class _Written:
    """An answer in the tokens that it was written in."""

    ids: Sequence[int]


def _behind_first_letters(names: Iterable[str]) -> re.Pattern[str]:
    """Matches the empty place behind the first letter of each name."""
    rests: dict[str, list[str]] = {}
    for name in names:
        rests.setdefault(name[0], []).append(re.escape(name[1:]))
    return re.compile(
        "|".join(f"(?<={re.escape(first)})(?={'|'.join(rest)})" for first, rest in rests.items())
    )


def _parts(
    messages: Sequence[Message], written: Callable[[str], Sequence[int] | None]
) -> Iterable[str | Picture | _Mark | _Written]:
    """The conversation in pieces; neighbouring texts are one text to the tokenizer."""
    for index, message in enumerate(messages):
        if message.role == "tool":  # what a tool answered is told by the user, all answers in one turn
            if index == 0 or messages[index - 1].role != "tool":
                yield from (_OPENS, "user")
            yield from ("\n", _Mark("<tool_response>"), "\n", *message.parts, "\n", _Mark("</tool_response>"))
            if index + 1 == len(messages) or messages[index + 1].role != "tool":
                yield from (_CLOSES, "\n")
        else:
            yield from (_OPENS, f"{message.role}\n")
            match message:
                case Message("assistant", (str(text),)) if (ids := written(text)) is not None:
                    yield _Written(ids)
                case _:
                    yield from message.parts
            yield from (_CLOSES, "\n")
    yield from (_OPENS, "assistant\n")
