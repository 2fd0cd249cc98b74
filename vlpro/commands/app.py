"""The application ``vlpro``: its nouns, and how a command ends.

To add a command: a module ``vlpro/commands/NOUN.py`` with an ``app`` of its own, and a line below. The command is a
function with the options as annotated arguments; its ``help`` is ``t(Chinese, English)``. It imports what is heavy
inside itself, so that ``vlpro --help`` needs none of it, prints by :mod:`vlpro.commands.terminal`, raises a
:class:`~vlpro.errors.VlproError` where it is refused, and ``typer.Exit(1)`` where it said why already.
docs/commands.md describes it; a test compares.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from vlpro.commands import (
    audit,
    backup,
    batch,
    comply_prune,
    inspection,
    key,
    migrate,
    model,
    plan,
    restore,
    selftest,
    serve,
    supply,
    user,
)
from vlpro.commands.terminal import say, t, tell
from vlpro.commands.usage import explain, reword
from vlpro.errors import VlproError

__all__ = ["app", "main"]

app = typer.Typer(
    help=t("Qwen3-VL-4B Pro 的管理命令", "Manage Qwen3-VL-4B Pro"),
    pretty_exceptions_enable=False,  # it would print what variables hold
)
app.add_typer(serve.app)
app.add_typer(model.app, name="model")
app.add_typer(plan.app)
app.add_typer(batch.app)
app.add_typer(inspection.app)
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")
app.add_typer(audit.app, name="audit")
app.add_typer(migrate.app)
app.add_typer(selftest.app)
app.add_typer(comply_prune.app, name="comply")
app.add_typer(backup.app)
app.add_typer(restore.app)
app.add_typer(supply.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Of the command line; the process's own where they are left out.

    Returns:
        The exit status: 0; 1 where something was refused or failed, with a sentence on stderr; 2 where the command
        was not understood; 130 where it was interrupted.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know no Chinese
    given = sys.argv[1:] if arguments is None else arguments
    command = get_command(app)
    reword(command)
    try:
        code = command.main(given, prog_name="vlpro", standalone_mode=False)
        sys.stdout.flush()
    except VlproError as error:
        tell(t(error.zh, error.message))
        return 1
    except typer.TyperException as error:
        explain(error)
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        sys.stdout = io.StringIO()  # nobody reads on; what is left would be written at the end
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        tell(
            where
            + t(f"系统报告：{error.strerror or error}。", f"the system says: {error.strerror or error}.")
        )
        return 1
    if code == 130:
        tell("")  # behind what the terminal shows of Ctrl-C
    return code if isinstance(code, int) else 0


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        from vlpro import __version__

        say(f"vlpro {__version__}")
        raise typer.Exit


@app.callback()
def _vlpro(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=t("显示版本", "say which version")),
    ] = False,
) -> None:
    pass
