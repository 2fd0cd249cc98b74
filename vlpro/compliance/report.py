"""A compliance report: what came of all clauses, as one JSON object, with a file of evidence for each check.

The object (``report.json``) lists each other file of its folder with its hashes; its own hash is signed
(:mod:`vlpro.compliance.report_signature`). Times are Unix seconds. Nothing in it is a content, a person's data, or a
secret: what the settings keep secret is taken out wherever it turns up.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

import vlpro
from vlpro.audit import canonical
from vlpro.compliance.clause import CheckResult, ClauseResult, Sentence, totals
from vlpro.compliance.report_words import group_of, group_title
from vlpro.config import Settings
from vlpro.crypto.sm3 import sm3

__all__ = [
    "Content",
    "Report",
    "compose",
    "difference",
    "evidence_name",
    "hashes_of",
    "new_id",
    "settings_digest",
]

Content = dict[str, Any]
"""The JSON object of a report."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_LEAST_SECRET = 6  # characters: shorter ones would blot out words
_GONE = "[secret removed]"


@dataclass(frozen=True, slots=True)
class Report:
    """A report before it is written.

    Args:
        content: All of it but ``files``, which are known once they are made.
        evidence: Canonical JSON (RFC 8785), by file name.
        gm: Whether files are hashed with SM3 as well.
    """

    content: Content
    evidence: Mapping[str, bytes]
    gm: bool = False


def new_id() -> str:
    """An id that no other report has."""
    return f"cr_{secrets.token_hex(8)}"


def compose(
    results: Sequence[ClauseResult],
    settings: Settings,
    *,
    id: str,  # noqa: A002 - the API's word
    created: float,
    by: str,
    host: str,
    before: Content | None = None,
) -> Report:
    """Put a report together.

    Args:
        results: Of all clauses.
        settings: Of the system that was checked.
        id: Of the report.
        created: When the last check was done, Unix time.
        by: Who asked for it: a login, or a user of the machine.
        host: Name of the machine.
        before: The report before, to compare with; None: there is none.

    Raises:
        ValueError: A fact is no JSON, or a check's name makes no file name.
    """
    clean = _Cleaner(settings)
    gm = settings.crypto == "gm"
    checks = {check.check.name: check for result in results for check in result.checks}
    evidence = {evidence_name(name): _evidence(id, check, clean) for name, check in checks.items()}
    digests = {name: hashes_of(data, gm=gm) for name, data in evidence.items()}
    clauses = [_clause(result, digests, clean) for result in results]
    content: Content = {
        "object": "compliance.report",
        "id": id,
        "created": int(created),
        "by": by,
        "host": host,
        "product": {"name": "Qwen3-VL-4B Pro", "version": vlpro.__version__},
        "profile": settings.profile,
        "settings": {"sha256": settings_digest(settings)},
        "standard": {
            "en": "GB/T 22239-2019, chapter 8.1 (MLPS level 3)",
            "zh": "GB/T 22239-2019 第 8.1 章（等级保护第三级）",
        },
        "totals": totals(results),
        "groups": [
            {"id": group, "title": group_title(group)}
            for group in dict.fromkeys(clause["group"] for clause in clauses)
        ],
        "clauses": clauses,
        "changes": {
            "since": before["id"] if before else None,
            "clauses": difference(before, {"clauses": clauses}) if before else [],
        },
    }
    return Report(content, evidence, gm)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The clauses whose verdict is another one.

    Args:
        old: A report.
        new: A later one.

    Returns:
        ``id``, ``from`` and ``to`` of each, in the order of the later one; None stands where a report has no such
        clause.
    """
    was = {clause["id"]: clause["verdict"] for clause in old["clauses"]}
    now = {clause["id"]: clause["verdict"] for clause in new["clauses"]}
    return [
        {"id": name, "from": was.get(name), "to": now.get(name)}
        for name in (*now, *(name for name in was if name not in now))
        if was.get(name) != now.get(name)
    ]


def hashes_of(data: bytes, *, gm: bool) -> dict[str, str]:
    """SHA-256, and SM3 where Chinese algorithms are in use, hexadecimal."""
    return {"sha256": hashlib.sha256(data).hexdigest()} | ({"sm3": sm3(data).hex()} if gm else {})


def settings_digest(settings: Settings) -> str:
    """SHA-256 over the settings as canonical JSON, secrets left out: tells two configurations apart."""
    plain = json.loads(json.dumps(settings.model_dump(mode="json"), default=str))
    return hashlib.sha256(canonical.encode(plain)).hexdigest()


def evidence_name(check: str) -> str:
    """The file of a check's evidence.

    Raises:
        ValueError: The name is none that a file can have everywhere.
    """
    if not _NAME.fullmatch(check):
        raise ValueError(f"{check!r} is no name of a check")
    return f"evidence/{check}.json"


class _Cleaner:
    """Takes the settings' secrets out of what is written."""

    def __init__(self, settings: Settings) -> None:
        found = {secret for secret in _secrets(settings.model_dump()) if len(secret) >= _LEAST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)

    def text(self, text: str) -> str:
        """A text without them."""
        for secret in self._secrets:
            text = text.replace(secret, _GONE)
        return text

    def sentence(self, sentence: Sentence) -> dict[str, str]:
        """A sentence in both languages, without them."""
        return {"en": self.text(sentence.en), "zh": self.text(sentence.zh)}

    def value(self, value: Any) -> Any:
        """A JSON value without them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        return value


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets(each)


def _evidence(report: str, result: CheckResult, clean: _Cleaner) -> bytes:
    return canonical.encode(
        {
            "object": "compliance.evidence",
            "report": report,
            "check": result.check.name,
            "how": clean.sentence(result.check.how),
            "began": round(result.began, 3),
            "seconds": round(result.seconds, 3),
            "verdict": str(result.verdict),
            "found": clean.sentence(result.found),
            "facts": clean.value(result.facts),
        }
    )


def _clause(
    result: ClauseResult, digests: Mapping[str, Mapping[str, str]], clean: _Cleaner
) -> dict[str, Any]:
    clause = result.clause
    return {
        "id": clause.id,
        "group": group_of(clause.id),
        "title": clean.sentence(clause.title),
        "asked": clean.sentence(clause.asked),
        "scope": clause.scope,
        "duty": clean.sentence(clause.duty) if clause.duty else None,
        "verdict": str(result.verdict),
        "checks": [_check(check, digests, clean) for check in result.checks],
    }


def _check(result: CheckResult, digests: Mapping[str, Mapping[str, str]], clean: _Cleaner) -> dict[str, Any]:
    file = evidence_name(result.check.name)
    return {
        "name": result.check.name,
        "how": clean.sentence(result.check.how),
        "verdict": str(result.verdict),
        "found": clean.sentence(result.found),
        "seconds": round(result.seconds, 3),
        "evidence": {"file": file, **digests[file]},
    }
