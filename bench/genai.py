"""OpenVINO GenAI alone, the peer of the engine openvino: run by bench/engines.py, in an environment of its own.

`pip install openvino-genai "optimum-intel==2.2.*" "transformers<5" nncf`; the folder is made by
`optimum-cli export openvino --model FOLDER --task image-text-to-text --weight-format int4 --group-size 128 --sym
OUT`.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time

import numpy as np
import openvino as ov
import openvino_genai


def main() -> None:
    folder, rounds, side, tokens, question, again = sys.argv[1:]
    began = time.perf_counter()
    model = openvino_genai.VLMPipeline(folder, "CPU")
    out = {"check and load s": time.perf_counter() - began}
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = config.min_new_tokens = int(tokens)
    config.ignore_eos = True
    config.do_sample = False
    first, next_ones, rates = [], [], []
    for number in range(int(rounds)):
        pixels = np.random.default_rng(number).integers(0, 256, (int(side), int(side), 3), np.uint8)
        history = openvino_genai.ChatHistory()
        history.append({"role": "user", "content": question})
        told = model.generate(history, images=[ov.Tensor(pixels)], generation_config=config)
        first.append(told.perf_metrics.get_ttft().mean / 1000)
        rates.append(1000 / told.perf_metrics.get_tpot().mean)
        history.append({"role": "assistant", "content": told.texts[0]})
        history.append({"role": "user", "content": again})
        told = model.generate(history, generation_config=config)
        next_ones.append(told.perf_metrics.get_ttft().mean / 1000)
    kept = slice(1, None) if int(rounds) > 1 else slice(None)
    out |= {
        "cold TTFT s": statistics.median(first[kept]),
        "follow-up TTFT s": statistics.median(next_ones[kept]),
        "tokens/s": statistics.median(rates[kept]),
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    print(json.dumps(out))


if __name__ == "__main__":
    main()
