from __future__ import annotations

import json

import numpy as np
import pytest

from tests.boards import picture
from vlpro.workflows.inspection.sight import MAX_DEFECTS, inspect, question

PICTURE = picture(np.zeros((500, 2000, 3), np.uint8))


def test_boxes_of_a_thousand_become_pixels_of_the_original() -> None:
    answer = (
        '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "solder bridge", "text_content": "连锡，两脚相连"},\n'
        '{"bbox_2d": [500, 0, 1000, 1000], "label": "scratch", "confidence": 0.9}]\n```\n请复核第 1 处。'
    )
    found = inspect(PICTURE, answer)
    assert (found.method, found.verdict) == ("sight", "review")
    assert [(one.kind, one.box, one.score, one.note) for one in found.defects] == [
        ("scratch", (1000, 0, 2000, 500), 0.9, ""),
        ("solder bridge", (200, 100, 600, 200), 0.5, "连锡，两脚相连"),
    ]
    assert found.message == "Screened by a model; a person has to confirm it.\n请复核第 1 处。"
    assert found.zh == "由模型初步筛查，须人工确认。\n请复核第 1 处。"


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        "```json\n[]\n```",
        "",
        '[{"bbox_2d": [100, 100, 100, 300], "label": "nothing"}]',
        '[{"point_2d": [100, 100], "label": "a point"}]',
        '[{"bbox_2d": [100, 200, 3000, 4000], "label": "in pixels of whatever size"}]',
    ],
)
def test_also_without_a_defect_a_person_has_to_look(answer: str) -> None:
    found = inspect(PICTURE, answer)
    assert (found.verdict, found.defects) == ("review", ())
    assert found.message.startswith("Screened by a model; a person has to confirm it.")


def test_what_an_engine_writes_is_bounded() -> None:
    many = [{"bbox_2d": [1, 1, 9, 9], "label": "x" * 1000, "text_content": "y" * 1000}] * 120
    found = inspect(PICTURE, json.dumps(many) + "z" * 10_000)
    assert len(found.defects) == MAX_DEFECTS
    assert len(found.defects[0].kind) <= 64
    assert len(found.defects[0].note) <= 500
    assert len(found.message) < 2100


def test_of_an_answer_that_was_cut_off_what_is_complete_counts() -> None:
    found = inspect(PICTURE, '[{"bbox_2d": [0, 0, 10, 10], "label": "burn mark"}, {"bbox_2d": [5, 5')
    assert [one.kind for one in found.defects] == ["burn mark"]


def test_the_question_asks_for_boxes_in_the_person_s_language() -> None:
    board, heat = question("board", "zh"), question("heat", "en")
    for text in (board, heat):
        assert '[{"bbox_2d": [x1, y1, x2, y2], "label": ' in text
    assert "solder bridge" in board
    assert "Chinese" in board
    assert "English" in heat
