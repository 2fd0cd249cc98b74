"""Ask the engine about pages built by hand: its reader is a fake that knows each picture's page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vlpro.engines.interface import Delta, Message, Request, ResponseFormat, Sampling
from vlpro.engines.ocr.engine import OcrEngine
from vlpro.engines.ocr.page import Page
from vlpro.imaging.picture import Picture

__all__ = ["Reader", "ask", "boxes", "collect", "picture", "said"]


class Reader:
    """Finds the page by the number that the picture's first pixels hold."""

    def __init__(self, pages: Mapping[int, Page]) -> None:
        self.pages = dict(pages)
        self.reads = 0
        self.releases = 0

    def read(self, pixels: NDArray[np.uint8], cancelled: Callable[[], bool] = lambda: False) -> Page:
        self.reads += 1
        return self.pages[int(pixels[0, 0, 0])]

    def release(self) -> None:
        self.releases += 1


def picture(number: int, page: Page) -> Picture:
    pixels = np.full((page.height, page.width, 3), number, np.uint8)
    name = f"{number:064d}"
    return Picture(pixels, name, name, "png", 100, page.width, page.height)


async def collect(engine: OcrEngine, request: Request) -> tuple[str, Delta]:
    text, last = "", Delta()
    async for delta in engine.generate(request, timeout_s=20):
        text, last = text + delta.text, delta
    return text, last


def ask(
    question: str,
    *pages: Page,
    max_tokens: int = 4096,
    schema: Mapping[str, object] | None = None,
    json_object: bool = False,
    language: Literal["zh", "en"] | None = None,
) -> str:
    """The engine's answer to a question about pictures of these pages, all in one message."""
    pictures = [picture(number, page) for number, page in enumerate(pages, 1)]
    form = ResponseFormat(schema) if schema is not None or json_object else None
    request = Request(
        (Message("user", (*pictures, question)),), Sampling(max_tokens=max_tokens), form, language
    )

    async def run() -> str:
        engine = OcrEngine(load=lambda: Reader(dict(enumerate(pages, 1))))
        await engine.start()
        try:
            return (await collect(engine, request))[0]
        finally:
            await engine.stop()

    return asyncio.run(run())


def said(answer: str) -> str:
    """The sentence, without the boxes under it."""
    return answer.partition("```json")[0].strip()


def boxes(answer: str) -> list[dict[str, Any]]:
    """The boxes under an answer."""
    found = re.search(r"```json\n(.*?)\n```", answer, re.DOTALL)
    made = json.loads(found[1]) if found else []
    assert isinstance(made, list)
    return made
