"""How well the seeing model answers conversations that it has not learnt from: ``python -m tests.seeing.score``."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from tests.seeing import MODEL
from tests.seeing.data import Encoder, patches
from tests.seeing.model import IM_END, IMAGE_PAD
from tests.seeing.world import TASKS, Conversation, conversation, right

__all__ = ["forced", "score"]

FIRST_HELD_OUT = 2**40
Scores = dict[str, tuple[int, int]]


def main() -> None:
    """Print the share of right answers of each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of the model")
    parser.add_argument("--conversations", type=int, default=2_000)
    options = parser.parse_args()
    model = AutoModelForImageTextToText.from_pretrained(options.model, dtype=torch.float32)
    encoder = Encoder(AutoTokenizer.from_pretrained(options.model))
    scores = score(model.eval(), encoder, options.conversations)
    for task, (correct, asked) in scores.items():
        print(f"{task:8} {correct:5} of {asked:5}  {correct / max(1, asked):.3f}")


def score(model: Any, encoder: Encoder, count: int) -> Scores:
    """Right and all answers of each task, over held-out conversations.

    Args:
        model: In evaluation mode.
        encoder: With its tokenizer.
        count: How many conversations.
    """
    asked, correct = Counter[str](), Counter[str]()
    for seed in range(FIRST_HELD_OUT, FIRST_HELD_OUT + count):
        told = conversation(seed)
        for turn, got in zip(told.turns, answers(model, encoder, told), strict=True):
            asked[turn.task] += 1
            correct[turn.task] += right(turn.task, turn.answer, got)
    return {task: (correct[task], asked[task]) for task in TASKS}


@torch.no_grad()
def answers(model: Any, encoder: Encoder, told: Conversation) -> list[str]:
    """The model's own answers to a conversation, its own words kept as the history."""
    ids = encoder.system(told.system)
    pixels: list[Any] = []
    grids: list[tuple[int, int, int]] = []
    given: list[str] = []
    for turn in told.turns:
        made = [patches(scene.image) for scene in turn.scenes]
        ids += encoder.prompt(len(grids), [grid[1] * grid[2] // 4 for _, grid in made], turn.question)
        pixels += [flat for flat, _ in made]
        grids += [grid for _, grid in made]
        asked = torch.tensor([ids])
        out = model.generate(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            mm_token_type_ids=(asked == IMAGE_PAD).int(),
            pixel_values=torch.from_numpy(np.concatenate(pixels)),
            image_grid_thw=torch.tensor(grids),
            max_new_tokens=64,
            do_sample=False,
            eos_token_id=IM_END,
            pad_token_id=0,
        )[0, len(ids) :].tolist()
        own = [token for token in out if token != IM_END]
        ids += [*own, IM_END, *encoder.text("\n")]
        given.append(encoder.words(own))
    return given


@torch.no_grad()
def forced(model: Any, encoder: Encoder, count: int) -> Scores:
    """A quick look while training: each token of each answer, given the right ones before it."""
    model.eval()
    asked, correct = Counter[str](), Counter[str]()
    for first in range(FIRST_HELD_OUT, FIRST_HELD_OUT + count, 20):
        seeds = [seed for seed in range(first, first + 20) if conversation(seed).turns]
        batch = encoder.batch(seeds)
        given = {
            name: batch[name] for name in ("input_ids", "mm_token_type_ids", "pixel_values", "image_grid_thw")
        }
        best = model(**given, use_cache=False).logits.argmax(-1)
        for row, seed in enumerate(seeds):
            labels = batch["labels"][row, 1:]
            places = (labels != -100).nonzero()[:, 0]
            ends = (labels[places] == IM_END).nonzero()[:, 0].tolist()
            start = 0
            for turn, end in zip(conversation(seed).turns, ends, strict=True):
                got = encoder.words(best[row][places[start:end]].tolist())
                asked[turn.task] += 1
                correct[turn.task] += right(turn.task, turn.answer, got)
                start = end + 1
    model.train()
    return {task: (correct[task], asked[task]) for task in TASKS}


if __name__ == "__main__":
    main()
