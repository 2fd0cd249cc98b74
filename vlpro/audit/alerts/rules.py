"""The rules, without I/O: records in, in their order; alerts out."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vlpro.audit.alerts.alert import OTHERS, Alert, Rule, clean
from vlpro.audit.alerts.options import Thresholds
from vlpro.audit.events import Event

__all__ = ["Rules"]

Said = Mapping[str, Any]

_MOST_SUBJECTS = 10_000  # that one rule remembers; who was quiet for longest goes first
_SHOWN = 5
_SIGN_INS = frozenset({Event.SIGN_IN, Event.SECOND_FACTOR})
_TAKEN_OUT = frozenset(
    {Event.CONVERSATION_EXPORTED, Event.WORKFLOW_EXPORTED, Event.LOG_EXPORTED, Event.CONTENT_VIEWED}
)
_FOREIGN = "somebody_elses"


@dataclass(frozen=True, slots=True)
class _Watch:
    """One rule.

    Args:
        rule: Its name.
        sees: Whom a record is about, and for how much it counts; None: it is none of the rule's.
        most: From how much on there is an alert.
        minutes: Within which time.
        about: What else is worth telling of a record.
        different: Whether only different such things count.
    """

    rule: Rule
    sees: Callable[[Said], tuple[str, int] | None]
    most: int
    minutes: int
    about: Callable[[Said], str]
    different: bool = False


@dataclass(slots=True)
class _Subject:
    """What was seen of one subject: time, number, weight, and what else is worth telling."""

    seen: deque[tuple[float, int, int, str]] = field(default_factory=deque)
    hidden: int = 0  # while the rule was silent
    hidden_since: tuple[float, int] | None = None


class Rules:
    """All rules, and what they remember.

    Args:
        thresholds: From when on something is an alert.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._quiet_s = thresholds.quiet_minutes * 60.0
        self._most_of_a_rule = thresholds.most_of_a_rule
        self._watches = _watches(thresholds)
        self._subjects: dict[Rule, OrderedDict[str, _Subject]] = {
            w.rule: OrderedDict() for w in self._watches
        }
        self._raised: OrderedDict[tuple[Rule, str], tuple[float, int]] = OrderedDict()
        self._times: dict[Rule, deque[float]] = {rule: deque() for rule in Rule}

    def remember(self, said: Said) -> None:
        """An alert was raised already, by this process or another: its subject is left alone for a while.

        Args:
            said: Its record.
        """
        rule = _detail(said).get("rule")
        if said.get("event") == Event.ALERT_RAISED and rule in list(Rule):
            counted = _detail(said).get("records")
            last = counted[-1] if isinstance(counted, list) and counted else 0
            subject = str(_detail(said).get("subject"))
            self._note(Rule(rule), subject, _time(said), last if isinstance(last, int) else 0)

    def look(self, said: Said) -> list[Alert]:
        """What a new record gives rise to.

        Args:
            said: The record.
        """
        if said.get("event") == Event.ALERT_RAISED:
            return []
        found = [alert for watch in self._watches for alert in self._seen(watch, said)]
        return [alert for one in found if (alert := self.admit(one)) is not None]

    def admit(self, alert: Alert) -> Alert | None:
        """The alert itself, or one that stands for many, or None where enough was said.

        Args:
            alert: Of whichever rule.
        """
        if self._silent(alert.rule, alert.subject, alert.time):
            return None
        times = self._times[alert.rule]
        while times and not 0 <= alert.time - times[0] < self._quiet_s:
            times.popleft()
        if len(times) < self._most_of_a_rule:
            times.append(alert.time)
            self._note(alert.rule, alert.subject, alert.time, alert.last)
            return alert
        if self._silent(alert.rule, OTHERS, alert.time):
            return None
        self._note(alert.rule, OTHERS, alert.time, alert.last)
        return Alert(alert.rule, OTHERS, len(times), self._quiet_s, alert.first, alert.last, alert.time)

    # ---

    def _seen(self, watch: _Watch, said: Said) -> Iterator[Alert]:
        found = watch.sees(said)
        if found is None or not found[0] or found[1] < 1:
            return
        name, weight = clean(found[0]), found[1]
        now, seq, about = _time(said), int(said.get("seq", 0)), clean(watch.about(said))
        subjects = self._subjects[watch.rule]
        subject = subjects.setdefault(name, _Subject())
        subjects.move_to_end(name)
        if len(subjects) > _MOST_SUBJECTS:
            subjects.popitem(last=False)
        if seq <= self._raised.get((watch.rule, name), (0.0, -1))[1]:
            return  # before a restart, or by another process, it was counted already
        if self._silent(watch.rule, name, now):
            subject.hidden += weight
            subject.hidden_since = subject.hidden_since or (now, seq)
            return
        seen = subject.seen
        while seen and now - seen[0][0] > watch.minutes * 60:
            seen.popleft()
        if watch.different:
            for old in [entry for entry in seen if entry[3] == about]:
                seen.remove(old)
        seen.append((now, seq, weight, about))
        if sum(entry[2] for entry in seen) < watch.most:
            return
        yield _alert(watch, name, subject)
        subjects[name] = _Subject()

    def _silent(self, rule: Rule, subject: str, now: float) -> bool:
        raised = self._raised.get((rule, subject))
        return raised is not None and abs(now - raised[0]) < self._quiet_s

    def _note(self, rule: Rule, subject: str, at: float, last: int) -> None:
        self._raised[rule, subject] = (at, last)
        self._raised.move_to_end((rule, subject))
        while len(self._raised) > _MOST_SUBJECTS:
            self._raised.popitem(last=False)


def _alert(watch: _Watch, name: str, subject: _Subject) -> Alert:
    seen = subject.seen
    since, first = subject.hidden_since or seen[0][:2]
    # What was not told while the rule was silent is told now; where different things are counted, it cannot be added.
    count = sum(entry[2] for entry in seen) + (0 if watch.different else subject.hidden)
    named = list(dict.fromkeys(entry[3] for entry in seen if entry[3]))
    more = ", ".join(named[:_SHOWN]) + (", …" if len(named) > _SHOWN else "")
    return Alert(
        watch.rule, name, count, max(0.0, seen[-1][0] - since), first, seen[-1][1], seen[-1][0], more, more
    )


def _watches(t: Thresholds) -> tuple[_Watch, ...]:
    return (
        _Watch(Rule.LOGIN_GUESSED, _login, t.login_failures, t.sign_in_minutes, _address),
        _Watch(Rule.ADDRESS_GUESSES, _from, t.address_failures, t.sign_in_minutes, _login_of),
        _Watch(
            Rule.ADDRESS_TRIES_LOGINS, _from, t.address_logins, t.sign_in_minutes, _login_of, different=True
        ),
        _Watch(Rule.SOMEBODY_ELSES, _foreign, t.foreign_tries, t.foreign_minutes, _address),
        _Watch(Rule.MASS_EXPORT, _taken, t.exports, t.export_minutes, _address),
        _Watch(Rule.PICTURES_EXPORTED, _pictures, t.exported_pictures, t.export_minutes, _address),
        _Watch(Rule.REFUSALS, _refused, t.refusals, t.refusal_minutes, _why),
        _Watch(Rule.EGRESS, _egress, t.egress_tries, t.egress_minutes, _by),
        _Watch(Rule.CONVERSATION_DAMAGED, _damaged, 1, 1, _person),
    )


# --- whom a record is about, and for how much it counts


def _login(said: Said) -> tuple[str, int] | None:
    return (_login_of(said), 1) if _sign_in_refused(said) else None


def _from(said: Said) -> tuple[str, int] | None:
    return (_address(said), 1) if _sign_in_refused(said) else None


def _sign_in_refused(said: Said) -> bool:
    return said.get("event") in _SIGN_INS and said.get("outcome") == "refused"


def _foreign(said: Said) -> tuple[str, int] | None:
    refused = said.get("event") == Event.REQUEST_REFUSED and _why(said) == _FOREIGN
    return (_person(said), 1 + _number(said, "before")) if refused else None


def _refused(said: Said) -> tuple[str, int] | None:
    refused = said.get("event") == Event.REQUEST_REFUSED and _why(said) != _FOREIGN
    return (_person(said), 1 + _number(said, "before")) if refused else None


def _taken(said: Said) -> tuple[str, int] | None:
    taken = said.get("event") in _TAKEN_OUT and said.get("outcome") == "ok"
    return (_person(said), max(1, _number(said, "conversations"))) if taken else None


def _pictures(said: Said) -> tuple[str, int] | None:
    taken = said.get("event") == Event.CONVERSATION_EXPORTED and said.get("outcome") == "ok"
    return (_person(said), _number(said, "pictures")) if taken else None


def _egress(said: Said) -> tuple[str, int] | None:
    if said.get("event") != Event.EGRESS_REFUSED:
        return None
    return str(said.get("object") or _detail(said).get("to") or "?"), 1 + _number(said, "before")


def _damaged(said: Said) -> tuple[str, int] | None:
    return (str(said.get("object") or "?"), 1) if said.get("event") == Event.CONVERSATION_DAMAGED else None


# --- what a record says


def _detail(said: Said) -> Said:
    detail = said.get("detail")
    return detail if isinstance(detail, dict) else {}


def _number(said: Said, name: str) -> int:
    """How many, as a record's detail has it: a number, its digits, or a list of them; else 0."""
    value = _detail(said).get(name)
    if isinstance(value, list):
        return len(value)
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _login_of(said: Said) -> str:
    """A login; of one that nobody has only its hash is known."""
    typed = _detail(said).get("typed")
    return str(said.get("login") or (f"unknown {typed}" if typed else ""))


def _person(said: Said) -> str:
    return str(said.get("login") or said.get("address") or "")


def _address(said: Said) -> str:
    return str(said.get("address") or "")


def _why(said: Said) -> str:
    return str(_detail(said).get("why") or "")


def _by(said: Said) -> str:
    return str(_detail(said).get("by") or "")


def _time(said: Said) -> float:
    """Unix time of a record; 0 where it has none."""
    try:
        return datetime.fromisoformat(str(said["time"])).timestamp()
    except (KeyError, ValueError):
        return 0.0
