"""The example with the official Node client works as it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.server import Server, picture_file

EXAMPLE = Path(__file__).parents[2] / "examples" / "node"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules" / "openai").is_dir(),
        reason="`npm ci` was not run in examples/node",
    ),
]


def _run(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VLPRO_URL": f"{server.url}/v1"}
    return subprocess.run(
        [str(NODE), "chat.mjs", *arguments],
        cwd=EXAMPLE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_question_about_a_picture(server: Server, tmp_path: Path) -> None:
    picture = tmp_path / "receipt.jpg"
    picture.write_bytes(picture_file(120, 90, kind="JPEG"))
    done = _run(server, str(picture), "合计金额是多少？")
    assert done.returncode == 0, done.stderr
    assert "You asked: 合计金额是多少？" in done.stdout
    assert "120×90 jpeg" in done.stdout
    assert "tokens)" in done.stdout


def test_a_file_that_is_no_picture(server: Server, tmp_path: Path) -> None:
    (tmp_path / "receipt.jpg").write_text("hello")
    done = _run(server, str(tmp_path / "receipt.jpg"))
    assert done.returncode != 0
    assert "BadRequestError" in done.stderr
    assert "invalid_image_format" in done.stderr
