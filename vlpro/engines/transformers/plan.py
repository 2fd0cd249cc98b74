"""How the model is loaded on a machine: a pure decision, made before anything heavy is imported.

All memory is counted before it is taken: weights, the work of reading a picture and a prompt, the keys and values of
the questions in flight, and what is kept between questions. The counts of work are upper estimates from the model's
shape; the rest is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from vlpro.engines.hardware import Hardware
from vlpro.engines.transformers.fit import (
    BFLOAT16_FLAGS,
    CPU_PIXELS,
    GPU_PIXELS,
    SDPA_TORCH,
    Attention,
    Device,
    Dtype,
    Form,
    LoadPlan,
    Place,
    width_of,
)
from vlpro.engines.transformers.reasons import refusal, why_so, why_there
from vlpro.engines.transformers.size import OFFICIAL_4B, ModelSize, model_size
from vlpro.errors import ConfigError

__all__ = ["OFFICIAL_4B", "Device", "LoadPlan", "ModelSize", "load_plan", "model_size"]

MIN_CAPABILITY = (7, 0)
BFLOAT16_CAPABILITY = (8, 0)

FAIR_GPU_PIXELS, FAIR_CPU_PIXELS = GPU_PIXELS[:2], CPU_PIXELS[:1]
"""Where wider numbers leave no room for such pictures, narrower ones are taken: too small a picture is worse."""
ROOMY_CONTEXT = 16_384
"""Tokens of several pictures and a long conversation. More questions at once only where each has as many."""
CPU_CONTEXT = 32_768
"""A processor reads a longer prompt for more minutes than an answer may take."""
GPU_CONCURRENCY = 8
CPU_CONCURRENCY = 4
CPU_CACHE_BYTES = 4_000_000_000
"""Main memory is shared with all that runs beside."""


def load_plan(
    hardware: Hardware, model: ModelSize, *, load_in_4bit: bool | None = None, device: Device = "auto"
) -> LoadPlan:
    """Decide how to load a model; reads nothing but its arguments.

    Args:
        hardware: The machine.
        model: The model.
        load_in_4bit: Whether to use NF4; None: where the weights do not fit at 16 bit.
        device: "cuda" and "cpu" allow nothing else; "auto" prefers a card.

    Returns:
        The plan. Its promise, headroom added, is within what is free.

    Raises:
        ConfigError: The model fits nowhere (says how much is needed and how much there is), a card is asked for where
            there is none, or 4 bits where a package for them is missing.
    """
    missing = [name for name in ("accelerate", "bitsandbytes") if name not in hardware.packages]
    if load_in_4bit and missing:
        command = f"pip install {' '.join(missing)}"
        raise ConfigError(
            f"load_in_4bit is on, but a package for it is missing. Install it: {command}.",
            zh=f"load_in_4bit 已开启，但缺少所需的软件包。请安装：{command}。",
            param="load_in_4bit",
        )
    forms: tuple[Form, ...] = ("nf4",) if load_in_4bit else (None,)
    if load_in_4bit is None and not missing:
        forms = (None, "nf4")

    usable = [i for i, card in enumerate(hardware.cards) if card.capability >= MIN_CAPABILITY]
    if "accelerate" not in hardware.packages:
        usable = [i for i in usable if i == 0]  # without it a model can only be moved to the first card
    if device == "cuda" and not usable:
        raise ConfigError(
            "device is cuda, but no card of compute capability 7.0 or newer is visible. Check the driver with "
            "nvidia-smi, or set VLPRO_DEVICE=auto.",
            zh="device 设为 cuda，但没有可见的计算能力 7.0 及以上的显卡。请用 nvidia-smi 检查驱动，"
            "或设置 VLPRO_DEVICE=auto。",
            param="device",
        )
    tried: list[Place] = []
    if device != "cpu" and usable:
        for form in forms:
            places = _card_places(hardware, model, usable, form)
            tried += places
            pictures = GPU_PIXELS if form == forms[-1] else FAIR_GPU_PIXELS
            if place := _choose(places, model, pictures):
                return _plan(place, hardware, model, tried=tried, device=device)
    if device != "cuda":
        places = [place for form in forms for place in _cpu_places(hardware, model, form)]
        for place in places:
            tried.append(place)
            if place.picture(model, CPU_PIXELS if place is places[-1] else FAIR_CPU_PIXELS):
                return _plan(place, hardware, model, tried=tried, device=device)
    raise refusal(tried, hardware, model, missing if load_in_4bit is None else [])


def _card_places(hardware: Hardware, model: ModelSize, usable: Sequence[int], form: Form) -> list[Place]:
    """The one card with most room, and all cards together where the packages and the cards allow it."""
    best = max(usable, key=lambda i: hardware.cards[i].usable)
    places = [_on_cards(hardware, model, (best,), form)]
    if 1 < len(usable) == len(hardware.cards):  # accelerate counts cards from 0, and leaves none out
        places.append(_on_cards(hardware, model, tuple(usable), form))
    return places


def _on_cards(hardware: Hardware, model: ModelSize, cards: tuple[int, ...], form: Form) -> Place:
    chosen = [hardware.cards[i] for i in cards]
    capability = min(card.capability for card in chosen)
    dtype: Dtype = "bfloat16" if capability >= BFLOAT16_CAPABILITY else "float16"
    flash = "flash_attn" in hardware.packages and capability >= BFLOAT16_CAPABILITY
    attention: Attention = "flash_attention_2" if flash else _plain_attention(hardware)
    weights = model.weights(2, form)
    if len(cards) == 1:
        return Place(cards, dtype, form, attention, weights, chosen[0].usable - weights)
    # accelerate's "auto" divides evenly, whatever the cards have, but keeps room for one more part on the first card,
    # which the last one then takes.
    cap = weights // len(cards) + model.largest_block(2)
    share = min(1.0, cap / weights)
    room = int((min(card.usable for card in chosen) - cap) / share)
    return Place(cards, dtype, form, attention, weights, room, cap, 1 / share)


def _cpu_places(hardware: Hardware, model: ModelSize, form: Form) -> list[Place]:
    dtypes: tuple[Dtype, ...] = (
        ("bfloat16",) if hardware.cpu_flags & BFLOAT16_FLAGS else ("float32", "bfloat16")
    )
    attention = _plain_attention(hardware)
    weights = [model.weights(width_of(dtype), form) for dtype in dtypes]
    return [
        Place((), dtype, form, attention, size, hardware.usable_memory - size)
        for dtype, size in zip(dtypes, weights, strict=True)
    ]


def _plain_attention(hardware: Hardware) -> Attention:
    return "sdpa" if hardware.torch and hardware.torch >= SDPA_TORCH else "eager"


def _choose(places: Sequence[Place], model: ModelSize, pictures: Sequence[int]) -> Place | None:
    """One card where it has room for a long conversation, else all cards together, else one card."""
    single, *spread = places
    roomy = min(ROOMY_CONTEXT, model.context_tokens)
    if single.need(model, GPU_PIXELS[0], roomy, 1) <= single.room:
        return single
    return next((place for place in (*spread, single) if place.picture(model, pictures)), None)


def _plan(
    place: Place,
    hardware: Hardware,
    model: ModelSize,
    *,
    tried: Sequence[Place],
    device: Device,
) -> LoadPlan:
    """Divide the room of a place that has enough of it."""
    pictures = GPU_PIXELS if place.cards else CPU_PIXELS
    pixels = place.picture(model, pictures)
    limit = model.context_tokens if place.cards else min(model.context_tokens, CPU_CONTEXT)
    concurrency = GPU_CONCURRENCY if place.cards else CPU_CONCURRENCY
    while concurrency > 1 and place.need(model, pixels, min(ROOMY_CONTEXT, limit), concurrency) > place.room:
        concurrency -= 1
    context = place.longest(model, pixels, concurrency, limit)
    questions = place.questions(model, context, concurrency)
    work = place.work(model, pixels, context)
    cache = place.room - int(work * place.spread) - 1 - questions
    device_map: Literal["auto"] | Mapping[str, int] | None = None
    if place.cards and "accelerate" in hardware.packages:
        device_map = "auto" if place.cap else {"": place.cards[0]}
    plan = LoadPlan(
        device="cuda" if place.cards else "cpu",
        dtype=place.dtype,
        quantisation=place.quantisation,
        attention=place.attention,
        device_map=device_map,
        max_memory=dict.fromkeys(place.cards, place.cap) if place.cap else None,
        context_tokens=context,
        picture_pixels=pixels,
        concurrency=concurrency,
        cache_bytes=cache if place.cards else min(cache, CPU_CACHE_BYTES),
        weights_bytes=place.weights,
        work_bytes=work,
        question_bytes=questions,
        reasons=(),
    )
    where = why_there(place, hardware, model, tried, device)
    return replace(plan, reasons=(*where, *why_so(plan, place, hardware, model)))
