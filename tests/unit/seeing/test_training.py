"""The seeing model can be made again: its script runs, goes on where it stopped, and the world is still its world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the packages of the extra qwen are not installed")
pytest.importorskip("transformers", reason="the packages of the extra qwen are not installed")
import torch
from torch import distributed
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from tests.seeing import MODEL, train
from tests.seeing.data import Encoder
from tests.seeing.model import IMAGE_PAD, VISION_START, make_config, make_tokenizer
from tests.seeing.quick import quicken
from tests.seeing.world import conversation


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One process instead of two."""
    monkeypatch.setattr(train, "PROCESSES", 1)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def model() -> Any:
    made = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**make_config(len(make_tokenizer()))))
    quicken(made)
    return made


def test_the_words_are_still_those_that_the_model_learnt() -> None:
    made = json.loads(make_tokenizer().backend_tokenizer.to_str())
    assert made == json.loads((MODEL / "tokenizer.json").read_text())


def test_training_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "seeing.pt"
    train.learn_to_see(model(), kept, steps=2, size=4)
    train.learn_to_see(model(), kept, steps=3, size=4)
    assert "sides off by" in capsys.readouterr().out
    again = model()
    train.learn_to_see(again, kept, steps=3, size=4)  # nothing is left to be learnt
    assert capsys.readouterr().out == ""
    learnt = torch.load(kept, weights_only=True)["weights"]["visual.patch_embed.proj.weight"]
    assert (again.model.visual.patch_embed.proj.weight == learnt).all()


def test_a_step_of_talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "forced", lambda *_: {})
    made = model()
    before = made.model.language_model.layers[2].mlp.up_proj.weight.detach().clone()
    tower = made.model.visual.blocks[0].attn.qkv.weight.detach().clone()
    train.learn_to_talk(made, Encoder(make_tokenizer()), tmp_path / "talking.pt", steps=1, size=4)
    assert (made.model.language_model.layers[2].mlp.up_proj.weight != before).any()
    assert (made.model.visual.blocks[0].attn.qkv.weight == tower).all()


def test_where_to_look_is_where_the_shape_is() -> None:
    seeds = [seed for seed in range(60) if conversation(seed).turns]
    batch = Encoder(make_tokenizer()).batch(seeds)
    rows, places = batch["looks"].T
    assert len(rows) > 50
    for row, place, shown in zip(rows, places, batch["shown"], strict=True):
        assert shown.any(-1).all()
        assert (batch["input_ids"][row][shown.any(0)] == IMAGE_PAD).all()
        assert not shown[:, place:].any()  # it was shown before
        assert batch["labels"][row, place + 1] != -100
    which = next(s for s in seeds if s % 5 == 0)
    told, row = conversation(which), seeds.index(which)
    shown = batch["shown"][[int(r) for r, _ in batch["looks"]].index(row), 0]
    number = (batch["input_ids"][row, : int(shown.nonzero()[0])] == VISION_START).sum()
    assert str(int(number)) == told.turns[0].answer
