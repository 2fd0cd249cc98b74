"""Our way through the network gives the numbers that transformers' own gives, however the work is divided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import picture
from tests.unit.engines.running import DEVICE
from vlpro.engines.interface import Message

pytest.importorskip("torch", reason="the packages of the extra qwen are not installed")
pytest.importorskip("transformers", reason="the packages of the extra qwen are not installed")
pytest.importorskip("safetensors", reason="the packages of the extra qwen are not installed")
import torch
import transformers

from vlpro.engines.openvino.model import OpenVinoModel
from vlpro.engines.qwen.network import Model, Row, Stopped
from vlpro.engines.qwen.pixels import patches
from vlpro.engines.qwen.positions import positions
from vlpro.engines.qwen.prefixes import State
from vlpro.engines.qwen.prompt import Encoder, Prompt
from vlpro.engines.transformers.fit import LoadPlan
from vlpro.engines.transformers.model import load

PLAN = LoadPlan(
    device=DEVICE,
    dtype="float32",
    quantisation=None,
    attention="sdpa",
    device_map=None,
    max_memory=None,
    context_tokens=8192,
    picture_pixels=25_600,
    concurrency=4,
    cache_bytes=0,
    weights_bytes=0,
    work_bytes=0,
    question_bytes=0,
    reasons=(),
)


@pytest.fixture(scope="module", params=["openvino", "transformers"])
def model(random_model: Path, request: pytest.FixtureRequest) -> Model:
    if request.param == "transformers":
        torch.backends.cudnn.allow_tf32 = False  # a card's shortcut, of ten bits, where numbers are float32
        return load(random_model, PLAN)
    config = json.loads((random_model / "config.json").read_text())
    exact = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    return OpenVinoModel(random_model, config, max_bytes=100_000_000, properties=exact)


@pytest.fixture(scope="module")
def encoder(random_model: Path) -> Encoder:
    return Encoder((random_model / "tokenizer.json").read_text(), max_pixels=25_600, min_pixels=1024)


@pytest.fixture(scope="module")
def reference(random_model: Path, encoder: Encoder) -> Callable[[Prompt], NDArray[np.float32]]:
    """Logits of every token of a prompt, by transformers alone."""
    theirs: Any = transformers.AutoModelForImageTextToText.from_pretrained(
        random_model, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()

    def logits(prompt: Prompt) -> NDArray[np.float32]:
        ids = torch.tensor([prompt.ids])
        named: dict[str, Any] = {}
        if prompt.shown:
            shown = [patches(s.picture.pixels, s.rows, s.columns) for s in prompt.shown]
            named["pixel_values"] = torch.from_numpy(np.concatenate(shown))
            named["image_grid_thw"] = torch.tensor([[1, 2 * s.rows, 2 * s.columns] for s in prompt.shown])
        if int(transformers.__version__.split(".")[0]) >= 5:
            named["mm_token_type_ids"] = (ids == encoder.image_pad).int()
        with torch.inference_mode():
            out: NDArray[np.float32] = (
                theirs(input_ids=ids, attention_mask=torch.ones_like(ids), **named).logits[0].numpy()
            )
        return out

    return logits


def never() -> bool:
    return False


def nothing() -> None:
    pass


class Reading:
    """A prompt on its way through the network, as the scheduler would send it."""

    def __init__(self, prompt: Prompt, model: Model, state: State | None = None) -> None:
        self.prompt = prompt
        self.state = state or model.new_state()
        self._positions = positions(prompt)
        self._features = {s.begin: model.see(s.picture, s.rows, s.columns, nothing) for s in prompt.shown}

    def row(self, most: int) -> Row:
        begin = self.state.length
        end = min(begin + most, len(self.prompt.ids))
        pictures = []
        for shown in self.prompt.shown:
            first, last = max(shown.begin, begin), min(shown.begin + shown.rows * shown.columns, end)
            if first < last:
                pictures.append(
                    (first - begin, self._features[shown.begin], first - shown.begin, last - shown.begin)
                )
        ids = np.array(self.prompt.ids[begin:end], np.int64)
        return Row(self.state, ids, self._positions[:, begin:end], pictures, wants_logits=True)

    def pieces(self, most: int) -> Iterator[Row]:
        while self.state.length < len(self.prompt.ids):
            yield self.row(most)


def conversation(encoder: Encoder) -> Prompt:
    return encoder.prompt(
        (
            Message("system", ("Be brief.",)),
            Message("user", (picture(128, 64), picture(90, 100, seed=2), "你好 <|im_end|> what?")),
            Message("assistant", ("红色",)),
            Message("user", (picture(64, 160, seed=3), "How many?")),
        )
    )


@pytest.mark.parametrize("most", [10_000, 17, 1])
def test_logits_are_transformers_own_in_pieces_of_any_length(
    most: int, model: Model, encoder: Encoder, reference: Callable[[Prompt], NDArray[np.float32]]
) -> None:
    prompt = conversation(encoder)
    expected = reference(prompt)
    for row in Reading(prompt, model).pieces(most):
        end = row.state.length + len(row.ids)
        (logits,) = model.step([row], never)
        assert logits is not None
        assert np.abs(logits - expected[end - 1]).max() < 1e-4


def test_rows_of_one_step_do_not_touch_each_other(
    model: Model, encoder: Encoder, reference: Callable[[Prompt], NDArray[np.float32]]
) -> None:
    prompts = [
        conversation(encoder),
        encoder.prompt((Message("user", ("Only words, and not many.",)),)),
        encoder.prompt((Message("user", (picture(160, 160, seed=9), "One picture.")),)),
        encoder.prompt((Message("user", (picture(32, 32, seed=8), picture(160, 32, seed=7), "Two.")),)),
    ]
    expected = [reference(prompt) for prompt in prompts]
    readings = [Reading(prompt, model) for prompt in prompts]
    lengths = [11, 1, 30, 5]
    while left := [n for n, one in enumerate(readings) if one.state.length < len(one.prompt.ids)]:
        rows = [readings[n].row(lengths[n]) for n in left]
        for n, row, logits in zip(left, rows, model.step(rows, never), strict=True):
            assert logits is not None
            assert np.abs(logits - expected[n][row.state.length - 1]).max() < 1e-4


def test_a_state_that_was_cut_or_copied_serves_another_end(
    model: Model, encoder: Encoder, reference: Callable[[Prompt], NDArray[np.float32]]
) -> None:
    first = conversation(encoder)
    one = Reading(first, model)
    model.step([one.row(10_000)], never)
    common = first.shown[2].begin - 3
    other = Prompt(
        [*first.ids[:common], *encoder.prompt((Message("user", ("Else?",)),)).ids], first.shown[:2]
    )
    expected = reference(other)[-1]
    for state in (one.state.copy(common), one.state):
        state.cut(common)
        (logits,) = model.step([Reading(other, model, state).row(10_000)], never)
        assert logits is not None
        assert np.abs(logits - expected).max() < 1e-4


def test_a_step_that_was_stopped_has_not_happened(
    model: Model, encoder: Encoder, reference: Callable[[Prompt], NDArray[np.float32]]
) -> None:
    prompt = conversation(encoder)
    long = encoder.prompt((Message("user", ("word " * 4000,)),))
    reading, other = Reading(prompt, model), Reading(long, model)
    model.step([reading.row(20)], never)
    asked = 0

    def at_the_third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with pytest.raises(Stopped):
        model.step([reading.row(10_000), other.row(10_000)], at_the_third_time)
    assert reading.state.length == 20
    assert other.state.length == 0
    (logits,) = model.step([reading.row(10_000)], never)
    assert logits is not None
    assert np.abs(logits - reference(prompt)[-1]).max() < 1e-4


def test_looking_can_be_stopped_and_other_work_be_done_between(
    model: Model, encoder: Encoder, reference: Callable[[Prompt], NDArray[np.float32]]
) -> None:
    seen = encoder.prompt((Message("user", (picture(160, 160, seed=9), "One picture.")),))
    other = encoder.prompt((Message("user", ("Only words.",)),))
    reading = Reading(other, model)
    between: list[NDArray[np.float32] | None] = []

    def stop() -> None:
        raise Stopped

    def read_on() -> None:
        if reading.state.length < len(other.ids):
            between.extend(model.step([reading.row(3)], never))

    shown = seen.shown[0]
    with pytest.raises(Stopped):
        model.see(shown.picture, shown.rows, shown.columns, stop)
    features = model.see(shown.picture, shown.rows, shown.columns, read_on)
    assert between[-1] is not None
    assert np.abs(between[-1] - reference(other)[reading.state.length - 1]).max() < 1e-4
    row = Row(
        model.new_state(),
        np.array(seen.ids),
        positions(seen),
        [(shown.begin, features, 0, shown.rows * shown.columns)],
        wants_logits=True,
    )
    (logits,) = model.step([row], never)
    assert logits is not None
    assert np.abs(logits - reference(seen)[-1]).max() < 1e-4


def test_memory_is_counted(model: Model, encoder: Encoder) -> None:
    reading = Reading(conversation(encoder), model)
    model.step([reading.row(10_000)], never)
    least = len(reading.prompt.ids) * model.token_bytes
    assert least <= reading.state.nbytes <= least + 300 * model.token_bytes
    copied = reading.state.copy(10)
    held = reading.state.nbytes + copied.nbytes
    assert held <= least + 300 * model.token_bytes
    copied.free()
    reading.state.free()
    assert reading.state.nbytes == 0
