"""Boards against their golden template, by DeepPCB's protocol; hot regions of thermal pictures.

    python bench/inspection.py [--data ../shared/data] [--pairs N] [--generated N]

A detection is correct if a defect of the same kind overlaps it with IoU > 0.33, each defect once (the protocol of
DeepPCB, https://github.com/tangsanli5201/DeepPCB, in the order of the ground truth as the script of ICDAR 2015 goes
that it uses). F1 = 2PR/(P+R) over all pairs of a half. "F1 any kind" asks for the place only, and "kind" is the
share of those that are named rightly. Where the test picture is turned, scaled or moved, its boxes are the upright
boxes around their moved corners, as far as they lie in the picture; what the picture then lacks is filled with
white, or with what the row says.

The pairs are parted by turns of their sorted names: one half for tuning, the other looked at when all was decided.
Milliseconds are processor time of the one thread that works, alignment included.

The peer is what a first attempt does: one shift by phase correlation, absolute difference, opening by 3 pixels.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.ocr_speed import processor  # noqa: E402 - found by the line above, without installation
from tests import boards  # noqa: E402 - likewise
from vlpro.workflows.inspection import golden, thermal  # noqa: E402 - likewise

Pixels = NDArray[Any]
Found = tuple[tuple[float, ...], str]
KINDS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")  # DeepPCB's 1 to 6


@dataclass(frozen=True)
class Pair:
    """A golden board, one with defects, and these."""

    golden: Pixels
    flawed: Pixels
    truth: list[Found]


@dataclass(frozen=True)
class Condition:
    """How the test picture is taken."""

    name: str
    degrees: float = 0
    scale: float = 1
    shift: tuple[float, float] = (0, 0)
    fill: int = 255
    change: Callable[[Pixels], Pixels] = field(default=lambda pixels: pixels)


def jpeg(pixels: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 20, pixels.shape)
    return (pixels + noise).clip(0, 255).astype(np.uint8)


CONDITIONS = (
    Condition("as given"),
    Condition("1° turned, 8 pixels right", 1, 1, (8, 0)),
    Condition("1° turned, 8 right, 8 down", 1, 1, (8, 8)),
    Condition("-1°, 8 left, 8 down, black filling", -1, 1, (-8, 8), 0),
    Condition("2°, scale 1.015, 5 right, 5 up", 2, 1.015, (5, -5)),
    Condition("-3°, scale 0.97, 40 right, 40 up", -3, 0.97, (40, -40)),
    Condition("JPEG quality 30", change=jpeg),
    Condition("noise (σ 20)", change=noisy),
    Condition("paler, falling off, blur, noise, JPEG 60", change=boards.lit),
    Condition("the same and 2°, scale 1.015, 8 pixels", 2, 1.015, (8, -8), change=boards.lit),
)


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / (areas - wide * high)


def hits(found: list[Found], truth: list[Found], least: float, *, any_kind: bool) -> list[tuple[int, int]]:
    """Numbers of what belongs together: of the truth, of what was found."""
    pairs: list[tuple[int, int]] = []
    left = list(range(len(found)))
    for wanted, (box, kind) in enumerate(truth):
        for number in left:
            place, named = found[number]
            if (any_kind or named == kind) and overlap(place, box) > least:
                pairs.append((wanted, number))
                left.remove(number)
                break
    return pairs


@dataclass
class Score:
    """Over all pairs so far."""

    found: int = 0
    wanted: int = 0
    right: int = 0
    placed: int = 0
    named: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, found: list[Found], truth: list[Found], least: float = 0.33) -> None:
        self.found += len(found)
        self.wanted += len(truth)
        self.right += len(hits(found, truth, least, any_kind=False))
        placed = hits(found, truth, least, any_kind=True)
        self.placed += len(placed)
        self.named += sum(truth[wanted][1] == found[number][1] for wanted, number in placed)

    def __str__(self) -> str:
        precision, recall = self.right / max(1, self.found), self.right / max(1, self.wanted)
        times = sorted(self.milliseconds)
        return (
            f"{precision:.3f} | {recall:.3f} | {self.f1(self.right):.3f} | {self.f1(self.placed):.3f} | "
            f"{self.named / max(1, self.placed):.3f} | {median(times):.0f} | {times[int(0.95 * len(times))]:.0f}"
        )

    def f1(self, right: int) -> float:
        return 2 * right / max(1, self.found + self.wanted)


def moved(truth: list[Found], matrix: Pixels, width: int, height: int) -> list[Found]:
    shown = []
    for (x1, y1, x2, y2), kind in truth:
        corners = np.array([[x1, y1, 1], [x2, y1, 1], [x1, y2, 1], [x2, y2, 1]]) @ matrix.T
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        box = (max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom))
        if box[2] - box[0] > 10 and box[3] - box[1] > 10:  # still in the picture
            shown.append((box, kind))
    return shown


def ours(flawed: Pixels, clean: Pixels) -> list[Found]:
    inspection = golden.inspect(boards.picture(flawed), boards.picture(clean))
    return [(one.box, one.kind) for one in inspection.defects]


def peer(flawed: Pixels, clean: Pixels) -> list[Found]:
    (x, y), _ = cv2.phaseCorrelate(clean.astype(np.float32), flawed.astype(np.float32))
    laid = cv2.warpAffine(
        clean,
        np.array([[1, 0, x], [0, 1, y]]),
        (flawed.shape[1], flawed.shape[0]),
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask = (cv2.absdiff(flawed, laid) > 127).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    return [
        ((left - 10, top - 10, left + wide + 10, top + high + 10), "?")
        for left, top, wide, high, area in stats[1:]
        if area >= 20
    ]


def scored(
    pairs: list[Pair], condition: Condition, find: Callable[[Pixels, Pixels], list[Found]] = ours
) -> Score:
    score = Score()
    for pair in pairs:
        seen, matrix = boards.taken(
            pair.flawed, condition.degrees, condition.scale, condition.shift, condition.fill
        )
        seen = condition.change(seen)
        begun = time.thread_time()
        found = find(seen, pair.golden)
        score.milliseconds.append(1000 * (time.thread_time() - begun))
        score.add(found, moved(pair.truth, matrix, seen.shape[1], seen.shape[0]))
    return score


def deeppcb(folder: Path) -> list[Pair]:
    pairs = []
    for path in sorted(folder.glob("*.txt")):
        lines = [[int(part) for part in line.split()] for line in path.read_text("ascii").splitlines()]
        flawed, clean = (
            cv2.imread(str(path.with_name(f"{path.stem}_{name}.jpg")), cv2.IMREAD_GRAYSCALE)
            for name in ("test", "temp")
        )
        pairs.append(Pair(clean, flawed, [(tuple(line[:4]), KINDS[line[4] - 1]) for line in lines if line]))
    return pairs


def generated(count: int) -> list[Pair]:
    drawn = [boards.board(seed, KINDS * 2) for seed in range(count)]
    return [Pair(one.golden, one.flawed, [(flaw.box, flaw.kind) for flaw in one.flaws]) for one in drawn]


def in_colour(count: int) -> Iterator[tuple[Condition, Score, int]]:
    """Boards with parts, of which two are missing; the last number: defects told on as many boards that lack none."""
    for condition in CONDITIONS[0], CONDITIONS[2], CONDITIONS[-1]:
        score, false = Score(), 0
        for seed in range(count):
            board = boards.board(seed, ())
            clean, _ = boards.coloured(board.golden, seed)
            for missing in ((1, 5), ()):
                pixels, gone = boards.coloured(board.golden, seed, missing=missing)
                seen, matrix = boards.taken(
                    pixels, condition.degrees, condition.scale, condition.shift, condition.fill
                )
                seen = condition.change(seen)
                begun = time.thread_time()
                found = ours(seen, clean)
                if missing:
                    score.milliseconds.append(1000 * (time.thread_time() - begun))
                    score.add(found, moved([(flaw.box, flaw.kind) for flaw in gone], matrix, 640, 640))
                else:
                    false += len(found)
        yield condition, score, false


def refused(pairs: list[Pair]) -> tuple[int, int]:
    """Of templates that belong to another picture: how many are refused."""
    count = 0
    for number, pair in enumerate(pairs):
        other = pairs[(number + len(pairs) // 2) % len(pairs)]
        found = golden.inspect(boards.picture(pair.flawed), boards.picture(other.golden))
        count += found.verdict == "review"
    return count, len(pairs)


def hot(folder: Path) -> Score:
    score = Score()
    for path in sorted(folder.glob("*.txt")):
        pixels = cv2.cvtColor(cv2.imread(str(path.with_suffix(".jpg"))), cv2.COLOR_BGR2RGB)
        height, width = pixels.shape[:2]
        truth = []
        for line in path.read_text("ascii").splitlines():
            _, x, y, wide, high = (float(part) for part in line.split())
            truth.append(
                (
                    (
                        (x - wide / 2) * width,
                        (y - high / 2) * height,
                        (x + wide / 2) * width,
                        (y + high / 2) * height,
                    ),
                    "hot",
                )
            )
        begun = time.thread_time()
        inspection = thermal.inspect(boards.picture(pixels))
        score.milliseconds.append(1000 * (time.thread_time() - begun))
        score.add([(one.box, one.kind) for one in inspection.defects], truth, 0.3)
    return score


def table(pairs: list[Pair], *, halves: bool) -> None:
    print("| test picture | half | P | R | F1 | F1 any kind | kind | ms median | ms p95 |")
    print("|---|---|---|---|---|---|---|---|---|")
    parts = (("tuning", pairs[0::2]), ("held back", pairs[1::2])) if halves else (("all", pairs),)
    for condition in CONDITIONS:
        for name, part in parts:
            print(f"| {condition.name} | {name} | {scored(part, condition)} |", flush=True)
    for condition in CONDITIONS[:2]:
        score = scored(pairs, condition, peer)
        places, milliseconds = score.f1(score.placed), median(score.milliseconds)
        print(f"| peer: {condition.name} | all | | | | {places:.3f} | | {milliseconds:.0f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--generated", type=int, default=40)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"Processor: {processor()}, one of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        "Versions:  Python",
        platform.python_version(),
        *(f"{name} {version(name)}" for name in ("opencv-python-headless", "numpy")),
    )
    pairs = deeppcb(arguments.data / "pcb_deeppcb")[: arguments.pairs]
    if pairs:
        print(f"\nDeepPCB: {len(pairs)} pairs of 640 × 640, {sum(len(one.truth) for one in pairs)} defects\n")
        ours(pairs[0].flawed, pairs[0].golden)  # not counted: the first one warms up
        table(pairs, halves=True)
        print("\nTemplates of another picture: refused {} of {}".format(*refused(pairs)))
    else:
        print(f"\n{arguments.data / 'pcb_deeppcb'} is absent: DeepPCB is left out.")
    drawn = generated(arguments.generated)
    print(f"\nDrawn boards (tests/boards.py): {len(drawn)}, {sum(len(one.truth) for one in drawn)} defects\n")
    table(drawn, halves=False)
    print(f"\nDrawn boards in colour: {arguments.generated}, two parts of twelve missing\n")
    print("| test picture | P | R | F1 | F1 any kind | kind | ms median | ms p95 | false, none missing |")
    print("|---|---|---|---|---|---|---|---|---|")
    for condition, score, false in in_colour(arguments.generated):
        print(f"| {condition.name} | {score} | {false} |")
    if (arguments.data / "thermal").is_dir():
        score = hot(arguments.data / "thermal")
        print(f"\nThermal photos: {len(score.milliseconds)}, {score.wanted} hot spots, IoU > 0.3\n")
        print("| P | R | F1 | F1 any kind | kind | ms median | ms p95 |\n|---|---|---|---|---|---|---|")
        print(f"| {score} |")


if __name__ == "__main__":
    main()
