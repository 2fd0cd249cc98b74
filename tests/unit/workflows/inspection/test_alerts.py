from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from vlpro.workflows.inspection.alerts import Alert, Finding, finding_of, in_quiet_hours
from vlpro.workflows.inspection.options import AlertRule, InspectionOptions, MqttOptions, QuietHours
from vlpro.workflows.inspection.result import Defect, Inspection

BOX = (0, 0, 9, 9)
FOUND = Inspection(
    "template",
    (Defect("open", BOX, 0.9), Defect("spur", BOX, 0.7), Defect("open", BOX, 0.6), Defect("short", BOX, 0.2)),
    "fail",
    100,
    100,
)


@pytest.mark.parametrize(
    ("rule", "kinds", "defects"),
    [
        (AlertRule(), ("open", "spur"), 3),
        (AlertRule(min_score=0.8), ("open",), 1),
        (AlertRule(min_score=0), ("open", "spur", "short"), 4),
        (AlertRule(kinds=("spur",)), ("spur",), 1),
        (AlertRule(min_defects=3), ("open", "spur"), 3),
    ],
)
def test_a_rule_counts_by_score_and_kind(rule: AlertRule, kinds: tuple[str, ...], defects: int) -> None:
    found = finding_of(FOUND, product="A1", station="S1", rules=[rule])
    assert found is not None
    assert (found.kinds, found.defects, found.score) == (kinds, defects, 0.9 if "open" in kinds else 0.7)


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [AlertRule(min_defects=4)],
        [AlertRule(min_score=0.95)],
        [AlertRule(product="B*")],
        [AlertRule(station="S2")],
        [AlertRule(product="A?", station="S*", min_defects=9), AlertRule()],  # the first that fits decides
    ],
)
def test_what_no_rule_counts_is_no_alert(rules: list[AlertRule]) -> None:
    assert finding_of(FOUND, product="A1", station="S1", rules=rules) is None


def at(day: int, hour: int, minute: int) -> datetime:
    """In November 2026, of which the 27th is a Friday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


NIGHT = QuietHours(since=time(22), until=time(6), days=("fri",))


@pytest.mark.parametrize(
    ("window", "now", "silent"),
    [
        (QuietHours(since=time(12), until=time(13)), at(27, 12, 0), True),
        (QuietHours(since=time(12), until=time(13)), at(27, 13, 0), False),
        (QuietHours(since=time(12), until=time(13), days=("sat",)), at(27, 12, 0), False),
        (NIGHT, at(27, 23, 0), True),  # a Friday
        (NIGHT, at(28, 5, 59), True),  # the same night
        (NIGHT, at(27, 5, 0), False),  # the night before began on a Thursday
        (NIGHT, at(28, 22, 30), False),
        (QuietHours(since=time(0), until=time(23, 59), station="S2"), at(27, 9, 0), False),
        (QuietHours(since=time(0), until=time(23, 59), kinds=("open",)), at(27, 9, 0), False),
    ],
)
def test_quiet_hours(window: QuietHours, now: datetime, *, silent: bool) -> None:
    finding = Finding(("open", "spur"), 2, 0.9, 0)
    assert in_quiet_hours(finding, "S1", [window], now) is silent


def test_windows_of_all_its_kinds_together_silence_a_finding() -> None:
    windows = [QuietHours(since=time(9), until=time(10), kinds=(kind,)) for kind in ("open", "spur")]
    assert in_quiet_hours(Finding(("open", "spur"), 2, 0.9, 0), "S1", windows, at(27, 9, 30))


def test_an_alert_says_in_both_languages_what_and_where() -> None:
    alert = Alert(
        id="ialert_1", owner="local", level=2, created=0, state="open", inspection="insp_1", product="A1",
        station="S1", kinds=("open", "solder bridge"), defects=3, score=0.876, verdict="review", screening=True,
        picture_sha256="",
    )  # fmt: skip
    assert alert.en == (
        "Product A1 at station S1 is to be looked at: 3 × open, solder bridge, up to 88% sure; a model's screening: "
        "look at it and decide."
    )
    assert alert.zh == (
        "工位 S1 的产品 A1 待复核：断路、solder bridge 共 3 处，最高置信度 88%；此为模型初筛，请人工确认。"
    )


@pytest.mark.parametrize(
    "mqtt",
    [
        {"url": "mqtt://broker.example.cn"},
        {"url": "mqtts://user@broker.example.cn"},
        {"url": "https://broker.example.cn"},
        {"url": "mqtts://broker.example.cn/path"},
        {"url": "mqtt://127.0.0.1", "password": "without its user"},
        {"url": "mqtt://127.0.0.1", "prefix": "a/#"},
    ],
)
def test_a_broker_is_never_reached_in_the_clear_or_by_a_wrong_address(mqtt: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mqtt"):
        InspectionOptions.model_validate({"mqtt": mqtt})
    assert MqttOptions(url="mqtts://broker.example.cn").address == ("broker.example.cn", 8883)
