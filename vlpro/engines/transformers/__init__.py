"""Qwen3-VL on PyTorch, with transformers' model code and our own generation."""
