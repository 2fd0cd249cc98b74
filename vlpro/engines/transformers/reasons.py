"""A plan in sentences: why it is as it is, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from vlpro.engines.hardware import Hardware
from vlpro.engines.transformers.fit import (
    BFLOAT16_FLAGS,
    SDPA_TORCH,
    Device,
    LoadPlan,
    Place,
    Sentence,
)
from vlpro.engines.transformers.size import ModelSize
from vlpro.errors import ConfigError
from vlpro.imaging.tokens import CELL

__all__ = ["refusal", "why_so", "why_there"]

# transformers 5.23 with torch 2.13 in bfloat16 on two Zen 5 cores, to the first token
_MEASURED_PIXELS = 1_048_576
_MEASURED_SECONDS = 28.1


def why_there(
    place: Place, hardware: Hardware, model: ModelSize, tried: Sequence[Place], device: Device
) -> list[Sentence]:
    """Why on these cards, or on none."""
    if place.cap:
        count = len(place.cards)
        return [
            _both(
                f"没有一张显卡能单独容纳模型和较长的对话，因此各层分布在 {count} 张显卡上，每张都留有余量。",
                "No card alone has room for the model and a long conversation, so its layers are spread over "
                f"{count} cards; each keeps headroom.",
            )
        ]
    if place.cards:
        card = hardware.cards[place.cards[0]]
        free = _gb(card.free)
        return [
            _both(
                f"{card.name} 空闲 {free}，可以容纳模型。",
                f"{card.name} has {free} free and holds the model.",
            )
        ]
    if device == "cpu":
        return [_both("设置 device 要求使用处理器。", "The setting device asks for the processor.")]
    if not hardware.cards:
        return [
            _both(
                "没有可见的显卡，因此使用处理器。", "No graphics card is visible, so the processor computes."
            )
        ]
    on_card = [one for one in tried if one.cards and not one.cap]
    if not on_card:
        return [
            _both(
                "没有可用的显卡（需要计算能力 7.0 及以上；未安装 accelerate 时只能用第一张），因此使用处理器。",
                "No card can be used (compute capability 7.0 or newer is needed; without accelerate only the first "
                "card counts), so the processor computes.",
            )
        ]
    smallest = min(on_card, key=lambda one: one.weights)
    card = hardware.cards[smallest.cards[0]]
    needed, free = _gb(smallest.needed(model)), _gb(card.free)
    reasons = [
        _both(
            f"显卡放不下模型：需要空闲 {needed}，{card.name} 只有 {free}，因此使用处理器。",
            f"The model does not fit a card: it needs {needed} free and {card.name} has {free}, so the processor "
            "computes.",
        )
    ]
    if missing := {"accelerate", "bitsandbytes"} - hardware.packages:
        names = " ".join(sorted(missing))
        reasons.append(
            _both(
                f"安装 {names} 后可按 4 位加载，占用更少：pip install {names}。",
                f"With {names} the model takes less, in 4 bits: pip install {names}.",
            )
        )
    return reasons


def why_so(plan: LoadPlan, place: Place, hardware: Hardware, model: ModelSize) -> list[Sentence]:
    """Why in this form, and for so much."""
    reasons = [
        _why_dtype(place, hardware, model),
        _why_form(place, model),
        _why_attention(place, hardware),
        _both(
            f"同时回答的问题数：{plan.concurrency}，每个最多 {plan.context_tokens} 个词元；"
            f"键值共占 {_gb(plan.question_bytes)}。",
            f"Questions at once: {plan.concurrency}, each of up to {plan.context_tokens} tokens; their keys and "
            f"values take {_gb(plan.question_bytes)}.",
        ),
        _why_picture(plan),
        _both(
            f"保留 {_gb(plan.cache_bytes)} 用于已读图片和对话，追问时不必重读。",
            f"{_gb(plan.cache_bytes)} are for pictures and conversations already read, so that a follow-up need not "
            "read them again.",
        ),
    ]
    if hardware.torch is None:
        reasons.append(
            _both(
                "未安装 torch：安装之前无法运行模型。",
                "torch is not installed: the model does not run before it is.",
            )
        )
    return reasons


def _why_picture(plan: LoadPlan) -> Sentence:
    pixels, tokens = plan.picture_pixels, plan.picture_pixels // CELL**2
    if plan.device == "cuda":
        work = _gb(plan.work_bytes)
        return _both(
            f"图片最大 {pixels} 像素（{tokens} 个词元）：读取时最多占用 {work}。",
            f"Pictures up to {pixels} pixels ({tokens} tokens): reading takes up to {work} for a moment.",
        )
    seconds = round(_MEASURED_SECONDS * pixels / _MEASURED_PIXELS)
    return _both(
        f"图片最大 {pixels} 像素（{tokens} 个词元）：两核实测 {_MEASURED_PIXELS} 像素 "
        f"{_MEASURED_SECONDS:.0f} 秒出首字，按比例此大小约 {seconds} 秒。",
        f"Pictures up to {pixels} pixels ({tokens} tokens): on two cores {_MEASURED_PIXELS} pixels took "
        f"{_MEASURED_SECONDS:.0f} s to the first word, so this size takes about {seconds} s by proportion.",
    )


def _why_dtype(place: Place, hardware: Hardware, model: ModelSize) -> Sentence:
    if place.cards:
        major, minor = min(hardware.cards[i].capability for i in place.cards)
        if place.dtype == "bfloat16":
            return _both(
                f"bfloat16：计算能力 {major}.{minor}，8.0 起支持。",
                f"bfloat16: compute capability {major}.{minor}; cards have it from 8.0 on.",
            )
        return _both(
            f"float16：计算能力 {major}.{minor} 没有 bfloat16。",
            f"float16: compute capability {major}.{minor} has no bfloat16.",
        )
    if place.dtype == "float32":
        return _both(
            "float32：处理器没有 bfloat16 指令，内存足够。",
            "float32: the processor has no bfloat16 instructions, and there is memory enough.",
        )
    if found := hardware.cpu_flags & BFLOAT16_FLAGS:
        flags = ", ".join(sorted(found))
        return f"bfloat16：处理器有 {flags} 指令。", f"bfloat16: the processor has {flags}."
    full = _gb(model.weights(4, place.quantisation))
    return _both(
        f"bfloat16：处理器没有相应指令，会更慢，但 float32 的权重占 {full}，没有足够的余地。",
        f"bfloat16: the processor has no instructions for it and is slower so, but {full} of weights in float32 "
        "leave too little room.",
    )


def _why_form(place: Place, model: ModelSize) -> Sentence:
    size = _gb(place.weights)
    if place.quantisation is None:
        return f"不量化：权重占 {size}，放得下。", f"Not quantised: the weights take {size} and fit."
    full = _gb(model.weights(place.width, None))
    return _both(
        f"NF4：权重占 {size}，不量化则为 {full}。",
        f"NF4: the weights take {size}; they would take {full} unquantised.",
    )


def _why_attention(place: Place, hardware: Hardware) -> Sentence:
    if place.attention == "flash_attention_2":
        return _both(
            "flash_attention_2：已安装 flash_attn，显卡支持。",
            "flash_attention_2: flash_attn is installed, and the card can do it.",
        )
    if place.attention == "eager":
        version = ".".join(map(str, SDPA_TORCH))
        return _both(
            f"eager：未安装 torch 或版本低于 {version}，较长的提示会占用多得多的内存。",
            f"eager: torch is not installed or older than {version}; long prompts take much more memory so.",
        )
    if place.cards and "flash_attn" not in hardware.packages:
        return "sdpa：未安装 flash_attn。", "sdpa: flash_attn is not installed."
    if place.cards:
        return _both(
            "sdpa：flash_attn 需要计算能力 8.0 及以上。",
            "sdpa: flash_attn needs compute capability 8.0 or newer.",
        )
    return "sdpa：flash_attn 只用于显卡。", "sdpa: flash_attn is for cards only."


def refusal(
    tried: Sequence[Place], hardware: Hardware, model: ModelSize, missing: Sequence[str]
) -> ConfigError:
    """What the smallest of the forms that were tried would need, and what there is."""
    needed, place = min(((one.needed(model), one) for one in tried if not one.cap), key=lambda pair: pair[0])
    if place.cards:
        card = hardware.cards[place.cards[0]]
        there, there_zh = f"{card.name} has {_gb(card.free)}", f"{card.name} 只有 {_gb(card.free)}"
    else:
        there = f"the machine has {_gb(hardware.free_memory)}"
        there_zh = f"本机只有 {_gb(hardware.free_memory)}"
    names = " ".join(missing)
    hint = f"Install {names}, with which the model takes less" if missing else "Free memory"
    hint_zh = f"请安装 {names} 以减少占用" if missing else "请释放内存"
    return ConfigError(
        f"The model does not fit: it needs {_gb(needed)} of free memory, and {there}. {hint}, or set "
        "VLPRO_UPSTREAM_URL to a server that runs it.",
        zh=f"内存不足以加载模型：需要空闲 {_gb(needed)}，{there_zh}。{hint_zh}，"
        "或将 VLPRO_UPSTREAM_URL 设为运行该模型的服务器。",
        param="model_dir",
    )


def _both(zh: str, en: str) -> Sentence:
    return zh, en


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
