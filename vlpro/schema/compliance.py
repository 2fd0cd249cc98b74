"""What goes over the wire about compliance reports; shared by the gateway and its clients. Times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from vlpro.schema.shapes import Reply

__all__ = [
    "ComplianceChange",
    "ComplianceChanges",
    "ComplianceCheck",
    "ComplianceClause",
    "ComplianceEvidence",
    "ComplianceFile",
    "ComplianceGroup",
    "ComplianceKeys",
    "ComplianceProgress",
    "ComplianceReport",
    "ComplianceReportInfo",
    "ComplianceReportList",
    "ComplianceTotals",
    "ComplianceVerdict",
    "Sentence",
]

ComplianceVerdict = Literal["pass", "fail", "not_evaluated", "outside"]
ComplianceFile = Literal["report.html", "report.pdf", "report.json", "report.sig", "report.zip"]


class Sentence(Reply):
    """The same in both languages."""

    en: str
    zh: str


class ComplianceTotals(Reply):
    """How many clauses came out how."""

    model_config = ConfigDict(populate_by_name=True)

    passed: int = Field(alias="pass")
    fail: int
    not_evaluated: int
    outside: int


class ComplianceProgress(Reply):
    """How far a report is: checks that are done, that there are (0: not known yet), and the last one."""

    done: int
    total: int
    check: str


class ComplianceReportInfo(Reply):
    """A report as it is listed; what is not known yet, or not any more, is null."""

    object: Literal["compliance.report"] = "compliance.report"
    id: str
    status: Literal["running", "made", "failed", "stopped", "altered"] = Field(
        description="altered: it is not as it was signed, and is not given out"
    )
    created: float
    by: str = ""
    progress: ComplianceProgress | None = None
    problem: Sentence | None = None
    totals: ComplianceTotals | None = None
    changed: int | None = Field(
        None, description="Clauses whose verdict is another one than in the report before"
    )


class ComplianceReportList(Reply):
    """Reports, the newest first."""

    object: Literal["list"] = "list"
    data: list[ComplianceReportInfo]


class ComplianceEvidence(Reply):
    """A file of evidence, and its hashes, hexadecimal."""

    file: str
    sha256: str
    sm3: str | None = None


class ComplianceCheck(Reply):
    """One way in which a clause was tried, and what was found."""

    name: str
    how: Sentence
    verdict: ComplianceVerdict
    found: Sentence
    seconds: float
    evidence: ComplianceEvidence


class ComplianceClause(Reply):
    """A clause: what is asked, what came of it, and what the deployer must do."""

    id: str
    group: str
    title: Sentence
    asked: Sentence
    scope: str
    duty: Sentence | None = None
    verdict: ComplianceVerdict
    checks: list[ComplianceCheck]


class ComplianceGroup(Reply):
    """A part of the standard."""

    id: str
    title: Sentence


class ComplianceChange(Reply):
    """A clause with another verdict; null: that report has no such clause."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    before: ComplianceVerdict | None = Field(alias="from")
    to: ComplianceVerdict | None


class ComplianceChanges(Reply):
    """What differs from the report before; ``since`` null: there is none."""

    since: str | None
    clauses: list[ComplianceChange]


class ComplianceKeys(Reply):
    """Public keys that sign the report, hexadecimal."""

    ed25519: str
    sm2: str | None = None


class ComplianceReport(ComplianceReportInfo):
    """A report; until it is made, only what a list has of it."""

    host: str | None = None
    profile: str | None = None
    version: str | None = Field(None, description="Of the product")
    settings_sha256: str | None = Field(None, description="Over the settings, secrets left out")
    keys: ComplianceKeys | None = None
    groups: list[ComplianceGroup] | None = None
    clauses: list[ComplianceClause] | None = None
    changes: ComplianceChanges | None = None
    files: list[ComplianceFile] | None = Field(None, description="What can be fetched")
