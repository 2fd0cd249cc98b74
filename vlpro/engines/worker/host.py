"""The worker's side: takes questions from the control socket and lets the engine answer them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import asdict

from vlpro.engines.interface import Engine, Forgotten, Loading, Request
from vlpro.engines.worker import wire
from vlpro.errors import EngineError, VlproError
from vlpro.process import give_memory_back

__all__ = ["serve"]

log = logging.getLogger(__name__)

MAX_PACKET = 65_536
_FOREVER_S = 86_400.0  # the gateway keeps the time and closes the stream
_BROKEN_AFTER = 3  # answers in a row that failed as no engine should: a new process may do better


async def serve(engine: Engine, control: socket.socket) -> None:
    """Answer until the gateway closes the control socket.

    Args:
        engine: Not yet started.
        control: The worker's end of the control pair, a sequenced-packet socket.
    """
    loop = asyncio.get_running_loop()
    control.settimeout(0)
    try:
        await engine.start(lambda loading: _tell(control, loading))
    except VlproError as error:
        await loop.sock_sendall(control, json.dumps(wire.encode_error(error)).encode())
        return
    await loop.sock_sendall(control, b'{"ready": true}')

    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[object, object, None]) -> None:
        task = loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    closed = asyncio.Event()
    failed = _Failed(closed.set)

    def packet() -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(control, MAX_PACKET, 2)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            loop.remove_reader(control)
            closed.set()
            return
        stream = socket.socket(fileno=descriptors[0])
        message = json.loads(data)
        if "forget" in message:
            spawn(_forget(engine, frozenset(message["forget"]), frozenset(message["conversations"]), stream))
        else:
            spawn(_answer(engine, stream, descriptors[1] if len(descriptors) > 1 else None, failed))

    loop.add_reader(control, packet)
    await closed.wait()
    for task in tuple(tasks):
        task.cancel()
    await engine.stop()


def _tell(control: socket.socket, loading: Loading) -> None:
    with contextlib.suppress(OSError):  # the gateway is busy or gone: the next one will do
        control.send(json.dumps({"loading": loading.stage, "share": loading.share}).encode())


async def _forget(
    engine: Engine, pictures: frozenset[str], conversations: frozenset[str], stream: socket.socket
) -> None:
    with stream:  # the gateway waits for what is said
        forgotten = await engine.forget(pictures, conversations) or Forgotten()
        await asyncio.to_thread(give_memory_back)
        with contextlib.suppress(OSError):  # it waits no longer
            stream.send(json.dumps(asdict(forgotten)).encode())


class _Failed:
    """Answers in a row that failed in a way that the engine did not foresee, such as for want of memory.

    One may be the question's own fault. Where several fail and none works, the process ends, and the gateway starts
    another one.

    Args:
        end: Ends the process, in order.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._count = 0

    def add(self) -> None:
        """One more."""
        self._count += 1
        if self._count >= _BROKEN_AFTER:
            log.error("%d answers failed in a row: the worker ends", self._count)
            self._end()

    def clear(self) -> None:
        """One has worked."""
        self._count = 0


async def _answer(engine: Engine, stream: socket.socket, memory: int | None, failed: _Failed) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=stream)
    try:
        frame = await wire.read_frame(reader)
        if frame is None:
            return
        request = wire.decode_request(frame, memory)
        answering = asyncio.create_task(_write_answer(engine, request, writer, failed))
        gone = asyncio.create_task(reader.read())
        await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in (answering, gone):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering
    except ConnectionError:
        log.info("the gateway left a question")
    except Exception:  # such as for want of memory for the question itself; the gateway sees its stream end
        log.exception("a question could not be taken")
        failed.add()
    finally:
        if memory is not None:
            os.close(memory)
        writer.close()


async def _write_answer(
    engine: Engine, request: Request, writer: asyncio.StreamWriter, failed: _Failed
) -> None:
    answer = engine.generate(request, timeout_s=_FOREVER_S)
    try:
        async for delta in answer:
            await wire.write_frame(writer, wire.encode_delta(delta))
        failed.clear()
    except VlproError as error:
        if type(error) is EngineError and error.__cause__ is not None:
            failed.add()  # something came up in the engine that it had no words for
        await wire.write_frame(writer, wire.encode_error(error))
    finally:
        await answer.aclose()
