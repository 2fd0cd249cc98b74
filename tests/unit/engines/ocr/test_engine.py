from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.engines.ocr.asking import Reader, ask, boxes, collect, picture
from tests.unit.engines.ocr.pages_of import english_receipt, page, quad, till_receipt
from vlpro.engines.interface import Message, Request, Sampling
from vlpro.engines.ocr.engine import OcrEngine
from vlpro.engines.ocr.page import Line, Page
from vlpro.errors import EngineUnavailableError

RECEIPT, TILL = english_receipt(), till_receipt()


def request(question: str, *pages: Page, max_tokens: int = 1000) -> Request:
    pictures = tuple(picture(number, made) for number, made in enumerate(pages, 1))
    return Request((Message("user", (*pictures, question)),), Sampling(max_tokens=max_tokens))


def test_the_answer_comes_in_pieces_with_its_usage_at_the_end() -> None:
    async def run() -> None:
        engine = OcrEngine(load=lambda: Reader({1: RECEIPT}))
        await engine.start()
        deltas = [delta async for delta in engine.generate(request("total?", RECEIPT), timeout_s=20)]
        assert len(deltas) > 3
        text = "".join(delta.text for delta in deltas)
        last = deltas[-1]
        assert (last.text, last.finish_reason) == ("", "stop")
        assert last.usage
        assert last.usage.completion_tokens == engine.count_tokens(text)
        assert last.usage.prompt_tokens > 900
        await engine.stop()

    asyncio.run(run())


def test_no_picture_is_read_twice_and_forgetting_drops_it() -> None:
    reader = Reader({1: RECEIPT, 2: TILL})

    async def run() -> None:
        engine = OcrEngine(load=lambda: reader)
        await engine.start()
        asked = request("total?", RECEIPT, TILL)
        await asyncio.gather(*(collect(engine, asked) for _ in range(5)))
        assert reader.reads == 2
        assert reader.releases == 0
        await engine.forget(frozenset({asked.pictures[0].pixels_sha256}))
        assert reader.releases == 1
        await collect(engine, asked)
        assert reader.reads == 3
        await engine.stop()

    asyncio.run(run())


def test_a_page_that_was_read_ahead_is_not_read_again() -> None:
    reader = Reader({1: RECEIPT})

    async def run() -> None:
        engine = OcrEngine(load=lambda: reader)
        await engine.start()
        asked = request("total?", RECEIPT)
        assert (await collect(engine, replace(asked, ahead=True)))[0] == ""
        assert reader.reads == 1
        assert (await collect(engine, asked))[0]
        assert reader.reads == 1
        await engine.stop()

    asyncio.run(run())


def test_reading_ahead_ends_for_a_question_about_something_else() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    class Slow(Reader):
        def read(self, pixels: NDArray[np.uint8], stopped: Callable[[], bool] = lambda: False) -> Page:
            if begun.is_set():
                return super().read(pixels, stopped)
            begun.set()
            while not stopped():
                pass
            cancelled.set()
            return RECEIPT

    async def run() -> None:
        engine = OcrEngine(load=lambda: Slow({1: RECEIPT, 2: TILL}))
        await engine.start()
        both = request("total?", RECEIPT, TILL)
        first, second = (
            replace(both, messages=(Message("user", (seen, "total?")),)) for seen in both.pictures
        )
        ahead = asyncio.create_task(collect(engine, replace(first, ahead=True)))
        await asyncio.to_thread(begun.wait, 20)
        assert (await collect(engine, second))[0]
        assert cancelled.is_set()
        assert (await ahead)[0] == ""
        await engine.stop()

    asyncio.run(run())


def test_kept_pages_are_bounded_in_bytes() -> None:
    reader = Reader(dict.fromkeys(range(1, 9), RECEIPT))

    async def run() -> None:
        engine = OcrEngine(load=lambda: reader, memory=200_000)
        await engine.start()
        await collect(engine, request("total?", *[RECEIPT] * 8))
        assert engine._pages is not None
        assert 1 <= len(engine._pages) < 8
        await engine.stop()

    asyncio.run(run())


def test_closing_an_answer_ends_its_reading() -> None:
    begun, ended, go = threading.Event(), threading.Event(), threading.Event()

    class Slow(Reader):
        def read(self, pixels: NDArray[np.uint8], cancelled: Callable[[], bool] = lambda: False) -> Page:
            begun.set()
            for _ in range(20_000):  # more than a minute
                if cancelled():
                    ended.set()
                    break
                go.wait(0.005)
            return RECEIPT

    async def run() -> None:
        engine = OcrEngine(load=lambda: Slow({1: RECEIPT}))
        await engine.start()
        task = asyncio.create_task(collect(engine, request("total?", RECEIPT)))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(ended.wait, 20)
        await engine.stop()

    asyncio.run(run())


def test_one_of_two_readers_of_a_picture_leaves_and_the_other_gets_its_answer() -> None:
    begun, go = threading.Event(), threading.Event()

    class Slow(Reader):
        def read(self, pixels: NDArray[np.uint8], cancelled: Callable[[], bool] = lambda: False) -> Page:
            begun.set()
            go.wait(60)
            assert not cancelled()
            return super().read(pixels)

    async def run() -> None:
        engine = OcrEngine(load=lambda: Slow({1: RECEIPT}))
        await engine.start()
        first, second = (asyncio.create_task(collect(engine, request("total?", RECEIPT))) for _ in range(2))
        await asyncio.to_thread(begun.wait, 20)
        assert engine._pages is not None
        (reading,) = engine._pages._readings.values()
        while reading.waiting < 2:
            await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go.set()
        text, _ = await second
        assert "**10.60**" in text
        await engine.stop()

    asyncio.run(run())


def test_the_loop_stays_free_while_a_picture_is_read() -> None:
    go = threading.Event()

    class Slow(Reader):
        def read(self, pixels: NDArray[np.uint8], cancelled: Callable[[], bool] = lambda: False) -> Page:
            assert go.wait(60)
            return super().read(pixels)

    async def run() -> None:
        engine = OcrEngine(load=lambda: Slow({1: RECEIPT}))
        await engine.start()
        task = asyncio.create_task(collect(engine, request("total?", RECEIPT)))
        text, _ = await collect(engine, request("hello"))  # needs no picture: does not wait for one
        assert "Add a picture" in text
        assert not task.done()
        go.set()
        await task
        await engine.stop()

    asyncio.run(run())


def test_an_answer_is_cut_at_max_tokens() -> None:
    async def run() -> None:
        engine = OcrEngine(load=lambda: Reader({1: RECEIPT}))
        await engine.start()
        text, last = await collect(engine, request("read everything", RECEIPT, max_tokens=5))
        assert engine.count_tokens(text) == 5
        assert last.finish_reason == "length"
        await engine.stop()

    asyncio.run(run())


def test_boxes_are_left_out_before_the_sentence_is_cut() -> None:
    short = ask("total?", RECEIPT, max_tokens=12)
    assert "**10.60**" in short
    assert "json" not in short
    partly = ask("read everything", RECEIPT, max_tokens=600)
    assert "THANK YOU" in partly
    assert 0 < len(boxes(partly)) < 33


@pytest.mark.parametrize(
    ("question", "most", "reason"),
    [("read everything", 600, "stop"), ("total?", 12, "length")],  # boxes of lines repeat the text
)
def test_text_that_is_whole_is_not_called_incomplete(question: str, most: int, reason: str) -> None:
    async def run() -> None:
        engine = OcrEngine(load=lambda: Reader({1: RECEIPT}))
        await engine.start()
        _, last = await collect(engine, request(question, RECEIPT, max_tokens=most))
        assert last.finish_reason == reason
        await engine.stop()

    asyncio.run(run())


def test_a_follow_up_is_about_the_latest_pictures() -> None:
    first, second = picture(1, RECEIPT), picture(2, TILL)
    messages = (
        Message("user", (first, "What is the total?")),
        Message("assistant", ("10.60",)),
        Message("user", (second, "And this one?")),
        Message("assistant", ("…",)),
        Message("user", ("支付方式是什么？",)),
    )

    async def run(question: str) -> str:
        engine = OcrEngine(load=lambda: Reader({1: RECEIPT, 2: TILL}))
        await engine.start()
        made = Request((*messages[:-1], Message("user", (question,))), Sampling(max_tokens=1000))
        text, _ = await collect(engine, made)
        await engine.stop()
        return text

    assert "第 2 张图：支付方式：**对公转账**" in asyncio.run(run("支付方式是什么？"))
    assert "**CS00031663**" in asyncio.run(run("What is the invoice number of the first picture?"))


def test_before_its_start_it_says_so() -> None:
    with pytest.raises(EngineUnavailableError):
        asyncio.run(collect(OcrEngine(), request("hello")))


def test_a_reader_that_cannot_be_loaded_is_told() -> None:
    def broken() -> Reader:
        raise ImportError("rapidocr")

    with pytest.raises(EngineUnavailableError):
        asyncio.run(OcrEngine(load=broken).start())


def test_importing_the_engine_loads_no_library() -> None:
    heavy = "('rapidocr', 'onnxruntime', 'openvino', 'cv2')"
    code = f"import sys, vlpro.engines.ocr.engine; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tokens_of_both_scripts() -> None:
    engine = OcrEngine()
    assert engine.count_tokens("合计：￥480.00") == 7
    assert engine.count_tokens("invoice number") == 4
    assert engine.count_tokens("") == 0


def test_a_follow_up_may_only_point_at_another_picture() -> None:
    messages = (
        Message("user", (picture(1, RECEIPT), picture(2, TILL), "第一张的合计是多少？")),
        Message("assistant", ("10.60",)),
    )

    async def run(question: str) -> str:
        engine = OcrEngine(load=lambda: Reader({1: RECEIPT, 2: TILL}))
        await engine.start()
        text, _ = await collect(
            engine, Request((*messages, Message("user", (question,))), Sampling(max_tokens=999))
        )
        await engine.stop()
        return text

    assert "**￥220.00**" in asyncio.run(run("那第二张呢？"))
    assert "**￥220.00**" in asyncio.run(run("And the second one?"))


def test_a_picture_of_half_the_size_has_the_same_boxes() -> None:
    def half(one: Line) -> Line:
        x1, y1, x2, y2 = (side / 2 for side in one.box)
        return Line(one.text, one.confidence, quad(x1, y1, x2, y2))

    made = page("TOTAL 5.00")
    small = Page(500, 500, tuple(map(half, made.lines)))
    assert boxes(ask("total?", made))[0]["bbox_2d"] == boxes(ask("total?", small))[0]["bbox_2d"]
