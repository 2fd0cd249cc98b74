"""No byte of a picture reaches a disk: the disk itself is searched, beneath its files.

All that the service and nginx could write goes to a file system of its own: the data folder, temporary files, nginx's
folders, and what they are started in. Pictures are uploaded slowly, by the API and by the page, while the system is
told to write out what it holds. Then the device is searched for pieces of the files as they were sent, as base64, and
of their pixels. Deleted and unnamed files have been written there, too: a server that takes uploads in the usual way
is found out.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.chat import ANSWER_MS, Chat
from tests.browser.server import ROOT
from tests.deploy.conftest import Person
from tests.deploy.nginx import HOST, SERVER, Nginx, read_all, running_nginx, running_service
from tests.functional.server import chat, eventually

_DISK_BYTES = 256 << 20
_PIECE = 48  # bytes of a canary; no 48 bytes of noise come again by chance
_ENGINE_S = 90


@dataclass(frozen=True)
class Canary:
    """A picture, and pieces by which it is known again."""

    file: bytes
    pieces: tuple[bytes, ...]

    @classmethod
    def new(cls, seed: int) -> Canary:
        """A page of words over a band of noise, which no encoder makes smaller, as PNG of some 3 MB."""
        pixels = np.full((1400, 1200, 3), 250, np.uint8)
        noise = np.random.default_rng(seed).integers(0, 256, (900, 1200, 3), np.uint8)
        pixels[400:1300] = noise & 0x3F | 0xC0  # faint, so that the engine does not look for letters in it
        out = BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        file = out.getvalue()
        places = random.Random(seed).sample(range(len(file) // 4, len(file) * 3 // 4), 40)
        sent = [file[at - at % 3 : at - at % 3 + _PIECE] for at in places]
        in_json = [base64.b64encode(piece) for piece in sent]
        seen = [
            pixels[row, at : at + 16].tobytes()
            for row, at in zip(range(410, 1290, 40), range(0, 1100, 50), strict=False)
        ]
        return cls(file, (*sent, *in_json, *seen))


class Disk:
    """A file system in a file, and its bytes."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        self._image = image
        self._pressing = threading.Event()

    def holds(self, canary: Canary) -> int:
        """How many pieces lie on it, whatever is known of them there."""
        os.sync()
        written = b"".join(self._written())
        return sum(piece in written for piece in canary.pieces)

    def _written(self) -> Iterator[bytes]:
        """What was ever written, with a zero between; the rest are holes of the image's file, most of it."""
        end = 0
        with self._image.open("rb") as file:
            number = file.fileno()
            while True:
                try:
                    start = os.lseek(number, end, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # nothing but a hole from there on
                        return
                    raise
                end = os.lseek(number, start, os.SEEK_HOLE)
                yield os.pread(number, end - start, start) + b"\0"

    def write_out(self) -> threading.Event:
        """Keep telling the system to write out what it holds, until the event is set."""
        done = threading.Event()

        def press() -> None:
            while not done.wait(0.05):
                _run("sync", "-f", str(self.folder))

        threading.Thread(target=press, daemon=True).start()
        return done


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """Mounted until the end of the module."""
    if os.getuid() != 0:
        pytest.skip("needs root: it mounts a file system")
    made = tmp_path_factory.mktemp("raw")
    image, folder = made / "image", made / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    _run("mkfs.ext4", "-q", "-F", str(image))
    mounted = _run("mount", "-o", "loop", str(image), str(folder), check=False)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no file: {mounted.stderr.strip()}")
    try:
        yield Disk(image, folder)
    finally:
        _run("umount", "--lazy", str(folder))


@pytest.fixture(scope="module")
def door(disk: Disk, folder: Path, person: Person) -> Iterator[Nginx]:
    """nginx as it is shipped, before the service with its engine, with nothing outside the disk."""
    data = disk.folder / "data"
    data.mkdir(mode=0o700)
    for file in (folder / "data").iterdir():  # where the person is known
        if file.suffix == ".db":
            with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(data / file.name)) as new:
                old.backup(new)
    for name in ("run", "temporary", "nginx"):
        (disk.folder / name).mkdir()
    settings = {
        "profile": "mlps3",
        "engine": "ocr",
        "public_url": f"https://{HOST}",
        "key_file": str(shutil.copy(folder / "key", disk.folder / "key")),
        "data_dir": str(data),
        "trusted_proxies": '["unix"]',
    }
    unix = disk.folder / "s.sock"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(disk.folder / "temporary"))
        patch.setenv("HOME", str(disk.folder / "run"))
        with (
            running_service(disk.folder / "run", unix, **settings),
            running_nginx(disk.folder / "nginx", unix) as nginx,
        ):
            yield nginx


def _slowly(
    connection: socket.socket, head: str, body: bytes, before_its_end: Callable[[], None] = lambda: None
) -> bytes:
    """Send a request over two seconds; the answer."""
    connection.settimeout(_ENGINE_S)
    connection.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
    piece = len(body) // 40 + 1
    for start in range(0, len(body), piece):
        if start + piece >= len(body):
            before_its_end()
        connection.sendall(body[start : start + piece])
        time.sleep(0.05)
    return read_all(connection)


def test_control_what_is_usual_elsewhere_is_found(disk: Disk, tmp_path: Path) -> None:
    canary = Canary.new(1)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        + canary.file
        + b"\r\n--b--\r\n"
    )
    assert disk.holds(canary) == 0
    temporary = disk.folder / "usual"
    temporary.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        command = [
            sys.executable,
            "-m",
            "tests.functional.uploads",
            "stock",
            str(number),
            "open",
            str(tmp_path),
        ]
        environment = os.environ | {"TMPDIR": str(temporary)}
        with subprocess.Popen(command, cwd=ROOT, pass_fds=[number], env=environment) as server:
            with socket.create_connection(listener.getsockname(), timeout=60) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert read_all(connection)  # it has started: until then the kernel would keep the upload
            written = disk.write_out()
            head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            with socket.create_connection(listener.getsockname(), timeout=30) as connection:
                found = lambda: disk.holds(canary) > 20  # noqa: E731 - as its file is there no longer afterwards
                answer = _slowly(connection, head, form, lambda: eventually(found, timeout_s=60))
            written.set()
            server.kill()
    assert answer.startswith(b"HTTP/1.1 200")
    assert list(temporary.iterdir()) == []  # its file had no name
    assert disk.holds(canary) > 20


def test_control_a_file_of_pixels_is_found(disk: Disk) -> None:
    canary = Canary.new(2)
    (disk.folder / "pixels").write_bytes(np.asarray(Image.open(BytesIO(canary.file))).tobytes())
    assert disk.holds(canary) > 10


@pytest.mark.parametrize("way", ["as it is", "inside JSON"])
def test_no_upload_by_the_api_reaches_the_disk(disk: Disk, door: Nginx, person: Person, way: str) -> None:
    canary = Canary.new(3 if way == "as it is" else 4)
    head = f"POST /v1/images HTTP/1.1\r\nHost: {door.host}\r\nCookie: {person.cookie[1]}\r\n"
    head += f"Origin: https://{door.host}\r\n"
    body = canary.file
    if way == "inside JSON":
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {door.host}\r\nAuthorization: {person.bearer[1]}\r\n"
        head += "Content-Type: application/json\r\n"
        body = json.dumps(chat("What does it say?", canary.file) | {"model": "vlpro"}).encode()
    written = disk.write_out()
    with door.connect() as connection:
        answer = _slowly(connection, head, body)
    written.set()
    assert answer.split()[1] in (b"200", b"201"), answer[-500:]
    assert disk.holds(canary) == 0


def test_no_upload_by_the_page_reaches_the_disk(disk: Disk, door: Nginx, person: Person) -> None:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install -r requirements-dev.txt"
    )
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    canary = Canary.new(5)
    switches = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {HOST} {SERVER}"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=switches)
        context = browser.new_context(locale="zh-CN", ignore_https_errors=True)
        name, value = person.cookie[1].split("=", 1)
        context.add_cookies([{"name": name, "value": value, "url": f"https://{door.host}", "secure": True}])
        page = context.new_page()
        talk = Chat(page, f"https://{door.host}").open()
        network = context.new_cdp_session(page)
        slow = {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": len(canary.file) // 3,
        }
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", slow)
        written = disk.write_out()
        talk.attach({"name": "canary.png", "mimeType": "image/png", "buffer": canary.file})
        talk.expect_tray(1)
        talk.ask("What does it say?")
        talk.answers.last.wait_for(timeout=ANSWER_MS)
        talk.growing.wait_for(state="detached", timeout=ANSWER_MS)
        written.set()
        browser.close()
    assert disk.holds(canary) == 0
