"""Qwen3-VL in this machine's own memory: all that does not depend on what computes its network."""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from vlpro.engines import model_files
from vlpro.engines.interface import Capabilities, Delta, Engine, Forgotten, Loading, Usage
from vlpro.engines.qwen.form import Forms
from vlpro.engines.qwen.job import Job
from vlpro.engines.qwen.prefixes import PrefixStore
from vlpro.engines.qwen.prompt import Encoder
from vlpro.engines.qwen.sampling import Defaults, Sampler
from vlpro.engines.qwen.scheduler import Scheduler
from vlpro.errors import EngineError, EngineUnavailableError, VlproError
from vlpro.imaging.tokens import MANY_PICTURES_TOKENS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path
    from typing import Any

    from vlpro.engines.interface import Request
    from vlpro.engines.model_files import Manifest
    from vlpro.engines.qwen.limits import Limits
    from vlpro.engines.qwen.network import Model
    from vlpro.engines.qwen.prompt import Prompt

__all__ = ["QwenEngine"]

_TELL_EVERY_S = 0.2


class QwenEngine(Engine):
    """Qwen3-VL from a local folder whose files are those of a manifest. An implementation loads the network.

    Args:
        folder: The model's.
        manifest: What its files must be.
        limits: Makes of the model's ``config.json`` what there is memory for.
        keep_s: Seconds after which what is kept of pictures and conversations goes, when nobody asks about them.
        known: Stamps of files that need not be read again, and the Unix time until which that is so.

    Raises:
        ConfigError: The folder is not what the manifest says, or the model fits nowhere.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        limits: Callable[[Mapping[str, Any]], Limits],
        *,
        keep_s: float,
        known: tuple[Mapping[str, str], float] = ({}, 0.0),
    ) -> None:
        self._folder = folder
        self._known = known
        self._manifest = manifest
        self._config = self._read("config.json")
        pictures = self._read("preprocessor_config.json")
        usual = self._read("generation_config.json")
        tokenizer = model_files.read(folder, manifest, "tokenizer.json").decode()
        room = limits(self._config)
        smallest = int(pictures["size"]["shortest_edge"])
        largest = min(room.picture_pixels, int(pictures["size"]["longest_edge"]))
        self.capabilities = Capabilities(
            model=manifest.name,
            sees=True,
            context_tokens=room.context_tokens,
            picture_pixels=largest,
            picture_min_pixels=smallest,
            picture_tokens_budget=min(MANY_PICTURES_TOKENS, room.context_tokens // 2),
            concurrency=room.concurrency,
            reads_ahead=True,
            honours=frozenset({"frequency_penalty", "presence_penalty", "top_k"}),
        )
        self._encoder = Encoder(tokenizer, max_pixels=largest, min_pixels=smallest)
        self._forms = Forms(
            tokenizer, vocabulary=int(self._config["text_config"]["vocab_size"]), end=self._encoder.end
        )
        ends = usual.get("eos_token_id", self._encoder.end)
        self._ends = frozenset([ends] if isinstance(ends, int) else ends)
        self._defaults = Defaults()
        if usual.get("do_sample"):
            self._defaults = Defaults(
                temperature=float(usual.get("temperature", 1.0)),
                top_p=float(usual.get("top_p", 1.0)),
                top_k=int(usual.get("top_k", 0)),
            )
        self._store = PrefixStore(room.kept_bytes, ttl_s=keep_s)
        self._scheduler: Scheduler | None = None

    @abstractmethod
    def _network(self) -> Model:
        """Load the network from the verified folder."""

    def _read(self, name: str) -> Mapping[str, Any]:
        content: Mapping[str, Any] = json.loads(model_files.read(self._folder, self._manifest, name))
        return content

    async def start(self, tell: Callable[[Loading], None] = lambda _: None) -> None:
        """Check all files, load the weights and answer a first question to itself.

        Args:
            tell: Called from a thread with how far it is.

        Raises:
            EngineUnavailableError: The files are not the manifest's, or the model does not load.
        """
        if self._scheduler is not None:
            return
        try:
            self._scheduler = await asyncio.to_thread(self._load, tell)
        except VlproError as error:
            raise EngineUnavailableError(
                error.message, zh=error.zh, param=error.param, code=error.code
            ) from error
        except MemoryError as error:
            raise EngineUnavailableError(
                "The model does not fit into this machine's memory.", zh="内存不足，无法加载模型。"
            ) from error
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise EngineUnavailableError(
                f"The model in {self._folder} could not be loaded ({type(error).__name__}). The log says more.",
                zh=f"无法加载 {self._folder} 中的模型（{type(error).__name__}），详见日志。",
            ) from error

    def _load(self, tell: Callable[[Loading], None]) -> Scheduler:
        told = 0.0

        def checked(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > _TELL_EVERY_S or done == total:
                told = time.monotonic()
                tell(Loading("checking", done / max(total, 1)))

        stamps, until = self._known
        known = stamps if time.time() <= until else None
        model_files.verify(self._folder, self._manifest, known=known, progress=checked)
        tell(Loading("loading", 0.0))
        scheduler = Scheduler(self._network(), self._store, max_jobs=self.capabilities.concurrency)
        scheduler.start()
        tell(Loading("loading", 1.0))
        return scheduler

    async def stop(self) -> None:
        """End all answers, and drop the model."""
        if self._scheduler is not None:
            await asyncio.to_thread(self._scheduler.stop)
        self._scheduler = None

    async def forget(
        self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()
    ) -> Forgotten:
        """Drop features and prefixes; returns when that is done."""
        if self._scheduler is None:
            return Forgotten()
        told: list[Forgotten] = []
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def dropped() -> None:
            loop.call_soon_threadsafe(done.set)

        self._scheduler.forget(pictures, conversations, dropped, told.append)
        await done.wait()
        return sum(told, Forgotten())

    def count_tokens(self, text: str) -> int:
        """Length of a text in the model's own tokens."""
        return self._encoder.count(text)

    def count_prompt(self, request: Request) -> int:
        """Length of a whole request, exactly."""
        return len(self._prompt(request).ids)

    def _prompt(self, request: Request) -> Prompt:
        make = self._encoder.beginning if request.ahead else self._encoder.prompt
        written = self._store.answers.find
        return make(request.messages, lambda text: written(request.owner, text))

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        scheduler = self._scheduler
        if scheduler is None:
            raise EngineUnavailableError("The model is not loaded yet.", zh="模型尚未加载。")
        prompt = await asyncio.to_thread(self._prompt, request)
        wanted = request.response_format
        form = None if wanted is None else await asyncio.to_thread(self._forms.make, wanted)
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        words = self._encoder.words()

        def tell(what: int | Exception | None) -> None:
            loop.call_soon_threadsafe(told.put_nowait, words.take(what) if isinstance(what, int) else what)

        job = Job(
            prompt,
            Sampler(request, self._defaults),
            form,
            0 if request.ahead else request.sampling.max_tokens,
            self._ends,
            request.owner,
            request.conversation,
            tell,
            words.whole,
            ahead=request.ahead,
        )
        scheduler.submit(job)
        try:
            while (got := await told.get()) is not None:
                if isinstance(got, Exception):
                    raise _failure(got) from got
                if got:
                    yield Delta(got)
        finally:
            job.cancelled.set()
        usage = Usage(len(prompt.ids), len(job.written), job.reused)
        yield Delta(finish_reason="length" if job.cut else "stop", usage=usage)


def _failure(error: Exception) -> Exception:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return EngineError(
            "There was not enough memory for this question. Send fewer or smaller pictures.",
            zh="内存不足以回答这个问题，请减少图片或缩小尺寸。",
        )
    return error
