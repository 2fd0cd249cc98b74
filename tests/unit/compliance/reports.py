"""Invented results of a compliance run, and reports of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from vlpro.audit.checkpoint import Signer
from vlpro.compliance.clause import (
    Check,
    CheckResult,
    Clause,
    ClauseResult,
    Facts,
    Scope,
    Sentence,
    Verdict,
    verdict_of,
)
from vlpro.compliance.report import Content, compose
from vlpro.compliance.report_signature import Keys, signer_of
from vlpro.compliance.report_store import write
from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.errors import ConfigError

__all__ = ["CANARY", "ID", "KEYS", "SEALER", "clause", "made", "results", "settings"]

CANARY = "Ginster-98-Fuchs"
"""A secret of the settings."""
ID = "cr_0123456789abcdef"
SEALER = Sealer(bytes(range(32)))
KEYS = Keys([signer_of(SEALER, gm=False).public])


def settings(**fields: Any) -> Settings:
    """Of a system with a secret."""
    given: dict[str, Any] = {"engine": "fake", "upstream_key": SecretStr(CANARY)} | fields
    return Settings(**given)


def clause(
    name: str,
    *checks: tuple[str, Verdict, Facts],
    scope: Scope = "A",
    duty: Sentence | None = None,
) -> ClauseResult:
    """What came of a clause by these checks: each with its name, its verdict and its facts."""
    tried = [
        CheckResult(
            Check(check, Sentence(f"Tries {check}.", f"尝试 {check}。"), _unused),
            verdict,
            Sentence(f"{check} came out as {verdict}.", f"{check} 的结果是 {verdict}。"),
            facts,
            0.25,
            1_800_000_000.5,
        )
        for check, verdict, facts in checks
    ]
    of = Clause(
        name,
        Sentence(f"Title of {name} <b>", f"{name} 的标题"),
        Sentence(f"What {name} asks.", f"{name} 的要求。"),
        scope,
        tuple(result.check for result in tried),
        duty,
    )
    return ClauseResult(of, verdict_of(of, tried), tuple(tried))


def results(lockout: Verdict = Verdict.PASS) -> list[ClauseResult]:
    """Of four clauses, one of each verdict where the lockout passes not."""
    return [
        clause(
            "8.1.4.1 a", ("password_rules", Verdict.PASS, {"refused": ["short", "reused"], "status": 400})
        ),
        clause("8.1.4.1 b", ("lockout", lockout, {"after": 5}), ("idle", Verdict.PASS, {"minutes": 15})),
        clause("8.1.4.10 a", ("gpu_cleared", Verdict.NOT_EVALUATED, {"gpu": False}), scope="A/D"),
        clause("8.1.2.1", scope="O", duty=Sentence("Show the network plan.", "请提供网络拓扑。")),
    ]


def made(
    folder: Path,
    of: Sequence[ClauseResult] | None = None,
    *,
    signer: Signer | None = None,
    before: Content | None = None,
    **fields: Any,
) -> Content:
    """Write a report to ``folder / ID``; returns its content."""
    given: dict[str, Any] = {"id": ID, "created": 1_800_000_001.0, "by": "auditor", "host": "gpu-01"} | {
        name: fields.pop(name) for name in ("id", "created", "by") if name in fields
    }
    report = compose(results() if of is None else of, settings(**fields), before=before, **given)
    gm = fields.get("crypto") == "gm"
    return write(report, folder / given["id"], signer or signer_of(SEALER, gm=gm))


def _unused(_: Any) -> Any:
    raise ConfigError("invented")
