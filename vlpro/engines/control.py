"""Texts for a server that makes the prompt itself: what it would take for control tokens is parted, unseen.

vLLM and llama.cpp put a text into the model's template as it is and then read the whole with control tokens on, so
``<|im_end|>`` in a text ends its turn (CVE-2026-44222 is one case of it). What begins such a token is parted here by
an invisible U+2060 WORD JOINER on the way to the server, and put together again in the answer: a person and a
program read what was written.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Together", "parted"]

_JOINER = "\u2060"

# Tokens of Qwen, and of other families, since a server may hold another model. The wide forms of < and |
# become the narrow ones where a tokenizer normalises to NFKC.
_WORDS = (
    r"tool_calls?|tool_responses?|tools?|think|tts_\w+|"  # Qwen
    r"s|bos|eos|pad|unk|mask|sep|cls|start_of_\w+|end_of_\w+|unused\d+|image_soft_token|"  # Llama 2, Gemma
    r"__media__|image|images|video|audio|img|imgs?_\w+|box|ref|quad|IMG_CONTEXT"  # llama.cpp, LLaVA, InternVL
)
_IN_BRACKETS = (  # Mistral
    "INST|SYSTEM_PROMPT|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|"
    "CALL_ID|ARGS|THINK|PREFIX|MIDDLE|SUFFIX|MODEL_SETTINGS"
)
_BEGINS = re.compile(
    rf"""
    [<\uff1c\ufe64](?=[|\uff5c])  # <|...
  | [<\uff1c\ufe64](?=/?(?:{_WORDS})[>\uff1e\ufe65])
  | \[(?=/?(?:{_IN_BRACKETS})\])
    """,
    re.VERBOSE,
)
_PARTED = re.compile(rf"([<\uff1c\ufe64\[]){_JOINER}")


def parted(value: Any) -> Any:
    """A text, or a JSON value with all texts in it, without anything that could be a control token.

    Args:
        value: Whole: a text that the server joins with its neighbour must be joined before.
    """
    if isinstance(value, str):
        return _BEGINS.sub(lambda found: found[0] + _JOINER, value)
    if isinstance(value, dict):
        return {parted(key): parted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [parted(inner) for inner in value]
    return value


class Together:
    """Takes the joiners out of an answer that comes in pieces."""

    def __init__(self) -> None:
        self._last = ""

    def take(self, piece: str) -> str:
        """The piece as it was before :func:`parted`."""
        whole = _PARTED.sub(r"\1", self._last + piece)
        new = whole[len(self._last) :]
        self._last = whole[-1:]
        return new
