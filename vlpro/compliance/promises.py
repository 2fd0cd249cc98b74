"""All promises, in the order of the report."""

from __future__ import annotations

from vlpro.compliance.checks import intake, process, record, storage
from vlpro.compliance.selftest import Promise

__all__ = ["PROMISES"]

PROMISES: tuple[Promise, ...] = (*storage.PROMISES, *record.PROMISES, *intake.PROMISES, *process.PROMISES)
"""What this product promises, and how each is tried."""
