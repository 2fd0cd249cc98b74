"""Proof: what this product promises, tried on the spot."""
