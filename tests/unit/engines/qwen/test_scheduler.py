"""The order of work, with a network of a few lines that notices every mistake: see :class:`Sum`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import picture
from vlpro.engines.interface import Message, Request, Sampling
from vlpro.engines.qwen.prefixes import PrefixStore
from vlpro.engines.qwen.prompt import Prompt, Shown
from vlpro.engines.qwen.sampling import Defaults, Sampler
from vlpro.engines.qwen.scheduler import Job, Row, Scheduler, Stopped
from vlpro.imaging.picture import Picture

WORDS = 1009
END = 0


@dataclass
class Read:
    """What a sequence has read, and its size."""

    values: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.values)

    @length.setter
    def length(self, _: int) -> None:
        raise AssertionError("the network's own")

    @property
    def nbytes(self) -> int:
        return 8 * len(self.values)

    def cut(self, length: int) -> None:
        del self.values[length:]

    def copy(self, length: int) -> Read:
        return Read(self.values[:length])


@dataclass
class Cells:
    values: list[int]
    nbytes: int = 8


class Sum:
    """Its next token is a checksum of every token, cell and position so far: any mix-up changes the answer."""

    token_bytes = 8

    def __init__(self) -> None:
        self.steps: list[list[int]] = []
        self.seen: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False

    def new_state(self) -> Read:
        return Read()

    def see(self, picture: Picture, rows: int, columns: int, stopped: Callable[[], bool]) -> Cells:
        self.seen.append(picture.pixels_sha256)
        if stopped():
            raise Stopped
        return Cells([int(picture.pixels_sha256[:4], 16) + cell for cell in range(rows * columns)])

    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        self.gate.wait(10)
        if stopped():
            raise Stopped
        if self.fails:
            raise RuntimeError("broken")
        self.steps.append([len(row.ids) for row in rows])
        out: list[NDArray[np.float32] | None] = []
        for row in rows:
            assert isinstance(row.state, Read)
            values = [
                int(token) * 7 + int(places.sum()) * 3
                for token, places in zip(row.ids, row.positions.T, strict=True)
            ]
            for at, features, first, last in row.pictures:
                assert isinstance(features, Cells)
                values[at : at + last - first] = features.values[first:last]
            row.state.values += values
            logits = np.zeros(WORDS, np.float32)
            logits[checksum(row.state.values)] = 1
            out.append(logits if row.wants_logits else None)
        return out


def checksum(values: Sequence[int]) -> int:
    total = 1
    for value in values:
        total = (total * 31 + value) % (WORDS - 1)
    return total + 1  # never END


class Asked:
    """A job, and what came of it."""

    def __init__(self, prompt: Prompt, *, owner: str = "a", conversation: str = "", tokens: int = 6) -> None:
        self.tokens: list[int] = []
        self.error: Exception | None = None
        self.done = threading.Event()
        self.job = Job(
            prompt,
            Sampler(Request((Message("user", ("?",)),), Sampling(temperature=0)), Defaults()),
            None,
            tokens,
            frozenset({END}),
            owner,
            conversation,
            self._told,
            lambda: None,
        )

    def _told(self, what: int | Exception | None) -> None:
        if isinstance(what, int):
            self.tokens.append(what)
            return
        self.error = what
        self.done.set()

    def answer(self) -> list[int]:
        assert self.done.wait(10)
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
def running(*, room: int = 10**9, max_jobs: int = 8) -> Iterator[tuple[Sum, Scheduler]]:
    model = Sum()
    scheduler = Scheduler(model, PrefixStore(room), max_jobs=max_jobs)
    scheduler.start()
    try:
        yield model, scheduler
    finally:
        model.gate.set()
        scheduler.stop()


def alone(asked: Prompt, tokens: int = 6) -> list[int]:
    """The answer of a model that has nothing else to do and remembers nothing."""
    with running() as (_, scheduler):
        one = Asked(asked, tokens=tokens)
        scheduler.submit(one.job)
        return one.answer()


def test_many_at_once_get_the_answers_that_each_gets_alone() -> None:
    prompts = [prompt(*range(n, n + 5 + n), shows=[(n, 3 + n)] * (n % 3)) for n in range(1, 12)]
    expected = [alone(one) for one in prompts]
    with running(max_jobs=5) as (model, scheduler):
        model.gate.clear()
        asked = [Asked(one, owner=str(n)) for n, one in enumerate(prompts)]
        for one in asked:
            scheduler.submit(one.job)
        model.gate.set()
        assert [one.answer() for one in asked] == expected
        assert max(len(step) for step in model.steps) == 5  # they really were computed together


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
            assert done.wait(10)
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
        assert done.wait(10)
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
        model.gate.clear()
        one = Asked(prompt(1, 2), tokens=100)
        two = Asked(long, owner="b")
        scheduler.submit(one.job)
        scheduler.submit(two.job)
        model.gate.set()
        assert two.answer() == alone(long)
        assert one.answer() == alone(prompt(1, 2), 100)
        together = [step for step in model.steps if len(step) == 2 and step[1] > 1]
        assert together
        assert max(step[1] for step in together) <= 128


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
        assert one.done.wait(10)


def test_the_longest_answer_says_that_it_was_cut() -> None:
    with running() as (_, scheduler):
        one = Asked(prompt(1, 2), tokens=3)
        scheduler.submit(one.job)
        assert len(one.answer()) == 3
        assert one.job.cut
