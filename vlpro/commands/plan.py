"""``vlpro plan``: how this machine would load the model, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlpro.commands.terminal import Json, print_json, say, t

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


@app.command(help=t("本机会如何加载模型，以及原因", "how this machine would load the model, and why"))
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
    json: Json = False,
) -> None:
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
