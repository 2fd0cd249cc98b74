from __future__ import annotations

from tests.unit.ui.sample import conversation
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
