"""A clause of the standard, and what is tried for it: nothing passes without evidence.

A clause fails where any of its checks fails. What could not be tried is not evaluated, with its reason; a check that
crashes has failed; what only the operator of the network has is outside, and the text says what he must do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from vlpro.audit.canonical import encode
from vlpro.compliance.selftest import Sentence

if TYPE_CHECKING:
    from vlpro.compliance.context import Context

__all__ = [
    "Check",
    "CheckResult",
    "Clause",
    "ClauseResult",
    "Facts",
    "FailedError",
    "Finding",
    "NotEvaluatedError",
    "Scope",
    "Sentence",
    "Tell",
    "Verdict",
    "run",
    "totals",
    "verdict_of",
]

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]
"""What was seen, as JSON values: names of ours, numbers, hashes. Never a content, a person's data or a secret."""
Scope = Literal["A", "D", "A/D", "A/O", "O"]
"""Whose the clause is: the application's, the deployment's, or outside of both."""


class Verdict(StrEnum):
    """What came of a clause or a check."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NOT_EVALUATED = "not_evaluated"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: a sentence, and the facts that show it."""

    found: Sentence
    facts: Facts


class _NoPassError(Exception):
    def __init__(self, en: str, zh: str, facts: Facts | None = None) -> None:
        super().__init__(en)
        self.finding = Finding(Sentence(en, zh), facts or {})


class FailedError(_NoPassError):
    """Raised by a check: it is not so. ``finding`` says what was found instead."""


class NotEvaluatedError(_NoPassError):
    """Raised by a check: it could not be tried here. ``finding`` says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One way to try a clause.

    Args:
        name: Its id, of its file of evidence too.
        how: What it does.
        run: Tries it. Raises FailedError or NotEvaluatedError.
    """

    name: str
    how: Sentence
    run: Callable[[Context], Finding]


@dataclass(frozen=True, slots=True)
class Clause:
    """What the standard asks.

    Args:
        id: As the standard numbers it; F1 to F5: of the product's own founding document.
        title: What it is about.
        asked: What is asked.
        scope: Whose it is.
        checks: How it is tried; none where it is outside.
        duty: What the operator must do; of clauses that are outside, or in part.
    """

    id: str
    title: Sentence
    asked: Sentence
    scope: Scope
    checks: tuple[Check, ...] = ()
    duty: Sentence | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check; ``seconds`` is what it took, ``began`` its Unix time."""

    check: Check
    verdict: Verdict
    found: Sentence
    facts: Facts
    seconds: float
    began: float


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """What came of a clause, with its checks."""

    clause: Clause
    verdict: Verdict
    checks: tuple[CheckResult, ...]


Tell = Callable[[int, int, CheckResult], None]
"""Is told of each check: how many are done, how many there are, and what came of this one."""


def run(
    clauses: Sequence[Clause], context: Context, tell: Tell = lambda _done, _total, _result: None
) -> list[ClauseResult]:
    """Try clauses. A check of several clauses is run once.

    Args:
        clauses: Which.
        context: What checks may use.
        tell: Is told of each check as it is done.
    """
    checks = {check.name: check for clause in clauses for check in clause.checks}
    results: dict[str, CheckResult] = {}
    for name, check in checks.items():
        results[name] = _tried(check, context)
        tell(len(results), len(checks), results[name])
    return [_judged(clause, [results[check.name] for check in clause.checks]) for clause in clauses]


def totals(results: Sequence[ClauseResult]) -> dict[str, int]:
    """How many clauses came out how, every verdict named."""
    return {str(verdict): sum(result.verdict is verdict for result in results) for verdict in Verdict}


def verdict_of(clause: Clause, results: Sequence[CheckResult]) -> Verdict:
    """What comes of a clause by its checks: all must pass, and there must be one."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    if Verdict.NOT_EVALUATED in verdicts:
        return Verdict.NOT_EVALUATED
    if verdicts == {Verdict.PASS}:
        return Verdict.PASS
    return Verdict.OUTSIDE if clause.scope == "O" else Verdict.NOT_EVALUATED


def _judged(clause: Clause, results: Sequence[CheckResult]) -> ClauseResult:
    return ClauseResult(clause, verdict_of(clause, results), tuple(results))


def _tried(check: Check, context: Context) -> CheckResult:
    began, start = time.time(), time.perf_counter()
    try:
        try:
            finding, verdict = check.run(context), Verdict.PASS
        except NotEvaluatedError as reason:
            finding, verdict = reason.finding, Verdict.NOT_EVALUATED
        except FailedError as failed:
            finding, verdict = failed.finding, Verdict.FAIL
        encode(dict(finding.facts))  # facts that no JSON holds would break the report, not the check
    except Exception as error:
        log.exception("the check %s crashed", check.name)
        # Its class alone: what an exception says may hold what was being worked on.
        name = type(error).__name__
        finding = Finding(Sentence(f"The check crashed: {name}.", f"检查出错：{name}。"), {"crashed": name})
        verdict = Verdict.FAIL
    if verdict is Verdict.PASS and not finding.facts:
        finding = Finding(Sentence("The check shows no evidence.", "检查没有给出证据。"), {})
        verdict = Verdict.FAIL
    return CheckResult(check, verdict, finding.found, finding.facts, time.perf_counter() - start, began)
