"""What nginx keeps: no byte of an upload or an answer, no query in a log."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.deploy.conftest import Optional, Recorded
from tests.deploy.nginx import HOST, INSIDE, OUTSIDE, SERVER, UNKNOWN_TO_POLICY, Nginx, read_reply
from tests.deploy.recorder import LARGE
from tests.functional.server import eventually

# --- What is kept


@pytest.mark.parametrize("protocol", ["http1.1", "http1.1-chunked", "http2"])
def test_no_byte_of_an_upload_reaches_a_file(recorded: Recorded, protocol: str) -> None:
    """3 MB in two seconds, far more than the buffer holds."""
    nginx, data = recorded.nginx, os.urandom(3_000_000)
    version = "--http2" if protocol == "http2" else "--http1.1"
    options = ["--header", "Transfer-Encoding: chunked"] if protocol.endswith("chunked") else []
    command = [
        "curl", "--silent", version, "--cacert", str(nginx.folder / "vlpro" / "server.pem"), *options,
        "--resolve", f"{HOST}:{nginx.port}:{SERVER}", "--limit-rate", "1500k", "--expect100-timeout", "0.1",
        "--data-binary", "@-", "--write-out", "%{http_version}", f"https://{nginx.host}/v1/images",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    found: set[str] = set()
    answers: list[bytes] = []
    sender = threading.Thread(target=lambda: answers.append(process.communicate(data, timeout=120)[0]))
    sender.start()
    while sender.is_alive():
        found |= set(nginx.files())
        time.sleep(0.01)
    sender.join()
    assert answers[0].endswith(b"2" if protocol == "http2" else b"1.1")
    assert recorded.recorder.seen.pop().body == data
    assert found == set()


def test_no_byte_of_an_answer_reaches_a_file(recorded: Recorded) -> None:
    """16 MB, of which the client takes nothing at first."""
    nginx, found = recorded.nginx, set[str]()
    with nginx.connect() as connection:
        connection.sendall(f"GET /large HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            found |= set(nginx.files())
            time.sleep(0.01)
        assert len(read_reply(connection).body) == LARGE
    assert found == set()


def test_no_log_holds_a_query(recorded: Recorded, dead: Nginx, optional: Optional) -> None:
    for nginx in (recorded.nginx, dead):
        for target in ("/login/oidc/callback?code=SECRET&state=x", "//login/oidc/%63allback?code=SECRET"):
            nginx.get(target, source="127.0.0.10")
        # Refused by nginx itself, so the reply names the request whatever stands behind.
        assert nginx.line(nginx.get("/login?code=SECRET", source=OUTSIDE))["path"] == "/login"
        paths = {json.loads(line)["path"] for line in nginx.log("vlpro.access.log").splitlines()}
        assert paths >= {"/login/oidc/callback", "//login/oidc/%63allback"}
        for name in ("vlpro.access.log", "vlpro.error.log", "error.log", "access.log"):
            assert "SECRET" not in nginx.log(name), name


def test_the_service_writes_no_query_down_either(folder: Path, door: Nginx) -> None:
    for target in (
        "/login/oidc/callback?code=SECRET",
        "/login?code=SECRET",
        "/v1/models?code=SECRET",
        "/?code=SECRET",
    ):
        door.get(target)
        door.get(target, source=UNKNOWN_TO_POLICY)
    output = folder / "service" / "output"
    # It is this service's log, which is written after the answer.
    eventually(lambda: "the policy does not list the address" in output.read_text(encoding="utf-8"))
    assert "SECRET" not in output.read_text(encoding="utf-8")


def test_each_line_of_the_log_names_the_request_as_the_service_does(door: Nginx) -> None:
    reply = door.get("/login?x", headers=[("X-Request-Id", "forged"), ("User-Agent", 'a"\\\x1b[31m')])
    line = door.line(reply)  # by the name that the service gave the reply
    assert line["request_id"].startswith("req_")
    assert (line["address"], line["status"], line["tls"]) == (INSIDE, "200", "TLSv1.3")
    assert "forged" not in door.log("vlpro.access.log")
    assert "\x1b" not in door.log("vlpro.access.log")
