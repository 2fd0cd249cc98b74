"""The extraction workflow measured: fields, verdicts and time; `python bench/accuracy.py` prints it with the rest.

A page goes the product's own way: pixels, the embedded engine's reading, the template that recognises it, fields and
checks. A field is right where its normal form equals the label's (letters and digits only for names). "pass, but
wrong" is what a bookkeeper would not have looked at and should have.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.invoices.damage import DAMAGES
from bench.invoices.draw import KINDS, specimen
from vlpro.engines.ocr.fields.document import Document
from vlpro.engines.ocr.page import Code, Line, Page
from vlpro.engines.ocr.readings import readings_of
from vlpro.engines.ocr.text import compact
from vlpro.imaging.picture import Picture
from vlpro.workflows.extraction.extract import extract, recognise
from vlpro.workflows.extraction.template import load_templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vlpro.workflows.extraction.result import Extraction

    Pixels = NDArray[np.uint8]

TEMPLATES = load_templates()
TODAY = dt.date(2026, 11, 27)


@dataclass
class Tally:
    """What some pages gave."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    passed_wrong: int = 0
    known: int = 0
    pages: int = 0
    rules_s: float = 0.0

    def add(self, template: str, extraction: Extraction, wrong: int) -> None:
        self.pages += 1
        self.known += extraction.template == template
        self.verdicts[extraction.verdict] += 1
        self.passed_wrong += extraction.verdict == "pass" and wrong > 0

    def rate(self) -> float:
        return self.right.total() / max(1, self.asked.total())

    def verdict_cells(self) -> str:
        return " | ".join(str(self.verdicts[name]) for name in ("pass", "review", "fail"))


class KeptPages:
    """Pages that were read once, kept in a folder, for whoever changes the rules and not the reader.

    Args:
        folder: None: nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str, read: Callable[[], Page]) -> Page:
        """The page of a name; read now where it is not kept."""
        file = self._folder / f"{name}.json" if self._folder else None
        if file and file.exists():
            kept = json.loads(file.read_text("utf-8"))
            lines = tuple(Line(text, sure, _quad(quad)) for text, sure, quad in kept["lines"])
            codes = tuple(Code(text, kind, _quad(quad)) for text, kind, quad in kept["codes"])
            return Page(kept["width"], kept["height"], lines, codes)
        page = read()
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(
                json.dumps(
                    {
                        "width": page.width,
                        "height": page.height,
                        "lines": [(line.text, line.confidence, line.quad) for line in page.lines],
                        "codes": [(code.text, code.format, code.quad) for code in page.codes],
                    },
                    ensure_ascii=False,
                ),
                "utf-8",
            )
        return page


def _quad(corners: Any) -> Any:
    return tuple((x, y) for x, y in corners)


def extraction_of(page: Page, pixels: Pixels, template: str | None = None) -> Extraction:
    """A page's fields, by the template that recognises it unless one is named."""
    picture = Picture(pixels, "", "", "png", 0, page.width, page.height)
    readings = readings_of([Document(page)], [picture])
    chosen = TEMPLATES[template] if template else recognise(readings, TEMPLATES)
    return extract(readings, chosen or TEMPLATES["receipt"], today=TODAY)


def same(label: str, found: str | None) -> bool:
    return found is not None and (label == found or compact(label) == compact(found))


def invoices(
    read: Callable[[Pixels], Page], count: int, seed: int, damages: Sequence[str] = tuple(DAMAGES)
) -> None:
    """Draw, read, extract, compare; a table by damage and one by kind.

    Args:
        read: Pixels to page.
        count: Of each damage; the kinds come in turn.
        seed: Of the first one.
        damages: Which.
    """
    by_damage = {damage: Tally() for damage in damages}
    by_kind = {kind: Tally() for kind in KINDS}
    missed: Counter[str] = Counter()
    for damage in damages:
        for index in range(count):
            one = specimen(KINDS[index % len(KINDS)], seed + index, damage)
            page = read(one.pixels)
            begin = time.perf_counter()
            made = extraction_of(page, one.pixels)
            took = time.perf_counter() - begin
            fields = extraction_of(page, one.pixels, one.template) if made.template != one.template else made
            right = {name: same(value, fields.fields[name].normalized) for name, value in one.labels.items()}
            for tally in (by_damage[damage], by_kind[one.kind]):
                tally.rules_s += took
                for name, good in right.items():
                    tally.asked[name] += 1
                    tally.right[name] += good
                tally.add(one.template, made, sum(not good for good in right.values()))
            missed.update(f"{one.template}.{name}" for name, good in right.items() if not good)
    _table("damage", by_damage)
    damaged = [tally for damage, tally in by_damage.items() if damage != "clean"]
    if damaged:
        right, asked = (
            sum(part) for part in zip(*((t.right.total(), t.asked.total()) for t in damaged), strict=True)
        )
        print(f"all damaged together: {right / asked:.3f} of {asked} fields")
    _table("kind (all damages)", by_kind)
    print(
        "most often wrong:",
        ", ".join(f"{name} {count}" for name, count in missed.most_common(8)) or "nothing",
    )


def _table(title: str, tallies: dict[str, Tally]) -> None:
    print(
        f"\n| {title} | pages | recognised | fields right | pass | review | fail | pass, but wrong | rules, ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, tally in tallies.items():
        if tally.pages:
            print(
                f"| {name} | {tally.pages} | {tally.known} | {tally.rate():.3f} | {tally.verdict_cells()} | "
                f"{tally.passed_wrong} | {1000 * tally.rules_s / tally.pages:.0f} |"
            )


def speed(read: Callable[[Pixels], Page], pages: Iterable[Pixels]) -> None:
    """Pages a second from pixels to checked fields, against bare rapidocr from pixels to text, in turn.

    Args:
        read: Pixels to page; warm.
        pages: What to read.
    """
    import cv2
    from rapidocr import RapidOCR

    rapid = RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False})
    seconds = {"ours": 0.0, "rapidocr": 0.0}

    def ours(pixels: Pixels) -> None:
        extraction_of(read(pixels), pixels)

    def theirs(pixels: Pixels) -> None:
        rapid(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

    sides = {"ours": ours, "rapidocr": theirs}
    every = list(pages)
    theirs(every[0])
    for number, pixels in enumerate(every):
        for name in [*sides] if number % 2 else [*sides][::-1]:
            begin = time.perf_counter()
            sides[name](pixels)
            seconds[name] += time.perf_counter() - begin
    print(f"\n| {len(every)} pages, one at a time, all cores | pages a second |")
    print("|---|---|")
    print(f"| vlpro, pixels to checked fields | {len(every) / seconds['ours']:.2f} |")
    print(f"| rapidocr (no line classifier), pixels to text | {len(every) / seconds['rapidocr']:.2f} |")
