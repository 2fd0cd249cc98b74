from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support import answer_text, ask, eventually
from tests.unit.engines.upstreams import HEAD, Connection, event, serving
from vlpro.engines.openai import OpenAiEngine
from vlpro.engines.upstream import Upstream
from vlpro.errors import ConfigError, EngineError, EngineUnavailableError

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def engine_at(url: str, **way: str) -> AsyncIterator[OpenAiEngine]:
    engine = OpenAiEngine(Upstream(url, **way), model="m")
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def test_a_server_that_closes_a_kept_connection_loses_no_question() -> None:
    """As llama.cpp does behind a stream: the next request on the same connection is read and not answered."""

    async def answer_once(connection: Connection) -> None:
        if len(connection.requests) > 1:
            connection.writer.close()
        else:
            await connection.whole()

    async with serving(answer_once) as server, engine_at(server.url) as engine:
        assert [await answer_text(engine, ask("?")) for _ in range(3)] == ["ok"] * 3
        assert server.questions == 3


async def test_a_refused_connection_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals, connect = 1, anyio.connect_tcp

    async def refusing(*args: Any, **options: Any) -> Any:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise ConnectionRefusedError
        return await connect(*args, **options)

    async with serving(Connection.whole) as server, engine_at(server.url) as engine:
        await eventually(lambda: engine.ready)
        monkeypatch.setattr(anyio, "connect_tcp", refusing)
        assert await answer_text(engine, ask("?")) == "ok"
        refusals = 2
        with pytest.raises(EngineUnavailableError):
            await answer_text(engine, ask("?"))
        assert (refusals, server.questions) == (0, 1)


async def test_a_question_that_was_sent_is_not_sent_again() -> None:
    async def hang_up(connection: Connection) -> None:
        connection.writer.close()

    async with serving(hang_up) as server, engine_at(server.url) as engine:
        with pytest.raises(EngineUnavailableError):
            await answer_text(engine, ask("?"))
        assert server.questions == 1
        assert not engine.ready


async def test_nothing_is_tried_again_after_the_first_piece() -> None:
    async def break_off(connection: Connection) -> None:
        await connection.send(HEAD)
        await connection.piece(event(delta={"content": "once"}))
        connection.writer.close()

    async with serving(break_off) as server, engine_at(server.url) as engine:
        got: list[str] = []

        async def read() -> None:
            async for delta in engine.generate(ask("?"), timeout_s=30):
                got.append(delta.text)  # noqa: PERF401 - a piece counts although an error follows

        with pytest.raises(EngineError, match="broke off"):
            await read()
        assert got == ["once"]
        assert server.questions == 1


async def test_each_piece_arrives_before_the_next_is_made() -> None:
    arrived = asyncio.Event()

    async def wait_between(connection: Connection) -> None:
        await connection.send(HEAD)
        await connection.piece(event(delta={"content": "first"}))
        await arrived.wait()
        await connection.piece(event(delta={"content": " second"}, finish_reason="stop"))
        await connection.piece(b"")

    async with serving(wait_between) as server, engine_at(server.url) as engine:
        text = ""
        async for delta in engine.generate(ask("?"), timeout_s=30):
            text += delta.text
            arrived.set()
        assert text == "first second"


@pytest.mark.parametrize("begun", [True, False], ids=["within the answer", "before its first byte"])
async def test_a_cancelled_question_closes_its_connection_at_once(*, begun: bool) -> None:
    working, gone = asyncio.Event(), asyncio.Event()

    async def work_until_gone(connection: Connection) -> None:
        if begun:
            await connection.send(HEAD)
            await connection.piece(event(delta={"content": "a"}))
        working.set()
        assert await connection.reader.read() == b""
        gone.set()

    async def question(engine: OpenAiEngine) -> None:
        async with aclosing(engine.generate(ask("?"), timeout_s=60)) as deltas:
            async for _ in deltas:
                pass

    async with serving(work_until_gone) as server, engine_at(server.url) as engine:
        task = asyncio.create_task(question(engine))
        await working.wait()
        task.cancel()
        async with asyncio.timeout(30):
            await gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_as_many_questions_run_at_once_as_the_setting_says() -> None:
    everybody = asyncio.Barrier(110)

    async def together(connection: Connection) -> None:
        await everybody.wait()
        await connection.whole()

    async with serving(together) as server, engine_at(server.url) as engine:
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(answer_text(engine, ask("?")) for _ in range(110)))
        assert answers == ["ok"] * 110


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private authority, ca.pem, and a server's certificate for 127.0.0.1, signed by it."""
    folder = tmp_path_factory.mktemp("authority")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607

    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    openssl(
        *("req", "-x509", *key, "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-keyout", "server.key", "-out", "server.pem"),
    )
    return folder


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    return context


async def test_a_private_authority_is_trusted_where_it_is_named(authority: Path, tls: ssl.SSLContext) -> None:
    async with (
        serving(Connection.whole, tls=tls) as server,
        engine_at(server.url, ca=str(authority / "ca.pem")) as engine,
    ):
        assert await answer_text(engine, ask("?")) == "ok"
        assert engine.ready


@pytest.mark.parametrize(
    ("ca", "host"),
    [("", "127.0.0.1"), ("stranger.pem", "127.0.0.1"), ("ca.pem", "localhost")],
    ids=["the system's", "another", "another host"],
)
async def test_any_other_certificate_gets_no_question(
    authority: Path, tls: ssl.SSLContext, ca: str, host: str
) -> None:
    way = {"ca": str(authority / ca)} if ca else {}
    async with serving(Connection.whole, tls=tls) as server:
        async with engine_at(server.url.replace("127.0.0.1", host), **way) as engine:
            with pytest.raises(EngineUnavailableError, match="VLPRO_UPSTREAM_CA"):
                await answer_text(engine, ask("?"))
            assert "certificate" in str(engine.problem)
        assert server.questions == 0


@pytest.mark.parametrize(
    ("url", "way", "param"),
    [
        ("https://host/v1", {"ca": "missing.pem"}, "upstream_ca"),
        ("https://host/v1", {"ca": "."}, "upstream_ca"),
        ("https://host/v1", {"ca": "empty.pem"}, "upstream_ca"),
        ("http://host/v1", {"ca": "empty.pem"}, "upstream_ca"),
        ("http://host/v1", {"key": "a\n"}, "upstream_key"),
        ("http://host/v1", {"key": "密钥"}, "upstream_key"),
        ("http://me:secret@host/v1", {}, "upstream_url"),
        ("http://host/v1?key=secret", {}, "upstream_url"),
        ("http://host:port/v1", {}, "upstream_url"),
        ("http:///v1", {}, "upstream_url"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    url: str, way: dict[str, str], param: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ConfigError) as refused:
        Upstream(url, **way)
    assert refused.value.param == param
    assert f"VLPRO_{param.upper()}" in refused.value.message
    assert f"VLPRO_{param.upper()}" in refused.value.zh
    assert "secret" not in refused.value.message
