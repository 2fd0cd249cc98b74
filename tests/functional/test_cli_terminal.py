"""The command's manners: in pipes, on terminals, in other languages, interrupted, completed; what it never tells."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.test_cli import environment, vlpro
from vlpro.commands.app import main

CARD_FREE = {"VLPRO_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def python(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment("C.UTF-8") | settings,
        timeout=240,
        check=False,
    )


def on_terminal(*command: str, interrupt_at: bytes = b"", **settings: str) -> tuple[int, str]:
    """Run with a terminal for all three streams; the status, and what it shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment("C.UTF-8") | {"TERM": "xterm"} | settings,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
                if interrupt_at and interrupt_at in shown:
                    process.send_signal(signal.SIGINT)
                    interrupt_at = b""
        except OSError:  # the terminal is gone with the process
            pass
    os.close(ours)
    return process.returncode, shown.decode()


@pytest.mark.parametrize("at_once", ["1", ""])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_a_reader_that_goes_away_is_no_failure_to_explain(arguments: list[str], at_once: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "vlpro", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment("C.UTF-8") | {"PYTHONUNBUFFERED": at_once},
        timeout=240,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m vlpro {line}"],
        capture_output=True,
        text=True,
        env=environment("C.UTF-8") | CARD_FREE,
        timeout=240,
        check=False,
    )


def test_closed_and_full_streams() -> None:
    closed = shell("--version >&-")
    assert (closed.returncode, closed.stderr) == (0, "")
    full = shell("--version >/dev/full")
    assert (full.returncode, full.stderr) == (1, "the system says: No space left on device.\n")
    assert shell("plan /none 2>&-").returncode == 1


def test_help_needs_nothing_heavy() -> None:
    heavy = {
        "torch",
        "streamlit",
        "fastapi",
        "sqlalchemy",
        "pydantic",
        "httpx",
        "numpy",
        "cryptography",
        "cv2",
    }
    code = (
        "import sys\nfrom vlpro.commands.app import main\n"
        "assert main(['--help']) == main(['model', 'verify', '--help']) == main(['--version']) == 0\n"
        f"assert not {heavy!r} & sys.modules.keys(), {heavy!r} & sys.modules.keys()"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", ["C", "zh_CN.UTF-8"])
@pytest.mark.parametrize("arguments", [["--help"], ["plan", "/没有"], ["pln"]])
def test_a_terminal_that_knows_ascii_alone(language: str, arguments: list[str]) -> None:
    known = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = vlpro(*arguments, language=language, **known, **CARD_FREE)
    assert "Traceback" not in done.stderr
    assert done.returncode == {"--help": 0, "plan": 1, "pln": 2}[arguments[0]]


def test_a_narrow_terminal() -> None:
    done = vlpro("audit", "verify", "--help", COLUMNS="20")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 20


def test_version() -> None:
    assert re.fullmatch(r"vlpro \d+\.\d+\.\d+\n", vlpro("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "english", "chinese"),
    [
        (["plan", "--jsn"], "no option --jsn. Did you mean --json?", "没有选项 --jsn。是否想用 --json？"),
        (["audit", "prove"], "SEQ is missing.", "缺少 SEQ。"),
        (["serve", "--port", "x"], "--port cannot be used", "--port 的值无法使用"),
        (["model", "verify", "--manifest"], "'--manifest' requires an argument", "--manifest 需要一个值"),
        (["batch"], "name a folder, zip, PDF or picture", "请给出文件夹"),
        (["model", "convert", "x", "--output", "y", "--bits", "5"], "--bits is 4 or 8", "--bits 应为 4 或 8"),
        (["modle"], "Did you mean 'model'?", "没有命令 modle。是否想用 'model'？"),
        (["{0}"], "No such command '{0}'", "没有命令 {0}。"),
        ([], "Missing command.", "缺少命令。"),
        (["plan", "a", "b"], "unexpected extra argument", "多余的参数：b。"),
    ],
)
def test_what_is_not_understood_is_said_with_the_place_that_describes_it(
    arguments: list[str],
    english: str,
    chinese: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for language, sentence in (("C", english), ("zh_CN.UTF-8", chinese)):
        monkeypatch.setenv("LANG", language)
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert sentence in err
        assert "--help" in err.splitlines()[-1]


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "/\x1b]0;owned\x07[red]x[/red]\u202e"]) == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\u202e" not in said
    assert "[red]x[/red]" in said  # nor is it anybody's markup


def test_a_table_on_a_terminal_has_headers_and_no_markup() -> None:
    code = (
        "from vlpro.commands.terminal import print_table\n"
        "print_table(['Name', 'Size'], [['[red]x[/red]\\x1b[31m', '1']], right=[1])"
    )
    status, shown = on_terminal("-c", code, COLUMNS="60")
    assert status == 0
    assert "Name" in shown
    assert "[red]x[/red]\ufffd[31m" in shown
    assert python(code).stdout == "[red]x[/red]\ufffd[31m  1\n"


def test_ctrl_c_on_a_terminal_gives_the_cursor_back(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(50 * 2**30)  # a hole: half a minute of reading, no disk
    command = ("-m", "vlpro", "model", "manifest", str(tmp_path), "--name", "x")
    status, shown = on_terminal(*command, interrupt_at=b"%")
    assert status == 130
    assert shown.rstrip().endswith("\x1b[?25h")
    assert "Traceback" not in shown


def test_a_fault_of_ours_does_not_print_what_variables_hold() -> None:
    done = python(
        "import sys, vlpro.config\n"
        "def broken():\n    password = 'hunter' + '2'\n    raise RuntimeError('a fault')\n"
        "vlpro.config.load = broken\n"
        "from vlpro.commands.app import main\nsys.exit(main(['plan']))"
    )
    assert done.returncode == 1
    assert "RuntimeError: a fault" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path with ``vlpro`` on it."""
    command = tmp_path / "bin" / "vlpro"
    command.parent.mkdir()
    root = Path(__file__).parents[2]
    command.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m vlpro "$@"\n')
    command.chmod(0o755)
    return f"{command.parent}{os.pathsep}{os.environ['PATH']}"


def test_bash_completes(path: str, tmp_path: Path) -> None:
    """By the script that ``--install-completion`` writes, in a home of its own."""
    script = """
        vlpro --install-completion
        . "$HOME/.bashrc"
        for typed in "vlpro mod" "vlpro model ver" "vlpro audit verify --cop" "vlpro inspect --method th"; do
            COMP_WORDS=($typed); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
            _vlpro_completion vlpro
            echo "=${COMPREPLY[*]}"
        done
    """
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env=environment("C.UTF-8") | {"PATH": path, "HOME": str(tmp_path), "SHELL": "/bin/bash"},
        timeout=240,
        check=False,
    )
    assert [line[1:] for line in done.stdout.splitlines() if line[:1] == "="] == [
        "model",
        "verify",
        "--copies",
        "thermal",
    ], done.stderr


def test_zsh_completes() -> None:
    """What zsh is given; where there is a zsh, it reads the script, too."""
    asked = {"_VLPRO_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "vlpro model ver"}
    done = vlpro(**asked)
    assert re.fullmatch(r"""_arguments '\*: :\(\("verify":".*"\)\)'\n""", done.stdout)
    script = vlpro(_VLPRO_COMPLETE="source_zsh").stdout
    assert script.strip().startswith("#compdef vlpro")
    if zsh := shutil.which("zsh"):
        assert subprocess.run([zsh, "-n", "-c", script], timeout=60, check=False).returncode == 0


def test_json_has_stdout_for_itself(tmp_path: Path) -> None:
    made = vlpro("key", tmp_path / "key", "--json")
    assert json.loads(made.stdout) == {"file": str(tmp_path / "key")}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    vlpro("model", "manifest", tmp_path / "model", "--name", "ours", "--output", tmp_path / "ours.json")
    done = vlpro("model", "verify", tmp_path / "model", "--manifest", tmp_path / "ours.json", "--json")
    said = json.loads(done.stdout)
    assert (said["name"], [file["there"] for file in said["files"]]) == ("ours", [True])
    assert "100 %" in done.stderr
