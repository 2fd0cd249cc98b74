"""What comes of clauses by their checks."""

from __future__ import annotations

from typing import Any, cast

import pytest

from vlpro.compliance.clause import (
    Check,
    CheckResult,
    Clause,
    FailedError,
    Finding,
    NotEvaluatedError,
    Scope,
    Sentence,
    Verdict,
    run,
    totals,
)
from vlpro.compliance.clauses import CLAUSES
from vlpro.compliance.context import Context

SAID = Sentence("It is so.", "是。")
HERE = cast("Context", None)


def passes(_: Context) -> Finding:
    return Finding(SAID, {"seen": 1})


def says_nothing(_: Context) -> Finding:
    return Finding(SAID, {})


def fails(_: Context) -> Finding:
    raise FailedError("It is not.", "不是。", {"seen": 0})


def cannot(_: Context) -> Finding:
    raise NotEvaluatedError("There is none here.", "此处没有。")


def crashes(_: Context) -> Finding:
    raise ValueError("the password is hunter2")


def counts_too_far(_: Context) -> Finding:
    raise FailedError("It is not.", "不是。", {"seen": float("nan")})


def clause(*runs: Any, scope: Scope = "A") -> Clause:
    checks = tuple(Check(each.__name__, SAID, each) for each in runs)
    return Clause("x", SAID, SAID, scope, checks)


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ([passes], Verdict.PASS),
        ([passes, cannot], Verdict.NOT_EVALUATED),
        ([passes, cannot, fails], Verdict.FAIL),
        ([passes, says_nothing], Verdict.FAIL),
        ([crashes], Verdict.FAIL),
        ([counts_too_far], Verdict.FAIL),
        ([], Verdict.NOT_EVALUATED),
    ],
)
def test_a_clause_passes_only_where_all_its_checks_do(runs: list[Any], verdict: Verdict) -> None:
    (result,) = run([clause(*runs)], HERE)
    assert result.verdict is verdict


def test_a_clause_that_is_outside_is_neither() -> None:
    results = run([clause(scope="O"), clause(passes)], HERE)
    assert totals(results) == {"pass": 1, "fail": 0, "not_evaluated": 0, "outside": 1}


def test_what_a_crash_says_is_kept_out_of_the_evidence() -> None:
    (result,) = run([clause(crashes)], HERE)
    assert "hunter2" not in repr(result)
    assert result.checks[0].facts == {"crashed": "ValueError"}


def test_facts_that_no_json_holds_are_a_crash_of_their_check_alone() -> None:
    (result,) = run([clause(counts_too_far, passes)], HERE)
    assert [check.verdict for check in result.checks] == [Verdict.FAIL, Verdict.PASS]
    assert result.checks[0].facts == {"crashed": "ValueError"}


def test_a_check_of_two_clauses_is_run_once_and_told() -> None:
    told = []

    def tell(done: int, total: int, result: CheckResult) -> None:
        told.append((done, total, result.check.name))

    run([clause(passes), clause(passes, fails)], HERE, tell)
    assert told == [(1, 2, "passes"), (2, 2, "fails")]


def test_clauses_are_told_apart_and_those_outside_say_what_is_to_be_done() -> None:
    ids = [each.id for each in CLAUSES]
    assert len(ids) == len(set(ids))
    assert {f"F{number}" for number in range(1, 6)} <= set(ids)
    assert all(each.checks or (each.scope == "O" and each.duty) for each in CLAUSES)
    checks = [check for each in CLAUSES for check in each.checks]
    ways = {(check.name, check.how) for check in checks}
    assert len(ways) == len({check.name for check in checks}), "one name is one check"
