"""Variables by which libraries that would look for models on the Internet, or report their use, do neither."""

from __future__ import annotations

__all__ = ["OFFLINE"]

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DO_NOT_TRACK": "1",
    "TF_BUILD": "1",  # openvino_telemetry reports nothing from a build
    "MODELSCOPE_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}
