"""The job (:mod:`vlpro.job`) that makes a compliance report; it is given the settings with their secrets."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlpro import job
from vlpro.compliance.clause import CheckResult, Clause
from vlpro.compliance.clauses import CLAUSES
from vlpro.compliance.reporting import make_report
from vlpro.config import Settings
from vlpro.errors import VlproError
from vlpro.gateway.complying import context_of
from vlpro.masking.logs import mask_logs

__all__ = ["Work", "main"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Args:
        id: Of the report.
        by: Login of who asks for it.
        settings: As of :func:`vlpro.compliance.service.revealed`.
    """

    id: str
    by: str
    settings: dict[str, Any]


def main(clauses: Sequence[Clause] = CLAUSES) -> None:
    """Make one report, and end.

    Args:
        clauses: Which are tried.
    """
    # What checks, or libraries under them, print must not come between our lines; and what the scratch system logs,
    # whose record is made to fail, must alarm nobody who reads the service's log. Crashes of checks are told there.
    output, errors = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    for name in ("vlpro.compliance", __name__):
        logging.getLogger(name).addHandler(logging.StreamHandler(errors))

    work = Work(**job.received())
    mask_logs()

    def progress(done: int, total: int, result: CheckResult) -> None:
        job.tell(output, done=done, total=total, check=result.check.name)

    try:
        with context_of(Settings(**work.settings)) as context:
            content = make_report(context, by=work.by, id=work.id, tell=progress, clauses=clauses)
    except VlproError as error:
        job.end(job.FAILED, {"message": error.message, "message_zh": error.zh}, output)
    except Exception as error:
        log.exception("the compliance report was not made")
        name = type(error).__name__
        said = {"message": f"The report broke off: {name}.", "message_zh": f"报告生成中断：{name}。"}
        job.end(job.FAILED, said, output)
    else:
        job.end("made", {"totals": content["totals"]}, output)


if __name__ == "__main__":
    main()
