"""Each rule just below its threshold and at it; one alert a subject and quiet time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from vlpro.audit.alerts.alert import OTHERS, Alert, Rule, clean
from vlpro.audit.alerts.options import Thresholds
from vlpro.audit.alerts.rules import Rules
from vlpro.audit.alerts.sentences import SENTENCES
from vlpro.audit.canonical import encode

Said = dict[str, Any]
START = 1_800_000_000.0
MINUTE = 60.0


def record(seq: int, event: str, at: float, **fields: Any) -> Said:
    """A record, ``at`` seconds behind the start."""
    time = datetime.fromtimestamp(START + at, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    said: Said = {
        "seq": seq,
        "event": event,
        "time": time,
        "outcome": "ok",
        "login": "",
        "address": "10.0.0.9",
    }
    return said | {"detail": {}} | fields


def sign_in(seq: int, at: float, login: str = "liwei", **fields: Any) -> Said:
    return record(seq, "identity:session:begun", at, outcome="refused", login=login, **fields)


def unknown(seq: int, at: float) -> Said:
    return sign_in(seq, at, "", detail={"why": "wrong login or password", "typed": f"{seq:016x}"})


def code(seq: int, at: float) -> Said:
    return record(seq, "identity:factor:given", at, outcome="refused", login="liwei", address=f"10.0.0.{seq}")


def refused(why: str, **detail: str) -> Any:
    def made(seq: int, at: float) -> Said:
        return record(
            seq, "gateway:request:refused", at, outcome="refused", login="liwei", detail={"why": why} | detail
        )

    return made


def export(event: str = "chat:conversation:exported", **detail: Any) -> Any:
    return lambda seq, at: record(seq, event, at, login="liwei", detail=detail)


def egress(seq: int, at: float) -> Said:
    return record(seq, "egress:connection:refused", at, object="203.0.113.7:443", detail={"by": "python"})


def damaged(seq: int, at: float) -> Said:
    return record(seq, "chat:conversation:damaged", at, object="conv_1", login="liwei")


def run(rules: Rules, said: Iterator[Said] | list[Said]) -> list[Alert]:
    return [alert for one in said for alert in rules.look(one)]


def made(make: Any, times: int, every: float) -> list[Said]:
    return [make(seq, seq * every) for seq in range(1, times + 1)]


T = Thresholds()

CASES = [
    # what happens, how often it is an alert, in how many minutes, which rule, about whom
    (sign_in, T.login_failures, T.sign_in_minutes, Rule.LOGIN_GUESSED, "liwei"),
    (code, T.login_failures, T.sign_in_minutes, Rule.LOGIN_GUESSED, "liwei"),
    (unknown, T.address_logins, T.sign_in_minutes, Rule.ADDRESS_TRIES_LOGINS, "10.0.0.9"),
    (refused("somebody_elses"), T.foreign_tries, T.foreign_minutes, Rule.SOMEBODY_ELSES, "liwei"),
    (refused("permission_denied"), T.refusals, T.refusal_minutes, Rule.REFUSALS, "liwei"),
    (export(), T.exports, T.export_minutes, Rule.MASS_EXPORT, "liwei"),
    (export("audit:log:exported"), T.exports, T.export_minutes, Rule.MASS_EXPORT, "liwei"),
    (export("workflow:result:exported"), T.exports, T.export_minutes, Rule.MASS_EXPORT, "liwei"),
    (export("audit:content:viewed"), T.exports, T.export_minutes, Rule.MASS_EXPORT, "liwei"),
    (egress, T.egress_tries, T.egress_minutes, Rule.EGRESS, "203.0.113.7:443"),
    (damaged, 1, 1, Rule.CONVERSATION_DAMAGED, "conv_1"),
]


@pytest.mark.parametrize(("make", "most", "minutes", "rule", "subject"), CASES)
def test_an_alert_at_its_threshold_and_none_below(
    make: Any, most: int, minutes: int, rule: Rule, subject: str
) -> None:
    said = made(make, most, 0.5)
    assert run(Rules(T), said[:-1]) == []
    rules = Rules(T)
    (alert,) = run(rules, said)
    assert (alert.rule, alert.subject, alert.count) == (rule, subject, most)
    assert (alert.first, alert.last) == (1, most)
    assert alert.time == pytest.approx(START + most * 0.5)
    assert alert.seconds == pytest.approx((most - 1) * 0.5)
    if most > 1:  # spread over just more than the time, it is none
        assert run(Rules(T), made(make, most, minutes * MINUTE / (most - 1) + 0.01)) == []
        assert len(run(Rules(T), made(make, most, minutes * MINUTE / (most - 1) - 0.01))) == 1


def test_many_failures_from_one_address_count_whoever_is_meant() -> None:
    two = [sign_in(seq, seq, login=f"p{seq % 4}") for seq in range(1, T.address_failures + 1)]
    found = run(Rules(T), two)
    assert Rule.ADDRESS_GUESSES not in {alert.rule for alert in run(Rules(T), two[:-1])}
    assert found[-1].rule is Rule.ADDRESS_GUESSES
    assert found[-1].subject == "10.0.0.9"
    assert Rule.ADDRESS_TRIES_LOGINS not in {alert.rule for alert in found}  # four are fewer than five


def test_the_same_login_again_is_no_other_login() -> None:
    many = [unknown(1, seq * 0.1) for seq in range(100)]
    assert Rule.ADDRESS_TRIES_LOGINS not in {alert.rule for alert in run(Rules(T), many)}


def test_what_succeeds_and_what_is_counted_elsewhere_is_no_alert() -> None:
    fine = [record(seq, "identity:session:begun", 0, login="liwei") for seq in range(50)]
    asked = [record(seq, "chat:question:asked", 0, login="liwei") for seq in range(500)]
    assert run(Rules(T), fine + asked) == []
    assert run(Rules(T), made(refused("somebody_elses"), T.foreign_tries - 1, 0)) == []


def test_repetitions_that_were_only_counted_count() -> None:
    (alert,) = run(Rules(T), [refused("not_authenticated", before="99")(1, 0)])
    assert (alert.rule, alert.count) == (Rule.REFUSALS, 100)
    assert run(Rules(T), [refused("not_authenticated", before="98")(1, 0)]) == []
    for nonsense in ("-5", "1e9", "٣" * 9, "9" * 30, ""):
        assert run(Rules(T), [refused("not_authenticated", before=nonsense)(1, 0)]) == []


def test_an_export_counts_for_what_it_holds() -> None:
    (alert,) = run(Rules(T), [export(conversations=T.exports)(1, 0)])
    assert alert.rule is Rule.MASS_EXPORT
    assert run(Rules(T), [export(conversations=T.exports - 1)(1, 0)]) == []
    (alert,) = run(Rules(T), [export(pictures=["a"] * T.exported_pictures)(1, 0)])
    assert (alert.rule, alert.count) == (Rule.PICTURES_EXPORTED, T.exported_pictures)
    assert run(Rules(T), [export(pictures=T.exported_pictures - 1)(1, 0)]) == []


def test_one_alert_a_subject_and_quiet_time() -> None:
    """A try a second for an hour: one alert at once, one each quiet time, and none of the tries is lost."""
    found = run(Rules(T), (refused("somebody_elses")(seq, seq) for seq in range(1, 3601)))
    assert len(found) == 4
    starts = [alert.time - START for alert in found]
    assert starts[0] == T.foreign_tries
    assert all(
        T.quiet_minutes * MINUTE <= b - a < T.quiet_minutes * MINUTE + 10
        for a, b in itertools.pairwise(starts)
    )
    assert sum(alert.count for alert in found) == found[-1].last
    others = refused("somebody_elses")
    rules = Rules(T)
    two = [others(seq, 0) | {"login": login} for seq in range(1, 6) for login in ("a", "b")]
    assert sorted(alert.subject for alert in run(rules, two)) == ["a", "b"]


def test_a_storm_over_many_subjects_ends_in_one_alert() -> None:
    rules = Rules(T)
    found = run(rules, [egress(seq, seq * 0.1) | {"object": f"host{seq}"} for seq in range(1, 2001)])
    assert len(found) == T.most_of_a_rule + 1
    assert found[-1].subject == OTHERS
    assert "egress" in found[-1].en
    later = egress(9999, (T.quiet_minutes + 5) * MINUTE) | {"object": "another"}
    assert [alert.subject for alert in run(rules, [later])] == ["another"]


def test_what_was_raised_before_is_not_raised_again() -> None:
    (alert,) = run(Rules(T), made(sign_in, T.login_failures, 1))
    rules = Rules(T)
    raised = record(9, "alert:rule:raised", alert.time - START, detail=alert.detail())
    rules.remember(raised)
    assert run(rules, [*made(sign_in, 10, 1), raised]) == []
    later = [sign_in(seq, T.quiet_minutes * MINUTE + seq) for seq in range(20, 20 + T.login_failures)]
    (again,) = run(rules, later)
    assert again.count == 2 * T.login_failures  # five more came behind those that the first alert counted
    rules.remember(record(10, "alert:rule:raised", 0, detail={"rule": "of a later version"}))
    rules.remember(record(10, "alert:rule:raised", 0, detail={"rule": ["no"]}))


def test_an_alert_is_itself_no_cause() -> None:
    raised = [record(seq, "alert:rule:raised", 0, outcome="refused", login="x") for seq in range(1000)]
    assert run(Rules(T), raised) == []


def test_thresholds_are_options() -> None:
    strict = Thresholds(login_failures=2, sign_in_minutes=1)
    assert len(run(Rules(strict), [sign_in(1, 0), sign_in(2, 59)])) == 1
    assert run(Rules(strict), [sign_in(1, 0), sign_in(2, 61)]) == []


def test_what_a_record_holds_cannot_break_a_line_or_a_sentence() -> None:
    nasty = "a\r\nBcc: x\x1b[31m\u202e{subject}{0}\ud800" + "x" * 500
    rules = Rules(Thresholds(login_failures=1))
    (alert,) = run(rules, [sign_in(1, 0, nasty, address=nasty)])
    for text in (alert.subject, alert.more, alert.en, alert.zh):
        assert text.isprintable()
    assert len(alert.subject) == len(clean(nasty)) == 100
    assert encode(alert.detail())
    assert encode(alert.content(name="x", record=1))


def test_broken_records_are_passed_over() -> None:
    rules = Rules(Thresholds(login_failures=1, egress_tries=1))
    for said in (
        {},
        {"event": None},
        {"seq": 9, "detail": {"rule": []}},
        {"event": "gateway:request:refused", "detail": None},
        {"detail": [1]},
    ):
        assert rules.look(said) == []
    assert [a.time for a in rules.look({"event": "egress:connection:refused", "time": "then"})] == [0.0]


@pytest.mark.parametrize("rule", [*Rule, OTHERS])
def test_every_rule_has_its_sentences(rule: str) -> None:
    en, zh = SENTENCES[rule]
    given = {"subject": "S", "count": 7, "minutes": 3, "more": "M", "rule": "R"}
    assert en.format(**given).replace("×", "").isascii()
    assert en.count(".") >= 2 or ":" in en  # what was seen, and what to do
    assert zh.format(**given).endswith("。")
    fields = [sorted(name for name in given if f"{{{name}}}" in text) for text in (en, zh)]
    assert fields[0] == fields[1]
