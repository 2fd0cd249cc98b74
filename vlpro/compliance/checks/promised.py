"""A promise of the self-test as a check of a clause."""

from __future__ import annotations

from vlpro.compliance import selftest
from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError
from vlpro.compliance.context import Context
from vlpro.compliance.promises import PROMISES

__all__ = ["promised"]


def promised(name: str) -> Check:
    """The check of one promise.

    Args:
        name: Of the promise.
    """
    promise = next(each for each in PROMISES if each.name == name)

    def run(context: Context) -> Finding:
        folder = context.folder / f"promise-{name}"
        folder.mkdir()
        try:
            found = promise.check(selftest.Context(context.settings, context.sealer, folder))
        except selftest.NotHereError as here:
            raise NotEvaluatedError(here.found.en, here.found.zh, {"promise": name}) from here
        except selftest.BrokenError as broken:
            raise FailedError(broken.found.en, broken.found.zh, {"promise": name}) from broken
        return Finding(found, {"promise": name, "found": found.en})

    return Check(name, promise.tried, run)
