"""What comes of some checks of the compliance report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlpro.compliance.clause import CheckResult, Verdict, run
from vlpro.compliance.clauses import CLAUSES
from vlpro.config import Settings
from vlpro.gateway.complying import context_of

__all__ = ["failed", "tried"]


def failed(settings: Settings, names: Sequence[str]) -> set[str]:
    """The clauses that fail by some checks.

    Args:
        settings: Of the system.
        names: Of the checks.
    """
    clauses = [
        replace(clause, checks=tuple(k for k in clause.checks if k.name in names)) for clause in CLAUSES
    ]
    with context_of(settings) as context:
        results = run([clause for clause in clauses if clause.checks], context)
    assert {each.check.name for result in results for each in result.checks} == set(names)
    return {result.clause.id for result in results if result.verdict is Verdict.FAIL}


def tried(settings: Settings, name: str, *, key: str = "") -> CheckResult:
    """What comes of one check.

    Args:
        settings: Of the system.
        name: Of the check.
        key: API key of a user.
    """
    clause = next(each for each in CLAUSES if any(check.name == name for check in each.checks))
    only = replace(clause, checks=tuple(check for check in clause.checks if check.name == name))
    with context_of(settings, key=key) as context:
        (result,) = run([only], context)
    return result.checks[0]
