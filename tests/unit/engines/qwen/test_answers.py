from __future__ import annotations

from vlpro.engines.qwen.answers import Answers


def keep(answers: Answers, text: str, *, owner: str = "a", conversation: str = "", picture: str = "") -> None:
    pictures = frozenset({picture} if picture else ())
    answers.keep(owner, text, [len(text), 7], conversation=conversation, pictures=pictures)


def test_an_answer_is_found_by_its_owner_only() -> None:
    answers = Answers()
    keep(answers, "red")
    assert answers.find("a", "red") == [3, 7]
    assert answers.find("b", "red") is None
    assert answers.find("a", "Red") is None


def test_the_least_recently_used_goes_first() -> None:
    answers = Answers(2)
    keep(answers, "one")
    keep(answers, "two")
    assert answers.find("a", "one")
    keep(answers, "three")
    assert answers.find("a", "two") is None
    assert answers.find("a", "one")
    assert answers.find("a", "three")


def test_what_is_cleared_is_gone() -> None:
    answers = Answers()
    keep(answers, "in one", conversation="c")
    keep(answers, "about one", picture="p")
    keep(answers, "neither")
    answers.forget(frozenset({"p"}), frozenset({"c"}))
    assert [answers.find("a", text) for text in ("in one", "about one")] == [None, None]
    assert answers.find("a", "neither")
    answers.clear()
    assert answers.find("a", "neither") is None


def test_what_nobody_asks_for_goes_with_time() -> None:
    now = 0.0
    answers = Answers(ttl_s=10, clock=lambda: now)
    keep(answers, "old")
    keep(answers, "asked for")
    now = 8
    assert answers.find("a", "asked for")
    now = 12
    answers.expire()
    assert answers.find("a", "old") is None
    assert answers.find("a", "asked for")
