from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vlpro.engines.ocr.models import DETECTION, RECOGNITION, metadata
from vlpro.errors import EngineUnavailableError


def test_the_packaged_models_are_the_pinned_ones() -> None:
    assert len(DETECTION.read()) > 5_000_000
    assert len(metadata(RECOGNITION.read())["character"].splitlines()) == 18_708


def test_a_changed_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = DETECTION.read()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / DETECTION.name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: package)
    with pytest.raises(EngineUnavailableError, match="is not the expected file") as caught:
        DETECTION.read()
    assert DETECTION.name in caught.value.zh


def test_a_missing_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineUnavailableError, match=r"other\.onnx is missing"):
        replace(DETECTION, name="other.onnx").read()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineUnavailableError, match="is missing"):
        DETECTION.read()


def test_metadata_is_read_out_of_protobuf() -> None:
    entry = b"\x0a\x03key\x12\x06\xe5\x80\xbc\xe5\x80\xbc"  # key = "key", value = "值值"
    message = b"\x08\x07" + b"\x12\x02hi" + b"\x72" + bytes([len(entry)]) + entry
    assert metadata(message) == {"key": "值值"}


def test_what_is_no_protobuf_message_is_said_so() -> None:
    with pytest.raises(ValueError, match="not an ONNX file"):
        metadata(b"\x0b\x01\x00")
