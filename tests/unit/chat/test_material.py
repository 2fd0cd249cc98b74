"""Material of a question: where it stands, what an answer cites of it, and what is recorded."""

from __future__ import annotations

from asyncio import run
from collections.abc import Sequence

import numpy as np
import pytest

from vlpro.audit.recorder import NullRecorder
from vlpro.chat.material import Citation, Material, ShownPage, citations, cited, with_material
from vlpro.chat.service import ChatService, Finished, Piece, Question, Started, Turn
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import FinishReason, Message, Usage
from vlpro.imaging.ingest import Limits
from vlpro.imaging.picture import Picture

LIMITS = Limits(
    max_bytes=1_000_000, max_pixels=1_000_000, max_side=5_000, max_aspect=200, max_decode_bytes=10_000_000
)


def _picture(width: int = 40, height: int = 20) -> Picture:
    pixels = np.zeros((height, width, 3), np.uint8)
    return Picture(pixels, f"{width}", f"{width}x{height}", "png", 10, width, height)


def _source(number: int, page: int = 1) -> Citation:
    return Citation(number, "kb_a", "manual.pdf", page, ((1, 2, 3, 4),), f"passage {number}")


SOURCES = (_source(1, 7), _source(2, 9), _source(3, 7))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Hold reset for five seconds [1].", [1]),
        ("First [2], then [1]; again [2].", [2, 1]),
        ("Both [1, 3] say so.", [1, 3]),
        ("见【2】和【1、3】。", [2, 1, 3]),
        ("[1][2]", [1, 2]),
        ("There is no such passage [4] [0] [99] [123].", []),
        ("A link [1](https://elsewhere.example) cites nothing.", []),
        ("```json\n[1, 2]\n```", []),
        ("```\n[1]", []),
        ("x[1.5], [a], [ ], 1]", []),
    ],
)
def test_only_numbers_that_exist_are_citations(text: str, numbers: Sequence[int]) -> None:
    assert [one.number for one in cited(text, SOURCES)] == numbers


def test_a_place_in_a_page_is_cited_with_its_box() -> None:
    material = Material(sources=SOURCES, pages=(ShownPage(1000, 2000, (1, 3)), ShownPage(500, 500, (2,))))

    one = citations(
        'Port J4: ```json\n[{"bbox_2d": [100, 100, 200, 200], "label": "J4", "image": 3}]\n```', material, 2
    )
    unsaid = citations('```json\n[{"bbox_2d": [100, 100, 200, 200], "label": "J4"}]\n```', material, 2)
    own = citations('```json\n[{"bbox_2d": [1, 1, 2, 2], "label": "J4", "image": 1}]\n```', material, 2)

    assert [(cite.number, cite.page, cite.boxes[-1]) for cite in one] == [(1, 7, (100, 200, 200, 400))]
    assert one[0].boxes[0] == (1, 2, 3, 4)
    assert unsaid == ()  # in which of four pictures it is, is not guessed
    assert own == ()


def test_in_a_single_page_a_place_need_not_say_where_it_is() -> None:
    material = Material(sources=SOURCES, pages=(ShownPage(1000, 2000, (2,)),))

    found = citations('```json\n[{"bbox_2d": [0, 0, 500, 500], "label": "J4"}]\n```', material, 0)

    assert [(cite.number, cite.boxes[-1]) for cite in found] == [(2, (0, 0, 500, 1000))]


def test_the_persons_pictures_keep_their_numbers_and_words_come_last() -> None:
    own, page = _picture(40), _picture(60)
    material = Material("the rules", ("begins", page, "ends"))
    asked = [
        Message("user", ("before",)),
        Message("assistant", ("a",)),
        Message("user", (own, "what is it?")),
    ]

    told = with_material(asked, material)

    assert [message.role for message in told] == ["system", "user", "assistant", "user"]
    assert told[0].text == "the rules"
    assert told[-1].parts == (own, "begins", page, "ends", "what is it?")
    assert with_material([Message("user", ("what?", own))], material)[-1].parts[2:] == (
        "begins",
        page,
        "ends",
    )


def test_there_is_one_system_message() -> None:
    told = with_material(
        [Message("system", ("be brief",)), Message("user", ("what?",))], Material("the rules", ("m",))
    )

    assert [(message.role, message.parts) for message in told] == [
        ("system", ("be brief", "the rules")),
        ("user", ("m", "what?")),
    ]


def _service(recorder: NullRecorder | None = None) -> ChatService:
    return ChatService(
        FakeEngine(),
        limits=LIMITS,
        max_images=8,
        max_text_chars=10_000,
        max_choices=2,
        queue_size=4,
        answer_timeout_s=10,
        answer_language="auto",
        recorder=recorder,
    )


async def _answer(question: Question) -> tuple[str, list[FinishReason | None], Started, Finished]:
    text, started, finished = "", None, None
    reasons: list[FinishReason | None] = []
    async for event in _service().answer(question):
        match event:
            case Started():
                started = event
            case Piece():
                text += event.text
                reasons.append(event.finish_reason)
            case Finished():
                finished = event
    assert started is not None
    assert finished is not None
    return text, reasons, started, finished


def _question(text: str, material: Material, max_tokens: int | None = None) -> Question:
    async def find(question: Question, messages: Sequence[Message], room: int) -> Material:
        assert room > 0
        assert messages[-1].text == text
        return material

    return Question((Turn("user", (text,)),), finds=find, max_tokens=max_tokens)


def test_an_engine_is_given_the_material_but_asked_in_the_language_of_the_person() -> None:
    page = _picture(64, 64)
    material = Material(
        "rules", ("参考资料：> 按住复位键五秒 [1]", page), SOURCES, (ShownPage(64, 64, (1,)),)
    )

    text, _, started, finished = run(_answer(_question("How is it reset?", material)))

    assert text.startswith("You asked: 参考资料")  # no words for Chinese stand before it
    assert "How is it reset?" in text
    assert "Picture 1: 64×64" in text
    assert started.pictures == ()  # a page is no picture of the person
    assert [one.number for one in finished.citations[0]] == [1]


def test_an_answer_of_the_material_itself_is_given_as_it_is() -> None:
    said = "按住复位键五秒，直到指示灯熄灭，然后松开按键并等待设备重新启动。 [1]"

    text, reasons, _, finished = run(_answer(_question("怎么复位？", Material(sources=SOURCES, answer=said))))

    assert text == said
    assert reasons[-1] == "stop"
    assert [one.page for one in finished.citations[0]] == [7]
    assert finished.usage == Usage(finished.usage.prompt_tokens, FakeEngine().count_tokens(said))


def test_an_answer_of_the_material_keeps_to_the_tokens_that_it_may_have() -> None:
    said = "Hold the reset key for five seconds. [1]"

    text, reasons, _, finished = run(
        _answer(_question("How?", Material(sources=SOURCES, answer=said), max_tokens=5))
    )

    assert text == said[:20]
    assert reasons[-1] == "length"
    assert finished.usage.completion_tokens == 5
    assert finished.citations == ((),)
