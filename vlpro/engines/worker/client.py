"""The gateway's side: an engine like any other, whose work is done in a worker process that it starts and watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from vlpro.engines.interface import Delta, Engine, Forgotten, Loading, Request
from vlpro.engines.worker import wire
from vlpro.errors import EngineError, EngineUnavailableError
from vlpro.logs import child_environment
from vlpro.process import package_path
from vlpro.sealing.offline import OFFLINE
from vlpro.sealing.seal import is_sealed

__all__ = ["WorkerEngine"]

log = logging.getLogger(__name__)

_MAX_PACKET = 65_536
_FORGET_S = 3.0
_FORGET_AT_ONCE = 500  # digests a packet, to stay below _MAX_PACKET
_HEALTHY_S = 60.0
_BACKOFF_S = (0.1, 1.0, 5.0, 30.0)
_REST = 4.0  # times what a failed try took


class WorkerEngine(Engine):
    """Runs an engine of the registry in a process of its own, and a new one whenever it ends.

    Args:
        described: The same engine, not started: tells name, capabilities and token counts on this side.
        options: The engine's options, as for :func:`vlpro.engines.registry.create`.
        idle_unload_s: Seconds without a question after which the worker ends, until the next question; 0: never.

    Attributes:
        restarts: Workers that were started because the one before ended by itself.
    """

    def __init__(self, described: Engine, options: Mapping[str, object], *, idle_unload_s: float = 0) -> None:
        self.name = described.name
        self.capabilities = described.capabilities
        self._described = described
        self._options = json.dumps(dict(options))
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._settled = asyncio.Event()  # it is known whether the engine loads or fails
        self._failure: EngineUnavailableError | None = None
        self._watch: asyncio.Task[None] | None = None
        self._loading: Loading | None = None
        self._idle_unload_s = idle_unload_s
        self._answering = 0
        self._used = 0.0
        self._awake = asyncio.Event()
        self._awake.set()
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def ready(self) -> bool:
        """Whether the worker has loaded its engine, or would do so for a question."""
        return not self._awake.is_set() or (self._settled.is_set() and self._failure is None)

    @property
    def loading(self) -> Loading | None:
        """What the worker last said of it."""
        return self._loading

    @property
    def problem(self) -> EngineUnavailableError | None:
        """Why the engine does not load."""
        return self._failure

    def count_tokens(self, text: str) -> int:
        """As the engine counts."""
        return self._described.count_tokens(text)

    def count_prompt(self, request: Request) -> int:
        """As the engine counts."""
        return self._described.count_prompt(request)

    async def start(self, tell: Callable[[Loading], None] = lambda _: None) -> None:  # noqa: ARG002 - see ``loading``
        """Start the worker; returns at once, while the engine loads behind it."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End the worker; its memory goes back to the system."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    async def forget(
        self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()
    ) -> Forgotten:
        """Tell the worker, and wait a little until it has done so; one that is not running remembers nothing."""
        forgotten = Forgotten()
        digests, names = sorted(pictures), sorted(conversations)
        while (digests or names) and self._settled.is_set() and self._failure is None:
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    sent = await self._send(
                        {"forget": digests[:_FORGET_AT_ONCE], "conversations": names[:_FORGET_AT_ONCE]},
                        [theirs.fileno()],
                    )
                del digests[:_FORGET_AT_ONCE], names[:_FORGET_AT_ONCE]
                if sent:
                    ours.settimeout(0)
                    forgotten += await _told_of(ours)
        return forgotten

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        await self.start()
        self._awake.set()
        self._answering += 1
        try:
            async with contextlib.aclosing(self._ask(request)) as deltas:
                async for delta in deltas:
                    yield delta
        finally:
            self._answering -= 1
            self._used = asyncio.get_running_loop().time()

    async def _ask(self, request: Request) -> AsyncGenerator[Delta, None]:
        stream = None
        while stream is None:  # a worker may have died unseen: then the next one takes the question
            await self._until_ready()
            stream = await self._hand_over(request)
        reader, writer = await asyncio.open_unix_connection(sock=stream)
        try:
            await wire.write_frame(writer, wire.encode_request(request))
            while (frame := await wire.read_frame(reader)) is not None:
                if "error" in frame:
                    raise wire.decode_error(frame)
                yield wire.decode_delta(frame)
        except ConnectionError:
            log.warning("engine %s: the stream of an answer broke", self.name)
        finally:
            writer.close()
        raise EngineError(
            "The engine's process ended while it was answering. It is being started again: ask once more.",
            zh="推理引擎的进程在回答时结束，正在重新启动，请再问一次。",
        )

    async def _until_ready(self) -> None:
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    async def _hand_over(self, request: Request) -> socket.socket | None:
        """Give the worker its end of a new stream, and the pixels; returns our end, None if it is dead."""
        ours, theirs = socket.socketpair()
        descriptors = [theirs.fileno()]
        taken = False
        try:
            if request.pictures:
                descriptors.append(await asyncio.to_thread(wire.pixels_to_memory, request.pictures))
            taken = await self._send({"answer": True}, descriptors)
        finally:
            theirs.close()
            for memory in descriptors[1:]:
                os.close(memory)
            if not taken:
                ours.close()
        return ours if taken else None

    async def _send(self, packet: dict[str, object], descriptors: list[int]) -> bool:
        """Put a packet on the control socket; False where the worker is dead, before or after that is known."""
        data = json.dumps(packet).encode()
        while self._control is not None:
            try:
                socket.send_fds(self._control, [data], descriptors)
            except BlockingIOError:
                await asyncio.sleep(0.01)  # the worker has a queue of unread packets: rare, and short
            except OSError:
                self._settled.clear()  # set again by the next worker
                return False
            else:
                return True
        return False

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            await self._awake.wait()
            began = self._used = loop.time()
            await self._run_once()
            if not self._awake.is_set():
                failures = 0
                continue
            self.restarts += 1
            took = loop.time() - began
            failures = 0 if self._failure is None and took > _HEALTHY_S else failures + 1
            if failures:
                await asyncio.sleep(_pause_s(failures, took if self._failure else 0))

    async def _until_it_ends(self, process: asyncio.subprocess.Process) -> int | None:
        """The worker's exit status; None where it has been idle for too long."""
        ending = asyncio.ensure_future(process.wait())
        loop = asyncio.get_running_loop()
        try:
            while not ending.done():
                left = self._used + self._idle_unload_s - loop.time()
                if self._idle_unload_s and not self._answering and left <= 0:
                    self._awake.clear()
                    return None
                # While it answers, its time begins when the answer has ended.
                await asyncio.wait((ending,), timeout=max(left, 0.05) if self._idle_unload_s else None)
            return ending.result()
        finally:
            ending.cancel()

    async def _run_once(self) -> None:
        """Start a worker and wait until it ends; whatever happens, none is left behind."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process: asyncio.subprocess.Process | None = None
        with ours:
            ours.settimeout(0)
            try:
                with theirs:
                    process = await asyncio.create_subprocess_exec(
                        sys.executable,
                        "-P",  # nothing is imported from the folder that the service was started in
                        "-m",
                        "vlpro.engines.worker",
                        self.name,
                        self._options,
                        str(theirs.fileno()),
                        *(["sealed"] if is_sealed() else []),
                        pass_fds=(theirs.fileno(),),
                        stdin=asyncio.subprocess.DEVNULL,
                        env=_environment(),
                        start_new_session=True,  # Ctrl+C is for the gateway, which then ends the worker
                    )
                self._process, self._control = process, ours
                message: dict[str, Any] = {}
                while packet := await loop.sock_recv(ours, _MAX_PACKET):
                    message = json.loads(packet)
                    if "loading" not in message:
                        break
                    self._loading = Loading(message["loading"], message["share"])
                    message = {}
                self._loading = None
                if message.get("ready"):
                    self._failure = None
                    self._settled.set()
                elif "error" in message:
                    error = wire.decode_error(message)
                    self._failure = EngineUnavailableError(
                        error.message, zh=error.zh, param=error.param, code=error.code
                    )
                    self._settled.set()
                    log.error("engine %s does not start: %s", self.name, error.message)
                code = await self._until_it_ends(process)
                if code is None:
                    log.info(
                        "engine %s was not asked for %g s: it leaves memory", self.name, self._idle_unload_s
                    )
                    return
                if not message:
                    self._failure = EngineUnavailableError(
                        f"The engine's process ended with {code} before it was ready; it is tried again. Tell "
                        "your administrator if this stays.",
                        zh=f"推理引擎的进程在就绪前以 {code} 结束，正在重试。若持续出现，请联系管理员。",
                    )
                    self._settled.set()
                log.warning("worker of engine %s ended with %s; it is started again", self.name, code)
            except OSError as error:
                log.exception("the worker of engine %s cannot be started", self.name)
                self._failure = EngineUnavailableError(
                    f"The engine's process cannot be started ({error.strerror}). Tell your administrator.",
                    zh=f"无法启动推理引擎的进程（{error.strerror}），请联系管理员。",
                )
                self._settled.set()
            finally:
                if self._failure is None:
                    self._settled.clear()
                self._process = self._control = None
                if process is not None and process.returncode is None:
                    process.kill()
                    await process.wait()


async def _told_of(stream: socket.socket) -> Forgotten:
    """What the worker says that it dropped; one that ends drops everything."""
    try:
        async with asyncio.timeout(_FORGET_S):
            told = await asyncio.get_running_loop().sock_recv(stream, _MAX_PACKET)
    except TimeoutError:  # it is busy, and does so afterwards
        return Forgotten(confirmed=False)
    except ConnectionError:
        return Forgotten()
    return Forgotten(**json.loads(told)) if told else Forgotten()


def _pause_s(failures: int, took_s: float) -> float:
    """Seconds until the next try.

    Args:
        failures: One after the other.
        took_s: That a try took which did not get ready: one that reads gigabytes first is not made all the time.
    """
    return max(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1], _REST * took_s)


def _environment() -> dict[str, str]:
    """The worker needs no setting and no secret of the gateway, but the same package."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    return {
        **environment,
        **child_environment(),
        **OFFLINE,
        "PYTHONPATH": package_path(),
    }
