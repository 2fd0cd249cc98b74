"""What a plan is made of: the machine, the memory that a way of loading takes, and the plan itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vlpro.engines.hardware import CPU_RESERVE, GPU_RESERVE
from vlpro.engines.transformers.size import ModelSize
from vlpro.imaging.tokens import CELL

__all__ = [
    "BFLOAT16_FLAGS",
    "CPU_PIXELS",
    "GPU_PIXELS",
    "SDPA_TORCH",
    "Attention",
    "Device",
    "Dtype",
    "Form",
    "LoadPlan",
    "Place",
    "Sentence",
    "least_context",
    "width_of",
]

Device = Literal["auto", "cuda", "cpu"]
Dtype = Literal["bfloat16", "float16", "float32"]
Attention = Literal["flash_attention_2", "sdpa", "eager"]
Form = Literal["nf4"] | None
Sentence = tuple[str, str]
"""The same in Chinese and in English."""

BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
SDPA_TORCH = (2, 1)
"""The first torch whose scaled_dot_product_attention transformers takes."""

GPU_PIXELS = (2_621_440, 1_310_720, 589_824, 262_144)
CPU_PIXELS = (589_824, 262_144)
"""Largest pictures to choose from: 2560, 1280, 576 and 256 tokens."""

QUESTION_TOKENS = 4096
"""Room for text and answer beside one picture, without which a model is not loaded."""
_CONTEXT_STEP = 256
_PATCH_PIXELS = 256


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How to load the model, and what for.

    Args:
        device: Where it computes.
        dtype: Of what is not quantised, and of all products.
        quantisation: "nf4": bitsandbytes' 4 bits for the language model's layers.
        attention: ``attn_implementation`` of transformers.
        device_map: Of transformers; None: load and move as a whole.
        max_memory: Bytes of weights a card, where ``device_map`` is "auto".
        context_tokens: The longest prompt and answer of one question.
        picture_pixels: The largest picture.
        concurrency: Questions in flight at once, each of which may use the whole context.
        cache_bytes: For keys and values of past prompts and for features of pictures, kept between questions.
        weights_bytes: What the weights take.
        work_bytes: The most that reading one prompt with one picture takes for a moment; with several cards, on each.
        question_bytes: Keys and values of all questions in flight.
        reasons: Why each was chosen.
    """

    device: Literal["cuda", "cpu"]
    dtype: Dtype
    quantisation: Form
    attention: Attention
    device_map: Literal["auto"] | Mapping[str, int] | None
    max_memory: Mapping[int, int] | None
    context_tokens: int
    picture_pixels: int
    concurrency: int
    cache_bytes: int
    weights_bytes: int
    work_bytes: int
    question_bytes: int
    reasons: tuple[Sentence, ...]

    @property
    def memory_bytes(self) -> int:
        """All that the plan promises to use, at most."""
        works = len(self.max_memory or (0,)) * self.work_bytes
        return self.weights_bytes + works + self.question_bytes + self.cache_bytes


@dataclass(frozen=True, slots=True)
class Place:
    """One way to hold the weights, with the room that is left beside them.

    Args:
        cards: Their positions; none: main memory.
        dtype: Of what is not quantised.
        quantisation: As in the plan.
        attention: As in the plan.
        weights: Bytes.
        cap: Most bytes of weights on each card, where there are several.
        room: Bytes beside the weights. With several cards: as much as would be used up when the first card is full.
        spread: How much more the work weighs against that room: each card does it, but holds only its share of the
            keys and values.
    """

    cards: tuple[int, ...]
    dtype: Dtype
    quantisation: Form
    attention: Attention
    weights: int
    room: int
    cap: int = 0
    spread: float = 1.0

    @property
    def width(self) -> int:
        """Bytes of a number."""
        return width_of(self.dtype)

    def work(self, model: ModelSize, pixels: int, context: int) -> int:
        """Bytes that reading one prompt of this length with one picture of this size takes for a moment."""
        patches = pixels // _PATCH_PIXELS
        work = (patches * model.patch_work + context * model.token_work) * self.width // 2
        if self.attention == "eager":  # scores, and their softmax in float32
            squares = max(model.vision_heads * patches**2, model.text_heads * context**2)
            work += squares * (self.width + 4)
        return work

    def questions(self, model: ModelSize, context: int, concurrency: int) -> int:
        """Bytes of keys and values."""
        return concurrency * context * model.kv_bytes * self.width // 2

    def need(self, model: ModelSize, pixels: int, context: int, concurrency: int) -> int:
        """Bytes beside the weights, with a third of the questions' own on top for what is kept between them."""
        work = int(self.work(model, pixels, context) * self.spread) + 1
        return work + self.questions(model, context, concurrency) * 4 // 3

    def longest(self, model: ModelSize, pixels: int, concurrency: int, limit: int) -> int:
        """The longest context that there is room for, at most the limit; 0 where there is none."""
        lengths = range(_CONTEXT_STEP, limit + 1, _CONTEXT_STEP)
        fitting = bisect_right(lengths, self.room, key=lambda c: self.need(model, pixels, c, concurrency))
        return lengths[fitting - 1] if fitting else 0

    def picture(self, model: ModelSize, choices: Sequence[int]) -> int:
        """The largest picture of the choices with which one question can be answered; 0 where there is none."""
        for pixels in choices:
            if self.need(model, pixels, least_context(model, pixels), 1) <= self.room:
                return pixels
        return 0

    def needed(self, model: ModelSize) -> int:
        """Free bytes with which the smallest picture could be asked about, on one card or none; with headroom."""
        pixels = (GPU_PIXELS if self.cards else CPU_PIXELS)[-1]
        need = self.weights + self.need(model, pixels, least_context(model, pixels), 1)
        return (need + GPU_RESERVE) * 20 // 19 + 20 if self.cards else (need + CPU_RESERVE) * 10 // 9 + 10


def width_of(dtype: Dtype) -> int:
    """Bytes of a number."""
    return 4 if dtype == "float32" else 2


def least_context(model: ModelSize, pixels: int) -> int:
    """Tokens without which a picture of this size makes no sense: itself, text and an answer."""
    tokens = min(pixels // CELL**2 + QUESTION_TOKENS, model.context_tokens)
    return -(-tokens // _CONTEXT_STEP) * _CONTEXT_STEP
