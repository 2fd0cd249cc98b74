from __future__ import annotations

import numpy as np
import pytest

from vlpro.engines.interface import Message, Request, ResponseFormat, Sampling
from vlpro.engines.qwen.sampling import Defaults, Sampler

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
RANDOM = Defaults(temperature=1.0, top_p=1.0, top_k=0)


def sampler(defaults: Defaults = RANDOM, *, form: bool = False, **sampling: float) -> Sampler:
    asked = Sampling(**sampling)  # type: ignore[arg-type]
    return Sampler(Request((Message("user", ("?",)),), asked, ResponseFormat() if form else None), defaults)


def drawn(chooser: Sampler, times: int = 4000) -> list[float]:
    counts = np.bincount([chooser.choose(LOGITS.copy()) for _ in range(times)], minlength=4)
    return [round(float(share), 1) for share in counts / times]


def test_chance_follows_the_probabilities() -> None:
    assert drawn(sampler(seed=1)) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.06)


def test_temperature_zero_takes_the_likeliest() -> None:
    assert drawn(sampler(temperature=0), 50) == [1, 0, 0, 0]


def test_the_models_defaults_hold_where_the_request_says_nothing() -> None:
    assert drawn(sampler(Defaults(temperature=1.0, top_k=1)), 50) == [1, 0, 0, 0]
    assert drawn(sampler(Defaults(temperature=0.0)), 50) == [1, 0, 0, 0]
    assert drawn(sampler(Defaults(temperature=0.0), temperature=1, seed=2))[0] < 0.6


def test_an_answer_with_a_form_is_not_left_to_chance_unless_asked_to() -> None:
    assert drawn(sampler(form=True), 50) == [1, 0, 0, 0]
    assert drawn(sampler(form=True, temperature=1, seed=2))[0] < 0.6


def test_top_p_includes_the_token_that_reaches_it() -> None:
    assert drawn(sampler(top_p=0.5, seed=1), 200) == [1, 0, 0, 0]
    shares = drawn(sampler(top_p=0.51, seed=1))
    assert shares[2:] == [0, 0]
    assert shares[1] > 0.3


def test_top_k_leaves_the_rest_out() -> None:
    assert drawn(sampler(top_k=2, seed=1))[2:] == [0, 0]


@pytest.mark.parametrize("size", [1, 63, 64, 1000, 5000, 151_936])
@pytest.mark.parametrize("top_k", [1, 20, 70])
def test_top_k_is_exact_in_a_vocabulary_of_any_size(size: int, top_k: int) -> None:
    logits = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    logits[size // 3 + 1 :: 2] = -np.inf
    likely = set(np.argsort(-logits, kind="stable")[:top_k].tolist())
    chooser = sampler(top_k=top_k, temperature=1, seed=1)
    got = {chooser.choose(logits.copy()) for _ in range(40 * top_k if size < 1e4 else 200)}
    assert got <= likely
    assert len(got) > min(len(likely), np.isfinite(logits).sum()) // 2


def test_a_seed_repeats() -> None:
    one, other = sampler(seed=9), sampler(seed=9)
    assert [one.choose(LOGITS.copy()) for _ in range(50)] == [other.choose(LOGITS.copy()) for _ in range(50)]


def test_penalties_act_on_what_was_written() -> None:
    once = sampler(temperature=0, presence_penalty=1)
    assert [once.choose(LOGITS.copy()) for _ in range(3)] == [0, 1, 0]  # both used: the likelier again
    often = sampler(temperature=0, frequency_penalty=0.4)
    chosen = [often.choose(LOGITS.copy()) for _ in range(12)]
    assert set(chosen) == {0, 1, 2}


def test_what_is_barred_never_comes() -> None:
    barred = LOGITS.copy()
    barred[:3] = -np.inf
    assert {sampler(seed=n).choose(barred.copy()) for n in range(20)} == {3}
