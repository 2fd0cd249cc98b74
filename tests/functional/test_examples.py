"""The examples in curl, Python and Java work as they stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.server import Server, picture_file

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = {
    "curl": ("sh", "curl/chat.sh"),
    "python": (sys.executable, "python/chat.py"),
    "java": ("java", "-XX:TieredStopAtLevel=1", "java/Chat.java"),
}
QUESTION = 'Wie "viel"?\\ 合计金额是多少？'


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """One of the examples."""
    found = COMMANDS[request.param]
    if shutil.which(found[0]) is None:
        pytest.skip(f"{found[0]} is not installed")
    return found


def run(server: Server, command: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VLPRO_URL": f"{server.url}/v1", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*command, *arguments],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_question_about_a_picture(server: Server, command: tuple[str, ...], tmp_path: Path) -> None:
    picture = tmp_path / "receipt.jpg"
    picture.write_bytes(picture_file(700, 500, kind="JPEG", quality=95))  # longer than an argument may be
    assert picture.stat().st_size > 200_000
    done = run(server, command, str(picture), QUESTION)
    assert done.returncode == 0, done.stderr
    asked = (
        QUESTION if command[0] != "sh" else QUESTION.replace("\\", "\\\\").replace('"', '\\"')
    )  # it prints JSON
    assert f"You asked: {asked}" in done.stdout
    assert "700×500 jpeg" in done.stdout


def test_a_file_that_is_no_picture(server: Server, command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "receipt.jpg").write_text("hello")
    done = run(server, command, str(tmp_path / "receipt.jpg"))
    assert done.returncode != 0
    assert "This is not a picture" in done.stdout + done.stderr


def test_without_a_picture_they_say_how(server: Server, command: tuple[str, ...]) -> None:
    done = run(server, command)
    assert done.returncode != 0
    assert "usage:" in done.stderr
