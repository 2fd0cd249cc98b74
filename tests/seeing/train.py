"""Train the seeing test model from scratch: ``python -m tests.seeing.train --work FOLDER``.

Needs torch and transformers, and two processor cores for about two hours; may be stopped and started again at any
time: it goes on from the last checkpoint in its folder, and writes the model's own folder at the end.

First the vision tower learns what is where, then the text layers learn to answer, each with side tasks that show the
way (``side_tasks.py``). Two processes learn from half of
each batch and add up what they found. Matrices are learnt with Muon (Jordan et al., 2024), the rest with AdamW
(Loshchilov and Hutter, 2019).
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn import functional
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from tests.seeing.data import Encoder, pictures
from tests.seeing.model import export, make_config, make_tokenizer
from tests.seeing.quick import quicken
from tests.seeing.score import forced
from tests.seeing.side_tasks import Looking, PictureNumbers, WhatIsWhere

__all__ = ["main"]

PROCESSES = 2
_EASY_STEPS = 600
_KEPT_EVERY = 250

Batch = list[dict[str, torch.Tensor]]


def main() -> None:
    """Train, and tell how it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and the model's own")
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    (work / "meeting").unlink(missing_ok=True)  # of a run that was stopped
    torch.multiprocessing.spawn(_learn_all, (work,), nprocs=PROCESSES)


def _learn_all(share: int, work: Path) -> None:
    """One of the processes; each has the whole model."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{work.absolute() / 'meeting'}", rank=share, world_size=PROCESSES
    )
    torch.manual_seed(20)
    tokenizer = make_tokenizer()
    model: Any = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**make_config(len(tokenizer))))
    for layer in model.model.language_model.layers:
        layer.self_attn.q_norm.weight.data.fill_(1.6)  # heads this small would attend to everything a little
    quicken(model)
    learn_to_see(model, work / "seeing.pt")
    learn_to_talk(model, Encoder(tokenizer), work / "talking.pt")
    if share == 0:
        export(model, tokenizer, work / "model")
    distributed.destroy_process_group()


def learn_to_see(model: Any, checkpoint: Path, *, steps: int = 6_000, size: int = 24) -> None:
    """First the vision tower alone, on the side task: pictures without words.

    Args:
        model: The whole model, changed in place.
        checkpoint: File to go on from and to keep.
        steps: In all.
        size: Pictures of each process in each step.
    """
    visual = model.model.visual
    side = WhatIsWhere(visual, model.config.text_config.hidden_size)

    def make(number: int) -> Batch:
        return [pictures(number, size)]

    def learn(batch: Batch) -> float:
        visual(batch[0]["pixel_values"], grid_thw=batch[0]["image_grid_thw"])
        loss = side(batch[0]["cells"])
        loss.backward()
        return loss.item()

    def look(batch: Batch) -> str:
        return side.report(batch[0]["cells"])

    Learner(torch.nn.ModuleDict({"visual": visual, "side": side}), rate=6e-3).train(
        make, learn, look, checkpoint, steps=steps
    )


def learn_to_talk(
    model: Any, encoder: Encoder, checkpoint: Path, *, steps: int = 6_000, size: int = 16
) -> None:
    """Then the text layers, on conversations, while the tower stays as it is but for its mergers.

    Args:
        model: The whole model, changed in place.
        encoder: With the model's tokenizer.
        checkpoint: File to go on from and to keep.
        steps: In all.
        size: Conversations of each process in each step.
    """
    for name, weight in model.model.visual.named_parameters():
        weight.requires_grad = "merger" in name
    numbers, looking = PictureNumbers(model), Looking(model)

    def make(number: int) -> Batch:
        step = number // PROCESSES
        world = {"most_pictures": 16 if step % 2 else 3}  # few are quicker, and teach the same
        if step < _EASY_STEPS:
            world |= {"most_shapes": 2, "most_pictures": 4}
        return encoder.halves(range(number * size, (number + 1) * size), turns=6, **world)

    def learn(batch: Batch) -> float:
        known = sum(float(half["weights"].sum()) for half in batch)
        total = 0.0
        for half in batch:
            labels, weights = half["labels"][:, 1:], half["weights"][:, 1:]
            places = (labels != -100).nonzero(as_tuple=True)
            given = {
                name: half[name]
                for name in ("input_ids", "mm_token_type_ids", "pixel_values", "image_grid_thw")
            }
            with torch.autocast("cpu", dtype=torch.bfloat16):
                seen = model.model(**given, use_cache=False).last_hidden_state
                logits = model.lm_head(seen[places])
            losses = functional.cross_entropy(logits.float(), labels[places], reduction="none")
            loss = (losses * weights[places]).sum() / known
            beside = 0.1 * numbers(half["input_ids"])
            beside += 0.2 * looking(half["looks"], half["shown"], half["counts"])
            (loss + beside).backward()
            total += loss.item()
        return total

    def look(_: Batch) -> str:
        scores = forced(model, encoder, 200)
        return "  ".join(f"{task} {right}/{asked}" for task, (right, asked) in scores.items())

    learner = torch.nn.ModuleDict({"model": model, "numbers": numbers.head})
    Learner(learner, rate=4e-3).train(make, learn, look, checkpoint, steps=steps)


class Learner:
    """Learns the weights that are to be learnt; each process a share of the gradients, and of Muon's work."""

    def __init__(self, module: torch.nn.Module, *, rate: float) -> None:
        self._module = module
        self._rate = rate
        self._share = distributed.get_rank()
        weights = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
        self._weights = list(weights.values())
        matrices = [
            w
            for name, w in weights.items()
            if w.ndim == 2
            and not name.endswith(
                ("embed_tokens.weight", "pos_embed.weight", "head.weight", "numbers.weight")
            )
        ]
        self._matrices = sorted(matrices, key=torch.numel, reverse=True)
        mine = self._matrices[self._share :: PROCESSES]
        ids = {id(matrix) for matrix in matrices}
        others = [weight for weight in self._weights if id(weight) not in ids]
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.01),
            torch.optim.Muon(mine, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        ]

    def train(
        self,
        make: Callable[[int], Batch],
        learn: Callable[[Batch], float],
        look: Callable[[Batch], str],
        checkpoint: Path,
        *,
        steps: int,
    ) -> None:
        """Learn, from the checkpoint on if there is one.

        Args:
            make: Number of a batch → batch.
            learn: Batch → loss; leaves the gradients.
            look: Last batch → how it goes, in words.
            checkpoint: File.
            steps: In all.
        """
        step = self._load(checkpoint)
        self._module.train()
        losses = deque[float](maxlen=50)
        began = time.monotonic()
        while step < steps:
            for optimizer, part in zip(self._optimizers, (0.7, 1.0), strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = self._rate * part * schedule(step, steps)
            batch = make(step * PROCESSES + self._share)
            losses.append(learn(batch))
            self._gather()
            for optimizer in self._optimizers:
                optimizer.step()
            self._spread()
            step += 1
            if step % 50 == 0 and self._share == 0:
                pace = (time.monotonic() - began) / 50
                print(f"step {step} loss {sum(losses) / len(losses):.4f} {pace:.2f} s/step", flush=True)
                began = time.monotonic()
            if step % _KEPT_EVERY == 0 or step == steps:
                self._save(checkpoint, step)
                if self._share == 0:
                    print(look(batch), flush=True)
                distributed.barrier()
                began = time.monotonic()

    def _gather(self) -> None:
        """The gradients of all processes in each, their norm at most one."""
        flat = torch.cat(
            [w.new_zeros(w.numel()) if w.grad is None else w.grad.flatten() for w in self._weights]
        )
        distributed.all_reduce(flat)
        flat *= min(1 / PROCESSES, 1 / (float(flat.norm()) + 1e-6))
        for weight, gradient in zip(
            self._weights, flat.split([w.numel() for w in self._weights]), strict=True
        ):
            weight.grad = gradient.view_as(weight)

    @torch.no_grad()
    def _spread(self) -> None:
        """The matrices that each process has changed to all others."""
        for weight in self._weights:
            weight.grad = None
        flat = torch.cat(
            [
                matrix.flatten() if number % PROCESSES == self._share else torch.zeros(matrix.numel())
                for number, matrix in enumerate(self._matrices)
            ]
        )
        distributed.all_reduce(flat)
        for matrix, new in zip(self._matrices, flat.split([m.numel() for m in self._matrices]), strict=True):
            matrix.copy_(new.view_as(matrix))

    def _load(self, path: Path) -> int:
        """Steps that are done."""
        if not path.exists():
            return 0
        kept = torch.load(path, weights_only=True)
        self._module.load_state_dict(kept["weights"])
        for optimizer, state in zip(self._optimizers, kept["optimizers"][self._share], strict=True):
            optimizer.load_state_dict(state)
        return int(kept["step"])

    def _save(self, path: Path, step: int) -> None:
        """Write a checkpoint; the old one stays until the new one is whole."""
        states: list[Any] = [None] * PROCESSES
        distributed.all_gather_object(states, [optimizer.state_dict() for optimizer in self._optimizers])
        if self._share == 0:
            part = path.with_suffix(".part")
            torch.save({"weights": self._module.state_dict(), "optimizers": states, "step": step}, part)
            part.replace(path)


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: a short rise, level, then down to nothing over the second half."""
    return min(1.0, (step + 1) / 200, (steps - step) / (steps / 2))


if __name__ == "__main__":
    main()
