"""The process that makes a compliance report, with two clauses for all of them; one waits for a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vlpro.compliance.clause import Check, Clause, Finding, Sentence
from vlpro.compliance.context import Context
from vlpro.gateway.compliance_process import main

__all__: list[str] = []

GATE = "COMPLIANCE_TEST_GATE"
"""Names a file; while it is there, the second check goes on."""


def _settings(context: Context) -> Finding:
    print("a library talks on standard output")  # noqa: T201 - which must hurt nobody
    (context.folder / "left").write_text("on its way")
    facts = {"profile": context.settings.profile, "key": context.settings.upstream_key.get_secret_value()}
    return Finding(Sentence("The settings came along.", "设置已传入。"), facts)


def _waiting(_: Context) -> Finding:
    gate = os.environ.get(GATE, "")
    while gate and Path(gate).exists():
        time.sleep(0.01)
    return Finding(Sentence("It is open.", "已放行。"), {"open": True})


def _clause(name: str, check: Check) -> Clause:
    words = Sentence(f"Title of {name}", f"{name} 的标题")
    return Clause(name, words, words, "A", (check,))


TRIED = Sentence("Looks.", "查看。")

if __name__ == "__main__":
    main(
        [
            _clause("8.1.4.1 a", Check("settings", TRIED, _settings)),
            _clause("8.1.4.2 a", Check("gate", TRIED, _waiting)),
        ]
    )
