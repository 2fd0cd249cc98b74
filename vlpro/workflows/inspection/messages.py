"""Inspections and alerts as other programs get them: the same JSON over the API, MQTT, webhooks and in files."""

from __future__ import annotations

from typing import Any

from vlpro.chat.material import Citation
from vlpro.errors import VlproError
from vlpro.schema import inspections as wire
from vlpro.schema import knowledge as knowledge_wire
from vlpro.workflows.inspection.alerts import Alert
from vlpro.workflows.inspection.service import Shown
from vlpro.workflows.inspection.template_store import GoldenTemplate

__all__ = ["alert_message", "error_message", "inspection_message", "template_message"]


def inspection_message(shown: Shown) -> wire.Inspection:
    """An inspection."""
    one, result = shown.inspected, shown.inspected.result
    decision, shift = one.decision, result.shift
    return wire.Inspection(
        id=one.id,
        created=int(one.created),
        method=result.method,
        product=one.product,
        station=one.station,
        defects=[
            wire.Defect(kind=each.kind, box=each.box, score=round(each.score, 4), note=each.note)
            for each in result.defects
        ],
        verdict=result.verdict,
        screening=one.screening,
        message=result.message,
        message_zh=result.zh,
        width=result.width,
        height=result.height,
        citations=None if result.citations is None else [_citation(one) for one in result.citations],
        shift=wire.Shift(degrees=shift[0], scale=shift[1], x=shift[2], y=shift[3]) if shift else None,
        sha256=one.sha256,
        source=one.source,
        picture=shown.has_picture,
        decision=(
            wire.DecidedInspection(verdict=decision.verdict, by=decision.by, decided_at=decision.at)
            if decision
            else None
        ),
        alert=wire.RaisedAlert(id=shown.alert[0], state=shown.alert[1]) if shown.alert else None,
        seconds=one.seconds,
    )


def _citation(one: Citation) -> knowledge_wire.Citation:
    return knowledge_wire.Citation(
        number=one.number,
        base=one.base,
        document=one.document,
        page=one.page,
        boxes=list(one.boxes),
        text=one.text,
    )


def template_message(one: GoldenTemplate) -> wire.GoldenTemplate:
    """A golden template."""
    return wire.GoldenTemplate(
        product=one.product,
        created=int(one.created),
        width=one.width,
        height=one.height,
        sha256=one.sha256,
        copper=one.copper,
    )


def alert_message(one: Alert) -> wire.InspectionAlert:
    """An alert."""
    return wire.InspectionAlert(
        id=one.id,
        created=int(one.created),
        inspection=one.inspection,
        product=one.product,
        station=one.station,
        kinds=list(one.kinds),
        defects=one.defects,
        score=round(one.score, 4),
        verdict=one.verdict,
        screening=one.screening,
        state=one.state,
        acknowledged_by=one.acknowledged_by,
        acknowledged_at=one.acknowledged_at,
        note=one.note,
        message=one.en,
        message_zh=one.zh,
    )


def error_message(error: VlproError, *, station: str, product: str) -> dict[str, Any]:
    """Why a picture was not inspected, in the envelope of the API; JSON values."""
    return {
        "error": {
            "message": error.message,
            "code": error.code,
            "param": error.param,
            "vlpro": {"zh": error.zh},
        },
        "station": station,
        "product": product,
    }
