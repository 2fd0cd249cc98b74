"""People's latency while a batch runs: time to the whole answer, with and without it; and how fast the batch goes on.

The engine is the embedded one (ocr) on pages that are drawn here, or the fake one with a fixed time an answer, which
shows the queue alone. One person asks one question after another, each about another page, so that nothing is known
from before.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import sys
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image, ImageDraw, ImageFont

from tests.functional.server import Server, chat, eventually, run
from vlpro.config import Settings
from vlpro.workflows.batch.options import BatchOptions

PAGES = 400  # of the batch: more than are answered meanwhile


def page(number: int) -> bytes:
    """A page of a few lines, another one for each number."""
    picture = Image.new("RGB", (1000, 700), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(28)
    for line in range(12):
        draw.text(
            (40, 40 + 52 * line), f"Item {number}-{line}: {number * 37 % 1000}.{line:02} EUR", "black", font
        )
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


def ask(server: Server, pages: list[bytes], *, max_tokens: int | None) -> list[float]:
    """Seconds of each question."""
    took = []
    with server.http() as http:
        for data in pages:
            body = chat("What does it say?", data, model="vlpro")
            if max_tokens is not None:
                body["max_tokens"] = max_tokens
            began = time.perf_counter()
            reply = http.post("/v1/chat/completions", json=body)
            took.append(time.perf_counter() - began)
            assert reply.status_code == 200, reply.text
            time.sleep(0.2)  # a person reads, and the batch goes on
    return took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=("ocr", "fake"), default="ocr")
    parser.add_argument("--questions", type=int, default=25)
    options = parser.parse_args()
    settings = Settings(engine=options.engine, fake_delay_s=0.05, batch=BatchOptions())
    few = 1 if options.engine == "fake" else None
    asked = [page(10_000 + number) for number in range(2 * options.questions + 3)]
    with run(settings) as server, server.http() as http:
        eventually(lambda: server.services.chat.engine.ready, timeout_s=120)
        ask(server, asked[:3], max_tokens=few)
        alone = ask(server, asked[3 : 3 + options.questions], max_tokens=few)
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for number in range(PAGES):
                archive.writestr(f"{number}.png", page(number))
        file = http.post(
            "/v1/files", files={"file": ("a.zip", made.getvalue())}, data={"purpose": "user_data"}
        ).json()
        body = {"input": {"file_ids": [file["id"]]}, "instruction": "What does it say?"}
        batch = http.post("/v1/batches", json=body).json()["id"]

        def done() -> int:
            return int(http.get(f"/v1/batches/{batch}").json()["request_counts"]["completed"])

        eventually(lambda: done() >= 3, timeout_s=120)
        first, began = done(), time.perf_counter()
        beside = ask(server, asked[3 + options.questions :], max_tokens=few)
        shared = (done() - first) / (time.perf_counter() - began)
        first, began = done(), time.perf_counter()
        time.sleep(10)
        free = (done() - first) / (time.perf_counter() - began)
        http.post(f"/v1/batches/{batch}/cancel")
        eventually(lambda: http.get(f"/v1/batches/{batch}").json()["status"] == "cancelled", timeout_s=60)
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; engine {options.engine}"
    )
    print(f"{'':28}{'p50 ms':>10}{'p95 ms':>10}")
    for name, took in (("a question, alone", alone), ("a question beside a batch", beside)):
        p95 = statistics.quantiles(took, n=20, method="inclusive")[18]
        print(f"{name:28}{statistics.median(took) * 1000:10.0f}{p95 * 1000:10.0f}")
    print(f"lines of the batch a second: {shared:.2f} beside these questions, {free:.2f} with nobody there")


if __name__ == "__main__":
    main()
