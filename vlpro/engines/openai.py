"""Any OpenAI-compatible server inside the network as an engine: vLLM with Qwen3-VL on a machine with a card.

Nothing of the server's answer is passed on raw: text is taken out of its chunks, everything else is checked or made
here, and its error texts, which may hold paths or names of the inside, go to the log only.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import math
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeGuard

import httpx

from vlpro.engines.control import Together, parted
from vlpro.engines.interface import (
    Capabilities,
    Delta,
    Engine,
    FinishReason,
    Loading,
    Message,
    Request,
    Sampling,
    Usage,
)
from vlpro.engines.upstream import Upstream
from vlpro.errors import ContextLengthError, EngineError, EngineUnavailableError, VlproError
from vlpro.imaging.encode import to_jpeg
from vlpro.imaging.tokens import MANY_PICTURES_TOKENS
from vlpro.logs import safe_words

__all__ = ["OpenAiEngine"]

log = logging.getLogger(__name__)

_MAX_LINE = 1_000_000
_CHECK_EVERY_S = 10.0
_CHECK_TIMEOUT_S = 5.0
_UNKNOWN = "unknown"
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_TOO_LONG = re.compile(rb"context[ _-]?(length|size|window)|maximum model length", re.IGNORECASE)
"""How vLLM, SGLang, llama.cpp and its Python server say that a prompt does not fit."""


class OpenAiEngine(Engine):
    """Answers through one upstream server.

    Args:
        upstream: The way to it.
        model: The model's name there; empty: the only one that it lists.
        context_tokens: Prompt and answer together, as the server was started with.
        picture_pixels: Most pixels of a picture; 1 megapixel is about 1,000 tokens of Qwen3-VL.
        concurrency: Questions in flight at once.
    """

    name = "openai"

    def __init__(
        self,
        upstream: Upstream,
        *,
        model: str = "",
        context_tokens: int = 32_768,
        picture_pixels: int = 1_310_720,
        concurrency: int = 32,
    ) -> None:
        self.capabilities = Capabilities(
            model=model or _UNKNOWN,
            sees=True,
            context_tokens=context_tokens,
            picture_pixels=picture_pixels,
            picture_tokens_budget=min(MANY_PICTURES_TOKENS, context_tokens // 2),
            concurrency=concurrency,
            reads_ahead=True,
            honours=frozenset({"frequency_penalty", "presence_penalty", "top_k"}),
        )
        self._upstream = upstream
        self._wanted = model
        self._model: str | None = model or None  # None too where the server's list has it not
        self._problem: VlproError | None = _not_asked()
        self._http: httpx.AsyncClient | None = None
        self._watch: asyncio.Task[None] | None = None
        self._answering = 0

    @property
    def ready(self) -> bool:
        """Whether the server listed the model when it was last asked."""
        return self._problem is None

    @property
    def problem(self) -> VlproError | None:
        """What was wrong when the server was last asked."""
        return self._problem

    async def start(self, tell: Callable[[Loading], None] = lambda _: None) -> None:  # noqa: ARG002 - it is soon ready
        """Begin to watch the server; it may be started later than this service."""
        if self._http is None:
            self._http = self._upstream.client()
            self._watch = asyncio.create_task(self._keep_looking(self._http))

    async def stop(self) -> None:
        """Close all connections."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._http is not None:
            await self._http.aclose()
        self._http = self._watch = None

    def count_tokens(self, text: str) -> int:
        """An upper estimate: a Chinese character is at most two tokens, three bytes of the rest at least one."""
        wide = len(_CJK.findall(text))
        return 2 * wide + math.ceil((len(text.encode()) - 3 * wide) / 3)

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        if request.ahead and self._answering:  # that server knows no one who waits less than another
            yield Delta(finish_reason="stop", usage=Usage(self.count_prompt(request), 0))
            return
        if request.ahead:  # one token, that nobody sees: what it kept of the pictures is what is wanted
            request = replace(request, sampling=Sampling(max_tokens=1))
        self._answering += 1
        try:
            async with contextlib.aclosing(self._ask(request)) as deltas:
                async for delta in deltas:
                    if not request.ahead or delta.finish_reason is not None:
                        yield delta
        finally:
            self._answering -= 1

    async def _ask(self, request: Request) -> AsyncGenerator[Delta, None]:
        await self.start()
        if self._http is None:
            raise _not_asked()
        if self._problem is not None:  # it may be solved by now
            await self._look(self._http)
        if self._model is None:
            raise (self._problem or _not_asked()).with_traceback(None)
        body = await asyncio.to_thread(self._body, request, self._model)
        written, finish, usage = "", None, None
        together = Together()
        try:
            async with self._http.stream(
                "POST",
                f"{self._upstream.url}/chat/completions",
                content=body,
                headers={"content-type": "application/json"},
            ) as reply:
                if reply.status_code != 200:
                    said = await _beginning(reply, 10_000)
                    log.warning("upstream answered %s: %s", reply.status_code, self._upstream.for_log(said))
                    raise _refusal(reply.status_code, said)
                async with contextlib.aclosing(self._chunks(reply)) as chunks:
                    async for chunk in chunks:
                        text, finish_here, usage_here = _read(chunk)
                        finish, usage = finish_here or finish, usage_here or usage
                        if text := together.take(text):
                            written += text
                            yield Delta(text)
        except httpx.TransportError as error:
            self._note(_unreachable(error), safe_words(error))
            if written:
                raise EngineError(
                    "The model's server broke off within its answer. Ask once more.",
                    zh="模型服务在回答过程中断开，请再问一次。",
                ) from error
            raise _unreachable(error) from error
        if finish is None:
            raise EngineError(
                "The model's server ended its answer without saying why. Ask once more.",
                zh="模型服务的回答不完整，请再问一次。",
            )
        counted = Usage(self.count_prompt(request), self.count_tokens(written))
        yield Delta(finish_reason=finish, usage=usage or counted)

    def _body(self, request: Request, model: str) -> bytes:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": model,
            "messages": [_message(message) for message in request.messages],
            "max_tokens": sampling.max_tokens,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        temperature = sampling.temperature
        if temperature is None and request.response_format is not None:
            temperature = 0
        chosen = {
            "temperature": temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,  # not OpenAI's, but of every server that runs Qwen3-VL
            "seed": sampling.seed,
        }
        body |= {name: value for name, value in chosen.items() if value is not None}
        if request.response_format is not None:
            schema = parted(request.response_format.schema)
            body["response_format"] = (
                {"type": "json_object"}
                if schema is None
                else {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": True},
                }
            )
        return json.dumps(body).encode()

    async def _chunks(self, reply: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a stream, up to [DONE]."""
        held = b""
        async for data in reply.aiter_bytes():
            held += data
            *lines, held = held.split(b"\n")
            if len(held) > _MAX_LINE:
                raise EngineError("The model's server sent an endless line.", zh="模型服务返回了过长的数据。")
            for line in lines:
                if not line.startswith(b"data:"):
                    continue
                content = line[5:].strip()
                if content == b"[DONE]":
                    return
                try:
                    chunk = json.loads(content)
                except ValueError:
                    chunk = None
                if not isinstance(chunk, dict) or "error" in chunk:
                    log.warning("upstream sent %s", self._upstream.for_log(content))
                    if _TOO_LONG.search(content):
                        raise _too_long()
                    raise EngineError(
                        "The model's server failed while answering.", zh="模型服务在回答时出错。"
                    )
                yield chunk

    async def _keep_looking(self, http: httpx.AsyncClient) -> None:
        while True:
            await self._look(http)
            await asyncio.sleep(_CHECK_EVERY_S)

    async def _look(self, http: httpx.AsyncClient) -> None:
        """Read the server's list of models, and keep what it says for those who ask."""
        try:
            async with (
                asyncio.timeout(_CHECK_TIMEOUT_S),
                http.stream("GET", f"{self._upstream.url}/models") as reply,
            ):
                text = await _beginning(reply, _MAX_LINE)
            if reply.status_code != 200:
                said = f"HTTP {reply.status_code}: {self._upstream.for_log(text)}"
                self._note(_refusal(reply.status_code, text), said)
                return
            names = [str(entry["id"]) for entry in json.loads(text)["data"]]
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError, RecursionError) as error:
            self._note(_unreachable(error), safe_words(error))
            return
        self._model, problem = _choose(self._wanted, names)
        self.capabilities = replace(self.capabilities, model=self._model or self._wanted or _UNKNOWN)
        self._note(problem)

    def _note(self, problem: VlproError | None, cause: str = "") -> None:
        """Remember what is wrong, and log it where it is new."""
        if str(problem) != str(self._problem):
            if problem is None:
                log.info("upstream is ready with model %s", ascii(self._model))
            else:
                log.warning("upstream: %s %s", problem, ascii(cause))
        self._problem = problem


def _choose(wanted: str, names: list[str]) -> tuple[str | None, VlproError | None]:
    """The model to ask for, or what is wrong with the list."""
    listed = ", ".join(repr(name[:100]) for name in names[:5]) + (", …" if len(names) > 5 else "")
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0], None
    if not names:
        return None, EngineUnavailableError(
            "The model's server lists no model. Wait until it has loaded one.",
            zh="模型服务尚未列出任何模型，请等待其加载完成。",
        )
    if not wanted:
        return None, EngineUnavailableError(
            f"The model's server has several models ({listed}). Set VLPRO_UPSTREAM_MODEL to one of them.",
            zh=f"模型服务有多个模型（{listed}），请将 VLPRO_UPSTREAM_MODEL 设为其中之一。",
        )
    return None, EngineUnavailableError(
        f"The model's server does not list {wanted!r}, but {listed}. Set VLPRO_UPSTREAM_MODEL to a name that "
        "it lists, or leave it empty if there is only one.",
        zh=f"模型服务没有 {wanted!r}，只有 {listed}。请将 VLPRO_UPSTREAM_MODEL 设为其中的名称；"
        "只有一个模型时可留空。",
    )


def _refusal(status: int, text: bytes) -> VlproError:
    """What an answer other than 200 means, in our words."""
    if status in (401, 403):
        return EngineUnavailableError(
            "The model's server does not accept our key. Check VLPRO_UPSTREAM_KEY.",
            zh="模型服务不接受当前密钥，请检查 VLPRO_UPSTREAM_KEY。",
        )
    if status == 404:
        return EngineUnavailableError(
            "The model's server does not know the model or the address. Check VLPRO_UPSTREAM_MODEL and "
            "VLPRO_UPSTREAM_URL.",
            zh="模型服务没有这个模型或地址，请检查 VLPRO_UPSTREAM_MODEL 和 VLPRO_UPSTREAM_URL。",
        )
    if status in (429, 502, 503, 504):
        return _unavailable()
    if _TOO_LONG.search(text):
        return _too_long()
    return EngineError(
        f"The model's server refused the question (HTTP {status}). The log of this service says more.",
        zh=f"模型服务拒绝了这个问题（HTTP {status}），详见本服务日志。",
    )


def _not_asked() -> EngineUnavailableError:
    return EngineUnavailableError(
        "The model's server was not asked yet. Try again shortly.", zh="尚未连接模型服务，请稍后重试。"
    )


def _unavailable() -> EngineUnavailableError:
    return EngineUnavailableError(
        "The model's server does not answer or is too busy. Try again shortly.",
        zh="模型服务没有响应或过于繁忙，请稍后重试。",
    )


def _unreachable(error: Exception) -> EngineUnavailableError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return EngineUnavailableError(
            "The certificate of the model's server is not trusted. Check VLPRO_UPSTREAM_CA and the host in "
            "VLPRO_UPSTREAM_URL.",
            zh="模型服务的证书不受信任，请检查 VLPRO_UPSTREAM_CA 和 VLPRO_UPSTREAM_URL 中的主机名。",
        )
    return _unavailable()


def _too_long() -> ContextLengthError:
    return ContextLengthError(
        "The conversation, its pictures and the answer do not fit into the context of the model's server. Remove "
        "pictures, shorten the text, or ask for a shorter answer.",
        zh="对话、图片和回答超出模型服务的上下文长度，请减少图片、缩短文字或降低回答长度。",
    )


async def _beginning(reply: httpx.Response, limit: int) -> bytes:
    """At most about so many bytes of an answer; the rest is not fetched."""
    text = b""
    async for data in reply.aiter_bytes():
        text += data
        if len(text) >= limit:
            break
    return text


def _message(message: Message) -> dict[str, Any]:
    """A message in OpenAI's shape; nothing of its texts is a control token to that server."""
    if message.role == "tool":  # without tools there is no call that it could belong to
        return {"role": "user", "content": parted(message.text)}
    if not message.pictures:
        return {"role": message.role, "content": parted(message.text)}
    parts: list[dict[str, Any]] = []
    for is_text, run in groupby(message.parts, lambda part: isinstance(part, str)):
        if is_text:  # as one: the server writes them one behind the other
            parts.append({"type": "text", "text": parted("".join(map(str, run)))})
        else:
            parts += map(_picture, run)
    return {"role": message.role, "content": parts}


def _picture(part: Any) -> dict[str, Any]:
    encoded = base64.b64encode(to_jpeg(part, quality=95)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}}


def _read(chunk: dict[str, Any]) -> tuple[str, FinishReason | None, Usage | None]:
    """What is ours to know of a chunk; anything of another shape counts as not there."""
    text = ""
    finish: FinishReason | None = None
    choices = chunk.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        delta = choices[0].get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        # A half of a surrogate pair is valid JSON, but no text that could be sent on.
        text = content.encode(errors="replace").decode() if isinstance(content, str) else ""
        if choices[0].get("finish_reason") is not None:
            finish = "length" if choices[0]["finish_reason"] == "length" else "stop"
    return text, finish, _usage(chunk.get("usage"))


def _usage(counts: object) -> Usage | None:
    if not isinstance(counts, dict):
        return None
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not (_is_count(prompt) and _is_count(completion)):
        return None
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(prompt, completion, cached if _is_count(cached) and cached <= prompt else 0)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 2**40
