"""Documents with their labels, by seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from bench.invoices.damage import DAMAGES
from bench.invoices.forms import FORMS

KINDS = tuple(FORMS)


@dataclass(frozen=True, eq=False)
class Specimen:
    """One drawn document.

    Args:
        kind: One of :data:`KINDS`.
        template: Of the workflow that reads it.
        damage: A key of :data:`bench.invoices.damage.DAMAGES`.
        seed: The same one draws the same.
        pixels: ``(H, W, 3)`` uint8, RGB.
        labels: Normal form of each field.
    """

    kind: str
    template: str
    damage: str
    seed: int
    pixels: NDArray[np.uint8]
    labels: dict[str, str]


def specimen(kind: str, seed: int, damage: str = "clean") -> Specimen:
    """Draw one."""
    template, form = FORMS[kind]
    image, labels = form(Random(f"{kind} {seed}"))  # noqa: S311 - a drawing, no secret
    pixels = DAMAGES[damage](np.asarray(image, np.uint8), Random(f"{kind} {seed} {damage}"))  # noqa: S311 - likewise
    return Specimen(kind, template, damage, seed, pixels, labels)


def specimens(count: int, *, seed: int = 0, damages: tuple[str, ...] = tuple(DAMAGES)) -> Iterator[Specimen]:
    """So many of each damage, the kinds in turn."""
    for damage in damages:
        for index in range(count):
            yield specimen(KINDS[index % len(KINDS)], seed + index, damage)
