from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from tests.seeing import MODEL
from vlpro.engines.openvino import graph
from vlpro.engines.openvino.cache import BlockMemory
from vlpro.engines.openvino.weights import Weights


@pytest.fixture(scope="module")
def compiled() -> Iterator[ov.CompiledModel]:
    config = json.loads((MODEL / "config.json").read_text())["text_config"]
    weights = Weights(MODEL)  # in whose memory the graph's constants lie
    model = graph.text_model(weights, config, 2)
    yield ov.Core().compile_model(model, "CPU", EXACT)
    del weights


EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}


def content(memory: BlockMemory, block: int) -> int:
    return sum(int(np.count_nonzero(tensor.data[block])) for tensor in memory.tensors.values())


def test_a_wiped_block_is_empty_and_its_neighbours_are_not(compiled: ov.CompiledModel) -> None:
    memory = BlockMemory(compiled, 2_000_000)
    for tensor in memory.tensors.values():
        tensor.data[:8] = 1
    full = content(memory, 0)
    memory.wipe([1, 2, 5])
    assert [content(memory, block) for block in range(7)] == [full, 0, 0, full, full, 0, full]


def test_a_block_is_copied_in_all_layers(compiled: ov.CompiledModel) -> None:
    memory = BlockMemory(compiled, 2_000_000)
    for number, tensor in enumerate(memory.tensors.values()):
        tensor.data[3] = number + 1
    memory.copy(3, 0)
    for number, tensor in enumerate(memory.tensors.values()):
        assert (tensor.data[0] == number + 1).all()


def held(memory: BlockMemory) -> int:
    """Bytes that the system holds for it (proc_pid_smaps(5)): much else lives in the tests' own process."""
    places = [tensor.data.ctypes.data for tensor in memory.tensors.values()]
    found, its_own = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if re.fullmatch("[0-9a-f]+-[0-9a-f]+", first):
            begin, end = (int(side, 16) for side in first.split("-"))
            its_own = any(begin <= place < end for place in places)
        elif its_own and first == "Rss:":
            found += 1024 * int(rest[0])
    return found


def test_memory_is_taken_when_it_is_used_and_given_back(compiled: ov.CompiledModel) -> None:
    memory = BlockMemory(compiled, 400_000_000)
    assert held(memory) < 20_000_000
    for tensor in memory.tensors.values():
        tensor.data[:] = 1
    assert held(memory) > 350_000_000
    memory.wipe(range(memory.count))
    assert held(memory) < 20_000_000
