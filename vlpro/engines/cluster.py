"""The engine on a Ray cluster: as many of it as the settings say, on the nodes that have room.

What runs there is the engine alone: it is given clean pixels and words, and gives an answer. Permissions, the audit
before and after, and what is stored stay with whoever asks. A node that dies is the engine's failure for the
questions that it was answering; Ray begins another one elsewhere.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from vlpro import errors
from vlpro.engines import registry
from vlpro.engines.interface import Delta, Engine, Request, Usage
from vlpro.errors import ConfigError, EngineError, EngineUnavailableError, VlproError

__all__ = ["ClusterEngine"]

log = logging.getLogger(__name__)

_AGAIN_S = 10.0
_TIMEOUT_S = 600.0  # of an answer; who asks gives up by its own limit
_KINDS = ("fake", "ocr", "openai")

_Said = tuple[list[tuple[str, str | None, tuple[int, int, int] | None]], tuple[str, ...] | None]


class Node:
    """Lives on a node: one engine, ready to answer.

    Args:
        name: Of the engine.
        options: For it.
    """

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        self._engine = registry.create(name, options)
        self._starting: asyncio.Task[None] | None = None

    async def answer(self, request: Request) -> _Said:
        """A whole answer: its pieces, and what went wrong in the end, as plain values."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._engine.start())
        pieces: list[tuple[str, str | None, tuple[int, int, int] | None]] = []
        try:
            await asyncio.shield(self._starting)
            async for delta in self._engine.generate(request, timeout_s=_TIMEOUT_S):
                used = delta.usage
                counted = (used.prompt_tokens, used.completion_tokens, used.cached_tokens) if used else None
                pieces.append((delta.text, delta.finish_reason, counted))
        except VlproError as error:
            return pieces, (type(error).__name__, error.message, error.zh, error.param or "", error.code)
        return pieces, None


class ClusterEngine(Engine):
    """Answers with engines on a cluster; while that is not there, it is not ready, and says so.

    Args:
        address: Of the cluster, of which this machine is a node: ``HOST:PORT``, or ``auto``.
        name: Of the engine that answers there.
        options: For it.
        workers: How many of it.
        cpus: Processors that each of them is given.

    Raises:
        ConfigError: The address is of Ray's client, Ray is not installed, or the engine has no place on a cluster.
    """

    def __init__(
        self, address: str, name: str, options: Mapping[str, object], *, workers: int, cpus: float
    ) -> None:
        if address.startswith(
            "ray://"
        ):  # a connection that breaks for good where the cluster is away for a while
            raise ConfigError(
                "ray:// is not supported. Make this machine a node of the cluster (ray start --address=HOST:6379 "
                "--num-cpus=0), and set ray_address to HOST:6379.",
                zh="不支持 ray:// 地址。请将本机加入集群（ray start --address=主机:6379 --num-cpus=0），"
                "并将 ray_address 设为 主机:6379。",
                param="batch.ray_address",
            )
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "VLPRO_BATCH names a Ray cluster, and Ray is not installed: pip install 'vlpro[ray]'.",
                zh="VLPRO_BATCH 指定了 Ray 集群，但未安装 Ray：pip install 'vlpro[ray]'。",
                param="batch.ray_address",
            )
        if name not in _KINDS:
            raise ConfigError(
                f"The engine {name} does not run on a Ray cluster. Use openai (vLLM or Ray Serve there) or ocr.",
                zh=f"{name} 引擎不能在 Ray 集群上运行，请使用 openai（集群上的 vLLM 或 Ray Serve）或 ocr。",
                param="batch.ray_address",
            )
        # Counts tokens and tells what it can; it is never started here.
        self._here = registry.create(name, options)
        self.name = name
        own = self._here.capabilities
        self.capabilities = replace(own, concurrency=own.concurrency * workers, reads_ahead=False)
        self._address, self._options = address, dict(options)
        self._workers, self._cpus = workers, cpus
        self._nodes: list[Any] = []
        self._turns = itertools.count()
        self._connecting: asyncio.Task[None] | None = None
        self._problem: VlproError | None = None

    @property
    def ready(self) -> bool:
        """Whether the cluster is there."""
        return bool(self._nodes)

    @property
    def problem(self) -> VlproError | None:
        """Why it is not."""
        return self._problem

    async def start(self, tell: Any = None) -> None:  # noqa: ARG002 - it tells of no progress
        """Connect, and go on trying."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """End the engines on the cluster, and leave it."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._nodes:
            await asyncio.to_thread(self._leave)

    def count_tokens(self, text: str) -> int:
        """As the engine itself."""
        return self._here.count_tokens(text)

    def count_prompt(self, request: Request) -> int:
        """As the engine itself."""
        return self._here.count_prompt(request)

    async def _connect(self) -> None:
        while not self._nodes:
            try:
                self._nodes = await asyncio.to_thread(self._join)
                self._problem = None
            except Exception as error:  # noqa: BLE001 - whatever Ray raises: it is tried again
                log.warning("the Ray cluster %r is not there: %s", self._address, error)
                self._problem = _not_there()
                await asyncio.sleep(_AGAIN_S)

    def _join(self) -> list[Any]:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray  # noqa: PLC0415 - an extra, and heavy

        ray.init(
            address=self._address,
            namespace="vlpro",
            log_to_driver=False,
            configure_logging=False,
            ignore_reinit_error=True,
        )
        made: Any = ray.remote(Node)
        made = made.options(
            num_cpus=self._cpus,
            max_restarts=-1,
            max_concurrency=max(1, self._here.capabilities.concurrency),
            scheduling_strategy="SPREAD",
        )
        return [made.remote(self.name, self._options) for _ in range(self._workers)]

    def _leave(self) -> None:
        import ray  # noqa: PLC0415 - likewise

        self._nodes = []
        ray.shutdown()

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        if not self._nodes:
            raise self._problem or _not_there()
        import ray  # noqa: PLC0415 - likewise

        node = self._nodes[next(self._turns) % len(self._nodes)]
        asked = node.answer.remote(request)
        try:
            pieces, failed = await asyncio.wrap_future(asked.future())
        except asyncio.CancelledError:
            ray.cancel(asked)
            raise
        except ray.exceptions.RayError as error:
            log.warning("an answer of the Ray cluster was lost: %s", error)
            raise EngineUnavailableError(
                "The cluster lost the machine that was answering. Try again.",
                zh="集群中正在回答的机器已断开，请重试。",
            ) from error
        for text, reason, used in pieces:
            yield Delta(text, reason, None if used is None else Usage(*used))
        if failed is not None:
            raise _error(*failed)


def _error(kind: str, message: str, zh: str, param: str, code: str) -> VlproError:
    known = getattr(errors, kind, EngineError)
    if not (isinstance(known, type) and issubclass(known, errors.BadRequestError | EngineError)):
        known = EngineError
    made: VlproError = known(message, zh=zh, param=param or None, code=code)
    return made


def _not_there() -> EngineUnavailableError:
    return EngineUnavailableError(
        "The Ray cluster is not there. What waits for it goes on when it is.",
        zh="Ray 集群不可用，恢复后会自动继续。",
        code="cluster_unavailable",
    )
