"""docs/commands.md has every command and option, and what the documents tell people to type is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from vlpro.commands.app import app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
SECTIONS = {
    " ".join(word for word in heading.split() if word == word.lower() and word[:1].isalpha()): text
    for heading, text in re.findall(r"^### `([^`]+)`.*?\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}


def commands(of: Any = None, path: str = "vlpro") -> Iterator[tuple[str, Any]]:
    """Each command with its name, such as ``vlpro model verify``."""
    of = of or get_command(app)
    below = getattr(of, "commands", None)
    if below is None or of.invoke_without_command:
        yield path, of
    for name, command in (below or {}).items():
        yield from commands(command, f"{path} {name}")


COMMANDS = dict(commands())


def test_the_page_has_the_commands_that_there_are() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_each_option_and_argument(name: str) -> None:
    heading = next(line for line in PAGE.splitlines() if re.match(rf"### `{name}\b", line))
    section = SECTIONS[name]
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            assert parameter.metavar in heading.replace("]", "").replace("[", ""), heading
        elif not parameter.hidden:
            assert f"`{parameter.opts[0]}" in section, (name, parameter.opts)
    shown = set(re.findall(r"`(--[a-z-]+)", section))
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert shown <= known


PAGES = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8").replace("\\\n", " ")
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md"))
}
FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
STATEMENT = re.compile(  # where a shell would begin a command; behind it nothing that is the shell's
    r"(?:^|&&|;|\|)[ $]*(?:[A-Z_]+=\S+ +)*(?:sudo (?:-u \w+ |[A-Z_]+=\S+ )*)?(?:\S*/)?(?:python3? -m )?vlpro "
    r"((?:[^#|&;<>\n\"']|\"[^\"]*\"|'[^']*')+)"
)


def typed() -> Iterator[tuple[str, str]]:
    """Each command line that a document or a unit has, behind ``vlpro``, and where it stands."""
    for name, text in PAGES.items():
        for _, fence in FENCE.findall(text):
            for line in fence.splitlines():
                yield from (
                    (name, found) for found in STATEMENT.findall(re.sub(r"(^|\s)#.*", "", line).strip())
                )
    for unit in ROOT.glob("deploy/**/*.service"):
        for found in re.findall(r"^Exec\w+=\S*vlpro (.*)$", unit.read_text(), re.MULTILINE):
            yield str(unit.relative_to(ROOT)), found


def test_what_documents_and_units_tell_to_type_is_understood() -> None:
    root = get_command(app)
    for _, command in commands(root):
        command.callback = lambda **_: None  # it is read, and nothing is done
    lines, wrong = list(typed()), []
    for where, line in lines:
        try:
            assert root.main(shlex.split(line), prog_name="vlpro", standalone_mode=False) in (None, 0)
        except typer.TyperException as error:
            wrong.append((where, line, error.format_message()))
    assert len(lines) > 50
    assert wrong == []


def test_commands_named_in_sentences_exist() -> None:
    """With the options that are named along with them."""
    groups = {name.rpartition(" ")[0] for name in COMMANDS}
    named, wrong = 0, []
    for where, text in PAGES.items():
        for words in re.findall(r"`(?:python -m )?(vlpro [a-z][^`\n]*)`", FENCE.sub("", text)):
            named += 1
            path = next(
                (
                    name
                    for name in sorted([*COMMANDS, *groups], key=len, reverse=True)
                    if f"{words} ".startswith(f"{name} ")
                ),
                None,
            )
            if path in (None, "vlpro"):
                wrong.append((where, words))
            elif path in COMMANDS:
                known = {option for parameter in COMMANDS[path].params for option in parameter.opts} | {
                    "--help"
                }
                wrong += [(where, words) for option in re.findall(r"--[a-z-]+", words) if option not in known]
    assert named > 50
    assert wrong == []
