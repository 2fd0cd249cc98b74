"""Machines to plan for, and the table of docs/model.md that the plans make."""

from __future__ import annotations

from vlpro.engines.hardware import Card, Hardware
from vlpro.engines.transformers.plan import OFFICIAL_4B, load_plan

__all__ = [
    "A10",
    "A100",
    "GIB",
    "H100",
    "MACHINES",
    "PACKAGES",
    "RTX_3060",
    "RTX_4090",
    "T4",
    "V100",
    "machine",
    "table",
]

GIB = 2**30
PACKAGES = frozenset({"torch", "transformers", "accelerate", "bitsandbytes"})


def _card(name: str, capability: tuple[int, int], gib: float) -> Card:
    """A card of which the driver keeps a little for itself."""
    return Card(name, capability, int(gib * GIB), int((gib - 0.4) * GIB))


A10 = _card("NVIDIA A10", (8, 6), 22.5)
A100 = _card("NVIDIA A100 80GB", (8, 0), 80)
H100 = _card("NVIDIA H100 80GB", (9, 0), 80)
V100 = _card("Tesla V100 16GB", (7, 0), 16)
T4 = _card("Tesla T4", (7, 5), 15)
RTX_4090 = _card("GeForce RTX 4090", (8, 9), 24)
RTX_3060 = _card("GeForce RTX 3060 8GB", (8, 6), 8)


def machine(
    *cards: Card,
    memory: float = 32,
    flags: frozenset[str] = frozenset(),
    packages: frozenset[str] = PACKAGES,
    torch: tuple[int, int] | None = (2, 9),
) -> Hardware:
    """A machine.

    Args:
        cards: Its cards.
        memory: Free main memory, 10^9 bytes.
        flags: Of the processor.
        packages: That are installed.
        torch: Its version.
    """
    return Hardware(cards, int(memory * 1e9), flags, 8, packages, torch)


MACHINES = {
    "A100 80 GB": machine(A100),
    "H100 80 GB": machine(H100),
    "H100 80 GB, flash_attn": machine(H100, packages=PACKAGES | {"flash_attn"}),
    "RTX 4090 24 GB": machine(RTX_4090),
    "A10 24 GB": machine(A10),
    "V100 16 GB": machine(V100),
    "T4 16 GB": machine(T4),
    "two T4 16 GB": machine(T4, T4),
    "RTX 3060 8 GB": machine(RTX_3060),
    "two RTX 3060 8 GB": machine(RTX_3060, RTX_3060),
    "processor with bfloat16, 32 GB free": machine(flags=frozenset({"avx512_bf16"})),
    "processor without, 32 GB free": machine(),
    "processor without, 16 GB free": machine(memory=16),
    "processor without, 8 GB free": machine(memory=8),
}


def table() -> str:
    """What the official 4B model gets on each machine, in Markdown."""
    lines = [
        "| Machine | dtype | weights | `device_map` | attention | context | at once | picture, pixels | kept, GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, hardware in MACHINES.items():
        plan = load_plan(hardware, OFFICIAL_4B)
        form = f"{plan.quantisation or 'whole'}, {plan.weights_bytes / 1e9:.1f} GB"
        where = "–" if plan.device_map is None else f"`{plan.device_map}`"
        lines.append(
            f"| {name} | {plan.dtype} | {form} | {where} | {plan.attention} | {plan.context_tokens:,} "
            f"| {plan.concurrency} | {plan.picture_pixels:,} | {plan.cache_bytes / 1e9:.1f} |"
        )
    return "\n".join(lines)
