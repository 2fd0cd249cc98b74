"""The example of an office system takes what the service sends, once, and nothing that anybody else sends."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from vlpro.audit.alerts.webhook import signature
from vlpro.audit.recorder import NullRecorder
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.workflows.delivery.options import DeliveryOptions
from vlpro.workflows.delivery.outbox import Outbox
from vlpro.workflows.delivery.service import Deliveries

SECRET = "a-secret-of-the-example"  # noqa: S105 - of nobody
DOCUMENT: dict[str, Any] = {
    "id": "ext_1",
    "metadata": {"form": "OA-2026-0017"},
    "fields": {
        "seller": {"normalized": "上海<云岫>技术服务有限公司"},
        "total": {"normalized": "13525.60"},
        "date": {"normalized": None},
    },
}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "oa" / "receiver.py"
    spec = importlib.util.spec_from_file_location("oa_receiver", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def address(example: ModuleType, tmp_path: Path) -> Iterator[str]:
    answer = example.handler(SECRET, example.Forms(str(tmp_path / "oa.sqlite")))
    with ThreadingHTTPServer(("127.0.0.1", 0), answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.anyio
async def test_an_approved_document_fills_the_form(address: str, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    options = DeliveryOptions.model_validate({"targets": {"oa": {"url": address, "secret": SECRET}}})
    deliveries = Deliveries(Outbox(database, Sealer(bytes(32))), options, NullRecorder())
    await deliveries.start()
    taken = await deliveries.deliver("extraction", "ext_1", DOCUMENT, "oa", event="approved")
    async with asyncio.timeout(60):
        while (state := (await deliveries.of("extraction", "ext_1"))[0]).state == "waiting":
            await asyncio.sleep(0.01)
    assert state.state == "delivered", state
    async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
        page = (await browser.get(address)).text
    assert "OA-2026-0017" in page
    assert "value='上海&lt;云岫&gt;技术服务有限公司'" in page
    assert "value='13525.60'" in page
    await deliveries.stop()
    database.close()
    assert taken.id.startswith("dlv_")


def test_what_comes_twice_is_one_form_and_what_is_forged_or_old_is_none(address: str) -> None:
    body = b'{"id": "dlv_1", "type": "extraction.approved", "data": {"id": "ext_2", "fields": {}}}'

    def post(stamp: float, *, secret: str = SECRET, sent: bytes = body) -> int:
        text = str(int(stamp))
        headers = {
            "x-vlpro-timestamp": text,
            "x-vlpro-signature": signature(secret, text, body),
            "idempotency-key": "dlv_1",
        }
        return httpx.post(address, content=sent, headers=headers, trust_env=False, timeout=30).status_code

    now = time.time()
    assert [post(now), post(now)] == [200, 200]
    assert post(now, secret="another-secret-of-16") == 401
    assert post(now, sent=body.replace(b"ext_2", b"ext_3")) == 401
    assert post(now - 600) == 401
    assert httpx.get(address, trust_env=False, timeout=30).text.count("<form>") == 1
