"""A small Qwen3-VL that really sees, for tests: its world, its training, and the trained model."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
"""The model's folder; see the card in it."""
MANIFEST = Path(__file__).parent / "manifest.json"
"""What the files of that folder are."""
