"""Which findings are an alert, and when they are silent: rules without any I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal

from vlpro.workflows.inspection.options import AlertRule, QuietHours
from vlpro.workflows.inspection.result import Defect, Inspection, Verdict

__all__ = ["KINDS", "Alert", "AlertState", "Finding", "finding_of", "in_quiet_hours"]

AlertState = Literal["open", "silenced", "acknowledged"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KINDS = {
    "open": "断路",
    "short": "短路",
    "mousebite": "缺口",
    "spur": "毛刺",
    "copper": "余铜",
    "pin-hole": "针孔",
    "difference": "差异",
    "hot": "过热",
}
"""Kinds of defects in Chinese."""
_VERDICTS = {
    "pass": ("passes", "合格"),
    "review": ("is to be looked at", "待复核"),
    "fail": ("fails", "不合格"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found to be an alert.

    Args:
        kinds: Of the defects that count, each once, surest first.
        defects: How many count.
        score: Of the surest.
        quiet_s: Seconds for which its kinds are silent at its station afterwards.
    """

    kinds: tuple[str, ...]
    defects: int
    score: float
    quiet_s: float


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, as it is stored and told. The same picture at the same station is the same alert.

    Args:
        id: The same however often it is raised or arrives.
        owner: Whose.
        level: Its label.
        created: Unix time.
        state: Whether somebody has seen to it, or it is silenced.
        inspection: Id of the inspection that raised it.
        product: Of the inspection; may be empty.
        station: Likewise.
        kinds: Of the defects that count.
        defects: How many count.
        score: Of the surest.
        verdict: Of the inspection.
        screening: Whether it rests on what a model saw.
        picture_sha256: Of the picture as it was sent.
        acknowledged_by: Login of who saw to it.
        acknowledged_at: Unix time.
        note: What that person wrote.
    """

    id: str
    owner: str
    level: int
    created: float
    state: AlertState
    inspection: str
    product: str
    station: str
    kinds: tuple[str, ...]
    defects: int
    score: float
    verdict: Verdict
    screening: bool
    picture_sha256: str
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    note: str = ""

    @property
    def en(self) -> str:
        """What was seen, and what to do."""
        what = f"{self.defects} × {', '.join(self.kinds)}, up to {self.score:.0%} sure"
        where = f" at station {self.station}" if self.station else ""
        which = f" {self.product}" if self.product else ""
        then = "a model's screening: look at it and decide" if self.screening else "look at it"
        return f"Product{which}{where} {_VERDICTS[self.verdict][0]}: {what}; {then}."

    @property
    def zh(self) -> str:
        """The same in Chinese."""
        where = f"工位 {self.station} 的" if self.station else ""
        which = f"产品 {self.product} " if self.product else "产品"
        kinds = "、".join(KINDS.get(kind, kind) for kind in self.kinds)
        what = f"{kinds} 共 {self.defects} 处，最高置信度 {self.score:.0%}"
        then = "此为模型初筛，请人工确认" if self.screening else "请查看"
        return f"{where}{which}{_VERDICTS[self.verdict][1]}：{what}；{then}。"


def finding_of(
    inspection: Inspection, *, product: str, station: str, rules: Sequence[AlertRule]
) -> Finding | None:
    """What of an inspection is an alert; None: nothing.

    Args:
        inspection: The result.
        product: What was inspected.
        station: Where.
        rules: The first that fits product and station decides.
    """
    rule = next(
        (one for one in rules if fnmatchcase(product, one.product) and fnmatchcase(station, one.station)),
        None,
    )
    if rule is None:
        return None
    counted = [
        defect
        for defect in inspection.defects
        if defect.score >= rule.min_score and (not rule.kinds or defect.kind in rule.kinds)
    ]
    if len(counted) < rule.min_defects:
        return None
    kinds = tuple(dict.fromkeys(defect.kind for defect in sorted(counted, key=_by_score)))
    return Finding(kinds, len(counted), max(d.score for d in counted), rule.quiet_minutes * 60)


def _by_score(defect: Defect) -> float:
    return -defect.score


def in_quiet_hours(finding: Finding, station: str, windows: Sequence[QuietHours], now: datetime) -> bool:
    """Whether all kinds of a finding are silent at this time of the day.

    Args:
        finding: The finding.
        station: Where.
        windows: When what is silent.
        now: In the zone in which the windows are written.
    """
    silent = [one for one in windows if fnmatchcase(station, one.station) and _holds(one, now)]
    return bool(silent) and all(
        any(not window.kinds or kind in window.kinds for window in silent) for kind in finding.kinds
    )


def _holds(window: QuietHours, now: datetime) -> bool:
    at = now.time().replace(tzinfo=None)
    if window.since < window.until:
        return window.since <= at < window.until and _DAYS[now.weekday()] in window.days
    if at >= window.since:
        return _DAYS[now.weekday()] in window.days
    return at < window.until and _DAYS[(now - timedelta(days=1)).weekday()] in window.days
