"""`VLPRO_CRYPTO=gm` from the start of the service to the verification of what it recorded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import sqlalchemy as sa

from tests.functional.server import data_url, picture_file
from tests.functional.test_cli import environment, vlpro
from tests.ports import free_port
from vlpro.audit.checkpoint import CHECKPOINT
from vlpro.audit.sm2 import verify
from vlpro.audit.tables import checkpoints, records
from vlpro.crypto.sm3 import sm3
from vlpro.db import Database, sqlite_url


def settings(folder: Path) -> dict[str, str]:
    return {"VLPRO_ENGINE": "fake", "VLPRO_DATA_DIR": str(folder / "data"), "VLPRO_CRYPTO": "gm"}


def without_openssl(folder: Path) -> dict[str, str]:
    """A PATH on which nothing is called openssl."""
    folder = folder / "bin"
    folder.mkdir(exist_ok=True)
    return {"PATH": str(folder)}


def ask(folder: Path, picture: bytes, **more: str) -> None:
    """Start the service, ask it about a picture, and stop it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "vlpro", "serve", "--port", str(port)],
        env=environment("en_US.UTF-8") | settings(folder) | more,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            while True:
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                assert time.monotonic() < deadline
                try:
                    if http.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            parts = [
                {"type": "image_url", "image_url": {"url": data_url(picture)}},
                {"type": "text", "text": "这是什么？"},
            ]
            body = {"model": "qwen3-vl-4b-pro", "messages": [{"role": "user", "content": parts}]}
            model = http.get("/v1/models").json()["data"][0]["id"]
            http.post("/v1/chat/completions", json=body | {"model": model}).raise_for_status()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_from_the_service_to_the_verifier(tmp_path: Path) -> None:
    picture, here = picture_file(), settings(tmp_path)
    ask(tmp_path, picture)
    with Database(sqlite_url(tmp_path / "data", "audit")).read() as connection:
        told = [json.loads(data) for data in connection.execute(sa.select(records.c.data)).scalars()]
        signed = connection.execute(sa.select(checkpoints)).all()
    assert told[0]["event"] == "audit:log:begun"
    key = told[0]["detail"]["sm2"]
    asked = next(record for record in told if record["event"] == "chat:question:asked")
    assert asked["detail"]["images"][0]["sm3"] == sm3(picture).hex()
    assert signed
    for row in signed:
        verify(bytes.fromhex(key), CHECKPOINT + row.data, row.sm2)
    whole = vlpro("audit", "verify", **here)
    assert (whole.returncode, f"{len(signed)} SM2 signatures are right." in whole.stdout) == (0, True)
    with Database(sqlite_url(tmp_path / "data", "audit")).write() as connection:
        connection.execute(sa.update(checkpoints).values(sm2=None))
    stripped = vlpro("audit", "verify", language="zh_CN.UTF-8", **here)
    assert stripped.returncode == 1
    assert "的 SM2 签名缺失" in stripped.stderr


def test_it_does_not_start_without_openssl(tmp_path: Path) -> None:
    here = settings(tmp_path) | without_openssl(tmp_path)
    assert shutil.which("openssl", path=here["PATH"]) is None
    refused = vlpro("serve", "--port", "1", **here)
    assert refused.returncode == 1
    assert "VLPRO_CRYPTO is gm, but there is no openssl on this machine." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data" / "audit.db").exists()


def test_without_it_nothing_of_sm2_is_on_the_record(tmp_path: Path) -> None:
    ask(tmp_path, picture_file(), VLPRO_CRYPTO="international", **without_openssl(tmp_path))
    with Database(sqlite_url(tmp_path / "data", "audit")).read() as connection:
        told = b"".join(connection.execute(sa.select(records.c.data)).scalars())
        signed = connection.execute(sa.select(checkpoints.c.sm2)).scalars().all()
    assert b'"sha256"' in told
    assert b'"sm3"' not in told
    assert b'"sm2"' not in told
    assert signed
    assert not any(signed)
