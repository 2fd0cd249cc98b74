"""What the audit is told of batches."""

from __future__ import annotations

from dataclasses import asdict

from vlpro.audit.events import Event, Outcome
from vlpro.audit.record import Actor
from vlpro.audit.recorder import Recorder
from vlpro.workflows.batch.batch import Batch

__all__ = ["note"]


async def note(
    recorder: Recorder,
    batch: Batch,
    what: str,
    *,
    outcome: Outcome = Outcome.OK,
    by: Actor | None = None,
    **more: object,
) -> None:
    """Put a change of a batch on the record.

    Args:
        recorder: Of the audit.
        batch: As it is then.
        what: What became of it.
        outcome: Whether that is well.
        by: Whose doing; None: of who asks now.
        **more: What else is told.

    Raises:
        AuditError: It cannot be recorded.
    """
    told = {name: value for name, value in more.items() if value not in ("", None)}
    detail = {"change": what, "lines": batch.total, **told}
    if not batch.going or what in ("completed", "expired", "cancelled", "failed"):
        detail |= {"completed": batch.completed, "failed": batch.failed}
    known = {} if by is None else asdict(by)
    await recorder.anote(Event.BATCH_CHANGED, object=batch.id, outcome=outcome, detail=detail, **known)
