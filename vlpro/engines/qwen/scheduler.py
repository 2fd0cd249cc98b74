"""Several questions at once through one model: who is read, who is answered, and what need not be computed again.

One thread owns the model. It goes in steps; each reads pieces of prompts and writes a token of every answer that is
under way, all in one pass through the network. So a new question waits for one step, not for another's answer. While
answers are under way, as much is read in a step as keeps them flowing, and a picture is seen part by part, with
steps between.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from vlpro.engines.qwen.job import Job
from vlpro.engines.qwen.network import Row, Stopped
from vlpro.engines.qwen.positions import positions
from vlpro.engines.qwen.prefixes import Prefix, common
from vlpro.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vlpro.engines.interface import Forgotten
    from vlpro.engines.qwen.network import Model
    from vlpro.engines.qwen.prefixes import PrefixStore, State
    from vlpro.engines.qwen.prompt import Shown

__all__ = ["Scheduler"]

log = logging.getLogger(__name__)

_TIDY_S = 60.0
# Seconds of reading in a step, and the fewest tokens:
_BESIDE = (0.25, 16)  # beside answers, so that these go on
_AMONG = (0.5, 32)  # with nothing beside but others that are read: who came first need not wait for the last
_AHEAD = (1.0, 64)  # of what nobody waits for yet
_ALONE = (3.0, 256)  # with nothing beside: who comes meanwhile waits so long
_MOST = 2048
_PAUSE_S = (
    0.1  # of answers, before they go on between two parts of the vision tower; one part may take longer
)
_SHARED = 32  # tokens in common from which a question waits for another to read them for both


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
        self._forgotten: list[Callable[[], None]] = []  # to be told when memory is given back
        self._crowded = False  # one was set aside, and none has ended since
        self._speed = 0.0  # tokens read a second
        self._stepped = 0.0
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
        self,
        pictures: frozenset[str],
        conversations: frozenset[str],
        done: Callable[[], None],
        told: Callable[[Forgotten], object] = lambda _: None,
    ) -> None:
        """Drop all that came of these pictures and conversations, between two steps; says how much, and when."""

        def drop() -> None:
            told(self._store.forget(pictures, conversations))
            for job in (*self._running, *self._waiting):
                if job.conversation in conversations or job.pictures & pictures:
                    job.keep = False
                    if job.ahead:
                        job.cancelled.set()
            self._forgotten.append(done)

        self._inbox.put(drop)

    # --- on the thread

    def _run(self) -> None:
        while not self._ended:
            self._take_in(wait=not (self._running or self._waiting))
            self._give_back()
            self._store.expire()
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
            _end(job, EngineError("The engine was stopped.", zh="推理引擎已停止。"))
        self._running.clear()
        self._waiting.clear()
        self._store.clear()
        self._give_back()

    def _give_back(self) -> None:
        """After something was forgotten; between pictures, since a layer's work space may be in use within one."""
        if not self._forgotten:
            return
        self._model.release()
        while self._forgotten:
            with contextlib.suppress(RuntimeError):  # likewise
                self._forgotten.pop()()

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
        """Begin with the jobs that there is room for, in their order; what is only read ahead takes no one's turn."""
        for job in tuple(self._waiting):
            if job.cancelled.is_set():
                self._waiting.remove(job)
                _end(job)
        for job in sorted(self._waiting, key=lambda job: job.ahead):
            answering = [other for other in self._running if not other.ahead]
            if answering and (self._crowded or (len(answering) >= self._max_jobs and not job.ahead)):
                return
            try:
                self._begin(job)
            except Exception as error:
                log.exception("a question could not be begun")
                self._waiting.remove(job)
                _end(job, error)
                continue
            grows = sum(other.need for other in answering) + job.need - self._store.known(job.owner, job.keys)
            if not self._store.make_room(grows * self._model.token_bytes) and answering:
                return  # when another ends; alone, it was found to fit before it was taken
            self._waiting.remove(job)
            self._running.append(job)

    def _begin(self, job: Job) -> None:
        where = positions(job.prompt)
        # What is written stands after the prompt's last token, one place further each time.
        written = where[:, -1:].max() + 1 + np.arange(job.max_tokens)
        job.positions = np.concatenate([where, np.broadcast_to(written, (3, job.max_tokens))], axis=1)
        keys = np.asarray(job.prompt.ids, np.int64).copy()
        for shown in job.prompt.shown:
            cells = shown.rows * shown.columns
            # Negative, so no token's; the picture above, its cell below.
            keys[shown.begin : shown.begin + cells] = -(self._store.name(shown.key) << 20) - np.arange(cells)
        job.keys = np.concatenate([keys, np.asarray(job.written, np.int64)])

    def _advance(self, seeing: Job | None = None) -> None:
        """One step, or one picture with steps between the parts of its way.

        Args:
            seeing: Whose picture is being seen meanwhile; the step is one between two parts.
        """
        self._admit()
        for job in tuple(self._running):
            if job.cancelled.is_set() and job is not seeing:
                self._leave(job, None)
        writing = [job for job in self._running if not job.reading]
        readers = self._readers(writing, seeing)
        if seeing is None and readers and (shown := self._unseen(readers[0])) is not None:
            self._see(readers[0], shown)
            return
        rows = [(job, self._row(job, 1)) for job in writing]
        left = self._chunk(rows, readers, seeing)
        for job in readers:
            if left > 0 and self._unseen(job) is None:
                rows.append((job, self._row(job, left)))
                left -= len(rows[-1][1].ids)
        # Where only one is left there is room: it was found to fit before it was taken.
        if rows and (self._has_room(rows) or not self._set_aside(rows[0][0], seeing)):
            try:
                self._step(rows, may_stop=seeing is None)
            except MemoryError:  # the limit on bytes leaves out what blocks that are not full hold
                if not (self._store.evict() or self._set_aside(rows[0][0], seeing)):
                    raise

    def _readers(self, writing: list[Job], seeing: Job | None) -> list[Job]:
        """Those that can read now, the first to come first, with what is known of their beginnings."""
        jobs = [job for job in self._running if job.reading and not job.ahead]
        if not jobs and not writing and seeing is None:
            jobs = [job for job in self._running if job.ahead][:1]
        able = []
        for index, job in enumerate(jobs):
            if job is not seeing and not any(_reads_for(other, job) for other in jobs[:index]):
                if job.state is None:
                    job.state, job.reused = self._known(job)
                able.append(job)
        return able

    def _known(self, job: Job) -> tuple[State, int]:
        """The state of the longest beginning that is kept, or that a running job of the same owner has read."""
        best, length = None, self._store.known(job.owner, job.keys)
        for other in self._running:
            if other is not job and other.owner == job.owner:
                shared = min(common(other.keys, job.keys[:-1]), other.read)
                if shared > length:
                    best, length = other, shared
        if best is None or best.state is None:
            state, length = self._store.take(job.owner, job.keys)
            return self._model.new_state() if state is None else state, length
        if best.ahead and best.read == length:  # this is the question that it was read for
            state, best.state = best.state, None
            self._running.remove(best)
            _end(best)
            return state, length
        return best.state.copy(length), length

    def _unseen(self, job: Job) -> Shown | None:
        """The first picture that the job needs features of which are not known."""
        while (shown := job.unseen()) is not None:
            features = self._store.features(job.owner, shown.key)
            if features is None:
                return shown
            job.features[shown.begin] = features
        return None

    def _see(self, job: Job, shown: Shown) -> None:
        def between() -> None:
            self._take_in(wait=False)
            if self._ended or job.cancelled.is_set() or (job.ahead and self._waits_for_else(shown)):
                raise Stopped
            if time.monotonic() - self._stepped >= _PAUSE_S:
                self._advance(seeing=job)
                self._stepped = time.monotonic()

        self._stepped = time.monotonic()
        features = self._model.see(shown.picture, shown.rows, shown.columns, between)
        job.features[shown.begin] = features
        if job.keep:
            self._store.keep_features(job.owner, shown.key, features)

    def _waits_for_else(self, shown: Shown) -> bool:
        """Whether there is a question that does not show this picture."""
        asked = [job for job in (*self._waiting, *self._running) if not job.ahead]
        return any(shown.key not in [other.key for other in job.prompt.shown] for job in asked)

    def _chunk(self, rows: list[tuple[Job, Row]], readers: list[Job], seeing: Job | None) -> int:
        """How many tokens may be read in this step."""
        if rows or seeing is not None:
            seconds, least = _BESIDE
        elif len(readers) > 1:
            seconds, least = _AMONG
        else:
            seconds, least = _AHEAD if readers and readers[0].ahead else _ALONE
        return min(max(int(seconds * self._speed), least), _MOST)

    def _row(self, job: Job, most: int) -> Row:
        """The next tokens of a job: of its prompt, or the one that it wrote last."""
        assert job.state is not None  # noqa: S101 - it was begun
        begin = job.state.length
        end = min(begin + most, job.to_read) if job.reading else begin + 1
        prompt = len(job.prompt.ids)
        ids = job.prompt.ids[begin:end] + job.written[max(begin - prompt, 0) : max(end - prompt, 0)]
        pictures = []
        for shown in job.prompt.shown:
            first = max(shown.begin, begin)
            last = min(shown.begin + shown.rows * shown.columns, end)
            if first < last:
                features = job.features[shown.begin]
                pictures.append((first - begin, features, first - shown.begin, last - shown.begin))
        last_known = not job.ahead and end == prompt + len(job.written)
        return Row(
            job.state,
            np.asarray(ids, np.int64),
            job.positions[:, begin:end],
            pictures,
            wants_logits=last_known,
        )

    def _has_room(self, rows: list[tuple[Job, Row]]) -> bool:
        """Make room for a step."""
        grows = sum(len(row.ids) for _, row in rows) * self._model.token_bytes
        while True:
            held = self._held()
            if not self._store.make_room(held + grows):
                return False
            if self._held() == held:  # what a job shared with a prefix that went is the job's alone now
                return True

    def _held(self) -> int:
        return sum(job.state.nbytes for job in self._running if job.state is not None)

    def _set_aside(self, first: Job, seeing: Job | None) -> bool:
        """Let the youngest go on later, from what it had written; False where there is only the first."""
        kept = (first, seeing)
        others = [job for job in self._running if job not in kept and job.state is not None]
        if not others:
            return False
        job = next((job for job in others if job.ahead), others[-1])
        self._running.remove(job)
        if job.ahead:
            _end(job)
        else:
            _drop(job)
            self._waiting.appendleft(job)
            self._crowded = True
        return True

    def _step(self, rows: list[tuple[Job, Row]], *, may_stop: bool) -> None:
        alone = rows[0][0] if len(rows) == 1 and may_stop else None
        began = time.monotonic()
        made = self._model.step([row for _, row in rows], _never if alone is None else alone.cancelled.is_set)
        self._stepped = time.monotonic()
        read = sum(len(row.ids) for _, row in rows if len(row.ids) > 1)
        if read >= _BESIDE[1]:
            speed = read / max(self._stepped - began, 1e-6)
            self._speed = (self._speed + speed) / 2 if self._speed else speed
        for (job, _), logits in zip(rows, made, strict=True):
            if logits is not None:
                job.features = {}
                self._choose(job, logits)
            elif job.ahead and not job.reading:
                self._leave(job, None)

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
        self._crowded = False
        if keep and job.keep and job.read:
            assert job.state is not None  # noqa: S101 - it has read something
            state, job.state = job.state, None
            keys = np.concatenate([job.keys[: len(job.prompt.ids)], np.asarray(job.written, np.int64)])
            keys = keys[: state.length]
            self._store.keep(Prefix(job.owner, job.conversation, keys, state, job.pictures))
            if text := job.words():
                self._store.answers.keep(
                    job.owner, text, job.written, conversation=job.conversation, pictures=job.pictures
                )
        _end(job, error)


def _drop(job: Job) -> None:
    if job.state is not None:
        job.state.free()
    job.state, job.features = None, {}


def _end(job: Job, error: Exception | None = None) -> None:
    _drop(job)
    with contextlib.suppress(RuntimeError):  # whoever asked has gone, with its event loop
        job.tell(error)


def _reads_for(other: Job, job: Job) -> bool:
    """Whether another question is reading what this one needs as well, which has not begun."""
    same = job.state is None and other.owner == job.owner
    return same and common(other.keys, job.keys) - other.read >= _SHARED


def _never() -> bool:
    return False
