"""Secrets of the settings, while everything that they are for fails, and says in its refusal what it was sent."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.functional.browser import Browser
from tests.functional.company import company
from tests.functional.manuals import pdf
from tests.functional.server import chat, eventually, picture_file, run
from vlpro.config import Settings
from vlpro.db import sqlite_url
from vlpro.identity.permissions import Role

WORD = "Rotkehlchen"
"""Stands in each secret, with what it is for."""


class _Parrot(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Refuse, with all that was sent; whoever spoke no HTTP gets it as it was."""
        parrot = self.server
        assert isinstance(parrot, _Server)
        self.request.settimeout(parrot.patience_s)
        got = b""
        with suppress(OSError):
            while part := self.request.recv(65_536):
                got += part
                if not got[:1].isupper():  # LDAP and MQTT wait for an answer
                    break
                head, end, body = got.partition(b"\r\n\r\n")
                length = next(
                    (
                        int(line[15:])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                if end and len(body) >= length:
                    break
        words = got.decode("latin-1")
        told = json.dumps({"error": {"message": words, "type": words[:99], "code": words[:40]}}).encode()
        answer = b"HTTP/1.1 400 " + WORD.encode() + b"reason\r\nx-said: " + WORD.encode() + b"header\r\n"
        answer += b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            told
        )
        with suppress(OSError):
            self.request.sendall(got if b"/raw" in got[:20] else answer + told)
        parrot.heard.append(got)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    heard: list[bytes]
    patience_s: float


@contextmanager
def parrot(patience_s: float = 10) -> Iterator[_Server]:
    """A server that repeats what it is told, as careless ones do.

    Args:
        patience_s: For which it waits for more; short, where a client waits for it to begin.
    """
    with _Server(("127.0.0.1", 0), _Parrot) as server:
        server.heard, server.patience_s = [], patience_s
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)


def test_no_secret_of_the_settings_is_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As text; test_logs.py does the like as JSON."""
    secrets = {
        name: f"{WORD}-{name}-0123456789" for name in ("upstream", "ldap", "hook", "mail", "mqtt", "rank")
    }
    with parrot() as server, parrot(0.3) as mails:
        port, mail_port = server.server_address[1], mails.server_address[1]
        url = f"http://127.0.0.1:{port}"
        hook = {"url": f"{url}/raw{WORD}path?key={WORD}query", "secret": secrets["hook"]}
        mqtt = {
            "url": f"mqtt://127.0.0.1:{port}",
            "user": "v",
            "account": "liwei",
            "password": secrets["mqtt"],
        }
        mail = {
            "host": "127.0.0.1",
            "port": mail_port,
            "security": "none",
            "sender": "v@a.cn",
            "to": ["s@a.cn"],
        }
        with company(
            tmp_path,
            sqlite_url(tmp_path),
            log_format="text",
            log_level="debug",
            metrics_addresses=("127.0.0.1/32",),
            ldap={
                "url": f"ldap://127.0.0.1:{port}",
                "bind_dn": "cn=vlpro,dc=a",
                "bind_password": secrets["ldap"],
                "base_dn": "dc=a",
            },
            alerts={"webhook": hook, "mail": mail | {"user": "vlpro", "password": secrets["mail"]}},
            inspection={"mqtt": mqtt},
            delivery={"targets": {"erp": hook}},
            knowledge={"rerank": {"url": url, "model": "r", "key": secrets["rank"]}},
        ) as firm:
            with firm.server.http() as http:
                browser = Browser(http)
                browser.post("/login", login="zhang.san", password=f"{WORD}typed")  # asks the directory
                for _ in range(5):  # which is an alert
                    browser.post("/login", login="liwei", password=f"{WORD}typed")
            with firm.client(Role.USER) as li:
                base = li.post("/v1/knowledge-bases", json={"name": "n"}).json()["id"]
                text = f"The valve is made of {WORD}text and opens by itself."
                document = f"/v1/knowledge-bases/{base}/documents/a.pdf"
                li.put(document, content=pdf([text]))
                eventually(lambda: li.get(document).json()["status"] == "ready", timeout_s=60)
                li.post(f"/v1/knowledge-bases/{base}/search", json={"query": f"valve {WORD}query"})
                image = base64.b64encode(picture_file()).decode()
                li.post(
                    "/v1/extractions",
                    json={
                        "template": "vat_invoice",
                        "deliver": "erp",
                        "input": [
                            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
                        ],
                    },
                )
            wanted = [b"POST /raw" + WORD.encode(), b"Bearer " + secrets["rank"].encode()]
            eventually(lambda: all(any(one in heard for heard in server.heard) for one in wanted))
        upstream = Settings(
            engine="openai",
            upstream_url=f"{url}/v1",
            upstream_model="m",
            upstream_key=secrets["upstream"],
            data_dir=tmp_path / "own",
            log_format="text",
            log_level="debug",
        )
        with run(upstream) as running, running.http() as http:
            for stream in (False, True):
                http.post("/v1/chat/completions", json=chat(f"{WORD}prompt", stream=stream))
            told = http.get("/metrics").text
        assert any(secrets["upstream"].encode() in heard for heard in server.heard)
    written = capfd.readouterr()
    assert len(written.err.splitlines()) > 20
    for where, text in {"log": written.err, "stdout": written.out, "metrics": told}.items():
        for line in text.splitlines():
            assert WORD.lower() not in line.lower(), (where, line)
            for secret in secrets.values():
                assert base64.b64encode(secret.encode()).decode()[:20] not in line, (where, line)
