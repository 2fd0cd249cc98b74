"""Conversations and pictures as the numbers that the seeing model learns from."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from tests.seeing.model import IM_END, IM_START, IMAGE_PAD, MAX_PIXELS, VISION_END, VISION_START
from tests.seeing.side_tasks import cells, covered
from tests.seeing.world import Conversation, Scene, Shape, conversation, make_scene

__all__ = ["Encoder", "patches", "pictures", "target"]


def target(width: int, height: int) -> tuple[int, int]:
    """Width and height that the picture is given to the model with, as Qwen's processor settles it."""
    new = [max(32, round(side / 32) * 32) for side in (width, height)]
    if new[0] * new[1] > MAX_PIXELS:
        shrink = math.sqrt(width * height / MAX_PIXELS)
        new = [max(32, math.floor(side / shrink / 32) * 32) for side in (width, height)]
    return new[0], new[1]


def patches(image: Image.Image) -> tuple[np.ndarray[Any, np.dtype[np.float32]], tuple[int, int, int]]:
    """A picture as Qwen's processor gives it: ``(N, 1536)`` patches, merge cell by merge cell, and its grid."""
    width, height = target(*image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 127.5 - 1
    rows, columns = height // 16, width // 16
    cells = pixels.reshape(rows // 2, 2, 16, columns // 2, 2, 16, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    flat = cells.reshape(rows * columns, 3, 1, 256)
    return np.repeat(flat, 2, axis=2).reshape(rows * columns, 1536), (1, rows, columns)


_HARD = {"kind": 5.0, "side": 3.0, "which": 3.0, "earlier": 3.0}


class Encoder:
    """Conversations → tensors; keeps the tokens of each text."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}

    def text(self, text: str) -> list[int]:
        """Tokens of a text without special ones."""
        if text not in self._known:
            self._known[text] = self._tokenizer.encode(text, add_special_tokens=False)
        return self._known[text]

    def words(self, ids: Sequence[int]) -> str:
        """The text of tokens."""
        return str(self._tokenizer.decode(ids))

    def system(self, text: str) -> list[int]:
        """The system message; none where it is empty."""
        return [IM_START, *self.text("system\n"), *self.text(text), IM_END, *self.text("\n")] if text else []

    def prompt(self, before: int, cells: Sequence[int], question: str) -> list[int]:
        """The user's turn and the opening of the answer.

        Args:
            before: How many pictures the conversation has had.
            cells: Merged tokens of each new picture; each has its number before it (``add_vision_id``).
            question: The text.
        """
        ids = [IM_START, *self.text("user\n")]
        for number, count in enumerate(cells, before + 1):
            ids += [*self.text(f"Picture {number}: "), VISION_START, *[IMAGE_PAD] * count, VISION_END]
        return [*ids, *self.text(question), IM_END, *self.text("\n"), IM_START, *self.text("assistant\n")]

    def conversation(self, told: Conversation) -> Row:
        """One conversation, each of its answers to be learnt."""
        row = Row(ids := self.system(told.system), [-100] * len(ids), [0.0] * len(ids))
        scenes: list[Scene] = []
        for turn in told.turns:
            made = [patches(scene.image) for scene in turn.scenes]
            before = len(row.grids)
            scenes += turn.scenes
            row.patches += [flat for flat, _ in made]
            row.grids += [grid for _, grid in made]
            prompt = self.prompt(before, [grid[1] * grid[2] // 4 for _, grid in made], turn.question)
            answer = [*self.text(turn.answer), IM_END]
            after = self.text("\n")
            asks = len(row.ids) + len(prompt) - 1
            row.ids += [*prompt, *answer, *after]
            row.labels += [*[-100] * len(prompt), *answer, *[-100] * len(after)]
            weights = self.weights(turn.task, answer)
            row.weights += [*[0.0] * len(prompt), *weights, *[0.0] * len(after)]
            if turn.about:
                shown = [_tokens_of(shape, scenes, row) for shape in turn.about]
                asked = [asks + place for place, weight in enumerate(weights) if weight >= 0.5]
                row.looks += [(place, shown[0], shown[-1], 1 / len(asked)) for place in asked]
        return row

    def weights(self, task: str, answer: Sequence[int]) -> list[float]:
        """How much each token of an answer teaches: of a box its digits, the first ones most; all of a word, and
        more where it tells how things stand to each other, which is learnt last."""
        if task != "box":
            return [*[_HARD.get(task, 1.0)] * (len(answer) - 1), 0.2]
        digits = {self.text(digit)[0] for digit in "0123456789"}
        made = [0.05] * len(answer)
        run: list[int] = []
        for place, token in enumerate([*answer, -1]):
            if token in digits:
                run.append(place)
                continue
            for distance, digit in enumerate(reversed(run)):
                made[digit] = (0.05, 0.5, 1.0, 1.0)[distance]
            run = []
        return made

    def halves(self, seeds: Sequence[int], **world: int) -> list[dict[str, torch.Tensor]]:
        """Several conversations as two batches, the short and the long ones: little is padded."""
        told = [conversation(seed, **world) for seed in seeds]
        rows = sorted((self.conversation(one) for one in told if one.turns), key=lambda row: len(row.ids))
        return [padded(rows[: len(rows) // 2]), padded(rows[len(rows) // 2 :])]

    def batch(self, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
        """Several conversations, in their order."""
        return padded([self.conversation(conversation(seed)) for seed in seeds])


@dataclass
class Row:
    """A conversation as numbers.

    Args:
        ids: Tokens.
        labels: -100 where nothing is to be learnt.
        weights: Of the labels.
        patches: Of its pictures.
        grids: Of its pictures.
        looks: Where a token of an answer about a shape comes next, with the places of the tokens that show the shape,
            and of those that show the second one, where it is about two; and how much it counts.
    """

    ids: list[int]
    labels: list[int]
    weights: list[float]
    patches: list[Any] = field(default_factory=list)
    grids: list[tuple[int, int, int]] = field(default_factory=list)
    looks: list[tuple[int, list[int], list[int], float]] = field(default_factory=list)


def _tokens_of(shape: Shape, scenes: Sequence[Scene], row: Row) -> list[int]:
    """Places of the picture tokens that show a shape."""
    number = next(n for n, scene in enumerate(scenes) if shape in scene.shapes)
    marks = [place for place, token in enumerate(row.ids) if token == VISION_START]
    grid = row.grids[number]
    return [
        marks[number] + 1 + line * (grid[2] // 2) + column
        for line, column in covered(shape, scenes[number], grid)
    ]


def padded(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Rows of several lengths as one batch."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    weights = torch.zeros(ids.shape)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        labels[place, : len(row.ids)] = torch.tensor(row.labels)
        weights[place, : len(row.ids)] = torch.tensor(row.weights)
    looks = [(place, look) for place, row in enumerate(rows) for look in row.looks]
    shown = torch.zeros(len(looks), 2, longest, dtype=torch.bool)
    for number, (_, (_, first, second, _)) in enumerate(looks):
        shown[number, 0, first] = True
        shown[number, 1, second] = True
    return {
        "looks": torch.tensor([(row, look[0]) for row, look in looks], dtype=torch.long).view(-1, 2),
        "counts": torch.tensor([look[3] for _, look in looks]),
        "shown": shown,
        "input_ids": ids,
        "labels": labels,
        "weights": weights,
        "mm_token_type_ids": (ids == IMAGE_PAD).int(),
        "pixel_values": torch.from_numpy(np.concatenate([p for row in rows for p in row.patches])),
        "image_grid_thw": torch.tensor([grid for row in rows for grid in row.grids]),
    }


def pictures(number: int, size: int) -> dict[str, torch.Tensor]:
    """A batch of pictures alone, a third of them numbers, small ones first."""
    dice = random.Random(number)
    scenes = [make_scene(dice, 4, digits=dice.random() < 0.35) for _ in range(size)]
    scenes.sort(key=lambda scene: math.prod(target(*scene.image.size)))
    made = [patches(scene.image) for scene in scenes]
    told = [cells(scene, grid) for scene, (_, grid) in zip(scenes, made, strict=True)]
    return {
        "pixel_values": torch.from_numpy(np.concatenate([flat for flat, _ in made])),
        "image_grid_thw": torch.tensor([grid for _, grid in made]),
        "cells": torch.from_numpy(np.concatenate(told)),
    }
