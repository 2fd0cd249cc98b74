"""Whether the same document is known: nobody is paid twice for one invoice."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

from vlpro.workflows.extraction import review
from vlpro.workflows.extraction.store import ExtractionStore
from vlpro.workflows.extraction.stored import Stored

__all__ = ["compare"]


async def compare(store: ExtractionStore, stored: Stored, mark: bytes | None) -> bool:
    """Say in a result whether the same document is known, as far as it can be told; returns whether it is."""
    seen = await asyncio.to_thread(store.seen, mark) if mark is not None else None
    known = seen is not None and seen.id != stored.id
    checks = [check for check in stored.extraction.checks if check.name != review.DUPLICATE]
    stored.duplicate_of = ""
    if seen is not None and known:
        own = seen.owner == stored.owner
        # The id of somebody else's result is nobody's business.
        stored.duplicate_of = seen.id if own else ""
        day = dt.datetime.fromtimestamp(seen.created).astimezone().date().isoformat()
        checks.append(review.duplicate("own" if own else "other", day))
    elif mark is not None:
        checks.append(review.duplicate(None, ""))
    verdict = "fail" if known else stored.extraction.verdict
    stored.extraction = replace(stored.extraction, checks=tuple(checks), verdict=verdict)
    return known
