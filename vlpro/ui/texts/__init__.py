"""The words of single pages: a file a page, whose keys begin with the page's name."""

from collections.abc import Mapping

from vlpro.ui.texts import batches, compliance, inspections, knowledge, receipts, report

__all__ = ["PAGES"]

PAGES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "receipts": receipts.TEXTS,
    "inspections": inspections.TEXTS,
    "batches": batches.TEXTS,
    "report": report.TEXTS,
    "knowledge": knowledge.TEXTS,
    "compliance": compliance.TEXTS,
}
"""Chinese and English, by key, by page."""
