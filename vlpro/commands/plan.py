"""``vlpro plan``: how this machine would load the model, and why; or how many cards so many people need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlpro.commands.terminal import Json, WrongUsageError, print_json, say, t

if TYPE_CHECKING:
    from vlpro.engines.hardware import Hardware

__all__ = ["app"]

app = typer.Typer()

_UNVERIFIED = (
    "本方案按规则得出，只在一种显卡（H200）上用随机权重运行过；其他显卡和官方权重未经实测。",
    "By rules that were run on an H200 only, with random weights. Not verified: other cards, the published weights.",
)
_PROCESSOR = (
    "没有使用显卡，由处理器计算（VLPRO_DEVICE、VLPRO_ENGINE 可改变）。",
    "The processor computes, not a card (VLPRO_DEVICE and VLPRO_ENGINE choose otherwise).",
)
_TO_PACK = (
    "假定官方 4B 模型已压缩为 4 位权重：vlpro model convert。",
    "As if the official 4B were packed into 4 bits: vlpro model convert.",
)
_FOUR_BITS = {"auto": None, "on": True, "off": False}


_MOST = 10_000_000
_Share = Annotated[float | None, typer.Option(min=0.01, max=1.0, rich_help_panel="--users")]


def _of_users(zh: str, en: str, least: float, most: float) -> Any:
    """An option that belongs to --users; its default is the planner's."""
    return typer.Option(min=least, max=most, help=t(zh, en), rich_help_panel="--users")


@app.command(
    help=t(
        "本机会如何加载模型，以及原因；--users：多少人需要多少显卡",
        "how this machine would load the model, and why; with --users, how many cards so many people need",
    )
)
def plan(
    *,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help=t(
                "默认 VLPRO_MODEL_DIR，否则为官方 4B 模型的规模",
                "VLPRO_MODEL_DIR where left out, else the official 4B's shape",
            ),
        ),
    ] = None,
    users: Annotated[int | None, _of_users("有账号的人数", "people with an account", 1, _MOST)] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIZE|NAME",
            help=t("显卡：显存（24G）或型号（L4）", "the card, by its memory (24G) or name (L4)"),
            rich_help_panel="--users",
        ),
    ] = None,
    images: Annotated[
        int | None, _of_users("每个问题的图片数，默认 1", "pictures of a question: 1", 0, 16)
    ] = None,
    questions: Annotated[
        float | None,
        _of_users("每人最忙一小时的提问数，默认 2", "of each user in the busiest hour: 2", 0.001, 1000),
    ] = None,
    peak: Annotated[
        float | None, _of_users("最忙几分钟的倍数，默认 2", "busiest minutes to that average: 2", 1, 100)
    ] = None,
    image_pixels: Annotated[
        int | None, _of_users("每张图片的像素，默认 1048576", "of a picture: 1048576", 65_536, 16_777_216)
    ] = None,
    text_tokens: Annotated[
        int | None, _of_users("问题文字的 token，默认 200", "of a question's text: 200", 1, 262_144)
    ] = None,
    answer_tokens: Annotated[
        int | None, _of_users("回答的 token，默认 256", "of an answer: 256", 1, 32_768)
    ] = None,
    turns: Annotated[
        int | None, _of_users("一段对话的问题数，默认 4", "questions of a conversation: 4", 1, 1000)
    ] = None,
    seconds: Annotated[
        float | None, _of_users("一个回答最多的秒数，默认 30", "that an answer may take: 30", 0.1, 3600)
    ] = None,
    bits: Annotated[
        int | None,
        _of_users("权重位数：16 或 4；默认 16，放不下则 4", "of a weight, 16 or 4: 16 if it fits", 4, 16),
    ] = None,
    memory_share: _Share = None,
    bandwidth_share: _Share = None,
    compute_share: _Share = None,
    step_ms: Annotated[
        float | None, _of_users("解码每步的固定毫秒，默认 5", "ms of each step of decoding: 5", 0, 1000)
    ] = None,
    load: _Share = None,
    bandwidth: Annotated[
        float | None,
        _of_users("显存带宽 GB/s，默认厂商公布值", "of its memory, GB/s: as published", 1, 100_000),
    ] = None,
    tflops: Annotated[
        float | None,
        _of_users("16 位稠密 TFLOPS，默认厂商公布值", "16 bits, dense: as published", 0.1, 100_000),
    ] = None,
    json: Json = False,
) -> None:
    given = {
        "gpu": _one_kind(gpu),
        "images": images,
        "questions": questions,
        "peak": peak,
        "image_pixels": image_pixels,
        "text_tokens": text_tokens,
        "answer_tokens": answer_tokens,
        "turns": turns,
        "seconds": seconds,
        "bits": bits,
        "memory_share": memory_share,
        "bandwidth_share": bandwidth_share,
        "compute_share": compute_share,
        "step_ms": step_ms,
        "load": load,
        "bandwidth": bandwidth,
        "tflops": tflops,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if users is not None:
        _for_users(given | {"users": users}, folder, json=json)
        return
    if given:
        option = f"--{next(iter(given)).replace('_', '-')}"
        raise WrongUsageError(
            f"{option} belongs to --users: vlpro plan --users 1000 --gpu 24G.",
            zh=f"{option} 需与 --users 一起使用：vlpro plan --users 1000 --gpu 24G。",
        )
    from vlpro import config
    from vlpro.engines.hardware import probe

    settings = config.load()
    if folder is None and settings.model_dir:
        folder = Path(settings.model_dir)
    found = _planned(settings, probe(), folder)
    if json:
        print_json(found | {"reasons": [{"zh": zh, "en": en} for zh, en in found["reasons"]]})
    else:
        say(_text(found))


def _one_kind(cards: list[str] | None) -> str | None:
    """The card; of several, the last one would quietly count alone."""
    if not cards:
        return None
    if len(cards) > 1:
        raise WrongUsageError(
            "One kind of card is planned with: run it once for each --gpu, with the --users whom those cards shall "
            "serve.",
            zh="每次只按一种显卡计算：请为每种 --gpu 各运行一次，--users 填写由这些显卡服务的人数。",
        )
    return cards[0]


def _for_users(given: dict[str, Any], folder: Path | None, *, json: bool) -> None:
    from vlpro.commands.plan_users import answer

    if folder is not None:
        raise WrongUsageError(
            "With --users the official 4B is planned with; leave the folder out.",
            zh="--users 按官方 4B 模型计算，请不要指定文件夹。",
        )
    if given.get("bits", 16) not in (4, 16):
        raise WrongUsageError("--bits is 16 or 4.", zh="--bits 只能是 16 或 4。")
    answer(given, json=json)


def _planned(settings: Any, hardware: Hardware, folder: Path | None) -> dict[str, Any]:
    """The values of the plan; ``reasons`` come last."""
    from dataclasses import asdict

    from vlpro.engines.choice import for_weights
    from vlpro.engines.transformers.plan import OFFICIAL_4B, load_plan, model_size

    model = _config_of(folder) if folder else None
    engine = settings.engine
    if engine not in ("openvino", "transformers"):
        engine = for_weights(settings.device, hardware)
    made: dict[str, Any] = {"engine": engine}
    if engine == "openvino":
        made |= _on_processor(hardware, folder, model) | {"activations": settings.activations}
    else:
        size = OFFICIAL_4B if model is None else model_size(model)
        four_bits = _FOUR_BITS[settings.load_in_4bit]
        made |= asdict(load_plan(hardware, size, load_in_4bit=four_bits, device=settings.device))
        if made["device"] == "cuda":
            made["reasons"] = (_UNVERIFIED, *made["reasons"])
    return made | {"reasons": made.pop("reasons")}


def _on_processor(hardware: Hardware, folder: Path | None, model: dict[str, Any] | None) -> dict[str, Any]:
    """What engine openvino has memory for.

    Args:
        hardware: The machine.
        folder: The model's.
        model: Its ``config.json``; None: the official 4B, packed.
    """
    from dataclasses import asdict

    from vlpro.engines.openvino.plan import PACKED, PACKED_4B, limits
    from vlpro.engines.transformers.plan import model_size

    reasons: tuple[tuple[str, str], ...] = (_PROCESSOR,)
    if model is None or folder is None:
        (model, weights), reasons = PACKED_4B, (_PROCESSOR, _TO_PACK)
    else:
        model_size(model)  # refuses what is no Qwen3-VL
        weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    room = limits(model, weights, hardware.usable_memory)
    bits = {"weights_bytes": weights, "weights_bits": model.get(PACKED, 16)}
    return bits | asdict(room) | {"reasons": reasons}


def _config_of(folder: Path) -> dict[str, Any]:
    import json

    from vlpro.errors import ConfigError

    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read. Name the folder of a model: vlpro plan FOLDER.",
            zh=f"无法读取 {path}。请指定模型文件夹：vlpro plan FOLDER。",
            param="model_dir",
        ) from error
    return found if isinstance(found, dict) else {}


def _text(plan: dict[str, Any]) -> str:
    """The plan's values, one a line, then its reasons."""
    values = {name: value for name, value in plan.items() if name != "reasons"}
    width = max(map(len, values))
    lines = [
        f"{name:<{width}}  {f'{value:,}' if type(value) is int else value}" for name, value in values.items()
    ]
    return "\n".join([*lines, "", *(f"- {t(zh, en)}" for zh, en in plan["reasons"])])
