"""Serve a model folder with llama.cpp's own HTTP server: ``python -m tests.upstream.serve MODEL WORK KEY [vectors]``.

Prints the address when it answers, and ends with its standard input, so that it never outlives a test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import xllamacpp

from tests.upstream.to_gguf import convert

CONTEXT_TOKENS = 4_096


def main() -> None:
    """Convert, serve, wait."""
    model, work, key = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    text, vision = convert(model, work)
    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = str(text), str(vision)
    params.model_alias = {"seeing"}
    params.api_keys = [key]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel = CONTEXT_TOKENS, 1
    params.cpuparams.n_threads = 1
    params.use_jinja = True
    params.warmup = False
    params.endpoint_slots = True  # tells a test whether it works
    if sys.argv[4:] == ["vectors"]:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_ubatch = params.n_batch = CONTEXT_TOKENS  # a text is read at once
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - the test reads it
    sys.stdin.read()


if __name__ == "__main__":
    main()
