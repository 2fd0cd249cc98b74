"""Keeps an answer to its form, token by token: what the JSON Schema does not allow next cannot be chosen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import llguidance
import llguidance.numpy
import numpy as np

from vlpro.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vlpro.engines.interface import ResponseFormat

__all__ = ["Form", "Forms"]

_ANY_OBJECT: Mapping[str, object] = {"type": "object"}
# On one line, as models are used to writing it; free whitespace would allow an endless row of it.
_WRITTEN = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Forms:
    """Makes a :class:`Form` for each answer.

    Args:
        tokenizer: Content of the model's ``tokenizer.json``.
        vocabulary: Length of the model's logits.
        end: The token that ends an answer.
    """

    def __init__(self, tokenizer: str, *, vocabulary: int, end: int) -> None:
        self._tokens = llguidance.LLTokenizer(tokenizer, n_vocab=vocabulary, eos_token=end)
        self._vocabulary = vocabulary

    def make(self, wanted: ResponseFormat) -> Form:
        """The form of one answer.

        Raises:
            BadRequestError: The schema asks for what cannot be kept to.
        """
        schema = _ANY_OBJECT if wanted.schema is None else wanted.schema
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=_WRITTEN)
        except ValueError as error:
            raise _refused(str(error)) from error
        matcher = llguidance.LLMatcher(self._tokens, grammar, log_level=0)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        return Form(matcher, self._vocabulary)


class Form:
    """Where in its form one answer stands."""

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._allowed = llguidance.numpy.allocate_token_bitmask(1, vocabulary)

    def bar(self, logits: NDArray[np.float32]) -> None:
        """Set what may not come next to -inf.

        Args:
            logits: ``(vocabulary,)``, changed.
        """
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._allowed)
        allowed = np.unpackbits(self._allowed.view(np.uint8), bitorder="little")[: logits.size]
        logits[allowed == 0] = -np.inf

    def take(self, token: int) -> None:
        """Go on by a token that was allowed."""
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} is not allowed here")

    @property
    def complete(self) -> bool:
        """Whether nothing can follow any more."""
        return bool(self._matcher.is_stopped())


def _refused(reason: str) -> BadRequestError:
    told = reason.strip().splitlines()[0][:200] if reason.strip() else "it cannot be compiled"
    return BadRequestError(
        f"The JSON schema cannot be enforced: {told}.",
        zh=f"无法按此 JSON schema 生成：{told}。",
        param="response_format.json_schema.schema",
        code="invalid_json_schema",
    )
