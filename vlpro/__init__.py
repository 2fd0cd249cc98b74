"""Qwen3-VL-4B Pro: a vision-language assistant that a company runs inside its own network."""

__version__ = "0.1.0"
