"""``vlpro plan --users``: how many cards a company needs, with everything that was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from vlpro.commands.terminal import print_json, say, t
from vlpro.engines.capacity import GATEWAY_PICTURE_S, GATEWAY_S, Bits, Capacity, Demand, Rates, capacity
from vlpro.engines.cards import KnownCard, card_of
from vlpro.errors import ConfigError

__all__ = ["answer"]

Texts = tuple[str, str]
_ASSUMED: dict[str, Texts] = {
    "questions": (
        "每人在最忙一小时内的提问数",
        "questions of each user in the busiest hour, on the average of all",
    ),
    "peak": ("最忙几分钟是该小时平均的倍数", "how many times that average the busiest minutes have"),
    "images": ("每个问题的图片数", "pictures of a question"),
    "image_pixels": ("每张图片送入模型的像素数", "pixels of a picture, as the model is given it"),
    "text_tokens": ("问题文字的 token 数", "tokens of a question's text"),
    "answer_tokens": ("回答的 token 数", "tokens of an answer"),
    "turns": ("一段对话的问题数", "questions of a conversation"),
    "seconds": ("最忙时一个回答最多的秒数", "seconds that an answer may take then"),
    "memory_share": (
        "显存中由推理服务使用的比例（vLLM 默认值）",
        "of a card's memory that is used (vLLM's default)",
    ),
    "bandwidth_share": ("解码得到的显存带宽比例", "of its memory's bandwidth that decoding gets"),
    "compute_share": ("读取问题得到的算力比例", "of its products a second that reading a prompt gets"),
    "step_ms": (
        "解码每步的固定毫秒数：H200 实测每步共 8.5 毫秒",
        "ms of each step beside: with it a step on an H200 is the 8.5 ms that were measured",
    ),
    "load": ("显卡按其能力的多少来使用", "share of its capacity at which a card is run"),
}
_PUBLISHED: dict[str, Texts] = {
    "memory": ("显存，GiB", "memory, GiB"),
    "bandwidth": ("显存带宽，GB/s", "its bandwidth, GB/s"),
    "tflops": ("16 位稠密算力，TFLOPS", "products of 16 bits, dense, TFLOPS"),
}
_ESTIMATE = (
    (
        "这是估算，不是测量：显卡只运行过 H200，vLLM 未在显卡上运行过，官方权重未运行过。"
        "购买前请在一张同型号显卡上用 bench/gpu.py 和 bench/load.py 实测。"
    ),
    (
        "An estimate, not a measurement: of cards an H200 was run, vLLM on none, the published weights not at all. "
        "Before you buy, measure one such card with bench/gpu.py and bench/load.py."
    ),
)
_GATEWAY = (
    (
        f"网关按每个问题 {GATEWAY_S * 1000:g} 毫秒、每张图片 {GATEWAY_PICTURE_S * 1000:g} 毫秒处理器时间计算"
        "（实测，docs/scale.md），至少两个进程，以便一个停止时另一个继续。"
    ),
    (
        f"A question takes the gateway {GATEWAY_S * 1000:g} ms of a processor and each picture "
        f"{GATEWAY_PICTURE_S * 1000:g} ms (measured, docs/scale.md); two processes at least, so that one may end."
    ),
)
_SOURCES = ("算法与出处：docs/scale.md。", "The arithmetic, and where each number comes from: docs/scale.md.")
_NOTES: tuple[Texts, ...] = (_ESTIMATE, _GATEWAY, _SOURCES)
_FOUR_BITS = (
    "4 位权重对回答质量的影响没有测量过。",
    "What 4 bits do to answers was not measured.",
)
_LABELS: dict[str, Texts] = {
    "engine": ("引擎", "engine"),
    "cards": ("显卡数", "cards"),
    "dtype": ("数据类型", "dtype"),
    "bits": ("权重位数", "bits of a weight"),
    "context_tokens": ("上下文 token", "context, tokens"),
    "questions_s": ("每秒提问", "questions a second"),
    "card_questions_s": ("一张卡每秒最多回答", "most that a card answers a second"),
    "in_flight": ("同时进行的提问", "questions in flight"),
    "card_in_flight": ("一张卡同时最多", "most in flight on a card"),
    "fit": ("一张卡显存可容纳", "for which a card has memory"),
    "own_at_once": ("transformers 引擎同时回答", "engine transformers would answer at once"),
    "answer_s": ("一个回答的秒数", "seconds an answer"),
    "alone_s": ("无人同时使用时", "with nobody else there"),
    "read_s": ("其中读取问题", "of them reading the prompt"),
    "weights_bytes": ("权重字节", "bytes of weights"),
    "work_bytes": ("读取时的工作内存字节", "bytes of work"),
    "kv_token_bytes": ("每 token 键值字节", "bytes of keys and values a token"),
    "gateways": ("网关进程", "processes of the gateway"),
}


def answer(given: Mapping[str, Any], *, json: bool) -> None:
    """Say how many cards are needed.

    Args:
        given: The options that were given, by their names.
        json: For programs.

    Raises:
        ConfigError: As :func:`~vlpro.engines.capacity.capacity`, and where no card is named.
    """
    found = planned(given)
    if json:
        print_json(found)
    else:
        say(_text(found))


def planned(given: Mapping[str, Any]) -> dict[str, Any]:
    """The plan as data. Raises: as :func:`answer`."""
    if not given.get("gpu"):
        raise ConfigError(
            "Name the card: --gpu 24G, or --gpu L4. Without one, a new picture takes half a minute on two cores "
            "(docs/model.md): for a handful of people, or for engine ocr, which needs no model.",
            zh="请指定显卡：--gpu 24G 或 --gpu L4。没有显卡时，双核机器读一张新图片约需半分钟（docs/model.md），"
            "只适合少数几个人，或使用不需要模型的 ocr 引擎。",
            param="--gpu",
        )
    card = card_of(given["gpu"])
    if "bandwidth" in given:
        card = replace(card, bandwidth=given["bandwidth"] * 1e9)
    if "tflops" in given:
        card = replace(card, flops=given["tflops"] * 1e12)
    demand = Demand(**_those(given, Demand))
    rates = Rates(
        **_those(given, Rates) | ({"step_s": given["step_ms"] / 1000} if "step_ms" in given else {})
    )
    bits: Bits | None = given.get("bits")
    needed = capacity(demand, card, rates, bits=bits)
    otherwise = None
    if bits is None and needed.bits == 16:
        fewer = capacity(demand, card, rates, bits=4)
        otherwise = {"bits": 4, "cards": fewer.cards, "zh": _FOUR_BITS[0], "en": _FOUR_BITS[1]}
    return {
        "needed": asdict(needed),
        "otherwise": otherwise,
        "start": _start(needed),
        "assumptions": _assumptions(given, demand, rates, card),
        "notes": [{"zh": zh, "en": en} for zh, en in _NOTES],
    }


def _those(given: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in kind.__dataclass_fields__}


def _start(needed: Capacity) -> str:
    """What starts the engine."""
    if needed.engine == "transformers":
        four = f" VLPRO_LOAD_IN_4BIT={'on' if needed.bits == 4 else 'off'}"
        return f"VLPRO_ENGINE=transformers VLPRO_MODEL_DIR=…{four}"
    four = " --quantization bitsandbytes" if needed.bits == 4 else ""
    return (
        f"vllm serve Qwen/Qwen3-VL-4B-Instruct --dtype {needed.dtype} --max-model-len {needed.context_tokens} "
        f"--max-num-seqs {needed.card_in_flight}{four}"
    )


def _assumptions(
    given: Mapping[str, Any], demand: Demand, rates: Rates, card: KnownCard
) -> list[dict[str, Any]]:
    values = asdict(demand) | asdict(rates) | {"step_ms": rates.step_s * 1000}
    of_card = {"memory": card.memory / 2**30, "bandwidth": card.bandwidth / 1e9, "tflops": card.flops / 1e12}
    made = [_assumption(given, name, values[name], "assumed", text) for name, text in _ASSUMED.items()]
    for name, (zh, en) in _PUBLISHED.items():
        text = (f"{card.name}：{zh}", f"{card.name}: {en}")
        made.append(_assumption(given, name, of_card[name], "published", text))
    return made


def _assumption(
    given: Mapping[str, Any], name: str, value: float, source: str, text: Texts
) -> dict[str, Any]:
    option = "--gpu" if name == "memory" else f"--{name.replace('_', '-')}"
    if name in given:
        source = "given"
    return {"option": option, "value": round(value, 6), "source": source, "zh": text[0], "en": text[1]}


def _text(found: Mapping[str, Any]) -> str:
    lines = [f"{t(*_LABELS[name])}  {_number(value)}" for name, value in found["needed"].items()]
    lines += ["", found["start"]]
    if (other := found["otherwise"]) is not None:
        cards = other["cards"]
        lines += [
            "",
            t(f"用 --bits 4：{cards} 张显卡。{other['zh']}", f"With --bits 4, cards: {cards}. {other['en']}"),
        ]
    lines += ["", t("假设（每一项都可用选项改变）：", "What was assumed; each option changes it:")]
    words = {
        "assumed": t("假设", "assumed"),
        "published": t("厂商公布", "published"),
        "given": t("您给出", "given"),
    }
    width = max(len(one["option"]) for one in found["assumptions"])
    lines += [
        f"  {one['option']:<{width}}  {_number(one['value']):>10}  {words[one['source']]:<9}  "
        f"{t(one['zh'], one['en'])}"
        for one in found["assumptions"]
    ]
    lines += ["", *(f"- {t(note['zh'], note['en'])}" for note in found["notes"])]
    return "\n".join(lines)


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
