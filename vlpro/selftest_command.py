"""``vlpro selftest``: prints each promise, what was tried against it, and what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Callable

from vlpro import config
from vlpro.compliance.promises import PROMISES
from vlpro.compliance.selftest import Result, Sentence, Verdict, refuse, run
from vlpro.gateway.profile import sealer_of
from vlpro.process import keep_memory_private
from vlpro.sealing.offline import OFFLINE

__all__ = ["selftest"]

_MARKS = {
    Verdict.KEPT: Sentence("kept", "通过"),
    Verdict.BROKEN: Sentence("BROKEN", "未通过"),
    Verdict.NOT_HERE: Sentence("not here", "不适用"),
}
_TRIED, _FOUND = Sentence("Tried: ", "尝试："), Sentence("Found: ", "结果：")
_WIDTH = 110


def selftest(options: argparse.Namespace, in_language: Callable[[str, str], str]) -> None:
    """Try all promises, as the service does at its start in profile ``mlps3``, and those that take longer.

    Args:
        options: ``json``: print an object a promise, and nothing else.
        in_language: Chooses between Chinese and English.

    Raises:
        ConfigError: A promise is broken, or a setting is wrong.
    """
    settings = config.load()
    # What the service gives its process before all else, so that the same is tried here.
    os.environ.update(OFFLINE)
    keep_memory_private()

    def said(sentence: Sentence) -> str:
        return in_language(sentence.zh, sentence.en)

    def tell(result: Result) -> None:
        if options.json:
            sys.stdout.write(json.dumps(result.as_json(), ensure_ascii=False) + "\n")
        else:
            promise = result.promise
            lines = [
                f"[{said(_MARKS[result.verdict])}] {said(promise.promise)}  (GB/T 22239 {promise.clause})"
            ]
            for name, sentence in ((_TRIED, promise.tried), (_FOUND, result.found)):
                text = f"{said(name)}{said(sentence)}"
                lines += textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="        ")
            sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    refuse(run(PROMISES, settings, sealer_of(settings), tell=tell))
