from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from vlpro.engines import hardware
from vlpro.engines.hardware import Card, probe

GB = 10**9


class NoDriverError(Exception):
    """As NVML's own."""


CARDS = (("GPU-aaa1", "A", (8, 6)), ("GPU-aab2", "B", (7, 5)), ("GPU-ccc3", b"C", (9, 0)))


def nvml() -> SimpleNamespace:
    """NVML with three cards, as far as it is asked."""
    return SimpleNamespace(
        NVMLError=NoDriverError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(CARDS),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda handle: CARDS[handle][0],
        nvmlDeviceGetName=lambda handle: CARDS[handle][1],
        nvmlDeviceGetCudaComputeCapability=lambda handle: CARDS[handle][2],
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=10 * GB, free=(handle + 1) * GB),
    )


@pytest.fixture
def _cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "pynvml", nvml())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("_cards")
def test_all_cards_with_what_is_free_of_them() -> None:
    assert probe().cards == (
        Card("A", (8, 6), 10 * GB, GB),
        Card("B", (7, 5), 10 * GB, 2 * GB),
        Card("C", (9, 0), 10 * GB, 3 * GB),
    )


@pytest.mark.usefixtures("_cards")
@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("2,0", "CA"),
        (" 1 ", "B"),
        ("", ""),
        ("-1", ""),
        ("0,9,1", "A"),
        ("GPU-ccc3,GPU-aab", "CB"),
        ("GPU-aa", ""),
        ("2,GPU-none,0", "C"),
    ],
)
def test_only_the_visible_cards_in_their_order(
    visible: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert "".join(card.name for card in probe().cards) == names


def test_no_driver_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise NoDriverError

    broken = nvml()
    broken.nvmlInit = fail
    monkeypatch.setattr(hardware, "pynvml", broken)
    assert probe().cards == ()


def test_this_machine() -> None:
    found = probe()
    assert 0 < found.free_memory <= psutil.virtual_memory().total
    assert found.cores == len(os.sched_getaffinity(0))
    assert "fpu" in found.cpu_flags or "fp" in found.cpu_flags
    assert (found.torch is None) == ("torch" not in found.packages)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_processors_flags_are_read(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": "processor : 0\nflags\t\t: fpu avx512_bf16 amx_bf16\nbugs : x\n"})
    assert probe(root).cpu_flags == {"fpu", "avx512_bf16", "amx_bf16"}
    root = write(tmp_path, {"proc/cpuinfo": "processor : 0\nFeatures\t: fp bf16\n"})
    assert probe(root).cpu_flags == {"fp", "bf16"}


GROUPS = {
    "version 2, limit of the parent": {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/memory.max": "7000000\n",
        "sys/fs/cgroup/a/memory.current": "5000000\n",
        "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 1000000\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": "5000000\n",
    },
    "version 2, seen from inside a container": {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "4000000\n",
        "sys/fs/cgroup/memory.current": "1000000\n",
    },
    "version 1": {
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "5000000\n",
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "3500000\n",
        "sys/fs/cgroup/memory/x/memory.stat": "inactive_file 7\ntotal_inactive_file 1500000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "3500000\n",
    },
}


@pytest.mark.parametrize("files", GROUPS.values(), ids=GROUPS)
def test_the_limit_of_a_control_group_counts(files: dict[str, str], tmp_path: Path) -> None:
    assert probe(write(tmp_path, files)).free_memory == 3_000_000


def test_looking_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from vlpro.engines.hardware import probe\n"
        "from vlpro.engines.transformers.plan import load_plan\n"
        "probe()\n"
        "print(sorted({'torch', 'transformers', 'bitsandbytes', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
