"""Seconds a page of our reader against bare rapidocr with its default settings: same pages, same run.

    python bench/ocr_speed.py [--pages N] [--data ../shared/data]

The two read each page in turn (A B, B A, ...), each with all processors; their models are loaded and warm. Token
F1 compares bags of tokens over all pages, upper-cased: "words" splits at everything but letters and figures,
"blanks" at blanks only, punctuation included.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vlpro.engines.ocr.reader import Reader  # noqa: E402 - found by the line above, without installation

Pixels = NDArray[np.uint8]
TOKENS: dict[str, Callable[[str], list[str]]] = {
    "words": lambda text: re.findall(r"[A-Z0-9]+", text.upper()),
    "blanks": lambda text: text.upper().split(),
}


@dataclass
class Side:
    """One of the two readers, and how it did."""

    name: str
    read: Callable[[Pixels], str]
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=lambda: {kind: [0, 0] for kind in TOKENS})

    def page(self, pixels: Pixels, label: str) -> None:
        """Read one page, take the time, compare with the label."""
        wall, processor = time.perf_counter(), time.process_time()
        text = self.read(pixels)
        self.seconds.append(time.perf_counter() - wall)
        self.processor_seconds.append(time.process_time() - processor)
        for kind, split in TOKENS.items():
            found, wanted = Counter(split(text)), Counter(split(label))
            self.counts[kind][0] += 2 * (found & wanted).total()
            self.counts[kind][1] += found.total() + wanted.total()

    def f1(self, kind: str) -> float:
        """Token F1 over all pages so far."""
        shared, total = self.counts[kind]
        return shared / total if total else 0.0


def receipts(folder: Path, pages: int) -> Iterator[tuple[Pixels, str]]:
    """SROIE scans with the text of their labels (``x1,y1,...,x4,y4,text`` a line)."""
    for path in sorted((folder / "receipts_sroie" / "img").iterdir())[:pages]:
        lines = (folder / "receipts_sroie" / "box" / f"{path.stem}.csv").read_text("utf-8").splitlines()
        yield (
            np.array(Image.open(path).convert("RGB")),
            "\n".join(line.split(",", 8)[8] for line in lines if line.count(",") >= 8),
        )


def generated(pages: int) -> Iterator[tuple[Pixels, str]]:
    """Drawn receipts: 40 lines each, slight noise."""
    font = ImageFont.load_default(24)
    for number in range(pages):
        rng = np.random.default_rng(number)
        lines = [
            f"ITEM {rng.integers(1_000_000)} x{rng.integers(1, 9)}  {rng.integers(100_000) / 100:.2f}"
            for _ in range(40)
        ]
        image = Image.new("RGB", (600, 1500), "white")
        for row, line in enumerate(lines):
            ImageDraw.Draw(image).text((40, 40 + 35 * row), line, "black", font)
        noisy = np.array(image, np.int16) + rng.integers(-12, 13, (1500, 600, 1), np.int16)
        yield noisy.clip(0, 255).astype(np.uint8), "\n".join(lines)


def processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text("utf-8")
        return next(line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    arguments = parser.parse_args()

    loading = time.perf_counter()
    reader = Reader()
    reader.warm_up()
    loading = time.perf_counter() - loading
    rapid = RapidOCR(params={"Global.log_level": "critical"})

    def ours(pixels: Pixels) -> str:
        return "\n".join(line.text for line in reader.read(pixels).lines)

    def theirs(pixels: Pixels) -> str:
        found: Any = rapid(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        return "\n".join(found.txts or ())

    sides = [Side("vlpro (text and codes)", ours), Side("rapidocr, default settings (text)", theirs)]
    real = (arguments.data / "receipts_sroie").is_dir()
    if not real:
        print(f"{arguments.data} is absent: generated pages are used instead of real receipts.\n")
    pages = list(receipts(arguments.data, arguments.pages) if real else generated(arguments.pages))
    for side in sides:
        side.read(pages[0][0])  # not counted: the first page warms up
    for number, (pixels, label) in enumerate(pages):
        for side in sides if number % 2 else sides[::-1]:
            side.page(pixels, label)

    megapixels = median(pixels.shape[0] * pixels.shape[1] / 1e6 for pixels, _ in pages)
    kind = "SROIE receipt scans" if real else "generated receipts"
    print(f"Processor: {processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    names = ("openvino", "onnxruntime", "rapidocr", "zxing-cpp", "opencv-python-headless")
    print("Versions:  Python", platform.python_version(), *(f"{name} {version(name)}" for name in names))
    print(
        f"Workload:  {len(pages)} {kind}, median {megapixels:.2f} megapixels; ours loads in {loading:.1f} s\n"
    )
    print("| reader | median s/page | mean s/page | mean processor s/page | F1 words | F1 blanks |")
    print("|---|---|---|---|---|---|")
    for side in sides:
        print(
            f"| {side.name} | {median(side.seconds):.2f} | {mean(side.seconds):.2f} | "
            f"{mean(side.processor_seconds):.2f} | {side.f1('words'):.4f} | {side.f1('blanks'):.4f} |"
        )
    a, b = sides
    print(
        f"\nrapidocr takes {median(b.seconds) / median(a.seconds):.1f} × the time (medians), "
        f"{mean(b.processor_seconds) / mean(a.processor_seconds):.1f} × the processor time."
    )


if __name__ == "__main__":
    main()
