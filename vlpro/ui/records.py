"""How records of the audit are told: what happened in words, all that a record says, and how records are linked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Any, Literal

from vlpro.schema.audit import AuditRecord
from vlpro.ui.parts import Tone
from vlpro.ui.policy_settings import differences
from vlpro.ui.strings import STRINGS, Language, text

__all__ = [
    "EVENTS",
    "GROUPS",
    "OUTCOMES",
    "Link",
    "Teller",
    "kinds",
    "links",
]

GROUPS = tuple(key.removeprefix("group.") for key in STRINGS if key.startswith("group."))
"""Kinds of events; each but those of a longer kind begins with it."""
EVENTS = tuple(key.removeprefix("event.") for key in STRINGS if key.startswith("event."))
OUTCOMES = ("ok", "refused", "failed")

_TONES: dict[str, Tone] = {"ok": "ok", "refused": "warn", "failed": "bad"}
_QUERY = "audit:log:queried"
_FOLDED = 3  # queries in a row, from so many on
_START = sha256(b"").hexdigest()  # what the first record names as the one before (RFC 6962, section 2.1)
_WEEKDAYS = ("一", "二", "三", "四", "五", "六", "日")
_ORDER = (
    "question",
    "answers",
    "images",
    "why",
    "what",
    "reason",
    "changes",
    "model",
    "engine",
    "files",
    "parameters",
    "tokens",
    "timing",
)
"""What of a record's detail comes first."""
_WORDS = {"what": "what", "factor": "factor", "role": "role", "result": "verify", "format": "export"}
"""Fields whose values are words of ours, and where these stand."""
_HASHES = {"request", "object", "session", "key", "account", "typed", "path"}

Line = dict[str, Any]
Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """How a record is linked to the one before it.

    Args:
        state: ``unknown`` where the one before is not shown.
        missing: First and last number of records that ought to be between this one and the next that is shown.
    """

    state: Literal["linked", "broken", "unknown", "first"]
    missing: tuple[int, int] | None = None


def links(shown: Sequence[AuditRecord], *, whole: bool) -> list[Link]:
    """Check each record against the one before it, where both are shown.

    Args:
        shown: The newest first.
        whole: Whether nothing was filtered out, so that a number that is not there is a record that is missing.
    """
    found = []
    for place, record in enumerate(shown):
        before = shown[place + 1] if place + 1 < len(shown) else None
        if record.seq == 1:
            found.append(Link("first" if record.said.get("prev") == _START else "broken"))
        elif before is not None and before.seq == record.seq - 1:
            found.append(Link("linked" if record.said.get("prev") == before.hash else "broken"))
        elif before is not None and whole:
            found.append(Link("broken", (before.seq + 1, record.seq - 1)))
        else:
            found.append(Link("unknown"))
    return found


def kinds(language: Language) -> dict[str, str]:
    """What one can filter by: groups and their events, by what the API is asked for, with their names."""
    found: dict[str, str] = {}
    for group in GROUPS:
        events = [event for event in EVENTS if _group(event) == group]
        name = text(f"group.{group}", language)
        if len(events) > 1:
            found[group] = text("audit.every", language, group=name)
        found |= {event: f"{name} · {text(f'event.{event}', language)}" for event in events}
    return found


def _group(event: str) -> str:
    """The longest kind that an event begins with."""
    return max((group for group in GROUPS if event.startswith(group)), key=len, default="")


class Teller:
    """Tells records in a language, with times in a zone.

    Args:
        language: Of the words.
        zone: Of the times.
    """

    def __init__(self, language: Language, zone: tzinfo | None) -> None:
        self._language = language
        self._zone = zone

    def blocks(self, shown: Sequence[AuditRecord], *, whole: bool, fold: bool = True) -> list[Block]:
        """The part ``timeline``'s blocks: days, rows, and where records do not fit together.

        Args:
            shown: The newest first.
            whole: Whether nothing was filtered out.
            fold: Whether somebody's queries in a row become one row that opens.
        """
        checked = links(shown, whole=whole)
        found: list[Block] = []
        days = [self._day(record) for record in shown]
        previous = ""
        for place, record in enumerate(shown):
            if days[place] != previous:
                previous = days[place]
                count = self._t("audit.count", count=days.count(previous))
                found.append({"kind": "day", "text": previous, "count": count})
            row = self.row(record, checked[place])
            last = found[-1]
            if fold and self._folds(record, checked[place]):
                if last["kind"] == "fold" and last["who"] == row["who"]:
                    last["rows"].append(row)
                else:
                    found.append({"kind": "fold", "who": row["who"], "rows": [row]})
            else:
                found.append({"kind": "row", "row": row})
            if gap := self._gap(shown, place, checked[place]):
                found.append({"kind": "gap", "text": gap})
        return [plain for block in found for plain in self._unfolded(block)]

    @staticmethod
    def _folds(record: AuditRecord, link: Link) -> bool:
        return record.said.get("event") == _QUERY and link.state != "broken"

    def _unfolded(self, block: Block) -> list[Block]:
        if block["kind"] != "fold":
            return [block]
        rows = block["rows"]
        if len(rows) < _FOLDED:
            return [{"kind": "row", "row": row} for row in rows]
        name = self._t("audit.folded", count=len(rows))
        times = f"{rows[-1]['time']} – {rows[0]['time']}"
        return [{"kind": "fold", "id": rows[0]["seq"], "text": name, "times": times} | block]

    def _gap(self, shown: Sequence[AuditRecord], place: int, link: Link) -> str:
        if link.missing is not None:
            first, last = link.missing
            if first == last:
                return self._t("audit.lost.one", seq=first)
            return self._t("audit.lost", first=first, last=last)
        if link.state == "broken" and place + 1 < len(shown):
            return self._t("audit.gap", old=shown[place + 1].seq, new=shown[place].seq)
        return ""

    def row(self, record: AuditRecord, link: Link) -> dict[str, Any]:
        """A row of the part ``timeline``: in short, and all fields."""
        said = record.said
        outcome = str(said.get("outcome", ""))
        when = self._when(said)
        who = self.who(said)
        session = str(said.get("session") or said.get("key") or "")
        action = self.action(said)
        clock = f"{when:%H:%M:%S}" if when else "–"
        return {
            "seq": record.seq,
            "time": clock,
            "who": who,
            "login": str(said.get("login") or ""),
            "session": session,
            "action": action,
            "object": self.summary(said),
            "outcome": {
                "tone": _TONES.get(outcome, "bad"),
                "text": self._t(f"outcome.{outcome}") if outcome in OUTCOMES else outcome or "–",
            },
            "link": link.state,
            "content": bool(_contents(_detail(said))),
            "label": self._t("audit.row", seq=record.seq, time=clock, who=who, action=action),
            "fields": self.fields(record, link),
            "copy": json.dumps({"seq": record.seq, "hash": record.hash, "record": said}, ensure_ascii=False),
        }

    # --- in short

    def who(self, said: Mapping[str, Any]) -> str:
        """Who did it: a login, or what stands for one."""
        if login := said.get("login") or said.get("account"):
            return str(login)
        if "typed" in _detail(said):
            return self._t("audit.unknown_login")
        return self._t("audit.nobody" if said.get("address") else "audit.service")

    def moment(self, said: Mapping[str, Any]) -> str:
        """When, to the millisecond, with the zone."""
        when = self._when(said)
        return f"{when:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {_offset(when)}" if when else ""

    def action(self, said: Mapping[str, Any]) -> str:
        """What happened."""
        event = str(said.get("event", ""))
        if not event:
            return self._t("audit.unreadable")
        return self._t(f"event.{event}") if event in EVENTS else event

    def summary(self, said: Mapping[str, Any]) -> str:
        """To what, and what else matters most of a record, in one line."""
        if not said:
            return self._t("audit.unreadable.why")
        detail, event = _detail(said), str(said.get("event", ""))
        parts = self._of_event(event, detail, str(said.get("object", "")))
        return " · ".join(part for part in parts if part) or str(said.get("object", ""))

    def _of_event(self, event: str, detail: Mapping[str, Any], thing: str) -> list[str]:  # noqa: C901, PLR0911, PLR0912 - one for each kind
        match event:
            case "chat:question:asked":
                return [
                    self._pictures(detail),
                    self._chars(detail.get("question")),
                    str(detail.get("model", "")),
                ]
            case "chat:answer:completed":
                return [self._why(detail), self._tokens(detail), self._seconds(detail)]
            case "chat:conversation:cleared":
                return [self._pictures(detail), thing]
            case "identity:session:begun" | "identity:factor:given":
                return [self._factor(detail), self._why(detail)]
            case "identity:session:ended":
                count = detail.get("sessions")
                return [self._t("audit.sessions_ended", count=count) if count is not None else ""]
            case "identity:account:changed" | "identity:factor:changed":
                return [str(detail.get("login", "")), self._word("what", detail.get("what"))]
            case "identity:role:granted" | "identity:level:set":
                return [str(detail.get("login", "")), self._old_new(detail, event.split(":")[1])]
            case "identity:account:created" | "identity:setup:completed":
                return [str(detail.get("login", "")), str(detail.get("name", ""))]
            case "identity:key:created":
                return [str(detail.get("name", ""))]
            case "policy:version:decided":
                changes = self._changes(detail)
                more = self._t("audit.more", count=len(changes)) if len(changes) > 1 else ""
                return [": ".join(changes[0]).replace("\n", " ") if changes else thing, more]
            case "gateway:request:refused":
                before = detail.get("before")
                repeated = self._t("audit.repeated", count=before) if before else ""
                return [self._why(detail), str(detail.get("path", "")), repeated]
            case "audit:log:queried":
                return [self._query(detail)]
            case "audit:log:verified":
                first = detail.get("message_zh" if self._language == "zh" else "message")
                size = detail.get("size")
                read = self._t("audit.count", count=f"{size:,}") if isinstance(size, int) else ""
                return [self._word("verify", detail.get("result")), str(first or ""), read]
            case "audit:log:exported":
                return [self._word("export", detail.get("format")), str(detail.get("reason", "")), thing]
            case "audit:export:ended":
                count = detail.get("records")
                read = self._t("audit.count", count=f"{count:,}") if isinstance(count, int) else ""
                return [read, self._why(detail), thing]
            case "audit:content:viewed":
                seq = thing.removeprefix("record_")
                return [self._t("audit.about_record", seq=seq), str(detail.get("reason", ""))]
            case "system:service:started":
                return [str(detail.get(name, "")) for name in ("version", "profile", "engine", "model")]
            case "engine:model:verified":
                return [str(detail.get(name, "")) for name in ("model", "file")]
            case "engine:model:loaded":
                return [str(detail.get("model", "")), self._why(detail)]
            case "alert:rule:raised":
                return [self._word("alert", detail.get("rule")), str(detail.get("subject", ""))]
            case "egress:connection:refused":
                return [str(detail.get("to", "")) or thing]
            case "system:clock:jumped":
                seconds = detail.get("seconds")
                return [f"{seconds:+g} s" if isinstance(seconds, int | float) else ""]
        return []

    def _pictures(self, detail: Mapping[str, Any]) -> str:
        images = detail.get("images")
        count = len(images) if isinstance(images, list) else 0
        if not count:
            return ""
        return self._t("audit.picture") if count == 1 else self._t("audit.pictures", count=count)

    def _chars(self, said: Any) -> str:
        count = said.get("chars") if isinstance(said, Mapping) else None
        return self._t("audit.chars", count=f"{count:,}") if isinstance(count, int) else ""

    def _tokens(self, detail: Mapping[str, Any]) -> str:
        tokens = detail.get("tokens")
        if not isinstance(tokens, Mapping):
            return ""
        return self._t("audit.tokens", read=tokens.get("read", "–"), written=tokens.get("written", "–"))

    def _seconds(self, detail: Mapping[str, Any]) -> str:
        timing = detail.get("timing")
        total = timing.get("total_ms") if isinstance(timing, Mapping) else None
        return self._t("audit.took", seconds=f"{total / 1000:.1f}") if isinstance(total, int | float) else ""

    def _factor(self, detail: Mapping[str, Any]) -> str:
        return self._word("factor", detail["factor"]) if detail.get("factor") else ""

    def _why(self, detail: Mapping[str, Any]) -> str:
        why = detail.get("why")
        if not why:
            return ""
        known = [key for key in STRINGS if key.startswith("why.") and str(why).startswith(key[4:])]
        return self._t(max(known, key=len)) if known else str(why)

    def _word(self, kind: str, value: Any) -> str:
        key = f"{kind}.{'none' if value is None else value}"
        return self._t(key) if key in STRINGS else str(value)

    def _old_new(self, change: Mapping[str, Any], kind: str = "") -> str:
        return " → ".join(self._value(change.get(name), kind) for name in ("old", "new"))

    def _changes(self, detail: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Names and changes; those of the policy in its own words."""
        changes = detail.get("changes")
        if not isinstance(changes, Mapping):
            return []
        found = []
        for name, change in changes.items():
            if not isinstance(change, Mapping):
                found.append((self._name(name), self._value(change)))
            elif f"setting.{name}" in STRINGS:
                found += self._of_policy(name, change)
            else:
                found.append((self._name(name), self._old_new(change, name)))
        return found

    def _of_policy(self, name: str, change: Mapping[str, Any]) -> list[tuple[str, str]]:
        old, new = {name: change.get("old")}, {name: change.get("new")}
        try:
            return differences(old, new, self._language)
        except (KeyError, TypeError):  # of another version, or altered
            return [(self._t(f"setting.{name}"), self._old_new(change))]

    def _query(self, detail: Mapping[str, Any]) -> str:
        names = {
            "text": "audit.text",
            "event": "audit.kind",
            "outcome": "audit.outcome",
            "login": "audit.person",
            "session": "audit.session",
            "address": "audit.address",
            "object": "audit.object",
            "since": "audit.from",
            "until": "audit.to",
        }
        told = []
        for name, key in names.items():
            if (value := detail.get(name)) in (None, ""):
                continue
            shown = (
                self._word("outcome", value)
                if name == "outcome"
                else self.kind(str(value))
                if name == "event"
                else self._moment(value)
                if name in ("since", "until")
                else str(value)
            )
            told.append(f"{self._t(key)}: {shown}")
        return " · ".join(told) or self._t("all")

    def kind(self, value: str) -> str:
        """A kind of events, or an event, by its name."""
        for prefix in ("event", "group"):
            if f"{prefix}.{value}" in STRINGS:
                return self._t(f"{prefix}.{value}")
        return value

    # --- in full

    def fields(self, record: AuditRecord, link: Link) -> list[Line]:
        """All that a record says: names with lines; a line may filter."""
        said, detail = record.said, _detail(record.said)
        found: list[Line] = []

        def add(name: str, *lines: Line) -> None:
            kept = [line for line in lines if line["text"]]
            if kept:
                found.append({"name": self._name(name), "lines": kept})

        add("time", _line(self.moment(said)))
        event, object_ = str(said.get("event", "")), str(said.get("object", ""))
        add("event", _line(self.action(said), sub=event, pick=("event", event)))
        person = [str(said.get("login") or "")]
        if role := said.get("role"):
            person.append(self._t("audit.machine") if role == "machine" else self._word("role", role))
        add(
            "login",
            _line(" · ".join(filter(None, person)), pick=("login", str(said.get("login") or ""))),
        )
        add("account", _line(said.get("account"), mono=True))
        for name in ("session", "key"):
            add(name, _line(said.get(name), mono=True, pick=("session", str(said.get(name) or ""))))
        add("address", _line(said.get("address"), pick=("address", str(said.get("address") or ""))))
        add("request", _line(said.get("request"), mono=True, pick=("text", str(said.get("request") or ""))))
        add("object", _line(object_, mono=True, pick=("object", object_)))
        for name, value in self._ordered(event, detail):
            add(name, *value)
        state = {
            "linked": ("ok", "audit.linked"),
            "first": ("ok", "audit.first"),
            "broken": ("bad", "audit.broken"),
        }.get(link.state, ("plain", "audit.unknown"))
        why = self._t("audit.unknown.why") if link.state == "unknown" else ""
        add("chain", _line(self._t(state[1]), badge=state[0], sub=why))
        add("prev", _line(said.get("prev"), mono=True))
        add("hash", _line(record.hash, mono=True))
        return found

    def _ordered(self, event: str, detail: Mapping[str, Any]) -> list[tuple[str, list[Line]]]:
        """The detail's names with lines; what is not known here stands as it is."""
        found: list[tuple[str, list[Line]]] = []
        rest = dict(detail)
        if "old" in rest and "new" in rest:
            kind = event.split(":")[1] if event.count(":") == 2 else ""
            found.append(("changes", [_line(self._old_new(rest, kind))]))
            del rest["old"], rest["new"]
        if event.startswith("identity:") and "login" in rest:
            login = str(rest.pop("login"))
            found.append(("subject", [_line(login, pick=("text", login))]))
        if event == _QUERY:
            return [*found, ("what", [_line(self._query(rest))])]
        for name, value in sorted(rest.items(), key=lambda item: _place(item[0])):
            found.append((name, self._lines(name, value, detail)))
        return found

    def _lines(  # noqa: C901, PLR0911, PLR0912 - one for each kind of field
        self, name: str, value: Any, detail: Mapping[str, Any]
    ) -> list[Line]:
        if name == "images" and isinstance(value, list):
            return [line for image in value if isinstance(image, Mapping) for line in self._image(image)]
        if name in ("question", "prompt") and isinstance(value, Mapping):
            return self._text(value, keeps=name == "question")
        if name == "answers" and isinstance(value, list):
            return [line for one in value if isinstance(one, Mapping) for line in self._text(one, keeps=True)]
        if name == "tokens":
            return [_line(self._tokens(detail) or value)]
        if name in ("asked", "export") and isinstance(value, int):
            return [_line(self._t("audit.about_record", seq=value))]
        if name == "changes" and (changes := self._changes(detail)):
            return [
                _line(f"{what}: {line}") for what, change in changes for line in change.splitlines() or [""]
            ]
        if name == "timing" and isinstance(value, Mapping):
            return [_line(self._timing(value))]
        if name == "parameters" and isinstance(value, Mapping):
            return [_line(" · ".join(f"{key} {_short(one)}" for key, one in value.items()))]
        if name == "why":
            told = self._why(detail)
            return [_line(told, sub=str(value) if told != value else "")]
        if name == "scopes" and isinstance(value, list):
            return [_line(self._word("scope", one)) for one in value]
        if name == "rule":
            return [_line(self._word("alert", value), sub=str(value))]
        if name == "filter" and isinstance(value, Mapping):
            return [_line(self._query(value))]
        if name in _WORDS:
            return [_line(self._word(_WORDS[name], value))]
        if isinstance(value, list):
            return [_line(_short(one)) for one in value]
        return [_line(_short(value), mono=name in _HASHES or _is_hash(value))]

    def _timing(self, timing: Mapping[str, Any]) -> str:
        told = []
        for name, key in (("first_token_ms", "foot.first"), ("total_ms", "foot.total")):
            if isinstance(value := timing.get(name), int | float):
                told.append(self._t(key, seconds=f"{value / 1000:.2f}"))
        if isinstance(speed := timing.get("tokens_per_s"), int | float):
            told.append(f"{speed:,.1f} tokens/s")
        return " · ".join(told) or _short(timing)

    def _image(self, image: Mapping[str, Any]) -> list[Line]:
        sides = f"{image['width']} × {image['height']}" if "width" in image and "height" in image else ""
        amount = image.get("bytes")
        parts = [str(image.get("format", "")).upper(), sides, _bytes(amount) if amount else ""]
        digest, sm3 = str(image.get("sha256", "")), image.get("sm3")
        return [
            _line(digest, mono=True, sub=" · ".join(part for part in parts if part), pick=("text", digest)),
            *([_line(f"SM3 {sm3}", mono=True)] if sm3 else []),
        ]

    def _text(self, said: Mapping[str, Any], *, keeps: bool) -> list[Line]:
        parts = [self._chars(said)]
        if keeps:
            parts.append(self._t("audit.kept" if said.get("content") else "audit.hash_only"))
        return [
            _line(" · ".join(part for part in parts if part)),
            _line(said.get("commitment"), mono=True),
        ]

    # --- words and times

    def _t(self, key: str, **values: object) -> str:
        return text(key, self._language, **values)

    def _name(self, name: str) -> str:
        key = f"field.{name}"
        return self._t(key) if key in STRINGS else name

    def _value(self, value: Any, kind: str = "") -> str:
        if kind == "expires_at" and isinstance(value, int | float):
            return self._moment(value)
        if kind in ("role", "level"):
            return self._word(kind, value)
        return "–" if value in (None, "") else _short(value)

    def _when(self, said: Mapping[str, Any]) -> datetime | None:
        try:
            return datetime.fromisoformat(str(said["time"])).astimezone(self._zone)
        except (KeyError, ValueError):
            return None

    def _moment(self, seconds: Any) -> str:
        if not isinstance(seconds, int | float):
            return str(seconds)
        try:
            return f"{datetime.fromtimestamp(seconds, self._zone):%Y-%m-%d %H:%M:%S}"
        except (OverflowError, OSError, ValueError):
            return str(seconds)

    def _day(self, record: AuditRecord) -> str:
        when = self._when(record.said)
        if when is None:
            return "–"
        if self._language == "zh":
            return f"{when.year} 年 {when.month} 月 {when.day} 日 周{_WEEKDAYS[when.weekday()]}"
        return f"{when:%A} {when.day} {when:%B %Y}"


def _detail(said: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = said.get("detail")
    return detail if isinstance(detail, Mapping) else {}


def _contents(detail: Mapping[str, Any]) -> list[str]:
    """Where texts of a question or an answer are kept."""
    question, answers = detail.get("question"), detail.get("answers")
    written = [question, *(answers if isinstance(answers, list) else [])]
    return [str(one["content"]) for one in written if isinstance(one, Mapping) and one.get("content")]


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _line(
    shown: Any, *, mono: bool = False, sub: str = "", badge: str = "", pick: tuple[str, str] | None = None
) -> Line:
    line: Line = {"text": "" if shown is None else str(shown)}
    line |= {"mono": True} if mono else {}
    line |= {"sub": sub} if sub else {}
    line |= {"badge": badge} if badge else {}
    return line | ({"pick": list(pick)} if pick is not None and pick[1] else {})


def _short(value: Any) -> str:
    """A JSON value as it is read: texts bare, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False)


def _offset(when: datetime) -> str:
    """The zone as everybody understands it: UTC+08:00."""
    told = f"{when:%z}"
    return f"UTC{told[:3]}:{told[3:5]}"


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 32 and all(c in "0123456789abcdef" for c in value)


def _bytes(amount: Any) -> str:
    if not isinstance(amount, int):
        return str(amount)
    if amount >= 2**20:
        return f"{amount / 2**20:.1f} MiB"
    return f"{amount / 1024:.1f} KiB" if amount >= 1024 else f"{amount} B"
