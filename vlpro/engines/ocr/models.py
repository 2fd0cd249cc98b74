"""The PP-OCRv6 models that come inside the rapidocr package: found, verified, compiled."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vlpro.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openvino as ov

__all__ = ["DETECTION", "RECOGNITION", "ModelFile", "compile_model", "metadata", "picture_input"]

_PACKAGE = "rapidocr"  # only its files are used; the package itself is never imported


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file of the package.

    Args:
        name: File name.
        sha256: Hex digest; another file is refused.
    """

    name: str
    sha256: str

    def read(self) -> bytes:
        """Return the verified bytes of this ONNX file.

        Raises:
            EngineUnavailableError: The file is missing or is not the one that was pinned.
        """
        spec = importlib.util.find_spec(_PACKAGE)
        folders = (spec.submodule_search_locations if spec else None) or []
        path = next((Path(folder, "models", self.name) for folder in folders), None)
        try:
            data = path.read_bytes() if path else b""
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != self.sha256:
            state = "is not the expected file" if data else "is missing"
            raise EngineUnavailableError(
                f"The text recognition model {self.name} {state}. Reinstall the packages of requirements.txt.",
                zh=f"文字识别模型 {self.name} 缺失或与预期不符。请重新安装 requirements.txt 中的软件包。",
            )
        return data


DETECTION = ModelFile(
    "PP-OCRv6_det_small.onnx", "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
)
RECOGNITION = ModelFile(
    "PP-OCRv6_rec_small.onnx", "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"
)


@cache
def _core() -> ov.Core:
    # The runtime comes with usage statistics for its converters. They are not used here, and this keeps
    # them from being imported at all; the runtime then takes its own empty stand-in.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino as ov  # noqa: PLC0415 - it takes 0.2 s, and after the line above

    return ov.Core()


def picture_input(data: bytes) -> ov.Model:
    """Make a model that takes pictures as they are.

    Args:
        data: An ONNX model over ``(N, 3, H, W)`` float32, BGR, scaled to -1 … 1.

    Returns:
        The same model over ``(N, H, W, 3)`` uint8, RGB.
    """
    model = _core().read_model(data)
    from openvino import Layout, Type, preprocess  # noqa: PLC0415 - see _core

    steps = preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    steps.input().preprocess().convert_element_type(Type.f32).reverse_channels().mean(127.5).scale(127.5)
    steps.input().model().set_layout(Layout("NCHW"))
    return steps.build()


def compile_model(model: ov.Model, *, threads: int, streams: int) -> ov.CompiledModel:
    """Make a model ready to run on the processor.

    Args:
        model: The model.
        threads: Processor threads for all streams together.
        streams: How many inputs are worked on at once.

    Returns:
        The compiled model. It computes in bfloat16 where the processor does so in hardware (half the time,
        same accuracy: bench/ocr_speed.py), else in float32.
    """
    core = _core()
    precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,  # the gateway and other programs need the same cores
    }
    return core.compile_model(model, "CPU", settings)


def metadata(data: bytes) -> Mapping[str, str]:
    """Read the metadata of an ONNX file.

    Args:
        data: A ``ModelProto`` in protobuf encoding (https://protobuf.dev/programming-guides/encoding/).

    Returns:
        Its ``metadata_props``: field 14, each an entry of key (field 1) and value (field 2), as onnx.proto
        says.
    """
    entries = (dict(_fields(value)) for number, value in _fields(data) if number == 14)
    return {entry[1].decode(): entry[2].decode() for entry in entries}


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """Split a protobuf message into its length-delimited fields; numbers are passed over."""
    fields: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        size, at = _varint(data, at)
        if tag & 7 == 2:
            fields.append((tag >> 3, data[at : at + size]))
            at += size
        elif tag & 7 != 0:
            raise ValueError("not an ONNX file")
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
