from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engines.transformers.machines import (
    A10,
    A100,
    GIB,
    H100,
    MACHINES,
    PACKAGES,
    RTX_3060,
    RTX_4090,
    T4,
    V100,
    machine,
)
from vlpro.engines.hardware import Card, Hardware
from vlpro.engines.transformers.plan import OFFICIAL_4B, LoadPlan, load_plan
from vlpro.errors import ConfigError

BF16 = frozenset({"avx512_bf16"})
FLASH = PACKAGES | {"flash_attn"}
BARE = PACKAGES - {"bitsandbytes"}


def shape(plan: LoadPlan) -> tuple[object, ...]:
    return plan.device, plan.dtype, plan.quantisation, plan.attention, plan.device_map


def check_memory(plan: LoadPlan, hardware: Hardware) -> None:
    """What is promised is below what is free, counted again from the model's shape."""
    width = 4 if plan.dtype == "float32" else 2
    layers = OFFICIAL_4B.text * (0.5625 if plan.quantisation else width)
    weights = layers + (OFFICIAL_4B.vision + OFFICIAL_4B.embeddings) * width
    kept = plan.concurrency * plan.context_tokens * OFFICIAL_4B.kv_bytes * width / 2 + plan.cache_bytes
    # One layer's values for each token, at the very least.
    reading = plan.context_tokens * (2560 + 2 * 9728) * width
    if plan.attention == "eager":  # and the scores of every pair of tokens, for each head
        reading += 32 * plan.context_tokens**2 * width
    assert plan.weights_bytes == pytest.approx(weights)
    assert plan.work_bytes > reading
    assert plan.context_tokens >= plan.picture_pixels // 1024 + 4096
    assert plan.cache_bytes > 0
    if plan.device == "cpu":
        assert plan.memory_bytes < 0.9 * hardware.free_memory
    elif plan.max_memory is None:
        assert isinstance(plan.device_map, dict)
        free = hardware.cards[plan.device_map[""]].free
        assert weights + kept + plan.work_bytes <= plan.memory_bytes + 2 < 0.95 * free
    else:
        assert sum(plan.max_memory.values()) > weights
        for position, most in plan.max_memory.items():
            share = min(1, most / weights)
            assert most + share * kept + plan.work_bytes < 0.95 * hardware.cards[position].free


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (machine(A10), ("cuda", "bfloat16", None, "sdpa", {"": 0})),
        (machine(A100), ("cuda", "bfloat16", None, "sdpa", {"": 0})),
        (machine(H100, packages=FLASH), ("cuda", "bfloat16", None, "flash_attention_2", {"": 0})),
        (machine(V100, packages=FLASH), ("cuda", "float16", None, "sdpa", {"": 0})),
        (machine(T4), ("cuda", "float16", None, "sdpa", {"": 0})),
        (machine(RTX_4090), ("cuda", "bfloat16", None, "sdpa", {"": 0})),
        (machine(RTX_3060), ("cuda", "bfloat16", "nf4", "sdpa", {"": 0})),
        (machine(RTX_3060, RTX_3060), ("cuda", "bfloat16", None, "sdpa", "auto")),
        (machine(T4, T4), ("cuda", "float16", None, "sdpa", "auto")),
        (machine(A10, A10), ("cuda", "bfloat16", None, "sdpa", {"": 0})),
        (machine(RTX_3060, A10), ("cuda", "bfloat16", None, "sdpa", {"": 1})),
        (machine(flags=BF16), ("cpu", "bfloat16", None, "sdpa", None)),
        (machine(memory=64), ("cpu", "float32", None, "sdpa", None)),
        (machine(memory=24.4), ("cpu", "bfloat16", None, "sdpa", None)),
        (machine(memory=16), ("cpu", "bfloat16", None, "sdpa", None)),
        (machine(memory=8), ("cpu", "bfloat16", "nf4", "sdpa", None)),
        (machine(RTX_3060, packages=BARE), ("cpu", "float32", None, "sdpa", None)),
        (machine(Card("Tesla P40", (6, 1), 24 * GIB, 23 * GIB)), ("cpu", "float32", None, "sdpa", None)),
        (machine(A10, torch=None), ("cuda", "bfloat16", None, "eager", {"": 0})),
        (machine(A10, torch=(1, 13)), ("cuda", "bfloat16", None, "eager", {"": 0})),
        (machine(A10, packages=frozenset({"torch"})), ("cuda", "bfloat16", None, "sdpa", None)),
    ],
)
def test_machines(hardware: Hardware, expected: tuple[object, ...]) -> None:
    plan = load_plan(hardware, OFFICIAL_4B)
    assert shape(plan) == expected
    if plan.device == "cpu" or plan.device_map is not None:
        check_memory(plan, hardware)


def test_a_larger_card_gives_more_people_more() -> None:
    small, middle, large = (load_plan(machine(card), OFFICIAL_4B) for card in (T4, A10, A100))
    assert small.concurrency < middle.concurrency < large.concurrency
    assert small.cache_bytes < middle.cache_bytes < large.cache_bytes
    assert large.context_tokens >= 32_768
    assert small.picture_pixels == middle.picture_pixels == large.picture_pixels == 2_621_440


def test_the_context_is_at_most_the_models() -> None:
    huge = Card("huge", (9, 0), 2000 * GIB, 2000 * GIB)
    assert load_plan(machine(huge), OFFICIAL_4B).context_tokens == OFFICIAL_4B.context_tokens
    short = replace(OFFICIAL_4B, context_tokens=4096)
    assert load_plan(machine(A10), short).context_tokens == 4096


def test_pictures_shrink_before_a_card_is_given_up() -> None:
    sizes = [
        load_plan(machine(Card("small", (8, 6), free, free)), OFFICIAL_4B, device="cuda").picture_pixels
        for free in range(6_000_000_000, 8_500_000_000, 100_000_000)
    ]
    assert sizes == sorted(sizes)
    assert {262_144, 1_310_720, 2_621_440} <= set(sizes)


def test_several_cards_each_keep_headroom_and_hold_all_weights_together() -> None:
    plan = load_plan(machine(RTX_3060, RTX_3060), OFFICIAL_4B)
    assert plan.max_memory is not None
    assert list(plan.max_memory) == [0, 1]
    assert sum(plan.max_memory.values()) > plan.weights_bytes
    assert max(plan.max_memory.values()) < 0.7 * RTX_3060.free


def test_a_busy_card_is_not_counted_on() -> None:
    busy = replace(A10, free=GIB)
    assert load_plan(machine(busy, A10), OFFICIAL_4B).device_map == {"": 1}
    assert load_plan(machine(busy), OFFICIAL_4B).device == "cpu"


def test_without_accelerate_only_the_first_card_can_be_used() -> None:
    plan = load_plan(machine(RTX_3060, A10, packages=frozenset({"torch"})), OFFICIAL_4B)
    assert plan.device == "cpu"


def test_forced_4_bit_is_honoured() -> None:
    for hardware in (machine(A100), machine(memory=32), machine(RTX_3060, RTX_3060)):
        plan = load_plan(hardware, OFFICIAL_4B, load_in_4bit=True)
        assert plan.quantisation == "nf4"
        check_memory(plan, hardware)


def test_forbidden_4_bit_is_honoured() -> None:
    assert shape(load_plan(machine(RTX_3060), OFFICIAL_4B, load_in_4bit=False))[:3] == (
        "cpu",
        "float32",
        None,
    )
    with pytest.raises(
        ConfigError, match=r"needs 11\.\d GB of free memory, and GeForce RTX 3060 8GB has 8\.2 GB"
    ):
        load_plan(machine(RTX_3060), OFFICIAL_4B, load_in_4bit=False, device="cuda")


@pytest.mark.parametrize("hardware", [machine(RTX_3060, packages=BARE), machine(packages=BARE)])
def test_forced_4_bit_says_what_is_missing(hardware: Hardware) -> None:
    with pytest.raises(ConfigError, match=r"pip install bitsandbytes\.") as refused:
        load_plan(hardware, OFFICIAL_4B, load_in_4bit=True)
    assert refused.value.param == "load_in_4bit"
    assert "pip install bitsandbytes" in refused.value.zh


def test_a_forced_device_is_honoured() -> None:
    assert load_plan(machine(A100), OFFICIAL_4B, device="cpu").device == "cpu"
    with pytest.raises(ConfigError, match="no card") as refused:
        load_plan(machine(), OFFICIAL_4B, device="cuda")
    assert refused.value.param == "device"


def test_a_machine_that_is_too_small_is_told_how_much_is_needed() -> None:
    with pytest.raises(
        ConfigError, match=r"needs 6\.\d GB of free memory, and the machine has 4\.0 GB"
    ) as refused:
        load_plan(machine(memory=4), OFFICIAL_4B)
    assert "4.0 GB" in refused.value.zh
    needed = float(refused.value.message.split("needs ")[1].split(" GB")[0])
    assert load_plan(machine(memory=needed + 0.1), OFFICIAL_4B).quantisation == "nf4"
    with pytest.raises(ConfigError):
        load_plan(machine(memory=needed - 0.1), OFFICIAL_4B)


def test_an_8_gb_card_without_bitsandbytes_is_told_of_it() -> None:
    plan = load_plan(machine(RTX_3060, packages=BARE), OFFICIAL_4B)
    assert any(
        "pip install bitsandbytes" in zh and "pip install bitsandbytes" in en for zh, en in plan.reasons
    )
    with pytest.raises(ConfigError, match="Install bitsandbytes"):
        load_plan(machine(RTX_3060, packages=BARE, memory=4), OFFICIAL_4B)


@pytest.mark.parametrize("hardware", MACHINES.values(), ids=MACHINES)
def test_every_choice_has_its_reason_in_both_languages(hardware: Hardware) -> None:
    plan = load_plan(hardware, OFFICIAL_4B)
    for sentences in zip(*plan.reasons, strict=True):
        said = "\n".join(sentences)
        for word in (plan.dtype, plan.attention, str(plan.context_tokens), str(plan.picture_pixels)):
            assert word in said
        assert ("NF4" in said) == (plan.quantisation == "nf4")
    assert all(max(zh) >= "\u4e00" and en.isascii() for zh, en in plan.reasons)


def test_a_slow_processor_gets_smaller_pictures_and_says_why() -> None:
    plan = load_plan(machine(flags=BF16), OFFICIAL_4B)
    assert plan.picture_pixels == 589_824
    assert any("about 16 s" in en for _, en in plan.reasons)


cards = st.builds(
    lambda capability, free: Card("card", capability, 100 * GIB, free),
    st.sampled_from([(8, 0), (7, 5), (8, 6), (7, 0), (9, 0), (6, 1)]),
    st.integers(5_000_000_000, 100_000_000_000) | st.integers(0, 5_000_000_000),
)
machines = st.builds(
    Hardware,
    st.lists(cards, max_size=3).map(tuple),
    st.integers(0, 100_000_000_000),
    st.sampled_from([frozenset(), BF16]),
    st.just(8),
    st.sampled_from([PACKAGES, FLASH, BARE, frozenset({"torch"})]),
    st.sampled_from([(2, 9), (1, 13), None]),
)


@given(machines, st.sampled_from([None, True, False]), st.sampled_from(["auto", "cuda", "cpu"]))
def test_a_plan_never_promises_more_than_is_free(hardware: Hardware, four: Any, device: Any) -> None:
    try:
        plan = load_plan(hardware, OFFICIAL_4B, load_in_4bit=four, device=device)
    except ConfigError:
        return
    if plan.device_map is None and plan.device == "cuda":
        plan = replace(plan, device_map={"": 0})
    check_memory(plan, hardware)
    assert 1 <= plan.concurrency <= 8
    assert (plan.quantisation == "nf4") >= bool(four)
    assert plan.quantisation is None or four is not False
    if device != "auto":
        assert plan.device == device
    if plan.attention == "flash_attention_2":
        assert plan.device == "cuda"
        assert "flash_attn" in hardware.packages
        assert plan.dtype == "bfloat16"
