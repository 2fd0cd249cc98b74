"""``vlpro selftest``: each promise, what was tried against it, and what came of it."""

from __future__ import annotations

import os
import sys
from json import dumps
from typing import TYPE_CHECKING

import typer

from vlpro.commands.terminal import Json, say, t

if TYPE_CHECKING:
    from vlpro.compliance.selftest import Result

__all__ = ["app"]

app = typer.Typer()

_WIDTH = 110


@app.command(help=t("逐条验证本产品的承诺", "try each promise of this product, and say what came of it"))
def selftest(*, json: Json = False) -> None:
    from vlpro import config
    from vlpro.compliance.promises import PROMISES
    from vlpro.compliance.selftest import refuse, run
    from vlpro.gateway.profile import sealer_of
    from vlpro.process import keep_memory_private
    from vlpro.sealing.offline import OFFLINE

    settings = config.load()
    # What the service gives its process before all else, so that the same is tried here.
    os.environ.update(OFFLINE)
    keep_memory_private()

    def tell(result: Result) -> None:
        if json:
            sys.stdout.write(dumps(result.as_json(), ensure_ascii=False) + "\n")
        else:
            say(_text(result))
        sys.stdout.flush()

    refuse(run(PROMISES, settings, sealer_of(settings), tell=tell))


def _text(result: Result) -> str:
    import textwrap

    from vlpro.compliance.selftest import Verdict

    marks = {
        Verdict.KEPT: t("通过", "kept"),
        Verdict.BROKEN: t("未通过", "BROKEN"),
        Verdict.NOT_HERE: t("不适用", "not here"),
    }
    promise = result.promise
    said = t(promise.promise.zh, promise.promise.en)
    lines = [f"[{marks[result.verdict]}] {said}  (GB/T 22239 {promise.clause})"]
    for name, sentence in (
        (t("尝试：", "Tried: "), promise.tried),
        (t("结果：", "Found: "), result.found),
    ):
        text = name + t(sentence.zh, sentence.en)
        lines += textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)
