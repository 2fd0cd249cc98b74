"""What the seeing model learns beside the answers, many times faster than from them alone.

Each is left behind with its own layer when the model is written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.seeing.model import IMAGE_PAD, VISION_START
from tests.seeing.world import COLOURS, KINDS, Scene, Shape, relative

__all__ = ["Looking", "PictureNumbers", "WhatIsWhere", "cells", "covered"]

FACTS: tuple[tuple[str, int, float], ...] = (
    ("colour", 7, 1.0),
    ("kind", 5, 1.0),
    ("centre", 2, 0.5),
    *((f"{side}{place}", 10, 0.25) for side in ("x1", "y1", "x2", "y2") for place in ("tens", "ones")),
    *((f"{what}s", 7, 0.1) for what in ("shape", *KINDS)),
    *((f"digit {place}", 11, 0.25) for place in range(1, 5)),
    ("here", 11, 1.0),
)
"""What a cell is asked, with the number of classes and the weight.

Of the shape in it: its colour, its kind, whether its centre is here, and two digits of each side of its box. How many
shapes the picture has, and how many of each kind. The digits of the number in it, and that which has its middle here.
"""


def covered(shape: Shape, scene: Scene, grid: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Row and column of each merged cell whose middle lies in a shape's box, and of that with the shape's own."""
    rows, columns = grid[1] // 2, grid[2] // 2
    across, down = scene.image.width / columns, scene.image.height / rows
    x1, y1, x2, y2 = shape.box
    return [
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if (x1 < (column + 0.5) * across < x2 and y1 < (row + 0.5) * down < y2)
        or (row, column) == _middle(shape, scene, grid)
    ]


def _middle(shape: Shape, scene: Scene, grid: tuple[int, int, int]) -> tuple[int, int]:
    rows, columns = grid[1] // 2, grid[2] // 2
    x1, y1, x2, y2 = shape.box
    row, column = (y1 + y2) / 2 * rows / scene.image.height, (x1 + x2) / 2 * columns / scene.image.width
    return min(rows - 1, int(row)), min(columns - 1, int(column))


def cells(scene: Scene, grid: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """What each merged cell of a picture shows, for the side task: ``(N, 25)``: a class for each fact, -100 for
    unknown, and the four sides of the box in thousandths.
    """
    rows, columns = grid[1] // 2, grid[2] // 2
    facts = np.full((rows, columns, len(FACTS) + 4), -100, np.int64)
    facts[..., :3] = 0
    width, height = scene.image.size
    across, down = width / columns, height / rows
    names, kinds = list(COLOURS), list(KINDS)
    for shape in scene.shapes:
        sides = (width, height, width, height)
        exact = [round(value * 1000 / side) for value, side in zip(shape.box, sides, strict=True)]
        box = [min(99, value // 10) for value in relative(shape.box, scene.image)]
        for row, column in covered(shape, scene, grid):
            facts[row, column, :2] = names.index(shape.colour) + 1, kinds.index(shape.kind) + 1
            facts[row, column, -4:] = exact
            facts[row, column, 3:11] = [digit for value in box for digit in divmod(value, 10)]
        facts[(*_middle(shape, scene, grid), 2)] = 1
    counted = [min(6, sum(shape.kind == kind for shape in scene.shapes)) for kind in kinds]
    facts[..., 11:16] = [min(6, len(scene.shapes)), *counted]
    if scene.digits:
        (x1, y1, _, _), (_, _, x2, y2) = scene.digit_boxes[0], scene.digit_boxes[-1]
        top, bottom = max(0, int(y1 / down)), min(rows - 1, int(y2 / down))
        left, right = max(0, int(x1 / across)), min(columns - 1, int(x2 / across))
        told = [int(digit) for digit in scene.digits] + [10] * (4 - len(scene.digits))
        facts[top : bottom + 1, left : right + 1, 16:20] = told
        facts[..., 20] = 10
        for digit, (a, up, b, low) in zip(scene.digits, scene.digit_boxes, strict=True):
            place = min(rows - 1, int((up + low) / 2 / down)), min(columns - 1, int((a + b) / 2 / across))
            facts[(*place, 20)] = int(digit)
    return facts.reshape(rows * columns, -1)


class WhatIsWhere(torch.nn.Module):
    """The vision tower knows what each cell of a picture shows: :func:`cells`, read off its output."""

    def __init__(self, visual: torch.nn.Module, hidden: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(hidden, sum(classes for _, classes, _ in FACTS) + 4)
        self._seen: torch.Tensor | None = None
        visual.merger.register_forward_hook(self._keep)

    def _keep(self, module: torch.nn.Module, given: Any, out: torch.Tensor) -> None:
        del module, given
        self._seen = out

    def forward(self, wanted: torch.Tensor) -> torch.Tensor:
        """Loss of the batch that has just gone through the tower.

        Args:
            wanted: :func:`cells` of its pictures, ``(N, 25)``.
        """
        parts, sides = self._read()
        total = sides.new_zeros(())
        known = wanted[:, -1] != -100
        if bool(known.any()):
            exact = wanted[known, -4:] / 1000
            total = total + 10 * functional.smooth_l1_loss(sides[known], exact, beta=0.02)
        for part, one, (_, _, weight) in zip(parts, wanted.T, FACTS, strict=False):
            if bool((one != -100).any()):
                total = total + weight * functional.cross_entropy(part, one)
        return total

    def report(self, wanted: torch.Tensor) -> str:
        """Share of right guesses in the batch that has just been learnt from."""
        parts, sides = self._read()
        boxed = wanted[:, -1] != -100
        told = [f"sides off by {(sides[boxed] - wanted[boxed, -4:] / 1000).abs().mean():.3f}"]
        for part, one, (name, _, _) in zip(parts, wanted.T, FACTS, strict=False):
            known = (one > 0) if name in ("colour", "kind") else (one >= 0)
            known &= (one < 10) if name == "here" else known
            told.append(f"{name} {(part.argmax(-1) == one)[known].float().mean():.2f}")
        return "  ".join(told)

    def _read(self) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Classes of each fact, and the sides."""
        assert self._seen is not None
        *parts, sides = self.head(self._seen).split((*(classes for _, classes, _ in FACTS), 4), dim=-1)
        return tuple(parts), sides


class PictureNumbers:
    """After two of the text layers each cell knows which picture it belongs to."""

    def __init__(self, model: Any) -> None:
        self.head = torch.nn.Linear(model.config.text_config.hidden_size, 32)
        self._seen: torch.Tensor | None = None
        model.model.language_model.layers[1].register_forward_hook(self._keep)

    def _keep(self, module: torch.nn.Module, given: Any, out: torch.Tensor) -> None:
        del module, given
        self._seen = out

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """Loss of the batch that has just gone through the layers; ids are ``(batch, length)``."""
        assert self._seen is not None
        cells = ids == IMAGE_PAD
        wanted = (ids == VISION_START).cumsum(-1)[cells]
        # About one each, as RMSNorm leaves them.
        scaled = functional.normalize(self._seen[cells].float(), dim=-1) * self.head.in_features**0.5
        return functional.cross_entropy(self.head(scaled), wanted)


class Looking:
    """Before an answer about a shape, one head of the third text layer looks at it, another at the second shape."""

    _HEADS = (0, 3)

    def __init__(self, model: Any) -> None:
        self._attention = model.model.language_model.layers[2].self_attn
        self._attention.keeps_weights = True

    def __call__(self, looks: torch.Tensor, shown: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Loss of the batch that has just gone through the layers.

        Args:
            looks: Row and place of each token that looks, ``(N, 2)``.
            shown: Whether a token shows the first and the second shape, ``(N, 2, length)``.
            counts: How much each counts, ``(N,)``.
        """
        if not len(looks):
            return torch.zeros(())
        weights = self._attention.weights[looks[:, 0], :, looks[:, 1]][:, self._HEADS].float()
        missed = -((weights * shown).sum(-1) + 1e-4).log().mean(-1)
        return (missed * counts).sum() / counts.sum()
