"""Qwen3-VL on processors: its network as an OpenVINO graph of our own, keys and values in blocks that we own."""
