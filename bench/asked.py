"""What bench/engines.py asks of each engine: the same questions, over HTTP or of a library in its own process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

__all__ = ["AGAIN", "ANSWER", "QUESTION", "Figures", "Library", "Product", "Server", "picture"]

ROOT = Path(__file__).resolve().parents[1]
ANSWER = 32
QUESTION = "What is written at the top?"
AGAIN = "And on the left?"
"""Both are short: the tokenizer of bench/random_model.py makes two or three tokens of a word."""
LONG = "The seal on the left valve is red. " * 90
"""A text of about 1,900 tokens, after which the speed of an answer is measured alone."""
PEOPLE = 8
GB = 1e9
_START_S = 900
_ANSWER_S = 900

Figures = dict[str, list[float]]
"""Of each column, what was measured in each round."""


def picture(seed: int, side: int) -> bytes:
    """Noise, as JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


@dataclass
class _Measured:
    """One engine that is asked: ``start`` loads it, ``ask`` is a round, ``end`` unloads it."""

    name: str
    side: int
    figures: Figures = field(default_factory=lambda: defaultdict(list))

    def add(self, **figures: float) -> None:
        for column, value in figures.items():
            self.figures[COLUMNS[column]].append(value)

    def add_memory(self, pid: int) -> None:
        """Of one conversation about one picture, after loading: more may be kept later, up to a limit."""
        peak, now = _memory(psutil.Process(pid))
        self.add(peak=peak, now=now)


COLUMNS = {
    "load": "load s",
    "tokens": "prompt tokens",
    "cold": "cold TTFT s",
    "again": "follow-up TTFT s",
    "anew": "new chat TTFT s",
    "rate": "tokens/s",
    "long": "tokens/s after a long text",
    "eight": "8 at once: TTFT s",
    "eight_rate": "8 at once: tokens/s",
    "texts": "8 texts at once: TTFT s",
    "texts_rate": "8 texts at once: tokens/s",
    "pause": "an answer's pause while another's picture is read: median s",
    "pauses": "p95 s",
    "sixteen_tokens": "16 pictures: tokens",
    "sixteen": "16 pictures: TTFT s",
    "peak": "loading and first picture, peak GB",
    "now": "then in use, GB",
}
"""Columns of the table; besides, one for each time between drop and question."""


def _memory(process: psutil.Process) -> tuple[float, float]:
    """GB at most and now, of a process and its children; what several share is counted once."""
    peak, now = 0, 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error, OSError):
            lines = (Path("/proc") / str(one.pid) / "status").read_text().splitlines()
            peak += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
            now += one.memory_full_info().pss
    return peak / GB, now / GB


@dataclass
class Library(_Measured):
    """A library in a process of its own, often of another environment: it loads, then answers a line with a line.

    ``round N`` with the figures of a round, ``texts`` with those of eight questions without a picture at once.

    Args:
        command: Starts it.
    """

    command: list[str] = field(default_factory=list)

    def start(self) -> None:
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [*self.command, str(self.side), str(ANSWER), QUESTION, AGAIN, LONG],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"
        self.add(load=time.perf_counter() - began)

    def _line(self) -> str:
        """The next line that is meant for us; libraries write others."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
        raise RuntimeError(f"{self.name} ended")

    def _told(self, line: str) -> dict[str, float]:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        figures: dict[str, float] = json.loads(self._line())
        return figures

    def ask(self, number: int) -> None:
        self.add(**self._told(f"round {number}"))
        if not number:
            self.add_memory(self._process.pid)
        self.add(**self._told("texts"))

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@dataclass
class Server(_Measured):
    """A server with OpenAI's API that runs already.

    Args:
        url: Where, with ``/v1``.
        more: Whether what takes minutes is asked, too: sixteen pictures with 2,000 characters, and a new picture
            while an answer is under way.
    """

    url: str = ""
    more: bool = False

    def start(self) -> None:
        self._model = httpx.get(f"{self.url}/models", trust_env=False).json()["data"][0]["id"]

    def ask(self, number: int) -> None:
        asyncio.run(self._ask(number))

    def end(self) -> None:
        pass

    async def _ask(self, number: int) -> None:
        async with self._http() as http:
            shown = picture(number, self.side)
            asked = _user(QUESTION, shown)
            first, rate, tokens, text = await self._timed(http, [asked])
            self.add(cold=first, rate=rate, tokens=tokens)
            later = [asked, {"role": "assistant", "content": text}, _user(AGAIN)]
            self.add(again=(await self._timed(http, later))[0])
            self.add(anew=(await self._timed(http, [_user(AGAIN, shown)]))[0])
            if not number:
                self._after_the_first()
            known = [await self._timed(http, [_user(f"{LONG}{number} {again}")]) for again in range(3)]
            self.add(long=statistics.median(rate for _, rate, *_ in known))
            first, rate = await self._eight(http, f"{number}", shown)
            self.add(eight=first, eight_rate=rate)
            first, rate = await self._eight(http, f"{number} Text")
            self.add(texts=first, texts_rate=rate)
            if self.more:
                many = [picture(100 * (number + 1) + one, 512) for one in range(16)]
                first, _, tokens, _ = await self._timed(http, [_user("字" * 2000, *many)])
                self.add(sixteen=first, sixteen_tokens=tokens)
                await self._pauses(http, number)
            await self._more(http, number)

    async def _eight(self, http: httpx.AsyncClient, begin: str, *shown: bytes) -> tuple[float, float]:
        """Eight different questions at once: median seconds to the first word, and tokens a second of all."""
        began = time.perf_counter()
        every = (_user(f"{begin} {person}. {AGAIN}", *shown) for person in range(PEOPLE))
        got = await asyncio.gather(*(self._timed(http, [one]) for one in every))
        decoding = time.perf_counter() - began - max(first for first, *_ in got)
        return statistics.median(first for first, *_ in got), PEOPLE * (ANSWER - 1) / decoding

    async def _pauses(self, http: httpx.AsyncClient, number: int) -> None:
        """Between the words of an answer, from when another asks about a new picture until he reads a word."""
        came: list[float] = []
        other = asyncio.create_task(self._timed(http, [_user(f"{number} {AGAIN}")], came, tokens=10 * ANSWER))
        await asyncio.sleep(1)
        began = time.perf_counter()
        shown = picture(1_000_000 + number, self.side)
        first, *_ = await self._timed(http, [_user(QUESTION, shown)])
        pauses = np.diff([at for at in came if began <= at <= began + first])
        await other
        self.add(pause=float(np.median(pauses)), pauses=float(np.percentile(pauses, 95)))

    def _after_the_first(self) -> None:
        """After the first conversation about a picture."""

    async def _more(self, http: httpx.AsyncClient, number: int) -> None:
        """What only some servers can."""

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=_ANSWER_S, trust_env=False)

    async def _timed(
        self,
        http: httpx.AsyncClient,
        messages: list[dict[str, Any]],
        came: list[float] | None = None,
        *,
        tokens: int = ANSWER,
    ) -> tuple[float, float, int, str]:
        """Seconds to the first word, tokens a second after it, tokens of the prompt, and the answer.

        Args:
            http: To ask with.
            messages: The conversation.
            came: Takes down when each piece came.
            tokens: Of the answer.
        """
        came = [] if came is None else came
        body = {
            "model": self._model,
            "messages": messages,
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        content = json.dumps(body)
        began, text, usage = time.perf_counter(), "", {}
        async with http.stream(
            "POST", "/chat/completions", content=content, headers={"content-type": "application/json"}
        ) as reply:
            async for line in reply.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line[6:])
                assert "error" not in chunk, chunk
                for choice in chunk["choices"]:
                    if piece := choice["delta"].get("content"):
                        text += piece
                        came.append(time.perf_counter())
                usage = chunk.get("usage") or usage
        assert usage["completion_tokens"] == tokens, usage
        return came[0] - began, (tokens - 1) / (came[-1] - came[0]), usage["prompt_tokens"], text


@dataclass
class Product(Server):
    """The whole product, started as an administrator starts it.

    Args:
        settings: Its environment.
        typing: Seconds between dropping a picture and asking about it.
    """

    settings: dict[str, str] = field(default_factory=dict)
    typing: list[float] = field(default_factory=list)

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}/v1"
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=ROOT,
            env={**os.environ, "VLPRO_IDLE_TTL_S": "86400", **self.settings},
            stdout=subprocess.DEVNULL,
        )
        while not self._ready():
            if self._process.poll() is not None or time.perf_counter() - began > _START_S:
                self.end()
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.5)
        self.add(load=time.perf_counter() - began)
        super().start()

    def _ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url[:-3]}/readyz", trust_env=False).status_code == httpx.codes.OK
        return False

    async def _more(self, http: httpx.AsyncClient, number: int) -> None:
        for place, seconds in enumerate(self.typing, 1):
            shown = picture(10_000 * place + number, self.side)
            reply = await http.post("/images", content=shown)
            assert reply.status_code == httpx.codes.CREATED, reply.text
            await asyncio.sleep(seconds)
            self.figures[f"Send {seconds:g} s after the drop: TTFT s"].append(
                (await self._timed(http, [_user(QUESTION, shown)]))[0]
            )

    def _after_the_first(self) -> None:
        self.add_memory(self._process.pid)

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _user(text: str, *pictures: bytes) -> dict[str, Any]:
    urls = (f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for one in pictures)
    shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*shown, {"type": "text", "text": text}]}
