"""What the machine is doing: memory and load of processor and cards."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Literal

import psutil
import pynvml

from vlpro import schema

__all__ = ["DeviceMonitor"]


class DeviceMonitor:
    """Reads the machine's state; safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cards: list[object] | None = None
        psutil.cpu_percent()  # the first call only sets the beginning of the interval

    def read(self, engine_pid: int | None = None) -> schema.Device:
        """The state now.

        Args:
            engine_pid: Process of the engine, where it has its own.
        """
        memory = psutil.virtual_memory()
        with self._lock:
            return schema.Device(
                gpus=self._gpus(),
                cpu_percent=psutil.cpu_percent(),
                memory_used=memory.total - memory.available,
                memory_total=memory.total,
                gateway_memory=_resident(os.getpid()) or 0,
                engine_memory=_resident(engine_pid) if engine_pid is not None else None,
            )

    def _gpus(self) -> list[schema.Gpu]:
        """All cards of NVML; none where there is no driver."""
        try:
            if self._cards is None:
                self._cards = []
                pynvml.nvmlInit()
                self._cards = [
                    pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
                ]
            confidential = _confidential()
            return [_gpu(card, confidential) for card in self._cards]
        except pynvml.NVMLError:
            return []


def _confidential() -> Literal["on", "test", "off", "unavailable"]:
    """The state of confidential computing: NVML has one for the whole machine (nvmlSystemGetConfComputeState).

    It says what the driver has set up. That a card keeps to it only an attestation shows, which is not made here.
    """
    try:
        state = pynvml.nvmlSystemGetConfComputeState()
    except pynvml.NVMLError:  # an older driver, or a card of a kind that knows nothing of it
        return "unavailable"
    if state.environment == pynvml.NVML_CC_SYSTEM_ENVIRONMENT_UNAVAILABLE:
        return "unavailable"
    if state.ccFeature != pynvml.NVML_CC_SYSTEM_FEATURE_ENABLED:
        return "off"
    tools = state.devToolsMode != pynvml.NVML_CC_SYSTEM_DEVTOOLS_MODE_OFF
    return "test" if tools or state.environment != pynvml.NVML_CC_SYSTEM_ENVIRONMENT_PROD else "on"


def _protected(card: object) -> int:
    return int(pynvml.nvmlDeviceGetConfComputeMemSizeInfo(card).protectedMemSizeKib) * 1024


def _gpu(card: object, confidential: Literal["on", "test", "off", "unavailable"]) -> schema.Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(card)
    name = pynvml.nvmlDeviceGetName(card)
    return schema.Gpu(
        name=name.decode() if isinstance(name, bytes) else str(name),
        memory_used=int(memory.used),
        memory_total=int(memory.total),
        temperature_c=_optional(lambda: pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU)),
        utilization_percent=_optional(lambda: pynvml.nvmlDeviceGetUtilizationRates(card).gpu),
        confidential=confidential,
        protected_memory=_optional(lambda: _protected(card)) if confidential == "on" else None,
    )


def _optional(read: Callable[[], object]) -> int | None:
    """Some cards do not tell everything."""
    try:
        return int(str(read()))
    except pynvml.NVMLError:
        return None


def _resident(pid: int) -> int | None:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
