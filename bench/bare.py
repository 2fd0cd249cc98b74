"""`generate` of transformers alone, a peer of bench/engines.py: greedy, on the same ids and patches as ours.

It knows nothing of an earlier turn. Eight at once are not asked: it would answer one batch, and nobody could join it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig
from transformers.generation.streamers import BaseStreamer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from vlpro.engines.interface import Message
from vlpro.engines.qwen.pixels import patches
from vlpro.engines.qwen.prompt import Encoder
from vlpro.imaging.picture import Picture


class Times(BaseStreamer):
    """When the prompt was taken, and when each token came."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        del value
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def main() -> None:
    name, dtype, *numbers, question, again, _ = sys.argv[1:]
    folder, (side, tokens) = Path(name), map(int, numbers)
    options: dict[str, Any] = {}
    if dtype == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    model: Any = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation="sdpa", **options
    ).eval()
    encoder = Encoder((folder / "tokenizer.json").read_text(), max_pixels=side * side, min_pixels=65_536)

    def answer(turns: tuple[Message, ...]) -> tuple[float, float, int, str]:
        began = time.perf_counter()
        prompt = encoder.prompt(turns)
        ids = torch.tensor([prompt.ids])
        pixels = np.concatenate([patches(s.picture.pixels, s.rows, s.columns) for s in prompt.shown])
        times = Times()
        with torch.inference_mode():
            made = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=(ids == encoder.image_pad).int(),
                pixel_values=torch.from_numpy(pixels).to(model.dtype),
                image_grid_thw=torch.tensor([[1, 2 * s.rows, 2 * s.columns] for s in prompt.shown]),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                streamer=times,
            )
        first, *rest = times.times[1:]
        text = encoder.tokenizer.decode(made[0, ids.shape[1] :].tolist(), skip_special_tokens=True)
        return first - began, len(rest) / (rest[-1] - first), ids.shape[1], text

    def ask(number: int) -> dict[str, float]:
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        shown = Picture(pixels, str(number), str(number), "png", pixels.nbytes, side, side)
        asked = Message("user", (shown, question))
        first, rate, length, text = answer((asked,))
        later = (asked, Message("assistant", (text,)), Message("user", (again,)))
        return {"cold": first, "rate": rate, "tokens": length, "again": answer(later)[0]}

    print("> ready", flush=True)
    for line in sys.stdin:
        what, *rest = line.split()
        print(">", json.dumps(ask(int(rest[0])) if what == "round" else {}), flush=True)


if __name__ == "__main__":
    main()
