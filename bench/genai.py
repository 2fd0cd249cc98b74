"""OpenVINO GenAI alone, a peer of bench/engines.py, in an environment of its own.

`pip install openvino-genai "optimum-intel==2.2.*" "transformers<5" nncf`; the folder is made by
`optimum-cli export openvino --model FOLDER --task image-text-to-text --weight-format int4 --group-size 128 --sym
OUT`. Its prefix cache is on: without it, a follow-up takes longer than a new question.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai

PEOPLE = 8


def main() -> None:
    folder, *numbers, question, again, long = sys.argv[1:]
    side, tokens = map(int, numbers)
    room = openvino_genai.SchedulerConfig()
    room.cache_size, room.enable_prefix_caching = 2, True
    model = openvino_genai.VLMPipeline(folder, "CPU", scheduler_config=room)
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = config.min_new_tokens = tokens
    config.ignore_eos = True
    config.do_sample = False
    together = None

    def ask(number: int) -> dict[str, float]:
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        history = openvino_genai.ChatHistory()
        history.append({"role": "user", "content": question})
        told = model.generate(history, images=[ov.Tensor(pixels)], generation_config=config)
        out = {"cold": first(told), "rate": 1000 / told.perf_metrics.get_tpot().mean}
        out["tokens"] = told.perf_metrics.get_num_input_tokens()
        history.append({"role": "assistant", "content": told.texts[0]})
        history.append({"role": "user", "content": again})
        out["again"] = first(model.generate(history, generation_config=config))
        history = openvino_genai.ChatHistory()
        history.append({"role": "user", "content": again})
        out["anew"] = first(model.generate(history, images=[ov.Tensor(pixels)], generation_config=config))
        rates = []
        for turn in range(3):
            history = openvino_genai.ChatHistory()
            history.append({"role": "user", "content": f"{long}{number} {turn}"})
            told = model.generate(history, generation_config=config)
            rates.append(1000 / told.perf_metrics.get_tpot().mean)
        out["long"] = statistics.median(rates)
        return out

    print("> ready", flush=True)
    for line in sys.stdin:
        what, *rest = line.split()
        if what == "round":
            out = ask(int(rest[0]))
        else:
            together = together or openvino_genai.ContinuousBatchingPipeline(folder, room, "CPU")
            out = eight(together, config, again)
        print(">", json.dumps(out), flush=True)


def first(told: Any) -> float:
    return float(told.perf_metrics.get_ttft().mean / 1000)


def eight(model: Any, config: Any, question: str) -> dict[str, float]:
    """Eight questions without a picture at once."""
    began = time.perf_counter()
    handles = [model.add_request(person, f"{person} {began}. {question}", config) for person in range(PEOPLE)]
    came: dict[int, float] = {}
    written = 0
    while model.has_non_finished_requests():
        model.step()
        for person, handle in enumerate(handles):
            while handle.can_read():
                written += sum(len(one.generated_ids) for one in handle.read().values())
                came.setdefault(person, time.perf_counter() - began)
    decoding = time.perf_counter() - began - max(came.values())
    return {"texts": statistics.median(came.values()), "texts_rate": (written - PEOPLE) / decoding}


if __name__ == "__main__":
    main()
