"""How many cards a company needs: arithmetic from what people ask, what an answer costs, and what a card can do.

Nothing is measured here. Each number that goes in can be another; what comes out is a first estimate, to be checked
with ``bench/gpu.py`` and ``bench/load.py`` on the cards that were bought.

A question has a card alone while its prompt is read, and shares each step of decoding with all others in flight. So a
card with ``r`` questions in flight answers

    X(r) = 1 / (prefill + answer · step(r) / r)        questions a second
    W(r) = r / X(r)                                    seconds an answer

where the second is Little's law (J. D. C. Little, 1961, Operations Research 9 (3)): in flight = rate · time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vlpro.engines.cards import KnownCard
from vlpro.engines.hardware import Card, Hardware
from vlpro.engines.transformers.plan import load_plan
from vlpro.engines.transformers.size import OFFICIAL_4B, ModelSize
from vlpro.errors import ConfigError
from vlpro.imaging.tokens import CELL

__all__ = ["Bits", "Capacity", "Demand", "Rates", "capacity"]

Bits = Literal[16, 4]

_CONTEXT_STEP = 1024
_PATCH_PIXELS = 256
_START_AND_END = 2
_READ_AT_ONCE = 8192
"""Tokens of prompts that a server reads in one piece at most."""
_DRIVER = 400 * 2**20
"""Of a card that nobody uses: what its driver holds, as in docs/model.md."""
GATEWAY_S, GATEWAY_PICTURE_S = 0.006, 0.013
"""Processor time of the gateway before a model server for a question, and for each picture of it: docs/scale.md."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What people ask for.

    Args:
        users: People with an account.
        questions: Of each of them in an hour, on the average of the busiest one.
        peak: How many times the average of that hour comes in its busiest minutes.
        images: Pictures of a question.
        image_pixels: Of each, as the model is given it.
        text_tokens: Of a question, without its pictures.
        answer_tokens: Of an answer.
        turns: Questions of a conversation; earlier ones are carried along, and known to the engine.
        seconds: That an answer may take while the busiest minutes last.
    """

    users: int
    questions: float = 2.0
    peak: float = 2.0
    images: int = 1
    image_pixels: int = 1_048_576
    text_tokens: int = 200
    answer_tokens: int = 256
    turns: int = 4
    seconds: float = 30.0

    @property
    def rate(self) -> float:
        """Questions a second in the busiest minutes."""
        return self.users * self.questions * self.peak / 3600

    @property
    def image_tokens(self) -> int:
        """Tokens of one picture: a cell of 32 × 32 pixels each, and two marks (vlpro/imaging/tokens.py)."""
        return self.image_pixels // CELL**2 + _START_AND_END

    @property
    def new_tokens(self) -> int:
        """Tokens of a question that the engine has not read before."""
        return self.images * self.image_tokens + self.text_tokens

    @property
    def context_tokens(self) -> int:
        """Tokens at the end of a conversation, in steps of 1,024."""
        whole = self.turns * (self.new_tokens + self.answer_tokens)
        return math.ceil(whole / _CONTEXT_STEP) * _CONTEXT_STEP


@dataclass(frozen=True, slots=True)
class Rates:
    """How much of what a card is sold with an engine gets out of it.

    Args:
        memory_share: Of the card's memory that the server takes (vLLM: --gpu-memory-utilization).
        bandwidth_share: Of the memory's bandwidth that decoding gets.
        compute_share: Of the products a second that reading a prompt gets.
        step_s: Seconds of each step of decoding that are neither.
        load: Share of its capacity at which a card is run; the rest is for what comes at once.
    """

    memory_share: float = 0.9
    bandwidth_share: float = 0.5
    compute_share: float = 0.4
    step_s: float = 0.005
    load: float = 0.7


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is needed.

    Args:
        engine: ``transformers``, where one card is enough and this engine answers as many at once there; else
            ``openai``, with a server such as vLLM on each card.
        dtype: Of the products.
        bits: Of a weight of the language model's layers.
        cards: How many.
        context_tokens: With which the server is started.
        questions_s: Questions a second that people ask in the busiest minutes.
        card_in_flight: Questions in flight on a card with which answers just come in time.
        card_questions_s: Questions a second that it answers then.
        in_flight: Questions in flight on all cards together, as people ask (Little's law).
        fit: Questions in flight for which a card has memory.
        own_at_once: Questions that engine ``transformers`` would answer at once; 0: none of this length.
        answer_s: Seconds that an answer takes as people ask.
        alone_s: Seconds that it takes with nobody else there.
        read_s: Of them, until the prompt is read.
        weights_bytes: On each card.
        work_bytes: For reading a prompt, for a moment.
        kv_token_bytes: Keys and values of one token.
        gateways: Processes of the gateway; two at least, so that one may end.
    """

    engine: Literal["transformers", "openai"]
    dtype: Literal["bfloat16", "float16"]
    bits: Bits
    cards: int
    context_tokens: int
    questions_s: float
    card_in_flight: int
    card_questions_s: float
    in_flight: float
    fit: int
    own_at_once: int
    answer_s: float
    alone_s: float
    read_s: float
    weights_bytes: int
    work_bytes: int
    kv_token_bytes: int
    gateways: int


def capacity(
    demand: Demand,
    card: KnownCard,
    rates: Rates | None = None,
    *,
    bits: Bits | None = None,
    model: ModelSize = OFFICIAL_4B,
) -> Capacity:
    """Count cards.

    Args:
        demand: What people ask for.
        card: Of which there shall be enough.
        rates: What an engine gets out of it; None: as :class:`Rates`.
        bits: Of a weight; None: 16 where a question fits beside them, else 4.
        model: The model's size.

    Raises:
        ConfigError: The context is longer than the model's, no question fits on the card, or an answer takes longer
            than it may even with nobody else there.
    """
    rates = rates or Rates()
    if demand.context_tokens > model.context_tokens:
        raise _too_long(demand, model)
    loaded = _Loaded(demand, card, rates, model, bits or 16)
    if bits is None and not loaded.fit:
        loaded = _Loaded(demand, card, rates, model, 4)
    if not loaded.fit:
        raise _no_room(demand, card, loaded.bits)
    if loaded.seconds(1) > demand.seconds:
        raise _too_slow(demand, loaded.seconds(1))
    most = max(r for r in range(1, loaded.fit + 1) if loaded.seconds(r) <= demand.seconds)
    rate = most / loaded.seconds(most)
    cards = max(1, math.ceil(demand.rate / (rate * rates.load)))
    in_flight = cards * loaded.in_flight(demand.rate / cards)
    own = _own_at_once(demand, card, model, loaded.bits)
    processor = demand.rate * (GATEWAY_S + demand.images * GATEWAY_PICTURE_S)
    return Capacity(
        engine="transformers" if cards == 1 and in_flight <= own else "openai",
        dtype="bfloat16" if card.bfloat16 else "float16",
        bits=loaded.bits,
        cards=cards,
        context_tokens=demand.context_tokens,
        questions_s=demand.rate,
        card_in_flight=most,
        card_questions_s=rate,
        in_flight=in_flight,
        fit=loaded.fit,
        own_at_once=own,
        answer_s=in_flight / demand.rate,
        alone_s=loaded.seconds(1),
        read_s=loaded.read_s,
        weights_bytes=loaded.weights,
        work_bytes=loaded.work,
        kv_token_bytes=model.kv_bytes,
        gateways=max(2, math.ceil(processor / rates.load)),
    )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A card with the model on it."""

    demand: Demand
    card: KnownCard
    rates: Rates
    model: ModelSize
    bits: Bits

    @property
    def weights(self) -> int:
        """Bytes."""
        return self.model.weights(2, None if self.bits == 16 else "nf4")

    @property
    def work(self) -> int:
        """Bytes for reading one picture, or one piece of a prompt: an upper estimate."""
        patches = self.demand.image_pixels // _PATCH_PIXELS if self.demand.images else 0
        tokens = min(self.demand.context_tokens, _READ_AT_ONCE)
        return patches * self.model.patch_work + tokens * self.model.token_work

    @property
    def question(self) -> int:
        """Bytes of the keys and values of one question of the whole context."""
        return self.demand.context_tokens * self.model.kv_bytes

    @property
    def fit(self) -> int:
        """Questions for which there is memory."""
        room = int(self.card.memory * self.rates.memory_share) - self.weights - self.work
        return max(0, room // self.question)

    @property
    def read_s(self) -> float:
        """Reading what is new: two operations for each parameter and token, of the vision part for each patch."""
        patches = self.demand.images * self.demand.image_pixels // _PATCH_PIXELS
        operations = 2 * (self.model.text * self.demand.new_tokens + self.model.vision * patches)
        return operations / (self.card.flops * self.rates.compute_share)

    def step_s(self, in_flight: int) -> float:
        """One token for each question: all weights, and all keys and values, are read once."""
        moved = self.weights + in_flight * self.question
        return self.rates.step_s + moved / (self.card.bandwidth * self.rates.bandwidth_share)

    def seconds(self, in_flight: int) -> float:
        """An answer with so many in flight; it waits while the others' prompts are read."""
        return in_flight * self.read_s + self.demand.answer_tokens * self.step_s(in_flight)

    def in_flight(self, rate: float) -> float:
        """What is in flight on the average: r = rate · seconds(r), in which seconds(r) is a straight line.

        A question that is there is at least alone: where fewer than one are in flight, an answer takes seconds(1).
        """
        if rate * self.seconds(1) <= 1:
            return rate * self.seconds(1)
        fixed = self.seconds(0)
        return rate * fixed / (1 - rate * (self.seconds(1) - fixed))


def _own_at_once(demand: Demand, card: KnownCard, model: ModelSize, bits: Bits) -> int:
    """What engine ``transformers`` would answer at once on this card, by its own rules."""
    capability = (8, 0) if card.bfloat16 else (7, 5)
    free = card.memory - _DRIVER
    packages = frozenset({"torch", "transformers", "accelerate", "bitsandbytes"})
    there = Hardware(
        cards=(Card(card.name, capability, card.memory, free),),
        free_memory=0,
        cpu_flags=frozenset(),
        cores=1,
        packages=packages,
        torch=(2, 8),
    )
    try:
        plan = load_plan(there, model, load_in_4bit=bits == 4, device="cuda")
    except ConfigError:
        return 0
    return plan.concurrency if plan.context_tokens >= demand.context_tokens else 0


def _too_long(demand: Demand, model: ModelSize) -> ConfigError:
    asked, most = f"{demand.context_tokens:,}", f"{model.context_tokens:,}"
    return ConfigError(
        f"A conversation of {asked} tokens is longer than the model's {most}. Ask for fewer --turns or "
        "--images, or for smaller --image-pixels.",
        zh=f"一段对话 {asked} 个 token，超过模型的 {most}。请减少 --turns 或 --images，或缩小 --image-pixels。",
        param="--images",
    )


def _no_room(demand: Demand, card: KnownCard, bits: Bits) -> ConfigError:
    size, asked = f"{card.memory / 2**30:g} GiB", f"{demand.context_tokens:,}"
    return ConfigError(
        f"--gpu: a card of {size} has no room for one question of {asked} tokens beside weights of {bits} bits. "
        "Name a larger card, or ask for fewer --turns or smaller --image-pixels.",
        zh=f"--gpu：{size} 的显卡在 {bits} 位权重之外放不下一个 {asked} token 的问题。"
        "请选用更大的显卡，或减少 --turns、缩小 --image-pixels。",
        param="--gpu",
    )


def _too_slow(demand: Demand, alone_s: float) -> ConfigError:
    return ConfigError(
        f"--seconds: one answer takes {alone_s:.1f} s on this card with nobody else there, and {demand.seconds:g} s "
        "are allowed. Allow more, ask for fewer --answer-tokens, or name a faster card.",
        zh=f"--seconds：即使没有其他人使用，一个回答在这张显卡上也需要 {alone_s:.1f} 秒，"
        f"超过允许的 {demand.seconds:g} 秒。"
        "请放宽时间、减少 --answer-tokens，或选用更快的显卡。",
        param="--seconds",
    )
