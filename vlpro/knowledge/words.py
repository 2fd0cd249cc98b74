"""How much of a question's own words stands in a text: what a vector of meaning is vague about."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["question_words", "share", "text_words"]

# What a question asks with says nothing about where its answer is.
_ASKING = re.compile(
    "什么|怎么样|怎么办|怎么|怎样|如何|多少|多久|哪里|哪些|哪个|哪种|是否|可以|能否|能不能|应该|需要|请问|时候|"
    "[吗呢的了是在有和与我你用会要把还几]"
)
_SMALL = re.compile(
    "a|an|and|are|as|at|be|by|can|could|did|do|does|for|from|had|has|have|how|i|if|in|into|is|it|its|"
    "long|many|me|much|my|no|not|of|on|or|should|than|that|the|there|these|this|those|to|was|were|what|"
    "when|where|which|who|why|will|with|would|you|your"
)
_WORD = re.compile(r"[a-z0-9][a-z0-9.\-_/]*")
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es)$|(?<=[a-z]{3})(?<!s)s$")


def question_words(text: str) -> frozenset[str]:
    """The words of a question that say what it is about.

    Args:
        text: As asked.

    Returns:
        Words of Latin letters and digits without their endings; of Chinese, each pair of characters.
    """
    plain = _plain(text)
    words = {_stem(word) for word in _WORD.findall(plain) if len(word) > 1 and not _SMALL.fullmatch(word)}
    for run in _CHINESE.findall(_ASKING.sub(" ", plain)):
        words |= _pairs(run) or {run}
    return frozenset(words)


def text_words(text: str) -> frozenset[str]:
    """The words of a text, in the same form; of Chinese, single characters as well."""
    plain = _plain(text)
    words = set()
    for word in _WORD.findall(plain):
        words |= {word, _stem(word)}
    for run in _CHINESE.findall(plain):
        words |= _pairs(run) | set(run)
    return frozenset(words)


def share(asked: frozenset[str], text: str) -> float:
    """The share of a question's words that a text has, 0 to 1; of a question without any, 0."""
    return len(asked & text_words(text)) / len(asked) if asked else 0.0


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _stem(word: str) -> str:
    return _ENDING.sub("", word) if word.isalpha() else word


def _pairs(run: str) -> set[str]:
    return {run[at : at + 2] for at in range(len(run) - 1)}
