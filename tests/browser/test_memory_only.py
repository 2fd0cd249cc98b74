"""Pictures touch no temporary file on their way in: the service takes 15 MB and can write in its data folder only.

A form upload under the same limit fails: so the limit does catch what is spooled. What is in the data folder itself,
``tests/deploy/test_raw_disk.py`` looks at, byte by byte.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.browser.chat import ANSWER_MS
from tests.browser.conftest import OpenChat
from tests.browser.server import ROOT, running
from tests.confined import confined

FORM_UPLOAD = """
import asyncio, sys
from starlette.requests import Request

head = b'Content-Disposition: form-data; name="f"; filename="f"'
body = b"\\r\\n".join([b"--b", head, b"", bytes(15_000_000), b"--b--"])
messages = [{"type": "http.request", "body": body, "more_body": False}]

async def receive():
    return messages.pop()

async def main():
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    async with Request({"type": "http", "method": "POST", "headers": headers}, receive).form() as form:
        print(len(await form["f"].read()))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def memory_only(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The product, unable to write a temporary file."""
    log = tmp_path_factory.mktemp("memory") / "log"
    with running(log, writes_anywhere=False, engine="fake") as base:
        yield base


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture file of 15 MB."""
    path = tmp_path_factory.mktemp("large") / "large.bmp"
    noise = np.random.default_rng(1).integers(0, 256, (2000, 2500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    assert path.stat().st_size > 15_000_000
    return path


@pytest.mark.parametrize("limited", [True, False])
def test_control_a_form_upload_is_caught(limited: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    command = [sys.executable, "-c", FORM_UPLOAD]
    if limited:
        command = confined(tmp_path, command)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if limited:
        assert done.returncode
        assert "No usable temporary directory" in done.stderr
    else:
        assert done.stdout == "15000000\n", done.stderr


def test_page_takes_a_large_picture_without_a_file(
    memory_only: str, open_chat: OpenChat, large: Path
) -> None:
    chat = open_chat(memory_only)
    chat.page.locator("input[type=file]").set_input_files(large)
    chat.tray.get_by_role("button", name="移除: large.bmp").wait_for(timeout=ANSWER_MS)
    chat.ask("what is it?")
    chat.answer("Picture 1")


def test_api_takes_a_large_picture_without_a_file(memory_only: str, large: Path) -> None:
    url = "data:image/bmp;base64," + base64.b64encode(large.read_bytes()).decode()
    content = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "vlpro-fake", "messages": [{"role": "user", "content": content}]}
    answer = httpx.post(f"{memory_only}/v1/chat/completions", json=body, timeout=60, trust_env=False)
    assert answer.status_code == 200
    assert "Picture 1" in answer.json()["choices"][0]["message"]["content"]
    kept = httpx.post(f"{memory_only}/v1/images", content=large.read_bytes(), timeout=60, trust_env=False)
    assert kept.status_code == 201
