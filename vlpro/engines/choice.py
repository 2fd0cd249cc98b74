"""Which engine runs a model's folder on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vlpro.engines.transformers.plan import MIN_CAPABILITY

if TYPE_CHECKING:
    from vlpro.engines.hardware import Hardware

__all__ = ["for_weights"]


def for_weights(device: str, hardware: Hardware) -> Literal["openvino", "transformers"]:
    """The engine for a model's folder, where none is named: transformers where there is a card, or one is asked for.

    Args:
        device: The setting: "auto", "cuda" or "cpu".
        hardware: The machine.
    """
    card = "torch" in hardware.packages and any(one.capability >= MIN_CAPABILITY for one in hardware.cards)
    return "transformers" if device == "cuda" or (device == "auto" and card) else "openvino"
