"""Engine transformers on a card against plain `generate` of transformers: same weights, same picture, same process.

`python bench/gpu.py FOLDER [--bits 16|4] [--rounds 6] [--many 1 8 32]` prints one table. The model is made by
bench/random_model.py: the true shape, random weights; speed and memory do not depend on the values. The engine is
asked without HTTP and without its worker process. Both take turns; the first round warms up, of the others the table
tells the medians. Pictures are noise of 1,048,576 pixels (1,053 tokens of prompt), answers have 128 tokens, greedily.

- Tokens a second: tokens after the first, between the first word of anybody and the last of all. The engine's people
  ask different things about a picture that is known; `generate` has one batch of equal questions, for each of which
  it reads the picture, and its rate is that of 127 tokens in the time that 128 take longer than one.
- `generate` is asked twice: as it is, which takes cuDNN's attention where a card has it, and that makes a plan for
  each new length; and without it, in which several at once are asked, too.
- GPU memory: what the driver says the process holds; of the engine alone, before the peer is loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

# As the engine's worker has it, before torch looks at the card.
os.environ |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
import torch
import transformers
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from vlpro.engines.hardware import probe
from vlpro.engines.interface import Loading, Message, Request, Sampling
from vlpro.engines.model_files import make_manifest
from vlpro.engines.qwen.pixels import patches
from vlpro.engines.qwen.prompt import Encoder
from vlpro.engines.transformers.engine import TransformersEngine
from vlpro.imaging.picture import Picture

SIDE, TOKENS = 1024, 128
QUESTION, AGAIN = "What is written at the top?", "And on the left?"
Figures = dict[str, list[float]]


def noise(seed: int) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return Picture(pixels, str(seed), str(seed), "png", pixels.nbytes, SIDE, SIDE)


def held() -> float:
    """GB of the card that are not free."""
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 1e9


class Ours:
    """The engine, asked as its worker asks it."""

    def __init__(self, folder: Path, bits: int) -> None:
        self.figures: Figures = defaultdict(list)
        self.engine = TransformersEngine(
            folder, make_manifest(folder, "random"), load_in_4bit=bits == 4, device="cuda"
        )

    async def start(self) -> None:
        began, told = time.perf_counter(), {}
        before = held()

        def tell(stage: Loading) -> None:
            told.setdefault(stage.stage, time.perf_counter())

        await self.engine.start(tell)
        self.figures["checking all files, s"] = [told["loading"] - began]
        self.figures["loading, s"] = [time.perf_counter() - told["loading"]]
        self.figures["memory, loaded, GB"] = [held() - before]
        began = time.perf_counter()
        first, *_ = await self.ask(noise(1), QUESTION, name="1")
        self.figures["first question of all, first word, s"] = [first - began]
        self.figures["memory, one conversation, GB"] = [held() - before]
        await self.engine.forget(frozenset({"1"}), frozenset({"1"}))
        self.figures["memory, cleared, GB"] = [held() - before]

    async def ask(
        self, *parts: str | Picture, name: str, before: tuple[Message, ...] = (), tokens: int = TOKENS
    ) -> tuple[float, float, str]:
        """When the first word came and the last, and the answer."""
        asked = (*before, Message("user", parts))
        request = Request(asked, Sampling(max_tokens=tokens, temperature=0), owner="a", conversation=name)
        first, text, usage = 0.0, "", None
        async for delta in self.engine.generate(request, timeout_s=600):
            first = first or (time.perf_counter() if delta.text else 0.0)
            text += delta.text
            usage = delta.usage or usage
        assert usage is not None
        assert usage.completion_tokens == tokens, usage
        return first, time.perf_counter(), text

    async def round(self, number: int, many: list[int]) -> None:
        shown, name = noise(100 + number), f"{number}"
        began = time.perf_counter()
        first, _, text = await self.ask(shown, QUESTION, name=name)
        self.figures["new picture, first word, s"].append(first - began)
        before = (Message("user", (shown, QUESTION)), Message("assistant", (text,)))
        began = time.perf_counter()
        first, *_ = await self.ask(AGAIN, name=name, before=before)
        self.figures["follow-up, first word, s"].append(first - began)
        began = time.perf_counter()
        first, *_ = await self.ask(shown, AGAIN, name=f"{name} new")
        self.figures["another conversation, first word, s"].append(first - began)
        for people in many:
            began = time.perf_counter()
            every = [
                self.ask(shown, f"{one} {people}. {AGAIN}", name=f"{name} {one}") for one in range(people)
            ]
            got = await asyncio.gather(*every)
            first, last = min(one[0] for one in got), max(one[1] for one in got)
            self.figures[f"{people} at once, tokens/s"].append(people * (TOKENS - 1) / (last - first))
            self.figures[f"{people} at once, first word of the median, s"].append(
                statistics.median(one[0] for one in got) - began
            )
        request = Request(
            (Message("user", (noise(5000 + number), QUESTION)),), Sampling(max_tokens=TOKENS), owner="a"
        )
        answer = self.engine.generate(request, timeout_s=600)
        waiting = asyncio.ensure_future(anext(answer))
        await asyncio.sleep(0.02)  # it reads the picture
        waiting.cancel()
        began = time.perf_counter()
        await asyncio.gather(waiting, return_exceptions=True)
        await answer.aclose()
        first, *_ = await self.ask(f"{number}. {AGAIN}", name="after", tokens=1)
        self.figures["cancelled while reading: next one's first word, s"].append(first - began)


class Theirs:
    """`generate` alone."""

    def __init__(self, folder: Path, bits: int) -> None:
        self.figures: Figures = defaultdict(list)
        self.without_cudnn: Figures = defaultdict(list)
        options: dict[str, Any] = {}
        if bits == 4:
            options["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            )
        began, before = time.perf_counter(), held()
        self.model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.bfloat16, attn_implementation="sdpa", device_map={"": 0}, **options
        ).eval()
        self.figures["loading, s"] = [time.perf_counter() - began]
        self.figures["memory, loaded, GB"] = [held() - before]
        self.encoder = Encoder(
            (folder / "tokenizer.json").read_text(), max_pixels=SIDE * SIDE, min_pixels=65_536
        )

    def ask(self, turns: tuple[Message, ...], tokens: int, people: int = 1) -> tuple[float, str]:
        """Seconds for so many tokens, and the first of the answers."""
        began = time.perf_counter()
        prompt = self.encoder.prompt(turns)
        ids = torch.tensor([prompt.ids] * people)
        pixels = np.concatenate([patches(s.picture.pixels, s.rows, s.columns) for s in prompt.shown])
        grid = [[1, 2 * s.rows, 2 * s.columns] for s in prompt.shown]
        with torch.inference_mode():
            made = self.model.generate(
                input_ids=ids.cuda(),
                attention_mask=torch.ones_like(ids).cuda(),
                mm_token_type_ids=(ids == self.encoder.image_pad).int().cuda(),
                pixel_values=torch.from_numpy(pixels).to("cuda", torch.bfloat16).repeat(people, 1),
                image_grid_thw=torch.tensor(grid * people).cuda(),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
            )
        written = made[0, ids.shape[1] :].tolist()
        return time.perf_counter() - began, self.encoder.tokenizer.decode(written, skip_special_tokens=True)

    def round(self, number: int, many: list[int]) -> None:
        for cudnn, figures, at_once in ((True, self.figures, many[:1]), (False, self.without_cudnn, many)):
            torch.backends.cuda.enable_cudnn_sdp(cudnn)
            shown = noise(100 + number)
            asked = (Message("user", (shown, QUESTION)),)
            _, text = self.ask(asked, 8)
            figures["new picture, first word, s"].append(self.ask(asked, 1)[0])
            later = (*asked, Message("assistant", (text,)), Message("user", (AGAIN,)))
            figures["follow-up, first word, s"].append(self.ask(later, 1)[0])
            again = (Message("user", (shown, AGAIN)),)
            figures["another conversation, first word, s"].append(self.ask(again, 1)[0])
            for people in at_once:
                one, all_ = self.ask(asked, 1, people)[0], self.ask(asked, TOKENS, people)[0]
                figures[f"{people} at once, tokens/s"].append(people * (TOKENS - 1) / (all_ - one))
                figures[f"{people} at once, first word of the median, s"].append(one)


def told(values: list[float] | None, rounds: int) -> str:
    """The median without the first round; what is measured once, as it is."""
    if not values:
        return "–"
    kept = values[1:] if len(values) == rounds > 1 else values
    return f"{statistics.median(kept):.3g}" + (f" ({min(kept):.3g}–{max(kept):.3g})" if len(kept) > 1 else "")


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bits", type=int, choices=(4, 16), default=16)
    parser.add_argument("--rounds", type=int, default=6, help="the first one warms up")
    parser.add_argument("--many", type=int, nargs="*", default=[1, 8, 32], help="people at once")
    options = parser.parse_args()
    card = probe().cards[0]
    ours = Ours(options.folder, options.bits)
    plan = ours.engine.plan
    print(
        f"{card.name}, torch {torch.__version__}, transformers {transformers.__version__}, {plan.dtype}, "
        f"{plan.quantisation or 'whole'}, {plan.attention}, {plan.concurrency} at once, medians of "
        f"{max(1, options.rounds - 1)} (least–most)\n",
        flush=True,
    )
    await ours.start()
    theirs = Theirs(options.folder, options.bits)
    for number in range(options.rounds):
        await ours.round(number, options.many)
        theirs.round(number, options.many)
        print(f"round {number}", file=sys.stderr, flush=True)
    print("| | engine `transformers` | `generate` | `generate`, no cuDNN |\n|---|---|---|---|")
    for name, values in ours.figures.items():
        columns = (values, theirs.figures.get(name), theirs.without_cudnn.get(name))
        print(f"| {name} | " + " | ".join(told(one, options.rounds) for one in columns) + " |")
    await ours.engine.stop()


if __name__ == "__main__":
    asyncio.run(main())
