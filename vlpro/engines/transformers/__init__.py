"""The Qwen3-VL weights on this machine, run by transformers."""
