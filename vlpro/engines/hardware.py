"""What this machine has, found out without importing torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

__all__ = ["CPU_RESERVE", "GPU_RESERVE", "Card", "Hardware", "probe"]

GPU_RESERVE = 512 * 2**20  # the driver's own context and the libraries' work space
CPU_RESERVE = 2**30

PACKAGES = ("torch", "transformers", "accelerate", "bitsandbytes", "flash_attn")


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card.

    Args:
        name: As its driver says.
        capability: CUDA compute capability, ``(major, minor)``.
        total: Memory in bytes.
        free: Of it, what nobody holds now.
    """

    name: str
    capability: tuple[int, int]
    total: int
    free: int

    @property
    def usable(self) -> int:
        """Bytes that may be planned with; the rest is headroom."""
        return self.free - GPU_RESERVE - self.free // 20


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine has.

    Args:
        cards: Graphics cards in the order of the PCI bus, which is CUDA's where ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
        free_memory: Bytes of main memory that this service may still take.
        cpu_flags: What the processor can do, in Linux's words.
        cores: Processor cores for this service.
        packages: Which of torch, transformers, accelerate, bitsandbytes and flash_attn can be imported.
        torch: Its version, ``(major, minor)``; None where it is not installed.
    """

    cards: tuple[Card, ...]
    free_memory: int
    cpu_flags: frozenset[str]
    cores: int
    packages: frozenset[str]
    torch: tuple[int, int] | None

    @property
    def usable_memory(self) -> int:
        """Bytes of main memory that may be planned with; the rest is headroom."""
        return self.free_memory - CPU_RESERVE - self.free_memory // 10


def probe(root: Path = Path("/")) -> Hardware:
    """Look at the machine as it is now.

    Args:
        root: Where ``/proc`` and ``/sys`` are.

    Returns:
        What this process may use: the cards of ``CUDA_VISIBLE_DEVICES``, the cores of its affinity, and memory within
        the limits of its control groups.
    """
    return Hardware(
        cards=_cards(),
        free_memory=min([psutil.virtual_memory().available, *_group_limits(root)]),
        cpu_flags=_flags(root / "proc/cpuinfo"),
        cores=len(os.sched_getaffinity(0)),
        packages=frozenset(name for name in PACKAGES if importlib.util.find_spec(name)),
        torch=_torch_version(),
    )


def _cards() -> tuple[Card, ...]:
    """Cards that CUDA would show this process; none where there is no driver."""
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(_card(handle) for handle in _visible(handles))
    except pynvml.NVMLError:
        return ()


def _visible(handles: list[object]) -> list[object]:
    """``CUDA_VISIBLE_DEVICES``: positions or beginnings of UUIDs; an unknown one ends the list, as in CUDA."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return handles
    by_uuid = {_text(pynvml.nvmlDeviceGetUUID(handle)): handle for handle in handles}
    chosen: list[object] = []
    for name in (entry.strip() for entry in wanted.split(",")):
        if re.fullmatch(r"\d+", name) and int(name) < len(handles):
            chosen.append(handles[int(name)])
            continue
        found = [
            handle for uuid, handle in by_uuid.items() if name.startswith("GPU-") and uuid.startswith(name)
        ]
        if len(found) != 1:
            break
        chosen += found
    return chosen


def _card(handle: object) -> Card:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    name = _text(pynvml.nvmlDeviceGetName(handle))
    return Card(name, (int(major), int(minor)), int(memory.total), int(memory.free))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _group_limits(root: Path) -> list[int]:
    """Bytes left in each control group with a memory limit that this process is in (cgroups(7), both versions)."""
    left = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            limit, used = _read(folder / names[0]).strip(), _read(folder / names[1]).strip()
            if limit.isdigit() and used.isdigit():  # "max" is none
                # Files that were read once count as used, but make way for what is needed.
                cached = re.search(rf"^{names[2]} (\d+)$", _read(folder / "memory.stat"), re.MULTILINE)
                left.append(int(limit) - int(used) + (int(cached[1]) if cached else 0))
            if folder == top:
                break
    return left


def _flags(cpuinfo: Path) -> frozenset[str]:
    """The first processor's abilities; Arm's are called Features."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _read(cpuinfo), re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def _torch_version() -> tuple[int, int] | None:
    try:
        found = re.match(r"(\d+)\.(\d+)", importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return None
    return (int(found[1]), int(found[2])) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
