"""What NVML tells of confidential computing, in no more words than it has. A stand-in: no such card was to be had."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from vlpro import schema
from vlpro.device import DeviceMonitor
from vlpro.ui import session
from vlpro.ui.strings import STRINGS, text
from vlpro.ui.views import engine


def card(monkeypatch: pytest.MonkeyPatch, state: Any, protected: Any = None) -> schema.Gpu:
    """The one card of a machine whose NVML answers so; an error of NVML is raised."""

    def answer(value: Any) -> Any:
        def call(*_: object) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return call

    for name, value in {
        "nvmlInit": None,
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=1 << 30, total=80 << 30),
        "nvmlDeviceGetName": "NVIDIA H100",
        "nvmlDeviceGetTemperature": 40,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=7),
        "nvmlSystemGetConfComputeState": state,
        "nvmlDeviceGetConfComputeMemSizeInfo": protected,
    }.items():
        monkeypatch.setattr(pynvml, name, answer(value))
    (found,) = DeviceMonitor().read().gpus
    return found


def state(*, environment: int = 2, feature: int = 1, tools: int = 0) -> Any:
    """As NVML's structure has it, whose numbers nvml.h defines."""
    made = pynvml.c_nvmlConfComputeSystemState_t()
    made.environment, made.ccFeature, made.devToolsMode = environment, feature, tools
    return made


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (state(), "on"),
        (state(feature=0), "off"),
        (state(tools=1), "test"),
        (state(environment=1), "test"),
        (state(environment=0), "unavailable"),
        (state(environment=0, feature=0), "unavailable"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED), "unavailable"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND), "unavailable"),
    ],
)
def test_the_state_is_told_as_nvml_tells_it(
    told: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = SimpleNamespace(protectedMemSizeKib=79 << 20, unprotectedMemSizeKib=0)
    found = card(monkeypatch, told, size)
    assert found.confidential == expected
    assert found.protected_memory == ((79 << 30) if expected == "on" else None)


def test_a_card_that_does_not_tell_how_much_is_protected_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = card(monkeypatch, state(), pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert (found.confidential, found.protected_memory) == ("on", None)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_of_the_administrator_says_so_in_words(
    language: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "language", lambda: language)
    for told, word in ((state(), "on"), (state(feature=0), "off"), (state(tools=1), "test")):
        found = card(monkeypatch, told, SimpleNamespace(protectedMemSizeKib=79 << 20))
        html = engine._gpu(0, found)
        assert text(f"confidential.{word}", language, size="79.0 GiB") in html.replace("&#x27;", "'")
    found = card(monkeypatch, pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert text("confidential.unavailable", language) in engine._gpu(0, found)


def test_no_word_claims_that_anything_is_safe() -> None:
    for name, words in STRINGS.items():
        if name.startswith("confidential."):
            assert "safe" not in words[1]
            assert "安全" not in words[0]
