from __future__ import annotations

import json
from typing import Any

import pytest

from vlpro.audit.events import Event
from vlpro.audit.ship.masking import Masked, MaskingRule, mask
from vlpro.masking import Masking


def test_the_whole_content_is_looked_at_except_what_binds_it() -> None:
    content = {
        "seq": 13800138000,
        "time": "13800138000",
        "prev": "13800138000",
        "login": "13800138000",
        "object": "张三",
        "detail": {"n": 13800138000, "list": ["13800138000", {"13800138000": True}], "f": 1.5, "none": None},
    }
    assert mask(content, Masking(("张三",))) == {
        "seq": 13800138000,
        "time": "13800138000",
        "prev": "13800138000",
        "login": "138****8000",
        "object": "张*",
        "detail": {
            "n": "138****8000",
            "list": ["138****8000", {"138****8000": True}],
            "f": 1.5,
            "none": None,
        },
    }


def decision(**changes: tuple[Any, Any]) -> bytes:
    detail = {"changes": {name: {"old": old, "new": new} for name, (old, new) in changes.items()}}
    return json.dumps({"event": Event.POLICY_DECIDED, "detail": detail}, separators=(",", ":")).encode()


OTHER = json.dumps({"event": Event.SIGN_IN, "detail": {}}, separators=(",", ":")).encode()
ON = decision(mask_shipped=(False, True), mask_names=([], ["张三"]))
FEWER = decision(mask_names=(["张三"], []))
OFF = decision(mask_shipped=(True, False))
LOG = [OTHER, decision(idle_minutes=(15, 10)), OTHER, ON, OTHER, FEWER, OTHER, OFF, OTHER]
EXPECTED = [None, None, None, ("张三",), ("张三",), ("张三",), (), (), None]


def follow(rule: MaskingRule, log: list[bytes]) -> list[tuple[str, ...] | None]:
    found = [rule.of(data, sound=True) for data in log]
    return [masking.names if masking is not None else None for masking in found]


@pytest.mark.parametrize("seq", range(len(LOG)))
def test_a_record_is_masked_alike_wherever_the_shipper_begins(seq: int) -> None:
    decisions = [(number, data) for number, data in enumerate(LOG, 1) if b"policy" in data]
    rule = MaskingRule(always=False)
    rule.begin(decisions, seq, Masked())
    assert follow(rule, LOG[seq:]) == EXPECTED[seq:]


def test_a_decision_tells_what_held_before_it() -> None:
    """Where the one before is archived, and nothing else is known."""
    rule = MaskingRule(always=False)
    rule.begin([(8, OFF)], 7, None)
    assert follow(rule, LOG[7:]) == [(), None]
    rule.begin([(4, ON)], 2, None)
    assert follow(rule, LOG[2:5]) == [None, ("张三",), ("张三",)]


def test_what_is_not_known_is_masked() -> None:
    rule = MaskingRule(always=False)
    rule.begin([], 7, None)
    assert follow(rule, [OTHER]) == [()]


def test_an_altered_record_decides_nothing() -> None:
    rule = MaskingRule(always=False)
    rule.begin([], 0, Masked(on=True))
    assert rule.of(OFF, sound=False) is not None
    assert rule.of(OTHER, sound=True) is not None


def test_the_setting_masks_whatever_the_policy_says() -> None:
    rule = MaskingRule(always=True)
    rule.begin([], 0, Masked())
    assert None not in follow(rule, LOG)


def test_a_decision_of_another_form_changes_nothing() -> None:
    rule = MaskingRule(always=False)
    rule.begin([], 0, Masked())
    for detail in (
        {},
        {"changes": 1},
        {"changes": {"mask_shipped": True}},
        {"changes": {"mask_shipped": {"new": 1}}},
    ):
        data = json.dumps({"event": Event.POLICY_DECIDED, "detail": detail}, separators=(",", ":")).encode()
        assert rule.of(data, sound=True) is None
