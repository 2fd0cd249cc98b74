"""What is to be inspected, and how: said by who asks, or told by what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlpro.chat.service import Upload
from vlpro.engines.interface import Language
from vlpro.errors import UnsupportedError
from vlpro.workflows.inspection.result import Method
from vlpro.workflows.inspection.sight import Subject
from vlpro.workflows.inspection.store import Source
from vlpro.workflows.inspection.template_store import Copper
from vlpro.workflows.inspection.templates import no_template

__all__ = ["Asked", "method_of"]

_HEAT = ("热", "温", "过烧", "hot", "heat", "thermal", "temperature", "warm")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be inspected.

    Args:
        image: The picture.
        template: A golden picture of the caller's own; None: the product's stored one.
        product: What it is; may be empty.
        station: Where; may be empty.
        method: How; ``auto`` chooses.
        copper: Which of a board's two tones its conductors are; None: as stored with the golden picture.
        instruction: What to look for, for an engine that sees.
        language: In which such an engine names what it found.
        source: How the picture came.
        bases: Ids of knowledge bases whose passages may explain what is found; none: nothing is looked up.
    """

    image: Upload
    template: Upload | None = None
    product: str = ""
    station: str = ""
    method: Literal["auto"] | Method = "auto"
    copper: Copper | None = None
    instruction: str = ""
    language: Language = "zh"
    source: Source = "api"
    bases: tuple[str, ...] = ()


def method_of(asked: Asked, *, has_template: bool, sees: bool) -> tuple[Method, Subject]:
    """How to inspect; and what an engine that sees is to look for.

    Args:
        asked: What is to be inspected.
        has_template: Whether there is a golden picture of the product.
        sees: Whether the engine sees.

    Raises:
        BadRequestError: It cannot be done so; names the field.
    """
    hot = any(word in asked.instruction.casefold() for word in _HEAT)
    method = asked.method
    if method == "auto":
        method = _automatic(asked, has_template=has_template, hot=hot, sees=sees)
    if method != "template" and asked.copper is not None:
        raise UnsupportedError(
            f"Method {method} does not ask which tone is copper. Leave copper out, or set method to template.",
            zh=f"{method} 方式不使用 copper，请去掉该参数，或将 method 设为 template。",
            param="copper",
        )
    if method == "template":
        if asked.instruction:
            raise UnsupportedError(
                "A comparison with a golden picture takes no instruction. Leave instruction out, or set method "
                "to sight.",
                zh="与标准图比对不接受 instruction，请去掉该参数，或将 method 设为 sight。",
                param="instruction",
            )
        if asked.template is None and not has_template:
            raise no_template(asked.product)
        return "template", "board"
    if asked.template is not None:
        raise UnsupportedError(
            f"Method {method} compares with no golden picture. Leave template_image out, or set method to "
            "template.",
            zh=f"{method} 方式不使用标准图，请去掉 template_image，或将 method 设为 template。",
            param="template_image",
        )
    if method == "thermal":
        # Why a region is hot is for an engine that sees; where it is, the region finder tells surer.
        return ("sight", "heat") if asked.instruction and sees else ("thermal", "heat")
    if not sees:
        raise _does_not_see("method")
    return "sight", "heat" if hot else "board"


def _automatic(asked: Asked, *, has_template: bool, hot: bool, sees: bool) -> Method:
    if asked.template is not None or (has_template and not asked.instruction):
        return "template"
    if hot:
        return "thermal"
    if sees:
        return "sight"
    if asked.instruction:
        raise _does_not_see("instruction")
    return "template"


def _does_not_see(param: str) -> UnsupportedError:
    return UnsupportedError(
        "The engine in use reads text and does not see. Send a golden picture (template_image), use method thermal, "
        "or add the model.",
        zh="当前引擎只识别文字，不能看图判断。请提供标准图（template_image）、使用 thermal 方式，或安装模型。",
        param=param,
    )
