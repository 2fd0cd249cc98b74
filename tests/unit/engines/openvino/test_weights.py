from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.seeing import MODEL
from vlpro.engines.openvino.convert import FILE, convert
from vlpro.engines.openvino.weights import SCALE, Weights, int4, int8
from vlpro.errors import ConfigError


def opened(packed: NDArray[np.uint8], scale: NDArray[np.float16]) -> NDArray[np.float32]:
    """Numbers again, from four bits each."""
    rows, half = packed.shape
    whole = np.empty((rows, 2 * half), np.int8)
    whole[:, ::2], whole[:, 1::2] = packed & 15, packed >> 4
    whole[whole > 7] -= 16
    groups = whole.reshape(rows, scale.shape[1], -1).astype(np.float32) * scale.astype(np.float32)
    return groups.reshape(rows, 2 * half)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.sampled_from([32, 64, 128]), st.floats(1e-3, 10))
def test_four_bits_are_within_half_a_step(seed: int, group: int, size: float) -> None:
    matrix = np.random.default_rng(seed).normal(0, size, (3, 2 * group)).astype(np.float32)
    packed, scale = int4(matrix, group)
    step = np.abs(scale.astype(np.float32)).repeat(group, 2).reshape(matrix.shape)
    # The largest of a group is met; one on its other side may fall short by a step: there is no +8.
    assert (np.abs(opened(packed, scale) - matrix) <= 1.01 * step).all()
    assert np.abs(opened(packed, scale) - matrix).mean() < 0.3 * step.mean()


def test_nothing_stays_nothing() -> None:
    packed, scale = int4(np.zeros((2, 64), np.float32), 32)
    assert not opened(packed, scale).any()
    whole, of_rows = int8(np.zeros((2, 64), np.float32))
    assert not (whole * of_rows).any()


@given(st.integers(0, 2**32 - 1))
def test_eight_bits_are_within_half_a_step(seed: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(4, 50)).astype(np.float32)
    whole, scale = int8(matrix)
    assert (np.abs(whole * scale.astype(np.float32) - matrix) <= 0.51 * scale.astype(np.float32)).all()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_folder_is_one_that_others_can_read(bits: Any, tmp_path: Path) -> None:
    safetensors = pytest.importorskip(
        "safetensors", reason="the packages of the extra qwen are not installed"
    )
    told: list[tuple[int, int]] = []
    convert(MODEL, tmp_path / "made", bits, progress=lambda *so_far: told.append(so_far))
    assert told[-1][0] == told[-1][1]
    ours, original = Weights(tmp_path / "made"), Weights(MODEL)
    with safetensors.safe_open(tmp_path / "made" / FILE, "np") as theirs:
        assert set(theirs.keys()) == set(ours)
        for name in theirs.keys():  # noqa: SIM118 - it is no dict
            assert np.array_equal(theirs.get_tensor(name), ours.stored(name).values)
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    read = ours.stored(name).values
    scale = ours.stored(name + SCALE).values
    numbers = opened(read, scale) if bits == 4 else read * scale.astype(np.float32)
    assert np.abs(numbers - original.read(name)).max() < 0.2 * np.abs(original.read(name)).max()
    tower = "model.visual.blocks.0.mlp.linear_fc1.weight"
    assert np.array_equal(ours.stored(tower).values, original.stored(tower).values)


def test_bfloat16_is_read(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 0.0], np.float32)
    content = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + content)
    assert Weights(tmp_path).read("a").tolist() == values.tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        (9).to_bytes(8, "little") + b"not json.",
        (2**62).to_bytes(8, "little") + b"{}",
        b"".join(
            [(70).to_bytes(8, "little"), b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(70)]
        ),
        b"".join(
            [(70).to_bytes(8, "little"), b'{"a":{"dtype":"X9","shape":[],"data_offsets":[0,0]}}'.ljust(70)]
        ),
    ],
    ids=["empty", "short", "no json", "endless header", "too few bytes", "unknown type"],
)
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.safetensors is no file of weights"):
        Weights(tmp_path)


def test_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a Qwen3-VL"):
        convert(tmp_path, tmp_path / "made")


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there already"):
        convert(MODEL, tmp_path)
