"""Draws Chinese invoices and tickets with their labels, clean or damaged: for measuring, and for tests.

Nothing in them is real: companies, people and numbers are put together from word lists by a seed; check characters
and sums are right. `python -m bench.invoices FOLDER --count 40` writes pictures and `labels.jsonl`.
"""

from bench.invoices.draw import KINDS, Specimen, specimen, specimens

__all__ = ["KINDS", "Specimen", "specimen", "specimens"]
