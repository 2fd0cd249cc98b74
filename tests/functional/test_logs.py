"""The log: a JSON object a line, a line for each request, and nothing in it that anybody wrote, sent or holds."""

from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from unittest import mock

import httpx
import pyotp
import pytest

from tests.functional.browser import Browser
from tests.functional.company import company
from tests.functional.server import chat, data_url, eventually, picture_file
from tests.people import PASSWORD
from vlpro import logs
from vlpro.db import sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Request
from vlpro.gateway import app as gateway
from vlpro.identity.permissions import Permission, Role

CANARY = "Kanarienvogel"
"""Stands, with a word behind it, wherever a person can put something."""


class Careless(FakeEngine):
    """Has what it was asked in its own errors, as libraries do."""

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        if "stumble" in request.question:
            raise RuntimeError(f"cannot parse {request.question!r}")
        async for delta in super()._generate(request):
            yield delta


def every_door(http: httpx.Client) -> None:
    """Whatever a person or program sends, where it is taken and where it is refused."""
    picture = picture_file(seed=7)
    for text in ("hello", "please fail", "stumble", "count to 3"):
        http.post("/v1/chat/completions", json=chat(f"{text} {CANARY}prompt", picture))
        with http.stream(
            "POST", "/v1/chat/completions", json=chat(f"{text} {CANARY}prompt", stream=True)
        ) as reply:
            reply.read()
    http.post("/v1/chat/completions", json=chat("x", data_url(f"{CANARY}bytes".encode())))
    http.post("/v1/chat/completions", json=chat("x", f"http://{CANARY}.example/url.png"))
    http.post("/v1/chat/completions", json=chat(model=f"{CANARY}model"))
    http.post("/v1/chat/completions", json={f"{CANARY}field": f"{CANARY}value"})
    http.post("/v1/chat/completions", content=f'{{"{CANARY}json'.encode())
    http.post("/v1/responses", json={"model": "vlpro", "input": f"{CANARY}prompt"})
    http.get(f"/v1/conversations?find={CANARY}query")
    http.get(f"/{CANARY}path")
    http.get("/v1/models", headers={"x-request-id": f"{CANARY}id", "user-agent": f"{CANARY}agent"})
    http.request(f"{CANARY}METHOD", "/v1/models")
    http.post(
        "/v1/files", files={"file": (f"{CANARY}name.jsonl", f"{CANARY}line\n")}, data={"purpose": "batch"}
    )
    held = http.post("/v1/conversations", json={"title": f"{CANARY}title"}).json()["id"]
    for text in ("hello", "stumble"):
        http.post(f"/v1/conversations/{held}/messages", json={"text": f"{text} {CANARY}prompt"})
        eventually(lambda: ended(http, held))
    base = http.post("/v1/knowledge-bases", json={"name": f"{CANARY}base"}).json()["id"]
    http.put(f"/v1/knowledge-bases/{base}/documents/{CANARY}document.png", content=picture)
    http.put(f"/v1/knowledge-bases/{base}/documents/{CANARY}broken.pdf", content=f"%PDF-{CANARY}".encode())
    http.post(f"/v1/knowledge-bases/{base}/search", json={"query": f"{CANARY}query"})
    foreign = {"origin": "https://evil.example"}
    http.put(f"/v1/knowledge-bases/{base}/documents/{CANARY}document.png", content=picture, headers=foreign)


def ended(http: httpx.Client, conversation: str) -> bool:
    """Whether its last answer has come to an end."""
    last = http.get(f"/v1/conversations/{conversation}").json()["messages"][-1]
    return last["status"] in ("done", "failed")


def test_no_canary_of_any_door_is_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        mock.patch.object(gateway, "engine_of", return_value=Careless()),
        company(tmp_path, sqlite_url(tmp_path), log_format="json", log_level="debug") as firm,
    ):
        person, found = firm.people[Role.USER], firm.server.services.conversations
        firm.world.clock.now = time.time() - 120  # so that the code of now was not used by this
        firm.world.sign_in(person)
        firm.world.clock.now = time.time()
        secrets = [firm.key(scopes=[Permission.ANSWER_CREATE]), f"vlp_{CANARY}key", PASSWORD, person.secret]
        with firm.client(Role.USER) as li:
            secrets.append(li.headers["cookie"].partition("=")[2])
            every_door(li)
            with mock.patch.object(found, "find", side_effect=ValueError(f"{CANARY}crash")):
                assert li.get(f"/v1/conversations?q={CANARY}query").status_code in (200, 400, 500)
        for key in secrets[:2]:
            with firm.server.http(headers={"authorization": f"Bearer {key}"}) as program:
                program.post("/v1/chat/completions", json=chat(f"{CANARY}prompt"))
        with firm.server.http() as http:
            browser, code = Browser(http), pyotp.TOTP(person.secret).now()
            browser.post("/login", login=f"{CANARY}login", password=f"{CANARY}wrong")
            browser.post("/login", login=person.login, password=f"{CANARY}wrong")
            browser.post("/login", login=person.login, password=person.password)
            browser.post("/login/code", method="totp", code="000000")
            browser.post("/login/code", method="totp", code=code)
            secrets += browser.cookies.values()
            told = http.get("/v1/models", headers={"accept": "application/json"})
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    own = [line for line in lines if line.get("request_id") == told.headers["x-request-id"]]
    assert [line["status"] for line in own if line["logger"] == "vlpro.access"] == [401]
    access = [line for line in lines if line["logger"] == "vlpro.access"]
    assert len(access) >= 40
    assert {"route", "method", "status", "milliseconds", "request_id"} <= access[0].keys()
    stumbled = [line for line in lines if "traceback" in line]
    assert any("RuntimeError" in line["traceback"] and "_generate" in line["traceback"] for line in stumbled)
    assert any(line.get("request_id") for line in stumbled)
    picture = base64.b64encode(picture_file(seed=7)).decode()
    assert not re.search(rf"\b{code}\b", written)  # within an id, six digits are chance
    for hidden in (CANARY, CANARY.lower(), picture[:40], picture[100:140], *secrets):
        assert hidden not in written, hidden
        assert base64.b64encode(hidden.encode()).decode().rstrip("=")[:-1] not in written, hidden


_LIBRARIES = """
import logging, sys, warnings
from vlpro import logs
logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler())
logging.getLogger("uvicorn.error").propagate = False
import streamlit.logger
early = streamlit.logger.get_logger("streamlit.early")
logs.configure("json", "debug")
late = streamlit.logger.get_logger("streamlit.late")
for log in (logging.getLogger("uvicorn.error"), early, late, logging.getLogger("httpx")):
    log.info("too fine")
    log.warning("heard")
logging.getLogger("asyncio").error("Task failed\\nfuture: <Task exception=ValueError('secret')>")
try:
    try:
        open("/secret-name")
    except OSError:
        raise ExceptionGroup("secret", [KeyError("secret")])
except ExceptionGroup:
    logging.getLogger("vlpro.x").exception("broke", extra={"fields": {"more": 1}})
logging.getLogger("vlpro.x").warning("%d", "not a number")
logging.getLogger("vlpro.x").debug("two\\nlines")
"""


def test_libraries_are_written_alike_and_at_warnings_only() -> None:
    done = subprocess.run([sys.executable, "-c", _LIBRARIES], capture_output=True, text=True, check=True)
    *lines, lost, last = done.stderr.splitlines()
    said = [json.loads(line) for line in (*lines, last)]
    names = [line["logger"] for line in said]
    assert names == [
        "uvicorn.error",
        "streamlit.early",
        "streamlit.late",
        "httpx",
        "asyncio",
        "vlpro.x",
        "vlpro.x",
    ]
    assert {line["message"] for line in said[:4]} == {"heard"}
    assert said[4]["message"] == "Task failed"
    assert said[5]["more"] == 1
    assert "FileNotFoundError: No such file or directory" in said[5]["traceback"]
    assert "within it: KeyError" in said[5]["traceback"]
    assert said[6]["message"] == "two\nlines"
    assert "could not be logged" in lost
    assert "secret" not in done.stderr.replace('open("/secret-name")', "").replace(
        'ExceptionGroup("secret", [KeyError("secret")])', ""
    )


def test_text_is_one_line_whoever_made_it_up(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.getLogger("vlpro").level)
    try:
        logs.configure("text", "info")
        logging.getLogger("vlpro.x").info("a\nforged line")
        logging.getLogger("vlpro.x").debug("too fine")
        logs.configure("text", "info")  # not each line twice
        logging.getLogger("vlpro.x").info("b")
    finally:
        root.handlers[:], level, own = before
        root.setLevel(level)
        logging.getLogger("vlpro").setLevel(own)
    lines = capsys.readouterr().err.splitlines()
    # Services of other tests, which may write at the same time, have other names.
    lines = [line for line in lines if " vlpro." not in line or " vlpro.x:" in line]
    assert [re.sub(r"^\S+ ", "", line) for line in lines] == [
        "info vlpro.x: a\\nforged line",
        "info vlpro.x: b",
    ]
