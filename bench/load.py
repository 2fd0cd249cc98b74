# ruff: noqa: S311 - the dice are for a workload
"""Many people for a while: whether memory grows, whether somebody gets no answer, how long it takes.

`python bench/load.py [--clients 64] [--seconds 600] [--engine ocr]`: the service as its own process; each client
asks, reads the answer, rests up to two seconds and asks again. Questions are mixed: text alone, small and large
pictures, three pictures at once, half of them streamed; a few clients leave in the middle of an answer. Who is
refused with 429 waits as long as he is told and asks again: that counts as refused, not as unanswered.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from PIL import Image, ImageDraw, ImageFont
from running import Service

Kinds = dict[str, tuple[float, list[list[str]]]]  # how often, and sets of pictures of which one is taken
LEAVES = 0.02
REST_S = 2.0
SAMPLE_S = 2.0


def receipt(width: int, height: int, seed: int, kind: str = "JPEG") -> str:
    """A picture with some lines of print, as a data URL."""
    dice = random.Random(seed)
    image = Image.new("RGB", (width, height), "white")
    draw, size = ImageDraw.Draw(image), max(16, width // 30)
    font = ImageFont.load_default(size)
    for line in range(8):
        text = f"Item {dice.randrange(1000):04d}   {dice.uniform(1, 500):8.2f}"
        draw.text((width // 10, size + line * size * 2), text, "black", font)
    out = io.BytesIO()
    image.save(out, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


def questions() -> Kinds:
    """Kinds of questions; many pictures, so that most are new to the engine."""
    small = [receipt(640, 480, seed, "PNG") for seed in range(400)]
    return {
        "text alone": (0.15, [[]]),
        "small picture": (0.45, [[url] for url in small[:250]]),
        "2 megapixels": (0.2, [[receipt(1600, 1200, seed)] for seed in range(400, 480)]),
        "12 megapixels": (0.1, [[receipt(4000, 3000, seed)] for seed in range(500, 520)]),
        "3 pictures": (0.1, [small[at : at + 3] for at in range(250, 400, 3)]),
    }


@dataclass
class Seen:
    """What all clients saw."""

    took: dict[str, list[float]] = field(default_factory=dict)  # seconds, by kind of question
    first: list[float] = field(default_factory=list)  # seconds to the first piece of a stream
    refused: int = 0
    left: int = 0
    wrong: Counter[str] = field(default_factory=Counter)


async def client(http: httpx.AsyncClient, kinds: Kinds, dice: random.Random, seen: Seen, end: float) -> None:
    """One person."""
    names, weights = list(kinds), [share for share, _ in kinds.values()]
    while time.monotonic() < end:
        name = dice.choices(names, weights)[0]
        parts: list[dict[str, object]] = [
            {"type": "image_url", "image_url": {"url": url}} for url in dice.choice(kinds[name][1])
        ]
        parts.append(
            {"type": "text", "text": dice.choice(("What is the total?", "Read the text.", "合计多少？"))}
        )
        stream = dice.random() < 0.5
        body = {"model": "vlpro", "stream": stream, "messages": [{"role": "user", "content": parts}]}
        began = time.monotonic()
        try:
            await asked(http, body, name, seen, leave=dice.random() < LEAVES, deadline=began + 300)
        except (httpx.HTTPError, AssertionError, ValueError) as error:
            seen.wrong[f"{name}: {type(error).__name__} {error}"[:200]] += 1
        await asyncio.sleep(dice.uniform(0, REST_S))


async def asked(
    http: httpx.AsyncClient, body: dict[str, object], name: str, seen: Seen, *, leave: bool, deadline: float
) -> None:
    began = time.monotonic()
    while True:
        async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                seen.refused += 1
                wait = float(answer.headers["retry-after"])
                assert time.monotonic() < deadline, "never admitted"
            elif answer.status_code != httpx.codes.OK:
                text = (await answer.aread()).decode()
                raise ValueError(f"{answer.status_code} {text[:150]}")
            elif body["stream"]:
                last, first = "", True
                async for line in answer.aiter_lines():
                    if first and line:
                        seen.first.append(time.monotonic() - began)
                        first = False
                        if leave:
                            seen.left += 1
                            return
                    last = line or last
                assert last == "data: [DONE]", f"a stream ended with {last[:80]!r}"
                break
            else:
                got = (await answer.aread()).decode()
                assert '"finish_reason"' in got, "an answer without an end"
                break
        await asyncio.sleep(wait)
    seen.took.setdefault(name, []).append(time.monotonic() - began)


async def watch(service: Service, samples: list[tuple[float, float, float]], began: float) -> None:
    """Memory, every two seconds."""
    while True:
        samples.append((time.monotonic() - began, *await asyncio.to_thread(service.memory)))
        await asyncio.sleep(SAMPLE_S)


async def run(
    service: Service, clients: int, seconds: float
) -> tuple[Seen, list[tuple[float, float, float]]]:
    seen, samples, kinds = Seen(), [], await asyncio.to_thread(questions)
    began = time.monotonic()
    watching = asyncio.create_task(watch(service, samples, began))
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=service.url, timeout=320, trust_env=False, limits=limits) as http:
        await asyncio.gather(
            *(client(http, kinds, random.Random(n), seen, began + seconds) for n in range(clients))
        )
    watching.cancel()
    return seen, samples


def told(seen: Seen, samples: list[tuple[float, float, float]], seconds: float) -> None:
    count = sum(map(len, seen.took.values()))
    print("| question | answered | median s | 95 % s | most s |\n|---|---|---|---|---|")
    for name, took in sorted(seen.took.items()):
        cut = statistics.quantiles(took, n=20)[18] if len(took) > 1 else took[0]
        print(f"| {name} | {len(took):,} | {statistics.median(took):.2f} | {cut:.2f} | {max(took):.2f} |")
    first = statistics.median(seen.first) if seen.first else float("nan")
    print(
        f"\n{count:,} answered ({count / seconds:.1f}/s), {seen.refused:,} times told to come again (429), "
        f"{seen.left} left on purpose, {sum(seen.wrong.values())} unanswered or wrong; "
        f"first piece of a stream after {first:.2f} s (median)."
    )
    for what, times in seen.wrong.most_common(5):
        print(f"  {times} × {what}")
    print("\n| memory, MB | gateway | workers |\n|---|---|---|")
    minutes = [(60.0 * n, 60.0 * (n + 1)) for n in range(int(seconds // 60))] or [(0.0, seconds)]
    for begin, end in minutes:
        part = [each for each in samples if begin <= each[0] < end]
        if part:
            gateway, workers = (statistics.median(each[n] for each in part) for n in (1, 2))
            print(f"| {begin / 60:.0f}–{end / 60:.0f} min, median | {gateway:.0f} | {workers:.0f} |")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--engine", default="ocr")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), ENGINE=options.engine)
        ready = service.start()
        print(
            f"{os.cpu_count()} cores; engine {options.engine}; {options.clients} clients for {options.seconds:g} s; "
            f"ready after {ready:.1f} s\n"
        )
        try:
            seen, samples = asyncio.run(run(service, options.clients, options.seconds))
        finally:
            service.stop()
    told(seen, samples, options.seconds)
    return 1 if seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
