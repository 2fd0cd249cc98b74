from __future__ import annotations

import pytest

from tests.support import picture
from vlpro.chat.language import AnswerLanguage, language_of, with_language
from vlpro.engines.interface import Language, Message

ZH, EN = "请用中文回答：", "Answer in English: "
GROUNDING = (
    "Locate every instance that belongs to the following categories: '螺丝'. "
    "Report bbox coordinates in JSON format."
)


@pytest.mark.parametrize(
    ("text", "setting", "chosen", "wanted"),
    [
        ("这是什么？", "auto", None, "zh"),
        ("What is this?", "auto", None, None),
        ("What is this?", "always", None, "zh"),
        ("这是什么？", "off", None, None),
        ("这是什么？", "auto", "en", "en"),
        ("What is this?", "auto", "zh", "zh"),
        ("What is this?", "off", "zh", "zh"),
        ("这是什么？", "always", "en", "en"),
        ("写真の漢字は何ですか？", "auto", None, None),
        ("사진 속 漢字는?", "auto", None, None),
        ("请用英文回答：这是什么？", "auto", None, None),
        ("把图中文字翻译成英文", "auto", "zh", None),
        ("Translate the sign into English.", "auto", "zh", None),
        ("把图中文字翻译成英文", "always", None, "zh"),
        (GROUNDING, "auto", None, None),
        (GROUNDING, "always", None, None),
        (GROUNDING, "auto", "zh", None),
        ("以JSON格式输出所有元件的坐标", "auto", None, None),
        (
            "Spotting all the text in the image with line-level, and output in JSON format.",
            "always",
            None,
            None,
        ),
        ("qwenvl markdown", "always", None, None),
        ("Read all the text in the image.", "auto", "zh", None),
        ("", "auto", None, None),
    ],
)
def test_which_language_is_asked_for(
    text: str, setting: AnswerLanguage, chosen: Language | None, wanted: Language | None
) -> None:
    assert language_of(text, setting, chosen) == wanted


def test_words_come_before_the_text_and_after_the_pictures() -> None:
    shown = picture()
    (message,) = with_language([Message("user", (shown, "图中", shown, "有什么？"))], [None], "auto")
    assert message.parts == (shown, f"{ZH}图中", shown, "有什么？")


def test_a_picture_without_a_word_can_be_asked_about_too() -> None:
    shown = picture()
    (message,) = with_language([Message("user", (shown,))], ["en"], "auto")
    assert message.parts == (shown, EN)


def test_only_messages_of_the_user_are_changed() -> None:
    told = [Message(role, ("你好",)) for role in ("system", "assistant", "tool", "user")]
    assert [m.text for m in with_language(told, [None] * 4, "auto")] == ["你好", "你好", "你好", f"{ZH}你好"]


def test_words_that_are_there_already_are_not_doubled() -> None:
    told = Message("user", (f"{ZH}这是什么？",))
    assert with_language([told], ["zh"], "auto") == (told,)
    assert with_language([told], [None], "always") == (told,)


def test_earlier_messages_stay_as_they_were_whatever_comes_after() -> None:
    told = [
        Message("user", ("这是什么？",)),
        Message("assistant", ("一只猫",)),
        Message("user", ("And this?",)),
    ]
    before = with_language(told[:1], [None], "auto")
    for setting in ("auto", "always", "off"):
        first = with_language(told[:1], [None], setting)
        assert with_language(told, [None, None, "en"], setting)[:1] == first
    assert before[0].text == f"{ZH}这是什么？"
