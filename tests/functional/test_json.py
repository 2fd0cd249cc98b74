"""Bodies that are no good JSON: a clear 400, quickly, and the next request is unharmed."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.functional.server import Server, chat

CHAT = "/v1/chat/completions"
GOOD = b'"model":"vlpro","messages":[{"role":"user","content":"a"}]'


@pytest.fixture
def post(server: Server) -> Iterator[httpx.Client]:
    with server.http(headers={"content-type": "application/json"}) as http:
        yield http
        assert http.post(CHAT, json=chat()).status_code == 200  # on the same connection


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/conversations"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}x",
        b"{'model': 1}",
        b"{" + GOOD + b",}",
        b'{"temperature": NaN}',
        b'{"temperature": Infinity}',
        b'{"temperature": -Infinity}',
        b'{"user": "\\ud800"}',
        b'{"user": "\\udc00\\ud800"}',
        b'{"\\ud83d": 1}',
        b'{"user": "\xff"}',
        b'{"user": "\xed\xa0\x80"}',
        b'{"user": "\xc0\x80"}',
        b'{"user": "a\x00b"}',
        b'{"user": "a\nb"}',
        b'{"user": "\\x41"}',
        b'{"seed": 01}',
        b'{"seed": +1}',
        b'{"seed": 0x1}',
        b'{"seed": 1' + b"0" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
        b"// comment\n{}",
        b"\x00",
        gzip.compress(b"{}", mtime=0),
    ],
)
def test_no_json(post: httpx.Client, path: str, body: bytes) -> None:
    reply = post.post(path, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("body", "param", "reason"),
    [
        (b'{"temperature": NaN}', "temperature", "NaN"),
        (b'{"temperature": -Infinity}', "temperature", "Infinity"),
        (b'{"messages":[{"role":"user","content":"\\ud800"}]}', "messages[0].content", "surrogate"),
        (b'{"messages":[{"role":"user","content":[{"type":"text","text":"\xff"}]}]}',
         "messages[0].content[0].text", "UTF-8"),
        (b'{"metadata":{"\\ud83d":"x"}}', "metadata", "surrogate"),
        (b'{"seed": 1' + b"0" * 5000 + b"}", "seed", "digits"),
        (b'{"stop":["a",' + b"1" * 5000 + b"]}", "stop[1]", "digits"),
    ],
)  # fmt: skip
def test_the_field_is_named(post: httpx.Client, body: bytes, param: str, reason: str) -> None:
    error = post.post(CHAT, content=body).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_json", param)
    assert param in error["message"]
    assert reason in error["message"]


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true", b"[{}]"])
def test_no_object(post: httpx.Client, body: bytes) -> None:
    reply = post.post(CHAT, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_type"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"model":"x",' + GOOD + b"}", "model"),
        (b'{"mod\\u0065l":"x",' + GOOD + b"}", "model"),
        (b'{"metadata":{"a":"1","b":"2","a":"3"},' + GOOD + b"}", "a"),
        (b'{"tools":[{"x":[{"deep":1,"deep":2}]}],' + GOOD + b"}", "deep"),
    ],
)
def test_a_field_that_stands_twice(post: httpx.Client, body: bytes, name: str) -> None:
    reply = post.post(CHAT, content=body)
    assert reply.status_code == 400
    assert (reply.json()["error"]["code"], reply.json()["error"]["param"]) == ("duplicate_parameter", name)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 400, b"1" + b"0" * 4000])
def test_giant_numbers(post: httpx.Client, number: bytes) -> None:
    for field in (b"temperature", b"seed", b"n", b"max_tokens", b"frequency_penalty"):
        reply = post.post(CHAT, content=b'{"' + field + b'":' + number + b"," + GOOD + b"}")
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == field.decode()


def test_good_but_unusual(post: httpx.Client) -> None:
    for more in (
        b'"temperature":1e-400,',
        b'"temperature":0E+5,',
        b'"user":"\\ud83d\\ude00\\u0000",',
        b"\r\n\t ",
    ):
        assert post.post(CHAT, content=b"{" + more + GOOD + b"}").status_code == 200


def _many(piece: bytes, times: int) -> bytes:
    return b",".join([piece] * times)


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"k%d":1' % number for number in range(1_000_000)) + b"}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(5_000)) + b"," + GOOD + b"}",
        b'{"metadata":{' + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}," + GOOD + b"}",
        b'{"model":"vlpro","messages":[' + _many(b"{}", 150_000) + b"]}",
        b'{"model":"vlpro","messages":[{"role":"user","content":[' + _many(b"{}", 90_000) + b"]}]}",
        b'{"model":"vlpro","messages":[{"role":"user","content":[' + _many(b"1", 190_000) + b"]}]}",
        b'{"stop":[' + _many(b"1", 190_000) + b"]," + GOOD + b"}",
        b'{"tools":[' + _many(b"[]", 90_000) + b"]," + GOOD + b"}",
        b'{"logit_bias":{' + b",".join(b'"%d":"x"' % n for n in range(900)) + b"}," + GOOD + b"}",
        b"[" + _many(b"[]", 5_000_000) + b"]",
        b"[" + _many(b"[" * 150 + b"]" * 150, 100_000) + b"]",
    ],
    ids=lambda body: f"{len(body)} bytes of {body[:30].decode()}",
)
def test_masses_of_values_are_refused_at_once(post: httpx.Client, body: bytes) -> None:
    began = time.process_time()  # of this process, in which the server runs, too
    reply = post.post(CHAT, content=body)
    assert reply.status_code == 400
    assert (
        time.process_time() - began < 10
    )  # less than one is usual; what grows with the square takes minutes
    assert len(reply.content) < 2_000
