"""Which engines there are. A factory imports its module when it is called: choosing is free, loading is not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from vlpro.engines.interface import Engine
from vlpro.errors import ConfigError

__all__ = ["ENGINES", "LOCAL", "create"]

Options = Mapping[str, object]


def _fake(options: Options) -> Engine:
    from vlpro.engines.fake import FakeEngine  # noqa: PLC0415 - see the module's docstring

    return FakeEngine(delay_s=float(str(options.get("delay_s", 0.0))))


def _ocr(options: Options) -> Engine:  # noqa: ARG001 - it has no options yet
    from vlpro.engines.ocr.engine import OcrEngine  # noqa: PLC0415 - see the module's docstring

    return OcrEngine()


def _transformers(options: Options) -> Engine:
    from vlpro.engines.model_files import find_manifest  # noqa: PLC0415 - see the module's docstring
    from vlpro.engines.transformers.engine import TransformersEngine  # noqa: PLC0415 - likewise

    if missing := [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"Engine transformers needs the package {missing[0]}. Install torch and then: "
            "pip install -r requirements-qwen.txt.",
            zh=f"transformers 引擎需要软件包 {missing[0]}。请先安装 torch，再运行："
            "pip install -r requirements-qwen.txt。",
            param="engine",
        )
    folder = Path(str(options["folder"]))
    return TransformersEngine(
        folder,
        find_manifest(str(options.get("manifest", "")), folder),
        load_in_4bit=_IN_4_BIT[str(options.get("load_in_4bit", "auto"))],
        device=str(options.get("device", "auto")),  # type: ignore[arg-type]  # checked by the settings
        keep_s=float(str(options.get("keep_s", 28_800))),
        known=options.get("known", ({}, 0.0)),  # type: ignore[arg-type]  # made by the gateway
    )


def _openvino(options: Options) -> Engine:
    from vlpro.engines.model_files import find_manifest  # noqa: PLC0415 - see the module's docstring
    from vlpro.engines.openvino.engine import OpenVinoEngine  # noqa: PLC0415 - likewise

    folder = Path(str(options["folder"]))
    manifest = find_manifest(str(options.get("manifest", "")), folder)
    return OpenVinoEngine(
        folder,
        manifest,
        activations=str(options.get("activations", "usual")),  # type: ignore[arg-type]  # checked by the settings
        keep_s=float(str(options.get("keep_s", 28_800))),
        known=options.get("known", ({}, 0.0)),  # type: ignore[arg-type]  # made by the gateway
    )


_IN_4_BIT = {"auto": None, "on": True, "off": False}


def _openai(options: Options) -> Engine:
    from vlpro.engines.openai import OpenAiEngine  # noqa: PLC0415 - see the module's docstring
    from vlpro.engines.upstream import Upstream  # noqa: PLC0415 - likewise

    return OpenAiEngine(
        Upstream(
            str(options["url"]),
            key=str(options["key"]),
            ca=str(options["ca"]),
            socket=str(options["socket"]),
        ),
        model=str(options["model"]),
        context_tokens=int(str(options["context_tokens"])),
        concurrency=int(str(options["concurrency"])),
    )


ENGINES: Mapping[str, Callable[[Options], Engine]] = {
    "fake": _fake,
    "ocr": _ocr,
    "openai": _openai,
    "openvino": _openvino,
    "transformers": _transformers,
}
LOCAL = frozenset({"ocr", "openvino", "transformers"})
"""Engines that compute: they run in a worker process of their own."""


def create(name: str, options: Options | None = None) -> Engine:
    """Make an engine; it is not started yet.

    Args:
        name: A key of :data:`ENGINES`.
        options: Of that engine.

    Raises:
        ConfigError: There is no such engine.
    """
    if name not in ENGINES:
        names = ", ".join(sorted(ENGINES))
        raise ConfigError(
            f"There is no engine {name!r}. Set VLPRO_ENGINE to one of: {names}.",
            zh=f"没有名为 {name!r} 的引擎。请将 VLPRO_ENGINE 设为其中之一：{names}。",
            param="engine",
        )
    return ENGINES[name](options or {})
