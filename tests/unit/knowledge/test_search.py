"""What is found first, what of it is marked, and when nothing answers."""

from __future__ import annotations

import numpy as np
import pytest

from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.passages import Clause, Passage
from vlpro.knowledge.search import Found, Question, Stored, question, rank
from vlpro.knowledge.words import question_words, share

ASKED = np.eye(4, dtype=np.float32)[0]


def near(score: float, towards: int = 1) -> Vectors:
    """A vector whose product with the question's is ``score``."""
    found = np.zeros(4, np.float32)
    found[0], found[towards] = score, np.sqrt(1 - score**2)
    return found


def stored(name: str, score: float, *clauses: tuple[str, float]) -> Stored:
    told = clauses or ((name, score),)
    parts = tuple(Clause(text, ((0, 40 * at, 100, 40 * at + 30),)) for at, (text, _) in enumerate(told))
    text = "\n".join(text for text, _ in told)
    passage = Passage(text, tuple(box for part in parts for box in part.boxes), "text", parts)
    return Stored(
        "base",
        f"{name}.pdf",
        name,
        7,
        0,
        passage,
        (1240, 1754),
        near(score),
        np.stack([near(fits) for _, fits in told]),
        codes_in(text),
    )


def asked(text: str, *read: str) -> Question:
    return question(text, ASKED, frozenset(read))


def names(found: Found) -> list[str]:
    return [hit.document for hit in found.hits]


def test_the_nearest_comes_first_and_as_many_as_were_asked_for() -> None:
    candidates = [stored("b", 0.85), stored("a", 0.91), stored("c", 0.8)]
    assert names(rank(asked("?"), candidates, 2)) == ["a.pdf", "b.pdf"]
    assert rank(asked("?"), [], 2) == Found((), answers=False)


def test_a_passage_of_which_one_clause_answers_comes_before_one_that_is_about_it_all_over() -> None:
    one = stored("one", 0.84, ("nothing", 0.8), ("the answer", 0.95), ("nothing more", 0.8))
    assert names(rank(asked("?"), [stored("vague", 0.87), one], 2))[0] == "one.pdf"


def test_the_code_decides_between_passages_that_mean_nearly_the_same() -> None:
    candidates = [stored("故障E12：模块过热", 0.92), stored("故障E11：模块过热", 0.91)]
    (first, _) = rank(asked("E11是什么"), candidates, 2).hits
    assert first.text == "故障E11：模块过热"


def test_the_row_with_the_code_is_marked_though_another_one_is_nearer() -> None:
    rows = [(f"E{number} overload", 0.9 - number / 1000) for number in range(10, 20)]
    (hit,) = rank(asked("What does E17 mean?"), [stored("table", 0.88, *rows)], 1).hits
    assert (0, 40 * 7, 100, 40 * 7 + 30) in hit.boxes
    assert (0, 0, 100, 30) not in hit.boxes


def test_a_code_in_the_persons_picture_counts_among_many_that_mean_nothing() -> None:
    candidates = [stored("clean the fan", 0.9), stored("E11: overheated", 0.87)]
    found = rank(asked("What is this?", "e11", "sn2023a7", "kx100"), candidates, 2)
    assert names(found)[0] == "E11: overheated.pdf"


def test_of_two_as_near_the_one_with_the_questions_words_comes_first() -> None:
    candidates = [stored("散热器温度过高时会停机", 0.9), stored("清理风扇和风道", 0.89)]
    assert rank(asked("怎么清理风扇"), candidates, 2).hits[0].text == "清理风扇和风道"


@pytest.mark.parametrize(
    ("text", "passage", "score", "answers"),
    [
        ("怎么清理风扇", "清理风扇和风道", 0.88, True),  # its words are there
        ("怎么清理风扇", "保养时要除尘", 0.92, True),  # other words, but very near
        ("保修期是多久", "清理风扇和风道", 0.86, False),
        ("E99怎么处理", "故障E11：断电后清理风扇", 0.93, False),  # another code, however near
        ("F0-99是什么", "F0-28：恢复出厂设置", 0.93, False),  # only the group is the same
        ("E11怎么处理", "故障E11：断电后处理", 0.88, True),
        ("Does it run at 24V?", "It can run at 12/24V.", 0.92, True),  # a measure is no code
        ("2024-01-05 之后怎么保养", "每半年保养一次", 0.92, True),  # nor is a date
    ],
)
def test_whether_the_best_one_answers(text: str, passage: str, score: float, answers: bool) -> None:  # noqa: FBT001
    assert rank(asked(text), [stored(passage, score)], 5).answers is answers


def test_a_code_that_was_only_read_in_a_picture_need_not_be_in_the_documents() -> None:
    found = rank(asked("怎么清理风扇", "kd1208ptb1"), [stored("清理风扇和风道", 0.9)], 5)
    assert found.answers


def test_the_mark_is_the_clause_that_fits_with_its_neighbours() -> None:
    clauses = [(f"clause {number}", 0.95 if number == 5 else 0.8) for number in range(10)]
    (hit,) = rank(asked("?"), [stored("long", 0.85, *clauses)], 1).hits
    assert hit.boxes == tuple((0, 40 * at, 100, 40 * at + 30) for at in (4, 5, 6, 7))
    assert (hit.page, hit.page_size) == (7, (1240, 1754))


def test_the_order_does_not_depend_on_the_order_of_candidates() -> None:
    candidates = [stored(name, 0.9) for name in "dbeac"]
    assert names(rank(asked("?"), candidates, 5)) == names(rank(asked("?"), candidates[::-1], 5))


@pytest.mark.parametrize(
    ("text", "passage", "expected"),
    [
        ("怎么清理风扇", "清理风扇和风道", 1),
        ("怎么清理风扇", "风扇", 1 / 3),
        ("How do I clean the fans?", "Cleaning: pull the fan out", 1),
        ("How do I clean the fans?", "Nothing is here", 0),
        ("怎么办", "怎么办", 0),  # it asks, and says nothing of what about
        ("", "x", 0),
    ],
)
def test_how_many_of_the_words_stand_there(text: str, passage: str, expected: float) -> None:
    assert share(question_words(text), passage) == pytest.approx(expected)
