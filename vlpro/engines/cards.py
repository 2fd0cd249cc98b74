"""What graphics cards are sold with, as NVIDIA publishes it: memory, its bandwidth, products. Not measured here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from vlpro.errors import ConfigError

__all__ = ["KNOWN", "KnownCard", "card_of"]

_GIB = 2**30
_MOST = 1024 * _GIB
_SIZE = re.compile(r"(\d{1,4}(?:\.\d+)?) ?(?:g|gb|gib)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownCard:
    """A card as its data sheet has it.

    Args:
        name: Of the product.
        memory: Bytes.
        bandwidth: Of its memory, bytes a second.
        flops: Operations of 16-bit products a second, dense (half of what a data sheet says "with sparsity").
        bfloat16: Whether it computes in bfloat16 (compute capability 8.0 or newer).
    """

    name: str
    memory: int
    bandwidth: float
    flops: float
    bfloat16: bool = True


KNOWN = (
    KnownCard("T4", 16 * _GIB, 320e9, 65e12, bfloat16=False),
    KnownCard("L4", 24 * _GIB, 300e9, 121e12),
    KnownCard("A10", 24 * _GIB, 600e9, 125e12),
    KnownCard("RTX 4090", 24 * _GIB, 1_008e9, 165e12),
    KnownCard("L20", 48 * _GIB, 864e9, 119.5e12),
    KnownCard("L40S", 48 * _GIB, 864e9, 362e12),
    KnownCard("A100", 80 * _GIB, 2_039e9, 312e12),
    KnownCard("H100", 80 * _GIB, 3_350e9, 989e12),
    KnownCard("H20", 96 * _GIB, 4_000e9, 148e12),
    KnownCard("H200", 141 * _GIB, 4_800e9, 989e12),
)
"""By memory, the slowest memory first."""


def card_of(text: str) -> KnownCard:
    """A card by its name, or by its memory alone.

    Args:
        text: ``RTX 4090``, in any spelling of capitals, spaces and hyphens; or ``24G``.

    Returns:
        The card. Of a size alone: the slowest known one of that memory, or of the next smaller; so the estimate errs
        towards too many cards.

    Raises:
        ConfigError: It is neither.
    """
    plain = re.sub(r"[\s_-]", "", text).lower().removeprefix("nvidia")
    for card in KNOWN:
        if card.name.replace(" ", "").lower() == plain:
            return card
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _GIB) if found else 0
    if not _GIB <= size <= _MOST:
        names = ", ".join(card.name for card in KNOWN)
        raise ConfigError(
            f"--gpu {text[:40]} is no memory of a card, such as 24G, and none of: {names}.",
            zh=f"--gpu {text[:40]} 既不是显存大小（例如 24G），也不是已知型号：{names}。",
            param="--gpu",
        )
    fitting = [card.memory for card in KNOWN if card.memory <= size] or [KNOWN[0].memory]
    nearest = [card for card in KNOWN if card.memory == max(fitting)]
    slowest = min(nearest, key=lambda card: card.bandwidth)
    return replace(slowest, memory=size) if slowest.memory != size else slowest
