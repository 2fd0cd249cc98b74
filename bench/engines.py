"""Our engines of Qwen3-VL against the libraries that they stand on: first tokens, follow-ups, decoding, memory.

`python bench/engines.py --model FOLDER [--packed FOLDER] [--genai FOLDER --genai-python FILE] [--rounds N]
[--only ROW ...]` prints one table. FOLDER is made by bench/random_model.py: the true shape, random weights; speed and
memory do not depend on the values. Each row is a process of its own, one after the other, so that its memory is its
own. What is compared, with a picture of 768 x 768:

- bare: `generate` of transformers, greedy, on the same ids and patches. It knows nothing of an earlier turn.
- vlpro: the engine as the worker runs it; the second turn asks about the same picture.
- bare 4 bits, vlpro 4 bits: the same, weights as NF4 of bitsandbytes.
- vlpro 16: sixteen pictures and 2,000 characters in one question.
- vlpro 4 people: four answers at once about pictures that are known; tokens a second of all together.

And with one of 1024 x 1024, weights of 4 bits:

- genai: OpenVINO GenAI (bench/genai.py), in its own environment on its own form of the same weights.
- openvino: our engine on ``--packed`` (`vlpro model convert`); a second turn, and another conversation about the same
  picture.
- openvino exact, openvino fast: the same, with the other settings of VLPRO_ACTIVATIONS.
- openvino 16: sixteen pictures and 2,000 characters in one question.
- openvino 8 people: eight questions at once about one picture that is known.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from vlpro.engines.interface import Message, Request, Sampling
from vlpro.imaging.picture import Picture

ROWS = (
    *("bare", "vlpro", "bare 4 bits", "vlpro 4 bits", "vlpro 16", "vlpro 4 people"),
    *("genai", "openvino", "openvino exact", "openvino fast", "openvino 16", "openvino 8 people"),
)
SIDE = 768  # the largest that transformers takes on processors of itself
PACKED_SIDE = 1024
ANSWER = 32
QUESTION = "What is written in the upper right corner, and what does it mean for us?"
AGAIN = "And in the lower left corner?"
GB = 1e9

Figures = dict[str, float]
Turns = tuple[Message, ...]
Measured = tuple[float, float, str]
"""Seconds to the first token, tokens a second after it, and the answer."""


def picture(seed: int, side: int = SIDE) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return Picture(pixels, str(seed), f"{seed} {side}", "png", pixels.nbytes, side, side)


def memory() -> Figures:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"now GB": psutil.Process().memory_info().rss / GB, "peak GB": peak / GB}


def summary(first: list[Measured], again: list[Measured]) -> Figures:
    """Medians, without the first round, which warms up, where there are several."""
    kept = slice(1, None) if len(first) > 1 else slice(None)
    return {
        "cold TTFT s": statistics.median(m[0] for m in first[kept]),
        "follow-up TTFT s": statistics.median(m[0] for m in again[kept]),
        "tokens/s": statistics.median(m[1] for m in first[kept]),
    }


def packed(folder: Path, activations: str = "usual") -> Any:
    from vlpro.engines.model_files import make_manifest
    from vlpro.engines.openvino.engine import OpenVinoEngine

    made = OpenVinoEngine(folder, make_manifest(folder, "random"), activations=activations)
    made._ends = frozenset()
    return made


def engine(folder: Path, dtype: str, *, four_bits: bool) -> Any:
    from vlpro.engines.model_files import make_manifest
    from vlpro.engines.transformers.engine import TransformersEngine

    manifest = make_manifest(folder, "random")
    made = TransformersEngine(folder, manifest, load_in_4bit=four_bits or None, device="cpu")
    made.plan = replace(made.plan, dtype=dtype)
    made._ends = frozenset()  # random weights would end anywhere
    return made


async def timed(made: Any, turns: Turns, owner: str = "") -> Measured:
    request = Request(turns, Sampling(max_tokens=ANSWER, temperature=0), owner=owner)
    began, first, text, count = time.perf_counter(), 0.0, "", 0
    async for delta in made.generate(request, timeout_s=3600):
        first = first or time.perf_counter() - began
        text += delta.text
        count = delta.usage.completion_tokens if delta.usage else 0
    return first, (count - 1) / (time.perf_counter() - began - first), text


async def ours(made: Any, rounds: int, side: int = SIDE) -> Figures:
    began = time.perf_counter()
    await made.start()
    out: Figures = {"check and load s": time.perf_counter() - began, "loaded GB": memory()["now GB"]}
    first, again, anew = [], [], []
    for number in range(rounds):
        asked = Message("user", (picture(number, side), QUESTION))
        first.append(await timed(made, (asked,)))
        turns = (asked, Message("assistant", (first[-1][2],)), Message("user", (AGAIN,)))
        again.append(await timed(made, turns))
        anew.append(await timed(made, (Message("user", (picture(number, side), AGAIN)),)))
    out |= {"new chat TTFT s": statistics.median(m[0] for m in anew)}
    out |= {**summary(first, again), "prompt tokens": made.count_prompt(Request((asked,)))}
    await made.stop()
    return out | memory()


async def sixteen(made: Any) -> Figures:
    await made.start()
    asked = Message("user", (*(picture(n, 512) for n in range(16)), "字" * 2000))
    first, rate, _ = await timed(made, (asked,))
    out: Figures = {
        "prompt tokens": made.count_prompt(Request((asked,))),
        "cold TTFT s": first,
        "tokens/s": rate,
    }
    await made.stop()
    return out | memory()


async def eight(made: Any) -> Figures:
    await made.start()
    known = picture(0, PACKED_SIDE)
    await timed(made, (Message("user", (known, QUESTION)),))
    asked = [Message("user", (known, f"{number}. {AGAIN}")) for number in range(8)]
    began = time.perf_counter()
    got = await asyncio.gather(*(timed(made, (one,)) for one in asked))
    seconds = time.perf_counter() - began
    await made.stop()
    first = statistics.median(measured[0] for measured in got)
    decoding = seconds - max(measured[0] for measured in got)
    return {"new chat TTFT s": first, "tokens/s": 8 * (ANSWER - 1) / decoding} | memory()


def genai(folder: Path, python: Path, rounds: int) -> Figures:
    command = [
        python,
        Path(__file__).with_name("genai.py"),
        folder,
        rounds,
        PACKED_SIDE,
        ANSWER,
        QUESTION,
        AGAIN,
    ]
    told = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(told.stdout.splitlines()[-1])
    return figures


async def people(made: Any) -> Figures:
    await made.start()
    asked = [Message("user", (picture(n, 512), QUESTION)) for n in range(4)]
    texts = [(await timed(made, (one,), owner=str(n)))[2] for n, one in enumerate(asked)]
    turns = [
        (one, Message("assistant", (text,)), Message("user", (AGAIN,)))
        for one, text in zip(asked, texts, strict=True)
    ]
    began = time.perf_counter()
    got = await asyncio.gather(*(timed(made, one, owner=str(n)) for n, one in enumerate(turns)))
    seconds = time.perf_counter() - began
    await made.stop()
    first = statistics.median(measured[0] for measured in got)
    return {"tokens/s": 4 * ANSWER / seconds, "follow-up TTFT s": first} | memory()


def bare(folder: Path, dtype: str, rounds: int, *, four_bits: bool) -> Figures:
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig
    from transformers.generation.streamers import BaseStreamer

    from vlpro.engines.qwen.pixels import patches
    from vlpro.engines.qwen.prompt import Encoder

    class Times(BaseStreamer):
        """When the prompt was taken, and when each token came."""

        def __init__(self) -> None:
            self.times: list[float] = []

        def put(self, value: Any) -> None:
            del value
            self.times.append(time.perf_counter())

        def end(self) -> None:
            pass

    options: dict[str, Any] = {}
    if four_bits:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    began = time.perf_counter()
    model: Any = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation="sdpa", **options
    ).eval()
    out: Figures = {"check and load s": time.perf_counter() - began, "loaded GB": memory()["now GB"]}
    encoder = Encoder((folder / "tokenizer.json").read_text(), max_pixels=SIDE * SIDE, min_pixels=65_536)

    def answer(turns: Turns) -> Measured:
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
                max_new_tokens=ANSWER,
                min_new_tokens=ANSWER,
                do_sample=False,
                streamer=times,
            )
        first, *rest = times.times[1:]
        text = encoder.tokenizer.decode(made[0, ids.shape[1] :].tolist(), skip_special_tokens=True)
        return first - began, len(rest) / (rest[-1] - first), text

    first, again = [], []
    for number in range(rounds):
        asked = Message("user", (picture(number), QUESTION))
        first.append(answer((asked,)))
        again.append(answer((asked, Message("assistant", (first[-1][2],)), Message("user", (AGAIN,)))))
    return out | summary(first, again) | memory()


def one(row: str, options: argparse.Namespace) -> Figures:
    folder, dtype, rounds = options.model, options.dtype, options.rounds
    table: dict[str, Callable[[], Figures]] = {
        "bare": lambda: bare(folder, dtype, rounds, four_bits=False),
        "vlpro": lambda: asyncio.run(ours(engine(folder, dtype, four_bits=False), rounds)),
        "bare 4 bits": lambda: bare(folder, dtype, rounds, four_bits=True),
        "vlpro 4 bits": lambda: asyncio.run(ours(engine(folder, dtype, four_bits=True), rounds)),
        "vlpro 16": lambda: asyncio.run(sixteen(engine(folder, dtype, four_bits=False))),
        "vlpro 4 people": lambda: asyncio.run(people(engine(folder, dtype, four_bits=False))),
        "genai": lambda: genai(options.genai, options.genai_python, rounds),
        "openvino": lambda: asyncio.run(ours(packed(options.packed), rounds, PACKED_SIDE)),
        "openvino exact": lambda: asyncio.run(ours(packed(options.packed, "exact"), rounds, PACKED_SIDE)),
        "openvino fast": lambda: asyncio.run(ours(packed(options.packed, "fast"), rounds, PACKED_SIDE)),
        "openvino 16": lambda: asyncio.run(sixteen(packed(options.packed))),
        "openvino 8 people": lambda: asyncio.run(eight(packed(options.packed))),
    }
    return table[row]()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="for rows of transformers")
    parser.add_argument("--packed", type=Path, help="for rows of openvino: made by vlpro model convert")
    parser.add_argument("--genai", type=Path, help="for the row genai: made by optimum-cli")
    parser.add_argument("--genai-python", type=Path, help="the python of its environment")
    parser.add_argument("--rounds", type=int, default=4, help="the first one warms up")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--only", nargs="*", choices=ROWS)
    parser.add_argument("--one", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options)))
        return
    given = {"g": options.genai, "o": options.packed}  # the others' first letters: those of transformers
    rows = options.only or [row for row in ROWS if given.get(row[0], options.model)]
    figures: dict[str, Figures] = {}
    for row in rows:
        command = [sys.executable, *sys.argv, "--one", row]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures[row] = json.loads(told.stdout.splitlines()[-1])
        print(f"{row}: {figures[row]}", file=sys.stderr, flush=True)
    columns = list(dict.fromkeys(name for row in figures.values() for name in row))
    print(
        f"{os.cpu_count()} processors ({platform.machine()}), torch {version('torch')}, transformers "
        f"{version('transformers')}, {options.dtype}, openvino {version('openvino')}, {ANSWER} tokens, "
        f"medians of {max(1, options.rounds - 1)}\n"
    )
    print("| | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for row, told_row in figures.items():
        print(
            f"| {row} | " + " | ".join(f"{told_row[c]:.2f}" if c in told_row else "–" for c in columns) + " |"
        )
    if {"bare", "vlpro"} <= figures.keys():
        share = figures["vlpro"]["follow-up TTFT s"] / figures["bare"]["follow-up TTFT s"]
        print(f"\nA follow-up's first token takes {share:.1%} of transformers' own.")


if __name__ == "__main__":
    main()
