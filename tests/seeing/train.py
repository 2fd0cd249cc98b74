"""Train the seeing test model from scratch: ``python -m tests.seeing.train --work FOLDER``.

Needs torch and transformers, and two processor cores for hours; may be stopped and started again at any time: it goes
on from the last checkpoint in its folder, and writes the model's own folder at the end.

The model is a Qwen3-VL of transformers' own code with small numbers, its tokenizer a byte-level BPE of the few words
that the world knows, with Qwen's special tokens and the form of its chat template. First the vision tower learns what
is where, then the text layers learn to answer; both with AdamW (Loshchilov and Hutter, 2019).
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

from tests.seeing.world import (
    COLOURS,
    KINDS,
    TASKS,
    Conversation,
    Scene,
    conversation,
    make_scene,
    relative,
    right,
)

FIRST_HELD_OUT = 2**40
MAX_PIXELS = 25_600
MIN_PIXELS = 32 * 32
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
IM_START, IM_END = 1, 2
IMAGE_PAD = SPECIAL.index("<|image_pad|>")
VISION_START, VISION_END = SPECIAL.index("<|vision_start|>"), SPECIAL.index("<|vision_end|>")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE over the world's own words, split as Qwen's tokenizer splits (digits one by one)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    words = [f"{turn.question}\n{turn.answer}" for seed in range(1500) for turn in conversation(seed).turns]
    words += ["system\nuser\nassistant\n" + " ".join(f"Picture {number}: " for number in range(17))] * 300
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=8192
    )


def make_config(vocabulary: int) -> dict[str, Any]:
    """Qwen3-VL's architecture with small numbers: four layers of text, four of vision, deepstack at two.

    Written as transformers 4.57 writes it, which every later version reads.
    """
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "image_token_id": IMAGE_PAD,
        "video_token_id": SPECIAL.index("<|video_pad|>"),
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
        "tie_word_embeddings": True,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "vocab_size": vocabulary,
            "hidden_size": 192,
            "intermediate_size": 448,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "hidden_act": "silu",
            "max_position_embeddings": 8192,
            "rope_theta": 10_000.0,
            "rope_scaling": {"rope_type": "default", "mrope_section": [6, 5, 5], "mrope_interleaved": True},
            "rms_norm_eps": 1e-6,
            "bos_token_id": 0,
            "eos_token_id": IM_END,
            "tie_word_embeddings": True,
            "initializer_range": 0.05,
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            "depth": 4,
            "hidden_size": 96,
            "intermediate_size": 288,
            "hidden_act": "gelu_pytorch_tanh",
            "num_heads": 3,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
            "out_hidden_size": 192,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [1, 2],
            "initializer_range": 0.05,
        },
    }


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
        for turn in told.turns:
            made = [patches(scene.image) for scene in turn.scenes]
            before = len(row.grids)
            row.patches += [flat for flat, _ in made]
            row.grids += [grid for _, grid in made]
            row.cells += [cells(scene, grid) for scene, (_, grid) in zip(turn.scenes, made, strict=True)]
            prompt = self.prompt(before, [grid[1] * grid[2] // 4 for _, grid in made], turn.question)
            answer = [*self.text(turn.answer), IM_END]
            after = self.text("\n")
            row.ids += [*prompt, *answer, *after]
            row.labels += [*[-100] * len(prompt), *answer, *[-100] * len(after)]
            row.weights += [*[0.0] * len(prompt), *self.weights(turn.task, answer), *[0.0] * len(after)]
        return row

    def weights(self, task: str, answer: Sequence[int]) -> list[float]:
        """How much each token of an answer teaches: of a box its digits, the first ones most; all of a word."""
        if task != "box":
            return [*[1.0] * (len(answer) - 1), 0.2]
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
    """A conversation as numbers: ids, labels (-100 where nothing is to be learnt) with their weights, and its
    pictures' patches, grids and :func:`cells`."""

    ids: list[int]
    labels: list[int]
    weights: list[float]
    patches: list[Any] = field(default_factory=list)
    grids: list[tuple[int, int, int]] = field(default_factory=list)
    cells: list[Any] = field(default_factory=list)


def padded(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Rows of several lengths as one batch."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    mask = torch.zeros_like(ids)
    weights = torch.zeros(ids.shape)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        labels[place, : len(row.ids)] = torch.tensor(row.labels)
        mask[place, : len(row.ids)] = 1
        weights[place, : len(row.ids)] = torch.tensor(row.weights)
    return {
        "input_ids": ids,
        "labels": labels,
        "weights": weights,
        "attention_mask": mask,
        "mm_token_type_ids": (ids == IMAGE_PAD).int(),
        "pixel_values": torch.from_numpy(np.concatenate([p for row in rows for p in row.patches])),
        "image_grid_thw": torch.tensor([grid for row in rows for grid in row.grids]),
        "cells": torch.from_numpy(np.concatenate([c for row in rows for c in row.cells])),
    }


SIZES = (7, 5, 2, *[10] * 8, *[7] * 5, *[11] * 5)
"""How many classes each of a cell's facts has: colour, kind, centre; two digits of each side of the box; how many
shapes, how many of each kind; four digits of the number, and that which has its middle here."""
WEIGHTS = (1.0, 1.0, 0.5, *[0.25] * 8, *[0.1] * 5, *[0.25] * 4, 1.0)


def cells(scene: Scene, grid: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """What each merged cell of a picture shows, for the side task: ``(N, 25)``: a class for each fact, -100 for
    unknown, and the four sides of the box in thousandths.

    The side task teaches the vision layers what is where, many times faster than the answers alone do; it is left
    behind with its own layer when the model is written out.
    """
    rows, columns = grid[1] // 2, grid[2] // 2
    facts = np.full((rows, columns, len(SIZES) + 4), -100, np.int64)
    facts[..., :3] = 0
    width, height = scene.image.size
    across, down = width / columns, height / rows
    names, kinds = list(COLOURS), list(KINDS)
    for shape in scene.shapes:
        x1, y1, x2, y2 = shape.box
        centre = min(rows - 1, int((y1 + y2) / 2 / down)), min(columns - 1, int((x1 + x2) / 2 / across))
        own = [
            (row, column)
            for row in range(rows)
            for column in range(columns)
            if (x1 < (column + 0.5) * across < x2 and y1 < (row + 0.5) * down < y2) or (row, column) == centre
        ]
        sides = (width, height, width, height)
        exact = [round(value * 1000 / side) for value, side in zip(shape.box, sides, strict=True)]
        box = [min(99, value // 10) for value in relative(shape.box, scene.image)]
        for row, column in own:
            facts[row, column, :2] = names.index(shape.colour) + 1, kinds.index(shape.kind) + 1
            facts[row, column, -4:] = exact
            facts[row, column, 3:11] = [digit for value in box for digit in divmod(value, 10)]
        facts[(*centre, 2)] = 1
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


FACTS = ("colour", "kind", "centre", *"xXyYxXyY", *"nnnnn", "1st", "2nd", "3rd", "4th", "here")


class SideTask(torch.nn.Module):
    """Reads :func:`cells` off the vision tower's output."""

    def __init__(self, visual: torch.nn.Module, hidden: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(hidden, sum(SIZES) + 4)
        self._seen: torch.Tensor | None = None
        visual.merger.register_forward_hook(self._keep)

    def _keep(self, module: torch.nn.Module, given: Any, out: torch.Tensor) -> None:
        del module, given
        self._seen = out

    def forward(self, wanted: torch.Tensor) -> torch.Tensor:
        """Loss of the batch that has just gone through the tower."""
        assert self._seen is not None
        *parts, sides = self.head(self._seen).split((*SIZES, 4), dim=-1)
        total = self._seen.new_zeros(())
        known = wanted[:, -1] != -100
        if bool(known.any()):
            exact = wanted[known, -4:] / 1000
            total = total + 10 * torch.nn.functional.smooth_l1_loss(sides[known], exact, beta=0.02)
        for part, one, weight in zip(parts, wanted.T[:-4], WEIGHTS, strict=True):
            if bool((one != -100).any()):
                total = total + weight * torch.nn.functional.cross_entropy(part, one)
        return total

    def report(self, batch: list[dict[str, torch.Tensor]]) -> str:
        """Share of right guesses in the batch that has just been learnt from."""
        assert self._seen is not None
        wanted = batch[0]["cells"]
        told = []
        *parts, sides = self.head(self._seen).split((*SIZES, 4), dim=-1)
        boxed = wanted[:, -1] != -100
        off = (sides[boxed] - wanted[boxed, -4:] / 1000).abs().mean()
        told.append(f"sides off by {off:.3f}")
        for part, one, name in zip(parts, wanted.T[:-4], FACTS, strict=True):
            known = one > 0 if name in ("colour", "kind") else one != -100
            known = (one >= 0) & (one < 10) if name == "here" else known
            told.append(f"{name} {(part.argmax(-1) == one)[known].float().mean():.2f}")
        return "  ".join(told)


def seeds_of(step: int, size: int) -> range:
    """Seeds of a step's conversations: every fifth batch has those about several pictures, which are longer."""
    first = 5 * size * (step // 5) + step % 5
    return range(first, first + 5 * size, 5)


def _make_conversations(step: int, size: int) -> list[dict[str, torch.Tensor]]:
    return _encoder().halves(seeds_of(step, size), **({"most_shapes": 3} if step < 800 else {}))


def _make_pictures(step: int, size: int) -> list[dict[str, torch.Tensor]]:
    """Pictures alone: a third of them numbers."""
    dice = random.Random(step)
    scenes = [make_scene(dice, 5, digits=dice.random() < 0.35) for _ in range(size)]
    made = [patches(scene.image) for scene in scenes]
    grids = [grid for _, grid in made]
    return [
        {
            "pixel_values": torch.from_numpy(np.concatenate([flat for flat, _ in made])),
            "image_grid_thw": torch.tensor(grids),
            "cells": torch.from_numpy(
                np.concatenate([cells(scene, grid) for scene, grid in zip(scenes, grids, strict=True)])
            ),
        }
    ]


@functools.cache
def _encoder() -> Encoder:
    return Encoder(make_tokenizer())


_Make = Callable[[int, int], list[dict[str, torch.Tensor]]]


def batches(make: _Make, step: int, size: int) -> Iterator[list[dict[str, torch.Tensor]]]:
    """Batches from a step on, made by a process of its own while others are learnt from."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as maker:
        coming = deque(maker.submit(make, step + ahead, size) for ahead in range(3))
        while True:
            step += 1
            coming.append(maker.submit(make, step + 2, size))
            yield coming.popleft().result()


def attend_by_size(
    self: Any,
    hidden_states: torch.Tensor,
    cu_seqlens: torch.Tensor,
    position_embeddings: Any = None,
    **_: Any,
) -> torch.Tensor:
    """The vision layers' attention for hundreds of small pictures: those with equally many patches at once.

    transformers calls once for each picture, which here takes longer than the arithmetic.
    """
    rows = hidden_states.shape[0]
    qkv = self.qkv(hidden_states).reshape(rows, 3, self.num_heads, -1).permute(1, 0, 2, 3)
    query, key = apply_rotary_pos_emb_vision(qkv[0], qkv[1], *position_embeddings)
    lengths = (cu_seqlens[1:] - cu_seqlens[:-1]).tolist()
    starts = cu_seqlens[:-1].tolist()
    order, parts = [], []
    for length in sorted(set(lengths)):
        first = torch.tensor([start for start, own in zip(starts, lengths, strict=True) if own == length])
        places = (first[:, None] + torch.arange(length)).flatten()
        q, k, v = (x[places].unflatten(0, (-1, length)).transpose(1, 2) for x in (query, key, qkv[2]))
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=self.scaling)
        parts.append(seen.transpose(1, 2).reshape(len(places), -1))
        order.append(places)
    back = torch.empty(rows, dtype=torch.long)
    back[torch.cat(order)] = torch.arange(rows)
    out: torch.Tensor = self.proj(torch.cat(parts)[back])
    return out


@torch.no_grad()
def answer(model: Any, encoder: Encoder, told: Conversation, tokenizer: Any) -> list[str]:
    """The model's own answers to a conversation, its own words kept as the history."""
    ids = encoder.system(told.system)
    pixels, grids, answers = [], [], []
    for turn in told.turns:
        made = [patches(scene.image) for scene in turn.scenes]
        pixels += [flat for flat, _ in made]
        grids += [grid for _, grid in made]
        ids += encoder.prompt(
            len(grids) - len(made), [grid[1] * grid[2] // 4 for _, grid in made], turn.question
        )
        given = torch.tensor([ids])
        out = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            mm_token_type_ids=(given == IMAGE_PAD).int(),
            pixel_values=torch.from_numpy(np.concatenate(pixels)),
            image_grid_thw=torch.tensor(grids),
            max_new_tokens=64,
            do_sample=False,
            eos_token_id=IM_END,
            pad_token_id=0,
        )[0, len(ids) :].tolist()
        ids += [*(out if out and out[-1] == IM_END else [*out, IM_END]), *encoder.text("\n")]
        answers.append(tokenizer.decode([i for i in out if i != IM_END]))
    return answers


@torch.no_grad()
def forced(model: Any, encoder: Encoder, tokenizer: Any, count: int) -> dict[str, tuple[int, int]]:
    """A quick look while training: each token of each answer, given the right ones before it."""
    model.eval()
    asked, correct = Counter[str](), Counter[str]()
    for first in range(FIRST_HELD_OUT, FIRST_HELD_OUT + count, 40):
        seeds = [seed for seed in range(first, first + 40) if conversation(seed).turns]
        data = encoder.batch(seeds)
        labels, _, _ = data.pop("labels"), data.pop("cells"), data.pop("weights")
        best = model(**data).logits.argmax(-1)
        for row, seed in enumerate(seeds):
            places = (labels[row, 1:] != -100).nonzero()[:, 0]
            ends = (labels[row, 1:][places] == IM_END).nonzero()[:, 0].tolist()
            start = 0
            for turn, end in zip(conversation(seed).turns, ends, strict=True):
                got = tokenizer.decode(best[row][places[start:end]].tolist())
                asked[turn.task] += 1
                correct[turn.task] += right(turn.task, turn.answer, got)
                start = end + 1
    model.train()
    return {task: (correct[task], asked[task]) for task in TASKS}


def score(model: Any, encoder: Encoder, tokenizer: Any, count: int) -> dict[str, tuple[int, int]]:
    """Right and all answers of each task, over held-out conversations."""
    model.eval()
    asked, correct = Counter[str](), Counter[str]()
    for seed in range(FIRST_HELD_OUT, FIRST_HELD_OUT + count):
        told = conversation(seed)
        if not told.turns:
            continue
        for turn, got in zip(told.turns, answer(model, encoder, told, tokenizer), strict=True):
            asked[turn.task] += 1
            correct[turn.task] += right(turn.task, turn.answer, got)
    model.train()
    return {task: (correct[task], asked[task]) for task in TASKS}


def main() -> None:
    """Train, and tell how it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(20)
    tokenizer = make_tokenizer()
    model: Any = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**make_config(len(tokenizer))))
    count = sum(p.numel() for p in model.parameters())
    print(f"{count / 1e6:.2f} M parameters, {len(tokenizer)} tokens", flush=True)
    side = SideTask(model.model.visual, model.config.text_config.hidden_size)
    for block in model.model.visual.blocks:
        block.attn.forward = attend_by_size.__get__(block.attn)
    learn_to_see(model, side, options.work / "seeing.pt")
    learn_to_talk(model, tokenizer, options.work / "talking.pt")
    export(model, tokenizer, options.work / "model")
    for task, (good, asked) in score(model, Encoder(tokenizer), tokenizer, 1000).items():
        print(f"{task}: {good} of {asked}")


def learn_to_see(model: Any, side: SideTask, checkpoint: Path, *, steps: int = 3_000) -> None:
    """First the vision tower alone, on the side task: pictures without words."""
    learner = torch.nn.ModuleDict({"visual": model.model.visual, "side": side})

    def learn(batch: list[dict[str, torch.Tensor]]) -> float:
        (half,) = batch
        model.model.visual(half["pixel_values"], grid_thw=half["image_grid_thw"])
        loss = side(half["cells"])
        loss.backward()
        return loss.item()

    train(learner, learn, _make_pictures, checkpoint, steps=steps, size=48, rate=2e-3, look=side.report)


def learn_to_talk(model: Any, tokenizer: Any, checkpoint: Path, *, steps: int = 5_000) -> None:
    """Then the text layers, on conversations, while the tower stays as it is but for its mergers."""
    encoder = Encoder(tokenizer)
    for name, weight in model.model.visual.named_parameters():
        weight.requires_grad = "merger" in name

    def learn(batch: list[dict[str, torch.Tensor]]) -> float:
        known = sum(float(half["weights"].sum()) for half in batch)
        total = 0.0
        for half in batch:
            labels, weights, _ = half.pop("labels"), half.pop("weights"), half.pop("cells")
            places = (labels[:, 1:] != -100).nonzero(as_tuple=True)
            logits = model.lm_head(model.model(**half).last_hidden_state[places])
            losses = torch.nn.functional.cross_entropy(logits, labels[:, 1:][places], reduction="none")
            loss = (losses * weights[:, 1:][places]).sum() / known
            loss.backward()
            total += loss.item()
        return total

    def look(_: object) -> str:
        scores = forced(model, encoder, tokenizer, 200)
        return "  ".join(f"{task} {right}/{asked}" for task, (right, asked) in scores.items())

    train(model, learn, _make_conversations, checkpoint, steps=steps, size=24, rate=1e-3, look=look)


def train(
    learner: torch.nn.Module,
    learn: Callable[[list[dict[str, torch.Tensor]]], float],
    make: _Make,
    checkpoint: Path,
    *,
    steps: int,
    size: int,
    rate: float,
    look: Callable[[list[dict[str, torch.Tensor]]], str],
) -> None:
    """AdamW, from the checkpoint on if there is one."""
    weights = [weight for weight in learner.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        learner.load_state_dict(saved["learner"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    if step >= steps:
        return
    learner.train()
    began, losses = time.monotonic(), deque[float](maxlen=50)
    for batch in batches(make, step, size):
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step, steps)
        losses.append(learn(batch))
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % 50 == 0:
            pace = (time.monotonic() - began) / 50
            print(f"step {step} loss {sum(losses) / len(losses):.4f} {pace:.2f} s/step", flush=True)
            began = time.monotonic()
        if step % 250 == 0 or step == steps:
            print(look(batch), flush=True)
            save(checkpoint, learner, optimizer, step)
            began = time.monotonic()
        if step == steps:
            return


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: a short rise, level, then down to nothing over the last third."""
    return min(1.0, (step + 1) / 200, (steps - step) / (steps / 3))


def save(path: Path, learner: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write a checkpoint; the old one stays until the new one is whole."""
    part = path.with_suffix(".part")
    torch.save(
        {"learner": learner.state_dict(), "optimizer": optimizer.state_dict(), "step": step},
        part,
    )
    part.replace(path)


def export(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model's folder, with the files and in the form of the official one; weights in 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.to(torch.float16).contiguous()
        for name, weight in model.state_dict().items()
        if name != "lm_head.weight"  # it is the embedding's
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    template = (Path(__file__).parent / "chat_template.jinja").read_text()
    written = {
        "config.json": make_config(len(tokenizer)) | {"dtype": "float16"},
        "generation_config.json": {"do_sample": False, "eos_token_id": [IM_END, 0], "pad_token_id": 0},
        "preprocessor_config.json": {
            "size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "Qwen3VLProcessor",
            "image_processor_type": "Qwen2VLImageProcessorFast",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 8192,
            "additional_special_tokens": list(SPECIAL[1:]),
            "chat_template": template,
        },
    }
    for name, content in written.items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
