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
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from vlpro.engines.interface import Capabilities, Delta, Engine, FinishReason, Message, Request, Usage
from vlpro.errors import EngineError, EngineUnavailableError
from vlpro.imaging.encode import to_jpeg

__all__ = ["OpenAiEngine"]

log = logging.getLogger(__name__)

_MAX_LINE = 1_000_000
_CHECK_EVERY_S = 10.0
# 16 pictures of the most that the authors of Qwen3-VL suggest, 1280 tokens, each with its start and end marks.
_PICTURE_TOKENS = 16 * (1280 + 2)
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


class OpenAiEngine(Engine):
    """Answers through one upstream URL.

    Args:
        url: Base of the server's API, with ``/v1``.
        model: The model's name there.
        key: Bearer token, if the server wants one.
        context_tokens: Prompt and answer together, as the server was started with.
        picture_pixels: Most pixels of a picture; 1 megapixel is about 1,000 tokens of Qwen3-VL.
        concurrency: Questions in flight at once.
        transport: For tests.
    """

    name = "openai"

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key: str = "",
        context_tokens: int = 32_768,
        picture_pixels: int = 1_310_720,
        concurrency: int = 32,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.capabilities = Capabilities(
            model=model,
            sees=True,
            context_tokens=context_tokens,
            picture_pixels=picture_pixels,
            picture_tokens_budget=min(_PICTURE_TOKENS, context_tokens // 2),
            concurrency=concurrency,
            honours=frozenset({"frequency_penalty", "presence_penalty", "top_k"}),
        )
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._watch: asyncio.Task[None] | None = None
        self._reachable = False

    @property
    def ready(self) -> bool:
        """Whether the server listed the model when it was last asked."""
        return self._reachable

    async def start(self) -> None:
        """Begin to watch the server; it may be started later than this service."""
        if self._http is None:
            # No proxy from the environment: nothing may lead a picture out of the network.
            self._http = httpx.AsyncClient(
                headers=self._headers,
                transport=self._transport,
                trust_env=False,
                timeout=httpx.Timeout(30, read=None),
            )
            self._watch = asyncio.create_task(self._keep_checking())

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
        await self.start()
        if self._http is None:
            raise _unavailable()
        body = await asyncio.to_thread(self._body, request)
        written, finish, usage = "", None, None
        try:
            async with self._http.stream("POST", f"{self._url}/chat/completions", json=body) as reply:
                if reply.status_code != 200:
                    await self._refused(reply)
                async with contextlib.aclosing(_chunks(reply)) as chunks:
                    async for chunk in chunks:
                        text, finish_here, usage_here = _read(chunk)
                        finish, usage = finish_here or finish, usage_here or usage
                        if text:
                            written += text
                            yield Delta(text)
        except httpx.TransportError as error:
            self._reachable = False
            if written:
                raise EngineError(
                    "The model's server broke off within its answer. Ask once more.",
                    zh="模型服务在回答过程中断开，请再问一次。",
                ) from error
            raise _unavailable() from error
        if finish is None:
            raise EngineError(
                "The model's server ended its answer without saying why. Ask once more.",
                zh="模型服务的回答不完整，请再问一次。",
            )
        counted = Usage(self.count_prompt(request), self.count_tokens(written))
        yield Delta(finish_reason=finish, usage=usage or counted)

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.capabilities.model,
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
            schema = request.response_format.schema
            body["response_format"] = (
                {"type": "json_object"}
                if schema is None
                else {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": True},
                }
            )
        return body

    async def _refused(self, reply: httpx.Response) -> None:
        text = (await reply.aread())[:500].decode(errors="replace")
        log.warning("upstream answered %s: %s", reply.status_code, text)
        if reply.status_code in (401, 403):
            raise EngineUnavailableError(
                "The model's server does not accept our key. Check VLPRO_UPSTREAM_KEY.",
                zh="模型服务不接受当前密钥，请检查 VLPRO_UPSTREAM_KEY。",
            )
        if reply.status_code == 404:
            raise EngineUnavailableError(
                "The model's server does not know the model or the address. Check VLPRO_UPSTREAM_MODEL and "
                "VLPRO_UPSTREAM_URL.",
                zh="模型服务没有这个模型或地址，请检查 VLPRO_UPSTREAM_MODEL 和 VLPRO_UPSTREAM_URL。",
            )
        if reply.status_code in (429, 502, 503, 504):
            raise _unavailable()
        raise EngineError(
            f"The model's server refused the question (HTTP {reply.status_code}). The log of this service says more.",
            zh=f"模型服务拒绝了这个问题（HTTP {reply.status_code}），详见本服务日志。",
        )

    async def _keep_checking(self) -> None:
        while True:
            try:
                assert self._http is not None  # noqa: S101 - start() made it
                reply = await self._http.get(f"{self._url}/models", timeout=5)
                names = [entry["id"] for entry in reply.json()["data"]]
                self._reachable = self.capabilities.model in names
                if not self._reachable:
                    log.warning("upstream has no model %s", self.capabilities.model)
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                self._reachable = False
            await asyncio.sleep(_CHECK_EVERY_S)


def _unavailable() -> EngineUnavailableError:
    return EngineUnavailableError(
        "The model's server does not answer or is too busy. Try again shortly.",
        zh="模型服务没有响应或过于繁忙，请稍后重试。",
    )


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":  # without tools there is no call that it could belong to
        return {"role": "user", "content": message.text}
    if not message.pictures:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
        else:
            encoded = base64.b64encode(to_jpeg(part, quality=95)).decode()
            parts.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}})
    return {"role": message.role, "content": parts}


async def _chunks(reply: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
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
                log.warning("upstream sent %s", content[:500])
                raise EngineError("The model's server failed while answering.", zh="模型服务在回答时出错。")
            yield chunk


def _read(chunk: dict[str, Any]) -> tuple[str, FinishReason | None, Usage | None]:
    """What is ours to know of a chunk; anything of another shape counts as not there."""
    text = ""
    finish: FinishReason | None = None
    choices = chunk.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        delta = choices[0].get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        text = content if isinstance(content, str) else ""
        if choices[0].get("finish_reason") is not None:
            finish = "length" if choices[0]["finish_reason"] == "length" else "stop"
    return text, finish, _usage(chunk.get("usage"))


def _usage(counts: object) -> Usage | None:
    if not isinstance(counts, dict):
        return None
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not (isinstance(prompt, int) and isinstance(completion, int)):
        return None
    return Usage(prompt, completion) if 0 <= prompt < 2**40 and 0 <= completion < 2**40 else None
