"""Cards for so many people: by numbers that were computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlpro.engines.capacity import Demand, Rates, capacity
from vlpro.engines.cards import KNOWN, KnownCard, card_of
from vlpro.errors import ConfigError

CARD = KnownCard("hand", 24 * 2**30, bandwidth=1e12, flops=1e14)
RATES = Rates(memory_share=0.9, bandwidth_share=0.5, compute_share=0.5, step_s=0.005, load=0.7)
DEMAND = Demand(1000)


def test_tokens_and_questions() -> None:
    """1,000 people, 2 questions an hour, twice that at the peak: 4,000 / 3,600 a second."""
    assert DEMAND.rate == pytest.approx(1.1111, abs=1e-4)
    assert DEMAND.image_tokens == 1026  # 32 × 32 cells, and two marks
    assert DEMAND.new_tokens == 1226
    assert DEMAND.context_tokens == 6144  # 4 · (1,226 + 256) = 5,928


def test_memory() -> None:
    found = capacity(DEMAND, CARD, RATES)
    assert found.kv_token_bytes == 2 * 36 * 8 * 128 * 2
    assert found.weights_bytes == 8_875_631_616
    assert found.work_bytes == 4096 * 74_752 + 6144 * 115_712
    # 0.9 · 25,769,803,776 less both is 13,300,073,062; a question of 6,144 tokens holds 905,969,664.
    assert found.fit == 14


def test_seconds_and_cards() -> None:
    found = capacity(DEMAND, CARD, RATES)
    # 2 · (3,633,511,936 · 1,226 + 415,347,712 · 4,096) / 5e13
    assert found.read_s == pytest.approx(0.24624, abs=1e-5)
    # and 256 · (0.005 + (8,875,631,616 + 905,969,664) / 5e11)
    assert found.alone_s == pytest.approx(6.5344, abs=1e-3)
    # 14 · 0.24624 + 256 · (0.005 + (8,875,631,616 + 14 · 905,969,664) / 5e11) = 15.766 s; 14 / 15.766
    assert found.card_in_flight == 14
    assert found.card_questions_s == pytest.approx(0.8880, abs=1e-4)
    assert found.cards == 2  # 1.1111 / (0.7 · 0.888) = 1.79
    assert found.in_flight == pytest.approx(10.688, abs=1e-2)
    assert found.answer_s == pytest.approx(9.619, abs=1e-2)
    assert found.in_flight == pytest.approx(found.questions_s * found.answer_s)  # Little's law
    assert (found.engine, found.dtype, found.bits) == ("openai", "bfloat16", 16)


def test_answers_come_in_time() -> None:
    """With 10 s an answer, a card takes fewer at once: 7 · 0.7101 + 5.8243 = 10.8, 5 · 0.7101 + 5.8243 = 9.4."""
    found = capacity(replace(DEMAND, seconds=10), CARD, RATES)
    assert found.card_in_flight == 5
    assert found.cards == 3  # 1.1111 / (0.7 · 5 / 9.375) = 2.98


def test_nobody_is_answered_faster_than_alone() -> None:
    """0.0222 questions a second of 6.5344 s are 0.1452 in flight."""
    found = capacity(replace(DEMAND, users=20), CARD, RATES)
    assert found.answer_s == pytest.approx(found.alone_s)
    assert found.in_flight == pytest.approx(0.1452, abs=1e-4)
    for users in range(100, 400, 20):
        more = capacity(replace(DEMAND, users=users), CARD, RATES)
        assert more.answer_s >= found.answer_s - 1e-9
        found = more


def test_few_people_need_no_server_beside() -> None:
    found = capacity(replace(DEMAND, users=20), CARD, RATES)
    assert (found.engine, found.cards) == ("transformers", 1)
    assert found.in_flight < found.own_at_once == 3  # as docs/model.md has it of a card of 24 GB


def test_four_bits_where_sixteen_do_not_fit() -> None:
    small = replace(CARD, memory=8 * 2**30)
    assert capacity(DEMAND, small, RATES).bits == 4
    assert capacity(DEMAND, CARD, RATES, bits=4).weights_bytes == 3_652_458_208
    with pytest.raises(ConfigError, match="--gpu"):
        capacity(DEMAND, small, RATES, bits=16)


@pytest.mark.parametrize(
    ("change", "named"), [({"seconds": 5}, "--seconds"), ({"images": 16, "turns": 100}, "--images")]
)
def test_what_cannot_be_is_named(change: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        capacity(replace(DEMAND, **change), CARD, RATES)
    assert refused.value.param == named
    assert named in refused.value.message
    assert named in refused.value.zh


def test_a_measured_card_is_met() -> None:
    """The H200 of docs/model.md: 118 tokens a second to one, 677 to eight at once; answers of 128 tokens."""
    demand = Demand(1, answer_tokens=128, text_tokens=100, turns=1)
    one = capacity(demand, card_of("H200"))
    assert 128 / (one.alone_s - one.read_s) == pytest.approx(118, rel=0.1)


@pytest.mark.parametrize(
    ("text", "name", "gib"),
    [
        ("24G", "L4", 24),  # of those with 24 GiB the one with the slowest memory
        ("rtx-4090", "RTX 4090", 24),
        ("NVIDIA L40S", "L40S", 48),
        ("32 GB", "L4", 32),
        ("8g", "T4", 8),
        ("141GiB", "H200", 141),
    ],
)
def test_cards_by_name_and_by_size(text: str, name: str, gib: int) -> None:
    card = card_of(text)
    assert (card.name, card.memory) == (name, gib * 2**30)


@pytest.mark.parametrize("text", ["", "G", "0G", "-24G", "24T", "9999G", "nan", "24", "RTX"])
def test_no_card(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        card_of(text)
    assert refused.value.param == "--gpu"


def test_known_cards_stand_in_order() -> None:
    assert [card.memory for card in KNOWN] == sorted(card.memory for card in KNOWN)
