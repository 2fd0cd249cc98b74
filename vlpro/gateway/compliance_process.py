"""Makes a compliance report in a process of its own, so that whoever waits for it goes on undisturbed.

What is to be done comes as one line of JSON (:class:`Work`) on its input, the settings with their secrets among it;
how far it is, and how it ended, goes as lines of JSON to its output. It gives way to other processes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlpro.compliance.clause import CheckResult, Clause
from vlpro.compliance.clauses import CLAUSES
from vlpro.compliance.reporting import make_report
from vlpro.config import Settings
from vlpro.errors import VlproError
from vlpro.gateway.complying import context_of
from vlpro.masking.logs import mask_logs
from vlpro.process import die_with_parent, keep_memory_private

__all__ = ["Work", "main"]

log = logging.getLogger(__name__)

_NICE = 10


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

    def tell(**what: Any) -> None:
        output.write(json.dumps(what) + "\n")
        output.flush()

    keep_memory_private()
    given = json.loads(sys.stdin.readline())
    die_with_parent(given.pop("parent"))
    os.nice(_NICE)
    mask_logs()
    work = Work(**given)

    def progress(done: int, total: int, result: CheckResult) -> None:
        tell(done=done, total=total, check=result.check.name)

    try:
        with context_of(Settings(**work.settings)) as context:
            content = make_report(context, by=work.by, id=work.id, tell=progress, clauses=clauses)
    except VlproError as error:
        tell(failed={"message": error.message, "message_zh": error.zh})
    except Exception as error:
        log.exception("the compliance report was not made")
        name = type(error).__name__
        tell(failed={"message": f"The report broke off: {name}.", "message_zh": f"报告生成中断：{name}。"})
    else:
        tell(made={"totals": content["totals"]})


if __name__ == "__main__":
    main()
