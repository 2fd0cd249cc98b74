"""An alert: what was seen, about whom, and in words what to do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from vlpro.audit.alerts.sentences import SENTENCES

__all__ = ["OTHERS", "Alert", "Rule", "clean"]

OTHERS = "*"
"""The subject of an alert that stands for many more of its rule."""

_MOST_CHARS = 100


class Rule(StrEnum):
    """What is looked for."""

    LOGIN_GUESSED = "login_guessed"
    ADDRESS_GUESSES = "address_guesses"
    ADDRESS_TRIES_LOGINS = "address_tries_logins"
    SOMEBODY_ELSES = "somebody_elses"
    MASS_EXPORT = "mass_export"
    PICTURES_EXPORTED = "pictures_exported"
    REFUSALS = "refusals"
    EGRESS = "egress"
    CONVERSATION_DAMAGED = "conversation_damaged"
    CHAIN_BROKEN = "chain_broken"
    LOG_FAILS = "log_fails"


_HIGH = {Rule.EGRESS, Rule.CONVERSATION_DAMAGED, Rule.CHAIN_BROKEN, Rule.LOG_FAILS}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Args:
        rule: Which rule raised it.
        subject: Whom or what it is about: a login, an address, a destination, a conversation; :data:`OTHERS`: many.
        count: How much was seen; behind an earlier alert about the same, everything since then.
        seconds: From the first that was counted to the last.
        first: Number of the first record that was counted; 0: there is none.
        last: Number of the last one.
        time: Unix time of the last one.
        more: What else is known, such as from which addresses.
        more_zh: The same in Chinese, where it is a sentence.
    """

    rule: Rule
    subject: str
    count: int
    seconds: float
    first: int
    last: int
    time: float
    more: str = ""
    more_zh: str = ""

    @property
    def id(self) -> str:
        """The same however often the alert arrives."""
        named = f"{self.rule}\0{self.subject}\0{self.last}\0{self.time}"
        return f"alert_{hashlib.sha256(named.encode()).hexdigest()[:24]}"

    @property
    def severity(self) -> str:
        """``high``: somebody should get up for it; else ``medium``."""
        return "high" if self.rule in _HIGH else "medium"

    @property
    def en(self) -> str:
        """What was seen, and what to do."""
        return self._words(
            SENTENCES[self.rule][0] if self.subject != OTHERS else SENTENCES[OTHERS][0], self.more
        )

    @property
    def zh(self) -> str:
        """The same in Chinese."""
        words = SENTENCES[self.rule][1] if self.subject != OTHERS else SENTENCES[OTHERS][1]
        return self._words(words, self.more_zh or self.more)

    @property
    def when(self) -> str:
        """The time as RFC 3339 has it, UTC."""
        return datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"

    def detail(self) -> dict[str, Any]:
        """As the record has it."""
        return {
            "id": self.id,
            "rule": str(self.rule),
            "severity": self.severity,
            "subject": self.subject,
            "count": self.count,
            "seconds": round(self.seconds, 1),
            "records": [self.first, self.last],
            "more": self.more,
        }

    def content(self, *, name: str, record: int) -> dict[str, Any]:
        """As channels send it.

        Args:
            name: Of this installation.
            record: Number of the record of the alert itself; 0: it could not be recorded.
        """
        return {
            "from": name,
            "time": self.when,
            **self.detail(),
            "record": record,
            "en": self.en,
            "zh": self.zh,
        }

    def _words(self, sentence: str, more: str) -> str:
        minutes = max(1, round(self.seconds / 60))
        return sentence.format(
            subject=self.subject, count=self.count, minutes=minutes, more=more or "-", rule=self.rule
        )


def clean(text: object) -> str:
    """A text of a record as an alert may hold it: in one line, and not long."""
    kept = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text or ""))
    return kept if len(kept) <= _MOST_CHARS else f"{kept[: _MOST_CHARS - 1]}…"
