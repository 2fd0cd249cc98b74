"""A compliance report on the page: totals, what changed, the clauses by their part of the standard, its files."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from vlpro.schema.compliance import (
    ComplianceCheck,
    ComplianceClause,
    ComplianceFile,
    ComplianceReport,
    Sentence,
)
from vlpro.ui import session
from vlpro.ui.parts import Tone, badge, facts
from vlpro.ui.session import t

__all__ = ["made"]

_TONES: dict[str, Tone] = {"pass": "ok", "fail": "bad", "not_evaluated": "warn", "outside": "plain"}
_WORDS = {
    "pass": "compliance.pass",
    "fail": "compliance.fail",
    "not_evaluated": "compliance.not_evaluated",
    "outside": "compliance.outside",
}
_FILTERS = ("all", "fail", "not_evaluated", "changed")


def made(report: ComplianceReport) -> None:
    """Draw it."""
    clauses = report.clauses or []
    changed = {each.id: (each.before, each.to) for each in report.changes.clauses} if report.changes else {}
    told = t(
        "compliance.made",
        time=session.moment(report.created),
        who=report.by,
        host=report.host,
        version=report.version,
        profile=report.profile,
    )
    st.html(f'{_totals(report)}<p class="vl-hint">{escape(told)}</p>{_changes(report)}')
    _files(report)
    shown = _filtered(clauses, set(changed))
    st.html(_clauses(report, shown, changed))
    st.html(_verification(report))


def _totals(report: ComplianceReport) -> str:
    if report.totals is None:
        return ""
    counts = {
        "pass": report.totals.passed,
        "fail": report.totals.fail,
        "not_evaluated": report.totals.not_evaluated,
        "outside": report.totals.outside,
    }
    cells = "".join(
        f"<li><b>{count}</b>{badge(_TONES[name], t(_WORDS[name]))}</li>" for name, count in counts.items()
    )
    return f'<ul class="vl-totals">{cells}</ul>'


def _changes(report: ComplianceReport) -> str:
    if report.changes is None:
        return ""
    told = t("compliance.changes.first")
    if report.changes.since is not None:
        count = len(report.changes.clauses)
        told = t("compliance.changes", since=report.changes.since, count=count)
    return f'<p class="vl-hint">{escape(told)}</p>'


def _files(report: ComplianceReport) -> None:
    with st.container(horizontal=True, key="compliance-files"):
        for name in report.files or ():
            _file(report.id, name)


def _file(report_id: str, name: ComplianceFile) -> None:
    label, told = t(f"compliance.file.{name}"), t("compliance.download", name=name)
    if st.button(label, key=f"compliance_{name}", icon=":material/download:", help=told):
        # The browser fetches it itself, with the person's own cookie.
        url = f"/v1/compliance/reports/{report_id}/files/{name}"
        saved = name if name in ("report.json", "report.sig") else name.replace("report", report_id)
        session.remember("file", {"id": f"{report_id} {name} {_times()}", "name": saved, "url": url})
        st.rerun()


def _times() -> int:
    """A number that is new each time: the same file can be fetched again."""
    st.session_state.compliance_fetched = times = int(st.session_state.get("compliance_fetched", 0)) + 1
    return times


def _filtered(clauses: list[ComplianceClause], changed: set[str]) -> list[ComplianceClause]:
    wanted = {
        "all": clauses,
        "fail": [each for each in clauses if each.verdict == "fail"],
        "not_evaluated": [each for each in clauses if each.verdict == "not_evaluated"],
        "changed": [each for each in clauses if each.id in changed],
    }
    chosen = st.segmented_control(
        t("compliance.show"),
        _FILTERS,
        key="compliance_show",
        default="all",
        required=True,
        label_visibility="collapsed",
        format_func=lambda one: t(f"compliance.filter.{one}", count=len(wanted[one])),
    )
    return wanted[chosen or "all"]


def _clauses(
    report: ComplianceReport,
    shown: list[ComplianceClause],
    changed: Mapping[str, tuple[str | None, str | None]],
) -> str:
    if not shown:
        return f'<p class="vl-hint">{escape(t("compliance.filter.none"))}</p>'
    parts = []
    for group in report.groups or ():
        rows = [_clause(each, changed.get(each.id)) for each in shown if each.group == group.id]
        if rows:
            number = f"{group.id} " if group.id[0].isdigit() else ""
            heading = escape(number + _say(group.title))
            parts.append(
                f'<h2 class="vl-group">{heading}</h2><div class="vl-list vl-clauses">{"".join(rows)}</div>'
            )
    return "".join(parts)


def _clause(clause: ComplianceClause, change: tuple[str | None, str | None] | None) -> str:
    moved = ""
    if change is not None:
        before, now = (t(_WORDS[each]) if each else t("compliance.new") for each in change)
        moved = f'<span class="ch">{escape(t("compliance.change", before=before, now=now))}</span>'
    summary = (
        f'<span class="no">{escape(clause.id)}</span><span class="ti">{escape(_say(clause.title))}{moved}</span>'
        f"{badge(_TONES[clause.verdict], t(_WORDS[clause.verdict]))}"
    )
    inside = facts([(t("compliance.asked"), escape(_say(clause.asked)))])
    inside += "".join(map(_check, clause.checks))
    if not clause.checks:
        inside += f'<p class="vl-hint">{escape(t("compliance.no_checks"))}</p>'
    if clause.duty is not None:
        inside += f'<div class="duty">{facts([(t("compliance.duty"), escape(_say(clause.duty)))])}</div>'
    return f'<details><summary>{summary}</summary><div class="in">{inside}</div></details>'


def _check(check: ComplianceCheck) -> str:
    evidence = check.evidence
    hashes = f"<code>{escape(evidence.file)}</code><br><code>SHA-256 {escape(evidence.sha256)}</code>"
    if evidence.sm3:
        hashes += f"<br><code>SM3 {escape(evidence.sm3)}</code>"
    pairs = [
        (t("compliance.how"), escape(_say(check.how))),
        (t("compliance.found"), escape(_say(check.found))),
        (t("compliance.evidence"), hashes),
    ]
    head = f"<code>{escape(check.name)}</code>{badge(_TONES[check.verdict], t(_WORDS[check.verdict]))}"
    return f'<div class="check"><div class="hd">{head}</div>{facts(pairs)}</div>'


def _verification(report: ComplianceReport) -> str:
    if report.keys is None:
        return ""
    command = f"vlpro comply verify {report.id} --key {report.keys.ed25519}"
    pairs = [
        (t("compliance.key"), f"<code>{escape(report.keys.ed25519)}</code>"),
        (t("compliance.settings"), f"<code>{escape(report.settings_sha256 or '')}</code>"),
    ]
    if report.keys.sm2:
        pairs.insert(1, ("SM2", f"<code>{escape(report.keys.sm2)}</code>"))
    return (
        f'<h2 class="vl-group">{escape(t("compliance.verify"))}</h2>'
        f'<div class="vl-card vl-verify-how"><p class="vl-hint">{escape(t("compliance.verify.about"))}</p>'
        f"<p><code>{escape(command)}</code></p>{facts(pairs)}</div>"
    )


def _say(sentence: Sentence) -> str:
    return sentence.zh if session.language() == "zh" else sentence.en
