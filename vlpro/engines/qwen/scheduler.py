"""Several questions at once through one model: who is read, who is answered, and what need not be computed again.

One thread owns the model. It goes in steps; each reads a piece of one prompt and writes a token of every answer that
is under way, all in one pass through the network. So a new question waits for one step, not for another's answer.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vlpro.engines.qwen.positions import positions
from vlpro.engines.qwen.prefixes import Prefix
from vlpro.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vlpro.engines.qwen.form import Form
    from vlpro.engines.qwen.prefixes import Features, PrefixStore, State
    from vlpro.engines.qwen.prompt import Prompt, Shown
    from vlpro.engines.qwen.sampling import Sampler
    from vlpro.imaging.picture import Picture

__all__ = ["Job", "Model", "Row", "Scheduler", "Stopped"]

log = logging.getLogger(__name__)

_TIDY_S = 60.0
_CHUNK_ALONE = 1024
_CHUNK_BESIDE = 128  # tokens of a prompt that are read beside answers under way, so that these go on


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nobody waits any more for what was being computed."""


@dataclass(slots=True)
class Row:
    """A piece of one sequence in a step.

    Args:
        state: Of what came before; the step adds to it.
        ids: ``(tokens,)``.
        positions: ``(3, tokens)``.
        pictures: Features whose cells lie in this piece: where they begin in it, from which and to which cell.
        wants_logits: Whether the last token's logits are wanted.
    """

    state: State
    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    pictures: list[tuple[int, Features, int, int]]
    wants_logits: bool


class Model(Protocol):
    """The network. All calls come from the scheduler's thread.

    ``stopped`` is asked between layers; where it says yes, the call raises :class:`Stopped`.
    """

    token_bytes: int
    """Memory of one token's keys and values."""

    def new_state(self) -> State:
        """Of an empty sequence."""

    def see(self, picture: Picture, rows: int, columns: int, stopped: Callable[[], bool]) -> Features:
        """Features of a picture of so many cells."""

    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        """Read each row; logits ``(vocabulary,)`` of those that want them. Either all states grow, or none."""


@dataclass(slots=True, eq=False)
class Job:
    """One question on its way.

    Args:
        prompt: As numbers.
        sampler: Chooses tokens.
        form: What the answer must keep to, if anything.
        max_tokens: Length of the answer, tokens.
        ends: Tokens that end it.
        owner: Whose it is.
        conversation: Of which conversation.
        tell: Called from the scheduler's thread with each token, then with None, or with what went wrong.
        words: The text that was made of the answer's tokens; None where these may not stand in a prompt.
    """

    prompt: Prompt
    sampler: Sampler
    form: Form | None
    max_tokens: int
    ends: frozenset[int]
    owner: str
    conversation: str
    tell: Callable[[int | Exception | None], None]
    words: Callable[[], str | None]
    keep: bool = True
    """Whether what it read may be wanted again."""
    cut: bool = False
    """Whether the answer ended at ``max_tokens``; known when it has ended."""
    reused: int = 0
    """Tokens of the prompt that were not read again."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    positions: NDArray[np.int64] = field(default_factory=lambda: np.empty((3, 0), np.int64))
    state: State | None = None
    features: dict[int, Features] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)

    @property
    def pictures(self) -> frozenset[str]:
        """Digests of its pictures."""
        return frozenset(shown.picture.pixels_sha256 for shown in self.prompt.shown)

    @property
    def need(self) -> int:
        """Tokens that it may come to."""
        return len(self.prompt.ids) + self.max_tokens

    @property
    def reading(self) -> bool:
        """Whether its prompt is not yet read to the end."""
        return self.state is None or self.state.length < len(self.prompt.ids)

    def unseen(self) -> Shown | None:
        """The first picture whose cells are to be read and whose features are not there."""
        read = self.state.length if self.state is not None else 0
        for shown in self.prompt.shown:
            if shown.begin + shown.rows * shown.columns > read and shown.begin not in self.features:
                return shown
        return None


class Scheduler:
    """Runs jobs on a model.

    Args:
        model: The network.
        store: What may be wanted again. Its limit is for all: also for what running jobs hold.
        max_jobs: Answers under way at once.
    """

    def __init__(self, model: Model, store: PrefixStore, *, max_jobs: int) -> None:
        self._model = model
        self._store = store
        self._max_jobs = max_jobs
        self._inbox: queue.SimpleQueue[Job | Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="qwen", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End; jobs that are not complete are told so. Returns when the thread has ended."""
        for job in (*self._running, *self._waiting):
            job.cancelled.set()
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, job: Job) -> None:
        """Take a job in."""
        self._inbox.put(job)

    def forget(
        self, pictures: frozenset[str], conversations: frozenset[str], done: Callable[[], None]
    ) -> None:
        """Drop all that came of these pictures and conversations, between two steps, and say when that is done."""

        def drop() -> None:
            self._store.forget(pictures, conversations)
            for job in (*self._running, *self._waiting):
                if job.conversation in conversations or job.pictures & pictures:
                    job.keep = False
            done()

        self._inbox.put(drop)

    # --- on the thread

    def _run(self) -> None:
        while not self._ended:
            self._take_in(wait=not (self._running or self._waiting))
            self._store.expire()
            self._admit()
            try:
                self._advance()
            except Stopped:
                pass
            except Exception as error:
                log.exception("a step failed")
                self._store.clear()  # it may have been the memory
                for job in tuple(self._running):
                    self._leave(job, error, keep=False)
        for job in (*self._running, *self._waiting):
            job.tell(EngineError("The engine was stopped.", zh="推理引擎已停止。"))
        self._running.clear()
        self._waiting.clear()
        self._store.clear()

    def _take_in(self, *, wait: bool) -> None:
        while True:
            try:
                got = self._inbox.get(block=wait, timeout=_TIDY_S if wait else None)
            except queue.Empty:
                return
            wait = False
            if got is None:
                self._ended = True
            elif isinstance(got, Job):
                self._waiting.append(got)
            else:
                try:
                    got()
                except Exception:
                    log.exception("work between steps failed")

    def _admit(self) -> None:
        """Begin with the jobs that there is room for, in their order."""
        for job in tuple(self._waiting):
            if job.cancelled.is_set():
                self._waiting.remove(job)
        while self._waiting and len(self._running) < self._max_jobs:
            job = self._waiting[0]
            held = sum(other.need for other in self._running) + job.need
            if not self._store.make_room(held * self._model.token_bytes) and self._running:
                return  # when another ends; alone, it was found to fit before it was taken
            self._waiting.popleft()
            self._running.append(job)
            try:
                self._begin(job)
            except Exception as error:
                log.exception("a question could not be begun")
                self._leave(job, error, keep=False)

    def _begin(self, job: Job) -> None:
        job.positions = positions(job.prompt)
        job.keys = np.asarray(job.prompt.ids, np.int64).copy()
        for shown in job.prompt.shown:
            cells = shown.rows * shown.columns
            # Negative, so no token's; the picture above, its cell below.
            job.keys[shown.begin : shown.begin + cells] = -(self._store.name(shown.key) << 20) - np.arange(
                cells
            )
        job.state, job.reused = self._store.take(job.owner, job.keys)
        if job.state is None:
            job.state = self._model.new_state()

    def _advance(self) -> None:
        for job in tuple(self._running):
            if job.cancelled.is_set():
                self._leave(job, None)
        reading = next((job for job in self._running if job.reading), None)
        writing = [job for job in self._running if not job.reading]
        if reading is not None and (shown := reading.unseen()) is not None:
            reading.features[shown.begin] = self._see(reading, shown, alone=not writing)
            if reading.unseen() is not None and not writing:
                return  # its next picture, before anything is read
        rows = [(job, self._written_row(job)) for job in writing]
        if reading is not None and reading.unseen() is None:
            rows.append((reading, self._prompt_row(reading, _CHUNK_BESIDE if writing else _CHUNK_ALONE)))
        if not rows:
            return
        alone = rows[0][0] if len(rows) == 1 else None
        stopped = alone.cancelled.is_set if alone is not None else _never
        made = self._model.step([row for _, row in rows], stopped)
        for (job, _), logits in zip(rows, made, strict=True):
            if logits is not None:
                self._choose(job, logits)

    def _see(self, job: Job, shown: Shown, *, alone: bool) -> Features:
        features = self._store.features(job.owner, shown.key)
        if features is None:
            stopped = job.cancelled.is_set if alone else _never
            features = self._model.see(shown.picture, shown.rows, shown.columns, stopped)
            if job.keep:
                self._store.keep_features(job.owner, shown.key, features)
        return features

    def _prompt_row(self, job: Job, most: int) -> Row:
        assert job.state is not None  # noqa: S101 - it was begun
        begin = job.state.length
        end = min(begin + most, len(job.prompt.ids))
        pictures = []
        for shown in job.prompt.shown:
            first = max(shown.begin, begin)
            last = min(shown.begin + shown.rows * shown.columns, end)
            if first < last:
                features = job.features[shown.begin]
                pictures.append((first - begin, features, first - shown.begin, last - shown.begin))
        ids = np.asarray(job.prompt.ids[begin:end], np.int64)
        done = end == len(job.prompt.ids)
        return Row(job.state, ids, job.positions[:, begin:end], pictures, wants_logits=done)

    def _written_row(self, job: Job) -> Row:
        assert job.state is not None  # noqa: S101 - likewise
        # What is written stands after the prompt's last token, one place further each time.
        place = int(job.positions[:, -1].max()) + job.state.length - len(job.prompt.ids) + 1
        return Row(job.state, np.array([job.written[-1]]), np.full((3, 1), place), [], wants_logits=True)

    def _choose(self, job: Job, logits: NDArray[np.float32]) -> None:
        if job.form is not None:
            job.form.bar(logits)
        token = job.sampler.choose(logits)
        if token in job.ends:
            self._leave(job, None)
            return
        job.written.append(token)
        job.tell(token)
        if job.form is not None:
            job.form.take(token)
            if job.form.complete:
                self._leave(job, None)
                return
        if len(job.written) >= job.max_tokens:
            job.cut = True
            self._leave(job, None)

    def _leave(self, job: Job, error: Exception | None, *, keep: bool = True) -> None:
        """A job has ended: what it read is kept for the next turn."""
        self._running.remove(job)
        state, job.state = job.state, None
        job.features = {}
        if keep and job.keep and state is not None and state.length:
            keys = np.concatenate([job.keys, np.asarray(job.written, np.int64)])[: state.length]
            self._store.keep(Prefix(job.owner, job.conversation, keys, state, job.pictures))
            if text := job.words():
                self._store.answers.keep(
                    job.owner, text, job.written, conversation=job.conversation, pictures=job.pictures
                )
        with contextlib.suppress(RuntimeError):  # whoever asked has gone, with its event loop
            job.tell(error)


def _never() -> bool:
    return False
