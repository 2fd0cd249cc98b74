"""In which language an answer is asked for: a few words before the question, to engines that take them as a person.

The words are put in on the way to the engine only. What is decided for a message of the user depends on nothing but
that message: earlier messages of a conversation come to the engine as they came before, so that what it kept of them
stays good.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from vlpro.engines.interface import ANSWER_IN, Language, Message

__all__ = ["AnswerLanguage", "language_of", "with_language"]

AnswerLanguage = Literal["off", "auto", "always"]

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_BORROWING = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uac00-\ud7af]")  # Japanese and Korean use these, too
# Prompts on which the model was trained word for word, and others that want JSON: a language would change its keys.
_FORM = re.compile(
    r"(?<![a-z])json(?![a-z])|qwenvl (?:html|markdown)|\Aread all the text in the image\.?\s*\Z",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:用|以|成|为)(?:简体|繁体)?(?:[中英日韩法德俄]|西班牙|葡萄牙|阿拉伯)[文语]|(?:用|以|成|为)汉语|"
    r"\b(?:in|into|to)\s+(?:(?:simplified|traditional)\s+)?"
    r"(?:chinese|english|japanese|korean|french|german|russian|spanish|portuguese|arabic)\b",
    re.IGNORECASE,
)


def language_of(text: str, setting: AnswerLanguage, chosen: Language | None) -> Language | None:
    """The language to ask for.

    Args:
        text: Of one message of the user.
        setting: What to do where nothing is chosen: ``auto`` asks for Chinese where the text is Chinese.
        chosen: Chosen for this message, beside its text; wins over the setting.

    Returns:
        None: nothing is to be said about it. So where JSON is wanted, and where the text itself names a language
        (请用英文回答, translate into English), which only ``always`` overrules.
    """
    if _FORM.search(text):
        return None
    if chosen is None and setting == "always":
        return "zh"
    if _NAMED.search(text):
        return None
    chinese = setting == "auto" and _CHINESE.search(text) and not _BORROWING.search(text)
    return chosen or ("zh" if chinese else None)


def with_language(
    messages: Sequence[Message], chosen: Sequence[Language | None], setting: AnswerLanguage
) -> tuple[Message, ...]:
    """The messages, with words for the language before the text of each one of the user that needs them.

    Args:
        messages: The conversation.
        chosen: For each message, as for :func:`language_of`.
        setting: As for :func:`language_of`.
    """
    return tuple(
        _asking(message, language)
        if message.role == "user" and (language := language_of(message.text, setting, choice))
        else message
        for message, choice in zip(messages, chosen, strict=True)
    )


def _asking(message: Message, language: Language) -> Message:
    words, parts = ANSWER_IN[language], list(message.parts)
    if message.text.startswith(words):  # the person wrote them already
        return message
    for place, part in enumerate(parts):
        if isinstance(part, str):
            parts[place] = words + part
            return Message(message.role, tuple(parts))
    return Message(message.role, (*parts, words))
