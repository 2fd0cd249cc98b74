"""The terminal: its language, what is printed on it, how far a work is, and how a command is refused.

What answers the question goes to stdout; whatever else is told, to stderr.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from json import dumps
from typing import Annotated, Any, Protocol

import typer

__all__ = [
    "Json",
    "Progress",
    "WrongUsageError",
    "answer",
    "free_text",
    "print_json",
    "print_table",
    "progress",
    "say",
    "t",
    "tell",
]


class Progress(Protocol):
    """Is told how far a work is."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None:
        """Args: done and in all, in one unit; a word about it."""


class WrongUsageError(typer.BadParameter):
    """The options make no sense together: exit status 2.

    Args:
        en: What is wrong, one sentence.
        zh: The same in Chinese.
    """

    def __init__(self, en: str, *, zh: str) -> None:
        super().__init__(t(zh, en))

    def format_message(self) -> str:
        """The sentence, as it is."""
        return self.message


def t(zh: str, en: str) -> str:
    """The sentence in the terminal's language."""
    return zh if os.environ.get("LANG", "").startswith("zh") else en


Json = Annotated[bool, typer.Option("--json", help=t("供程序读取", "for programs"))]
"""The option ``--json``: one JSON object, or one a line, on stdout, and nothing else there."""


def free_text(name: str, metavar: str, help: str) -> Any:  # noqa: A002 - as Typer names it
    """An option that takes a text, and is empty where it is left out.

    Args:
        name: Such as ``--instruction``.
        metavar: What stands for the text in the help.
        help: What it is for, in the terminal's language.
    """
    return typer.Option(name, metavar=metavar, show_default=False, help=help)


def say(text: str) -> None:
    """Print a line, or several: the answer."""
    sys.stdout.write(_harmless(text) + "\n")


def tell(text: str) -> None:
    """Print a line beside the answer, at once."""
    sys.stderr.write(_harmless(text) + "\n")
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """Print the answer for programs."""
    sys.stdout.write(dumps(value, indent=2, ensure_ascii=False) + "\n")


def answer(value: Any, text: str, *, json: bool) -> None:
    """Print the answer: the value for programs, or the text for people."""
    if json:
        print_json(value)
    else:
        say(text)


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print a table: with its headers on a terminal; else rows alone, two spaces between columns.

    Args:
        headers: Of the columns.
        rows: Of as many cells.
        right: Columns of numbers.
    """
    cells = [[_harmless(cell).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for number, header in enumerate(headers):
            table.add_column(header, justify="right" if number in right else "left", overflow="fold")
        for row in cells:
            table.add_row(*map(Text, row))  # no markup: a cell may be somebody's text
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [
            f"{cell:>{width}}" if number in right else f"{cell:<{width}}"
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


@contextmanager
def progress(what: str = "") -> Iterator[Progress]:
    """Show on stderr how far a work is: a bar on a terminal, else a line for each tenth.

    Args:
        what: Which work, where there are several.
    """
    if not sys.stderr.isatty():
        yield _tenths(what)
        return
    from rich import progress as bars
    from rich.console import Console

    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(_harmless(what), total=None, note="")

        def show(done: int, total: int, note: str = "", /) -> None:
            bar.update(task, completed=done, total=max(1, total), note=_harmless(note))

        yield show


def _tenths(what: str) -> Progress:
    before, shown = what + " " * bool(what), -1

    def show(done: int, total: int, _note: str = "", /) -> None:
        nonlocal shown
        percent = min(100, done * 100 // max(1, total))
        if shown < 0 or percent // 10 != shown // 10:
            shown = percent
            tell(f"{before}{percent} %")

    return show


def _harmless(text: str) -> str:
    """Without what could steer the terminal: names and texts may be anybody's."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)
