"""An upload touches no file, however slowly it comes; what watches would notice one."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.functional.server import chat, picture_file

PICTURE = picture_file(2500, 2000, kind="BMP")  # 15 MB of noise
BOUNDARY = "frontier"
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bmp"\r\n\r\n'.encode()
    + PICTURE
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)
UPLOADS = {
    "a picture as it is": ("/v1/images", "application/octet-stream", PICTURE),
    "a picture inside JSON": (
        "/v1/chat/completions",
        "application/json",
        json.dumps(chat("what?", PICTURE)).encode(),
    ),
}


@contextmanager
def _serving(kind: str, *, sealed: bool = False) -> Iterator[tuple[int, int]]:
    """Port and process id of a server of a kind; ``sealed``: it writes in its data folder only."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.functional.uploads",
                kind,
                str(listener.fileno()),
                "sealed" if sealed else "open",
                data,
            ],
            pass_fds=[listener.fileno()],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert connection.recv(1)  # so that no file is seen that it opens at its start
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


def _files_open_for_writing(pid: int) -> set[str]:
    """Regular files, unnamed and deleted ones too, that a process could write to; its databases aside."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            is_file = stat.S_ISREG(Path(f"/proc/{pid}/fd/{name}").stat().st_mode)
            flags = re.search(r"flags:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{name}").read_text())
            if is_file and flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                path = Path(f"/proc/{pid}/fd/{name}").readlink()
                if not path.name.startswith(("audit.db", "vlpro.db")):
                    found.add(str(path))
        except FileNotFoundError:
            continue  # closed in the meantime
    return found


def _upload(port: int, pid: int, path: str, media: str, data: bytes) -> tuple[bytes, set[str]]:
    """Send a body in fifteen pieces; returns the status line and every file that was seen open on the way."""
    seen: set[str] = set()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media}\r\nConnection: close\r\n"
        connection.sendall(head.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode())
        piece = len(data) // 15 + 1
        for start in range(0, len(data), piece):
            # A piece is larger than the kernel's buffers: when it is sent, the server has taken most of it.
            connection.sendall(data[start : start + piece])
            seen |= _files_open_for_writing(pid)
        got = connection.recv(100)
        seen |= _files_open_for_writing(pid)
    return got.split(b"\r\n")[0], seen


@pytest.mark.parametrize("upload", UPLOADS)
def test_an_upload_opens_no_file(upload: str) -> None:
    path, media, data = UPLOADS[upload]
    assert len(data) > 15_000_000
    with _serving("service") as (port, pid):
        status, seen = _upload(port, pid, path, media, data)
    assert status.split()[1] in (b"200", b"201")
    assert seen == set()


def test_the_watch_notices_what_is_usual_elsewhere() -> None:
    with _serving("stock") as (port, pid):
        status, seen = _upload(port, pid, "/", f"multipart/form-data; boundary={BOUNDARY}", FORM)
    assert status.split()[1] == b"200"
    assert seen


@pytest.mark.parametrize("upload", UPLOADS)
def test_uploads_work_where_no_temporary_file_can_be_written(upload: str) -> None:
    with _serving("service", sealed=True) as (port, pid):
        assert _upload(port, pid, *UPLOADS[upload])[0].split()[1] in (b"200", b"201")


def test_what_is_usual_elsewhere_does_not() -> None:
    with _serving("stock", sealed=True) as (port, pid):
        try:
            status, _ = _upload(port, pid, "/", f"multipart/form-data; boundary={BOUNDARY}", FORM)
        except ConnectionError:
            status = b"it gave up in the middle"
    assert not status.startswith(b"HTTP/1.1 2")
