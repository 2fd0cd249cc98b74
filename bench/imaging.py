"""A 10 MB photo of 24 megapixels from bytes to clean pixels, against the limit and the usual way.

`python bench/imaging.py [--rounds N]` prints two tables: time, and whether text stays readable when shrunk.
One thread; the rivals take turns within each round, so that a busy moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import logging
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vlpro.imaging.ingest import Limits, ingest  # noqa: E402 - found by the line above, without installation
from vlpro.imaging.workers import WorkerPool  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

BUDGET = 1_048_576
SIZE = (6000, 4000)
FILE_BYTES = 10_000_000
ALLOWED_MS = 1200.0
LIMITS = Limits()


def photo(seed: int = 7) -> bytes:
    """Detail at every scale, falling off as in photos, sharp edges, sensor noise; tuned to 10 MB at quality 92."""
    dice = np.random.default_rng(seed)
    width, height = SIZE
    scene = np.full((height, width, 3), 128, np.float32)
    cells, strength = 4, 90.0
    while cells < 3000:
        grid = dice.standard_normal((max(2, cells * height // width), cells, 3), dtype=np.float32)
        scene += cv2.resize(grid, SIZE, interpolation=cv2.INTER_CUBIC) * strength
        cells, strength = cells * 2, strength * 0.62
    for _ in range(60):
        x, y, side = (int(v) for v in dice.integers(0, (width, height, 900)))
        scene[y : y + side, x : x + side] += dice.normal(0, 40, 3).astype(np.float32)
    grain = dice.standard_normal((height, width, 1), dtype=np.float32)
    low, high, data = 0.0, 24.0, b""
    for _ in range(8):
        noise = (low + high) / 2
        pixels = np.clip(scene + grain * noise, 0, 255).astype(np.uint8)
        data = simplejpeg.encode_jpeg(pixels, 92, "RGB", "420")
        low, high = (noise, high) if len(data) < FILE_BYTES else (low, noise)
        if abs(len(data) - FILE_BYTES) < 0.01 * FILE_BYTES:
            break
    return data


def in_turns(rivals: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds on the clock and of the processor, of each rival in each round; a first round warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for number in range(rounds + 1):
        for name, run in rivals.items():
            clock, work = time.perf_counter(), time.thread_time()
            run()
            if number:
                times[name].append(((time.perf_counter() - clock) * 1000, (time.thread_time() - work) * 1000))
    return times


def medians(
    mine: list[tuple[float, float]], its: list[tuple[float, float]]
) -> tuple[float, float, float, float]:
    """Median times on the clock and of the processor, and medians of the rounds' ratios of both."""
    pairs = list(zip(mine, its, strict=True))
    return (
        statistics.median(clock for clock, _ in its),
        statistics.median(work for _, work in its),
        statistics.median(own[0] / other[0] for own, other in pairs),
        statistics.median(own[1] / other[1] for own, other in pairs),
    )


def pillow_full(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def pillow_draft(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", size)
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def speed(rounds: int) -> None:
    data = photo()
    text = base64.b64encode(data)
    picture = ingest(data, limits=LIMITS, max_pixels_used=BUDGET)
    size = (picture.width, picture.height)

    def ours() -> object:
        return ingest(data, limits=LIMITS, max_pixels_used=BUDGET)

    def limit() -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", min_width=size[0], min_height=size[1])
        return pixels

    def limit_and_digest() -> object:
        return limit(), hashlib.sha256(data).digest()

    loop, pool = asyncio.new_event_loop(), WorkerPool(LIMITS, seconds=60)

    def in_worker(file: bytes) -> object:
        return loop.run_until_complete(pool.read(file, max_pixels_used=BUDGET))

    rivals: dict[str, Callable[[], object]] = {
        "vlpro: header, caps, digests, decode, resize": ours,
        "    the same by a process of its own, as the service does": lambda: in_worker(data),
        "(a) libjpeg-turbo scaled decode alone: the limit": limit,
        "    the limit and SHA-256 of the file": limit_and_digest,
        "(b) Pillow full decode and resize": lambda: pillow_full(data, size),
        "    Pillow draft decode and resize": lambda: pillow_draft(data, size),
        "    vlpro, from base64 as in a request": lambda: ingest(
            base64.b64decode(text, validate=True), limits=LIMITS, max_pixels_used=BUDGET
        ),
    }
    small = BytesIO()
    Image.fromarray(picture.pixels[:300, :400]).save(small, "PNG")
    rivals["    a PNG of 400 x 300"] = lambda: ingest(small.getvalue(), limits=LIMITS, max_pixels_used=BUDGET)
    rivals["    the same by a process of its own"] = lambda: in_worker(small.getvalue())
    times = in_turns(rivals, rounds)
    loop.run_until_complete(pool.stop())
    loop.close()
    own = times["vlpro: header, caps, digests, decode, resize"]
    decoded = limit().shape
    print(
        f"JPEG of {len(data) / 1e6:.1f} MB, {SIZE[0]} x {SIZE[1]}, quality 92, 4:2:0 -> {size[0]} x {size[1]} "
        f"(decoded at {decoded[1]} x {decoded[0]}); {rounds} rounds in turns, one thread"
    )
    print(f"{'medians':52}{'clock ms':>10}{'cpu ms':>9}{'vlpro / it':>12}{'in cpu':>8}")
    for name, values in times.items():
        clock, work, ratio, work_ratio = medians(own, values)
        print(f"{name:52}{clock:10.1f}{work:9.1f}{ratio:12.2f}{work_ratio:8.2f}")
    share = medians(own, own)[0] / ALLOWED_MS
    print(f"{'(c) time allowed, upload included':52}{ALLOWED_MS:10.0f}{'':9}{share:12.2f}")
    print(
        "On a busy machine the clock also counts waiting; processor time of this one thread does not, nor of workers."
    )


def generated_page() -> tuple[str, bytes]:
    """A page of invoice lines, as scanned at 300 dots an inch: tilted a little, blurred, with grain."""
    dice = np.random.default_rng(3)
    page = Image.new("RGB", (2480, 3508), (249, 247, 240))
    draw = ImageDraw.Draw(page)
    for row in range(40):
        words = f"Item {row + 1:02d}  part {dice.integers(10000, 99999)}  qty {dice.integers(1, 99)}"
        price = f"{dice.integers(1, 9999)}.{dice.integers(10, 99)}"
        draw.text((200, 200 + 78 * row), f"{words}  price {price}", (40, 40, 45), ImageFont.load_default(46))
    page = page.rotate(0.4, Image.Resampling.BICUBIC, fillcolor=(249, 247, 240))
    grain = dice.normal(0, 5, (3508, 2480, 1))
    pixels = np.clip(cv2.GaussianBlur(np.asarray(page), (0, 0), 1.0) + grain, 0, 255).astype(np.uint8)
    return "generated page", simplejpeg.encode_jpeg(pixels, 88)


def pages() -> list[tuple[str, bytes]]:
    """The generated page, and the three largest scans of receipts where the project's data lie beside it."""
    scans = sorted((ROOT.parent / "shared/data/receipts_sroie").rglob("*.jpg"), key=pixels_of)[-3:]
    return [generated_page(), *((f"SROIE {scan.stem}", scan.read_bytes()) for scan in scans)]


def pixels_of(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height


def characters(reader: Any, pixels: NDArray[np.uint8]) -> str:
    found = reader(np.ascontiguousarray(pixels[..., ::-1]))
    return "".join("".join(found.txts or ()).split())


def common(one: str, other: str) -> int:
    """Length of the longest common subsequence, by the bit-parallel way (Hyyrö 2004)."""
    places = {c: sum(1 << i for i, d in enumerate(one) if c == d) for c in set(one)}
    row = everything = (1 << len(one)) - 1
    for character in other:
        hit = row & places.get(character, 0)
        row = ((row + hit) | (row - hit)) & everything
    return len(one) - row.bit_count()


def legibility(budgets: Sequence[int]) -> None:
    logging.disable(logging.WARNING)
    from rapidocr import RapidOCR

    reader = RapidOCR(params={"Global.use_cls": False, "EngineConfig.onnxruntime.intra_op_num_threads": 1})
    print(
        "\nCharacters read from the whole page that are read alike from the shrunk one (common subsequence)"
    )
    print(f"{'':20}{'pixels':>12}{'characters':>12}" + "".join(f"{b / 1e6:>9.2g} MP" for b in budgets))
    for name, data in pages():
        whole = ingest(data, limits=LIMITS, max_pixels_used=LIMITS.max_pixels)
        before = characters(reader, whole.pixels)
        shares = []
        for budget in budgets:
            shrunk = ingest(data, limits=LIMITS, max_pixels_used=budget)
            same = common(before, characters(reader, shrunk.pixels)) / len(before)
            shares.append(f"{'as it is' if not shrunk.shrunk else f'{same:.1%}':>12}")
        print(f"{name:20}{f'{whole.width} x {whole.height}':>12}{len(before):>12}" + "".join(shares))


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-ocr", action="store_true", help="print the first table only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(
        f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        + ", ".join(
            f"{name} {version(name)}" for name in ("simplejpeg", "pillow", "opencv-python-headless", "numpy")
        )
    )
    speed(options.rounds)
    if not options.no_ocr:
        legibility([2_000_000, BUDGET, 600_000, 400_000])


if __name__ == "__main__":
    main()
