"""The order of work, with a network of a few lines: see :class:`~tests.unit.engines.qwen.sums.Sum`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import picture
from tests.unit.engines.qwen.sums import END, PagedSum, Read, Sum
from vlpro.engines.interface import Message, Request, Sampling
from vlpro.engines.qwen.job import Job
from vlpro.engines.qwen.network import Row
from vlpro.engines.qwen.positions import positions
from vlpro.engines.qwen.prefixes import PrefixStore
from vlpro.engines.qwen.prompt import Prompt, Shown
from vlpro.engines.qwen.sampling import Defaults, Sampler
from vlpro.engines.qwen.scheduler import Scheduler


class Asked:
    """A job, and what came of it."""

    def __init__(
        self,
        prompt: Prompt,
        *,
        owner: str = "a",
        conversation: str = "",
        tokens: int = 6,
        ahead: bool = False,
    ) -> None:
        self.tokens: list[int] = []
        self.error: Exception | None = None
        self.done = threading.Event()
        self.job = Job(
            prompt,
            Sampler(Request((Message("user", ("?",)),), Sampling(temperature=0)), Defaults()),
            None,
            0 if ahead else tokens,
            frozenset({END}),
            owner,
            conversation,
            self._told,
            lambda: None,
            ahead=ahead,
        )

    def _told(self, what: int | Exception | None) -> None:
        if isinstance(what, int):
            self.tokens.append(what)
            return
        self.error = what
        self.done.set()

    def answer(self) -> list[int]:
        assert self.done.wait(60)
        if self.error:
            raise self.error
        return self.tokens


def prompt(*ids: int, shows: Sequence[tuple[int, int]] = ()) -> Prompt:
    """Ids, and after them for each ``(seed, cells)`` a picture of one row and one token more."""
    out = list(ids)
    shown = []
    for seed, cells in shows:
        shown.append(Shown(picture(seed=seed), len(out), 1, cells))
        out += [*[500] * cells, 501]
    return Prompt(out, tuple(shown))


@contextmanager
def running(
    *, room: int = 10**9, max_jobs: int = 8, model: Sum | None = None
) -> Iterator[tuple[Sum, Scheduler]]:
    model = model or Sum()
    scheduler = Scheduler(model, PrefixStore(room), max_jobs=max_jobs)
    scheduler.start()
    try:
        yield model, scheduler
    finally:
        model.gate.set()
        model.sight.set()
        scheduler.stop()


def alone(asked: Prompt, tokens: int = 6) -> list[int]:
    """The answer of a model that has nothing else to do and remembers nothing."""
    with running() as (_, scheduler):
        one = Asked(asked, tokens=tokens)
        scheduler.submit(one.job)
        return one.answer()


def test_many_at_once_get_the_answers_that_each_gets_alone() -> None:
    prompts = [prompt(*range(n, n + 5 + n), shows=[(n, 3 + n)] * (n % 3)) for n in range(1, 12)]
    # Answers so long that they overlap, although a slow machine writes some of each beside others' pictures.
    expected = [alone(one, 40) for one in prompts]
    with running(max_jobs=5) as (model, scheduler):
        model.gate.clear()
        asked = [Asked(one, owner=str(n), tokens=40) for n, one in enumerate(prompts)]
        for one in asked:
            scheduler.submit(one.job)
        model.gate.set()
        assert [one.answer() for one in asked] == expected
        assert max(len(step) for step in model.steps) == 5  # they really were computed together


def test_of_several_short_questions_the_first_need_not_wait_for_the_last() -> None:
    prompts = [prompt(*range(100 * n + 1, 100 * n + 31)) for n in range(4)]
    model = Sum()
    scheduler = Scheduler(model, PrefixStore(10**9), max_jobs=8)
    asked = [Asked(one) for one in prompts]
    for one in asked:
        scheduler.submit(one.job)
    scheduler.start()
    try:
        assert [one.answer() for one in asked] == [alone(one) for one in prompts]
    finally:
        scheduler.stop()
    assert model.steps[0] == [30, 2]


def test_a_follow_up_reads_only_what_is_new() -> None:
    first = prompt(1, 2, 3, shows=[(1, 20)])
    with running() as (model, scheduler):
        one = Asked(first)
        scheduler.submit(one.job)
        answer = one.answer()
        longer = Prompt([*first.ids, *answer, 7, 8], first.shown)
        model.steps.clear()
        two = Asked(longer)
        scheduler.submit(two.job)
        assert two.answer() == alone(longer)
        # The answer's last token had not been read when it ended.
        assert two.job.reused == len(first.ids) + len(answer) - 1
        assert model.steps[0] == [3]
        assert len(model.seen) == 1


def test_what_a_question_goes_on_from_is_not_let_go_of_to_make_room_for_it() -> None:
    old, newer = prompt(*range(1, 41)), prompt(*range(51, 91))
    with running(room=8 * 100) as (_, scheduler):
        answers = []
        for one in (old, newer):
            asked = Asked(one)
            scheduler.submit(asked.job)
            answers.append(asked.answer())
        again = Asked(Prompt([*old.ids, *answers[0], 7, 8], ()))
        scheduler.submit(again.job)
        again.answer()
        assert again.job.reused == len(old.ids) + len(answers[0]) - 1


def test_a_picture_is_seen_once_for_one_owner_and_anew_for_another() -> None:
    with running() as (model, scheduler):
        for owner, begin in (("a", 1), ("a", 2), ("b", 1)):
            one = Asked(prompt(begin, shows=[(5, 4)]), owner=owner)
            scheduler.submit(one.job)
            one.answer()
        assert len(model.seen) == 2


def test_another_owner_reads_everything_himself() -> None:
    asked = prompt(*range(1, 50))
    with running() as (_, scheduler):
        jobs = [Asked(asked, owner=owner) for owner in ("a", "b", "a")]
        for one in jobs:
            scheduler.submit(one.job)
            one.answer()
        assert [one.job.reused for one in jobs] == [0, 0, len(asked.ids) - 1]


def test_what_is_forgotten_is_read_again() -> None:
    asked = prompt(1, 2, shows=[(5, 4)])
    digest = asked.shown[0].picture.pixels_sha256
    with running() as (model, scheduler):
        for forget in (frozenset({digest}), frozenset[str]()):
            one = Asked(asked)
            scheduler.submit(one.job)
            one.answer()
            done = threading.Event()
            scheduler.forget(forget, frozenset(), done.set)
            assert done.wait(60)
        assert model.released == 2
        again = Asked(asked)
        scheduler.submit(again.job)
        again.answer()
        assert len(model.seen) == 2
        assert again.job.reused > 0


def test_what_is_forgotten_while_it_runs_is_not_kept() -> None:
    asked = prompt(1, 2, 3, 4, 5)
    with running() as (model, scheduler):
        model.gate.clear()
        one = Asked(asked, conversation="c")
        scheduler.submit(one.job)
        done = threading.Event()
        scheduler.forget(frozenset(), frozenset({"c"}), done.set)
        model.gate.set()
        one.answer()
        assert done.wait(60)
        again = Asked(asked)
        scheduler.submit(again.job)
        again.answer()
        assert again.job.reused == 0


def test_a_cancelled_answer_ends_and_what_it_read_serves_the_next() -> None:
    asked = prompt(*range(1, 30))
    with running() as (model, scheduler):
        one = Asked(asked, tokens=10**6)
        scheduler.submit(one.job)
        while not one.tokens:
            pass
        one.job.cancelled.set()
        one.answer()
        steps = len(model.steps)
        again = Asked(asked, tokens=3)
        scheduler.submit(again.job)
        assert again.answer() == alone(asked, 3)
        assert again.job.reused == len(asked.ids) - 1
        assert len(model.steps) == steps + 3


def test_a_waiting_question_can_be_cancelled() -> None:
    with running(max_jobs=1) as (model, scheduler):
        model.gate.clear()
        first, second, third = (Asked(prompt(n, n + 1)) for n in (1, 2, 3))
        for one in (first, second, third):
            scheduler.submit(one.job)
        second.job.cancelled.set()
        model.gate.set()
        first.answer()
        third.answer()
        assert second.tokens == []


def test_a_long_prompt_is_read_in_pieces_beside_an_answer() -> None:
    long = prompt(*[1 + n % 400 for n in range(1000)])
    with running() as (model, scheduler):
        model.token_s = 0.002  # 125 tokens in a quarter of a second
        model.gate.clear()
        one = Asked(prompt(1, 2), tokens=100)
        two = Asked(long, owner="b")
        scheduler.submit(one.job)
        scheduler.submit(two.job)
        model.gate.set()
        assert two.answer() == alone(long)
        assert one.answer() == alone(prompt(1, 2), 100)
        together = [step for step in model.steps if len(step) == 2 and step[1] > 1]
        assert len(together) > 4
        assert max(step[1] for step in together[1:]) <= 130  # the first: nobody is answered yet


def test_memory_is_for_running_answers_first() -> None:
    with running(room=8 * 100, max_jobs=4) as (model, scheduler):
        model.gate.clear()
        asked = [Asked(prompt(*range(n, n + 34)), owner=str(n), tokens=6) for n in (1, 2, 3, 4)]
        for one in asked:
            scheduler.submit(one.job)
        model.gate.set()
        for one in asked:
            one.answer()
        assert max(len(step) for step in model.steps) == 2  # 40 tokens each, room for 100


def test_a_failed_step_tells_those_who_wait_and_the_next_question_works() -> None:
    with running() as (model, scheduler):
        model.fails = True
        one = Asked(prompt(1, 2))
        scheduler.submit(one.job)
        with pytest.raises(RuntimeError, match="broken"):
            one.answer()
        model.fails = False
        two = Asked(prompt(1, 2))
        scheduler.submit(two.job)
        assert two.answer() == alone(prompt(1, 2))
        assert two.job.reused == 0


def test_a_question_that_cannot_be_begun_is_told_so_alone() -> None:
    with running() as (model, scheduler):
        model.gate.clear()
        one = Asked(prompt(1, 2), tokens=50)
        scheduler.submit(one.job)
        bad = Asked(prompt(3, 4))
        bad.job.prompt = Prompt([3], (Shown(picture(), 5, 1, 4),))  # a picture beyond its ids
        scheduler.submit(bad.job)
        model.gate.set()
        with pytest.raises(ValueError, match="broadcast"):
            bad.answer()
        assert one.answer() == alone(prompt(1, 2), 50)


def test_stopping_tells_those_who_wait() -> None:
    with running() as (model, scheduler):
        model.gate.clear()
        one = Asked(prompt(1, 2), tokens=10**6)
        scheduler.submit(one.job)
        model.gate.set()
        while not one.tokens:
            pass
        scheduler.stop()
        assert one.done.wait(60)


def test_the_longest_answer_says_that_it_was_cut() -> None:
    with running() as (_, scheduler):
        one = Asked(prompt(1, 2), tokens=3)
        scheduler.submit(one.job)
        assert len(one.answer()) == 3
        assert one.job.cut


def test_answers_go_on_while_a_picture_is_seen() -> None:
    with running() as (model, scheduler):
        warm = Asked(prompt(1, 2, 3))
        scheduler.submit(warm.job)
        warm.answer()
        model.sight.clear()
        model.layers = 10**9  # hours
        slow = Asked(prompt(5, shows=[(1, 20)]), owner="b")
        scheduler.submit(slow.job)
        assert model.in_sight.wait(60)
        one = Asked(prompt(1, 2, 3, 4), tokens=4)
        scheduler.submit(one.job)
        model.sight.set()
        assert one.answer() == alone(prompt(1, 2, 3, 4), 4)
        assert not slow.done.is_set()
        slow.job.cancelled.set()
        slow.answer()


def test_what_two_need_is_read_once() -> None:
    both = [prompt(*range(1, 100), n, shows=[(3, 50)]) for n in (200, 201)]
    with running() as (model, scheduler):
        model.gate.clear()
        asked = [Asked(one) for one in both]
        other = Asked(both[0], owner="b")
        for one in (*asked, other):
            scheduler.submit(one.job)
        model.gate.set()
        assert [one.answer() for one in asked] == [alone(one) for one in both]
        assert asked[1].job.reused == 99
        assert other.answer() == alone(both[0])
        assert other.job.reused == 0
        assert len(model.seen) == 2  # once for each owner


def test_a_picture_that_was_read_ahead_is_not_read_again() -> None:
    begun = prompt(1, 2, shows=[(3, 50)])
    asked = Prompt([*begun.ids, 7, 8, 9], begun.shown)
    with running() as (model, scheduler):
        ahead = Asked(begun, ahead=True)
        scheduler.submit(ahead.job)
        assert ahead.answer() == []
        model.steps.clear()
        one = Asked(asked)
        scheduler.submit(one.job)
        assert one.answer() == alone(asked)
        assert model.steps[0] == [3]
        assert one.job.reused == len(begun.ids)


def test_a_question_takes_over_what_is_being_read_for_it() -> None:
    begun = prompt(1, 2, shows=[(3, 50)])
    asked = Prompt([*begun.ids, 7, 8, 9], begun.shown)
    with running() as (model, scheduler):
        model.sight.clear()
        ahead = Asked(begun, ahead=True)
        scheduler.submit(ahead.job)
        assert model.in_sight.wait(60)
        one = Asked(asked)
        scheduler.submit(one.job)
        model.sight.set()
        assert one.answer() == alone(asked)
        assert len(model.seen) == 1
        assert ahead.answer() == []


def test_what_is_read_ahead_costs_a_question_nothing() -> None:
    with running() as (model, scheduler):
        model.layers = 10**9  # hours
        ahead = Asked(prompt(1, 2, shows=[(3, 50)]), ahead=True)
        scheduler.submit(ahead.job)
        assert model.in_sight.wait(60)
        model.gate.clear()
        one = Asked(prompt(5, 6, 7))
        scheduler.submit(one.job)
        model.layers = 3
        model.gate.set()
        assert one.answer() == alone(prompt(5, 6, 7))
        assert model.steps[0] == [3]  # before anything of the picture
        assert ahead.answer() == []  # when nobody asked any more
        assert len(model.seen) == 2


def test_what_is_read_ahead_waits_until_no_answer_is_under_way() -> None:
    with running() as (model, scheduler):
        model.gate.clear()
        one = Asked(prompt(5, 6, 7), tokens=20)
        scheduler.submit(one.job)
        ahead = Asked(prompt(*range(1, 60)), ahead=True, owner="b")
        scheduler.submit(ahead.job)
        model.gate.set()
        one.answer()
        ahead.answer()
        assert model.steps == [[3], *[[1]] * 19, [59]]


def test_clearing_ends_what_is_read_ahead() -> None:
    begun = prompt(1, 2, shows=[(3, 50)])
    with running() as (model, scheduler):
        model.layers = 10**9  # hours
        ahead = Asked(begun, ahead=True)
        scheduler.submit(ahead.job)
        assert model.in_sight.wait(60)
        done = threading.Event()
        scheduler.forget(ahead.job.pictures, frozenset(), done.set)
        assert done.wait(60)
        ahead.answer()
        model.layers = 3
        one = Asked(begun)
        scheduler.submit(one.job)
        one.answer()
        assert len(model.seen) == 2


def test_a_long_answer_that_finds_no_room_is_set_aside_and_goes_on_later() -> None:
    asked = [prompt(*range(n, n + 30)) for n in (1, 2, 3)]
    with running(room=8 * 900, max_jobs=3) as (model, scheduler):  # each may come to 530 tokens
        model.gate.clear()
        jobs = [Asked(one, owner=str(n), tokens=500) for n, one in enumerate(asked)]
        for one in jobs:
            scheduler.submit(one.job)
        model.gate.set()
        answers = [one.answer() for one in jobs]
        assert answers == [alone(one, 500) for one in asked]
        assert max(len(step) for step in model.steps) == 3
        assert any(
            max(step) > 100 for step in model.steps
        )  # one of them was read again with what it had written


def test_blocks_that_run_out_within_a_step_cost_nobody_his_answer() -> None:
    asked = [prompt(*range(n, n + 30)) for n in (1, 2, 3)]
    model = PagedSum(40)  # 160 tokens; the three may come to 270
    with running(max_jobs=3, model=model) as (_, scheduler):
        model.gate.clear()
        jobs = [Asked(one, owner=str(n), tokens=60) for n, one in enumerate(asked)]
        for one in jobs:
            scheduler.submit(one.job)
        model.gate.set()
        assert [one.answer() for one in jobs] == [alone(one, 60) for one in asked]
        assert max(len(step) for step in model.steps) == 3


def computed(asked: Prompt, tokens: int) -> list[int]:
    """The answer, from the network alone."""
    model, state = Sum(), Read()
    pictures = [
        (one.begin, model.see(one.picture, one.rows, one.columns, lambda: None), 0, one.rows * one.columns)
        for one in asked.shown
    ]
    where = positions(asked)
    row = Row(state, np.array(asked.ids), where, list(pictures), wants_logits=True)
    answer: list[int] = []
    while True:
        (logits,) = model.step([row], lambda: False)
        assert logits is not None
        answer.append(int(logits.argmax()))
        if len(answer) == tokens:
            return answer
        place = np.full((3, 1), int(where.max()) + len(answer))
        row = Row(state, np.array(answer[-1:]), place, [], wants_logits=True)


PROMPTS = st.builds(
    lambda head, shows, tail: Prompt([*(made := prompt(*head, shows=shows)).ids, *tail], made.shown),
    st.lists(st.integers(1, 2), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(1, 2), st.sampled_from([3, 40])), max_size=2),
    st.lists(st.integers(1, 2), min_size=1, max_size=5),
)  # of few different tokens, so that many begin alike
QUESTIONS = st.tuples(
    PROMPTS, st.sampled_from("ab"), st.integers(1, 12), st.sampled_from(["asked", "ahead", "cancelled"])
)


@settings(max_examples=300)
@given(
    st.lists(QUESTIONS, min_size=1, max_size=10),
    st.integers(1, 4),
    st.sampled_from([160, 400, 10**6]),
    st.sampled_from(["whole", "paged"]),
)
def test_whatever_comes_together_each_gets_his_answer(
    questions: list[tuple[Prompt, str, int, str]], max_jobs: int, room: int, states: str
) -> None:
    model = PagedSum(min(room, 2000) // PagedSum.BLOCK) if states == "paged" else Sum()
    with running(room=8 * room, max_jobs=max_jobs, model=model) as (_, scheduler):
        asked = [
            (Asked(one, owner=owner, tokens=tokens, ahead=kind == "ahead"), kind)
            for one, owner, tokens, kind in questions
        ]
        for one, kind in asked:
            scheduler.submit(one.job)
            if kind == "cancelled":
                one.job.cancelled.set()
        for (one, kind), (given_prompt, _, tokens, _) in zip(asked, questions, strict=True):
            told = one.answer()
            expected = [] if kind == "ahead" else computed(given_prompt, tokens)
            assert told == (expected[: len(told)] if kind == "cancelled" else expected)
        assert not scheduler._running
        assert not scheduler._waiting
        done = threading.Event()
        scheduler.forget(frozenset(), frozenset({""}), done.set)
        assert done.wait(60)
        assert not isinstance(model, PagedSum) or model.pool.held == 0
