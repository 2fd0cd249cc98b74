from __future__ import annotations

import pytest

from tests.unit.ui.sample import conversation
from vlpro import schema
from vlpro.ui import session
from vlpro.ui.views import message


def test_pictures_are_counted_over_the_wholeconversation() -> None:
    first, second = message.turns(conversation())
    assert (first.images_before, len(first.pictures)) == (0, 1)
    assert (second.images_before, len(second.pictures)) == (1, 3)
    marked = message.marked_pictures(second, [1, 2, 3, 9])
    assert [picture["number"] for picture in marked] == [1, 2, 3]
    assert [[box["number"] for box in picture["boxes"]] for picture in marked] == [[2], [], [1, 3]]


def test_a_question_without_answer_is_a_turn() -> None:
    unanswered = conversation()
    unanswered.messages.pop()
    assert message.turns(unanswered)[1].answer is None


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (None, "正在生成"),
        (schema.Waiting(ahead=0, seconds=None), "正在排队，下一个就是您"),
        (schema.Waiting(ahead=3, seconds=40), "正在排队，前面还有 3 个问题 · 大约还要 40 秒"),
    ],
)
def test_who_waits_reads_how_long(
    monkeypatch: pytest.MonkeyPatch, waiting: schema.Waiting | None, words: str
) -> None:
    monkeypatch.setattr(session, "language", lambda: "zh")
    assert message._place(waiting) == words


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh", "有 2 张缩小到不超过 704×704，"), ("en", "2 of them were reduced to at most 704×704 ")],
)
def test_an_answer_says_quietly_that_pictures_were_reduced(
    monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr(session, "language", lambda: language)
    monkeypatch.setattr("streamlit.html", told.append)
    shown = {"sha256": "ab", "width": 1024, "height": 1024, "shrunk": True, "tokens": 400}
    pictures = [
        schema.PictureInfo(used_width=side, used_height=side, reduced=side < 1024, **shown)
        for side in (512, 704, 1024)
    ]
    _, reply = conversation().messages[:2]
    reply.vlpro = schema.Extension(engine="fake", pictures=pictures, reduced=True)
    message._reduced(reply)
    assert words in "".join(told)
    reply.vlpro = schema.Extension(engine="fake", pictures=pictures[2:])
    message._reduced(reply)
    assert len(told) == 1
