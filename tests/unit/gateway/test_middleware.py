from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from vlpro.client import IN_PROCESS
from vlpro.gateway.middleware import BodyLimit, Envelope, OwnOrigin, RequestId

pytestmark = pytest.mark.anyio
HOSTS = ("127.0.0.1", "localhost", "[::1]", "Pro.Example")


async def _inside(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    elif scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})


async def call(app: Any, messages: list[Message] | None = None, **scope: Any) -> list[Message]:
    """What an application sends for a scope."""
    headers = scope.pop("headers", {"host": "localhost"})
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    } | scope
    incoming = list(messages or [{"type": "http.request", "body": b""}])
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def allowed(**scope: Any) -> bool:
    sent = await call(OwnOrigin(_inside, HOSTS), **scope)
    return sent[0].get("status") == 200 or sent[0]["type"] == "websocket.accept"


async def test_the_pages_own_calls_need_no_listed_host() -> None:
    sent = await call(OwnOrigin(_inside, ["vl.example"]), None, **{IN_PROCESS: True})
    assert sent[0]["status"] == 200
    assert (await call(OwnOrigin(_inside, ["vl.example"])))[0]["status"] == 403


@pytest.mark.parametrize(
    ("client", "right"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.9.1", 1), True),
        (("::1", 1), True),
        (("10.0.0.1", 1), False),
        (("8.8.8.8", 1), False),
        (("0.0.0.0", 1), False),  # noqa: S104 - an address to refuse
        (("::ffff:8.8.8.8", 1), False),
        (("fe80::1%eth0", 1), False),
        (("::", 1), False),
        (("testclient", 1), False),
        (("", 0), False),
        (("/run/x.sock", 0), False),
        (None, False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_addresses(client: Any, right: bool, kind: str) -> None:  # noqa: FBT001 - an expected value
    forged = {
        "host": "localhost",
        "x-forwarded-for": "127.0.0.1",
        "x-real-ip": "127.0.0.1",
        "forwarded": "for=127.0.0.1",
    }
    assert await allowed(client=client, type=kind, headers=forged) is right


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "pro.example:8501", "[::1]:8501"])
async def test_hosts(host: str) -> None:
    assert await allowed(headers={"host": host})


@pytest.mark.parametrize(
    "host", ["", "evil", "a@localhost", "localhost:port", "localhost:123456", "[::1", "local host"]
)
async def test_foreign_hosts(host: str) -> None:
    assert not await allowed(headers={"host": host})
    assert not await allowed(headers={"host": host}, type="websocket")


async def test_no_host() -> None:
    assert not await allowed(headers={})


@pytest.mark.parametrize(
    "origin", ["null", "", "http://evil", "http://[", "http://localhost:1", "http://x@localhost"]
)
async def test_foreign_origins(origin: str) -> None:
    for kind in ("http", "websocket"):
        assert not await allowed(headers={"host": "localhost", "origin": origin}, type=kind)


async def test_own_origin() -> None:
    for kind in ("http", "websocket"):
        assert await allowed(headers={"host": "localhost:8", "origin": "http://LOCALHOST:8"}, type=kind)


async def test_a_foreign_websocket_is_closed() -> None:
    sent = await call(
        OwnOrigin(_inside, HOSTS),
        type="websocket",
        headers={"host": "localhost", "origin": "http://evil"},
        messages=[{"type": "websocket.connect"}],
    )
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_lifespan_passes() -> None:
    for layer in (
        OwnOrigin(_inside, HOSTS),
        RequestId(_inside),
        BodyLimit(_inside, 5, 60),
        Envelope(_inside),
    ):
        assert await call(layer, type="lifespan") == []


async def test_request_id() -> None:
    (start, _) = await call(RequestId(_inside))
    ((name, value),) = start["headers"]
    assert name == b"x-request-id"
    assert value.startswith(b"req_")
    assert len(value) == 28


def _body(*pieces: bytes) -> list[Message]:
    return [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]


@pytest.mark.parametrize(
    ("headers", "pieces", "status"),
    [
        ({}, [b"12345"], 200),
        ({}, [b"123456"], 413),
        ({}, [b"123", b"45"], 200),
        ({}, [b"123", b"456"], 413),
        ({}, [b"1"] * 6, 413),
        ({"content-length": "5"}, [b"12345"], 200),
        ({"content-length": "6"}, [b""], 413),
        ({"content-length": "9" * 5000}, [b""], 413),
        ({"content-length": "-1"}, [b""], 413),
        ({"content-length": "x"}, [b""], 413),
        ({"content-length": "1"}, [b"123456"], 413),
    ],
)
async def test_body_limit(headers: dict[str, str], pieces: list[bytes], status: int) -> None:
    sent = await call(BodyLimit(_inside, 5, 60), _body(*pieces), headers=headers)
    assert sent[0]["status"] == status


async def test_a_limit_that_is_passed_after_the_answer_began_is_not_answered_twice() -> None:
    async def eager(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    with pytest.raises(Exception, match="larger than"):
        await call(BodyLimit(eager, 5, 60), _body(b"123456"))


async def test_a_body_that_stops_coming_is_given_up() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await BodyLimit(_inside, 5, 0.01)(scope, receive, send)
    assert sent[0]["status"] == 408


def _answering(status: int, media: str) -> Any:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", media.encode()), (b"x-kept", b"1"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"plain"})

    return answer


@pytest.mark.parametrize(
    ("status", "media", "path", "accept", "told"),
    [
        (404, "text/plain", "/_stcore/metrics", "*/*", 404),
        (400, "", "//v1/models", "*/*", 400),
        (405, "text/plain; charset=utf-8", "/chat/completions", "application/json", 405),
        (500, "text/plain", "/x", "*/*", 500),
        (200, "text/html", "/login", "*/*", None),
        (200, "text/css", "/static/x.css", "*/*", None),
        (400, "application/json", "/v1/x", "*/*", None),
        (304, "", "/static/x.css", "*/*", None),
    ],
)
async def test_refusals_of_the_frameworks_come_in_the_envelope(
    status: int, media: str, path: str, accept: str, told: int | None
) -> None:
    sent = await call(Envelope(_answering(status, media)), path=path, headers={"accept": accept})
    assert len(sent) == 2
    if told is None:
        assert (sent[0]["status"], sent[1]["body"]) == (status, b"plain")
        return
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"content-type"], headers[b"x-kept"]) == (
        told,
        b"application/json",
        b"1",
    )
    assert int(headers[b"content-length"]) == len(sent[1]["body"])
    assert json.loads(sent[1]["body"])["error"]["message"]


@pytest.mark.parametrize("origin", ["ftp://localhost", "chrome-extension://localhost", "file://localhost"])
async def test_what_is_no_web_page_is_no_origin(origin: str) -> None:
    assert not await allowed(headers={"host": "localhost", "origin": origin})


async def test_a_foreign_page_may_lead_people_here_but_not_post() -> None:
    cross = {"host": "localhost", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert await allowed(headers=cross)
    assert not await allowed(headers=cross, method="POST")
