"""Qwen3-VL without its network: words and pictures → numbers, numbers → words, and who is computed when."""
