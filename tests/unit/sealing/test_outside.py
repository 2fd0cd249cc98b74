"""Each client of the product by a relay: it reaches the address that the relay was given, and no other."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, provider
from tests.ports import free_port
from tests.receivers import SECRET, hook, mail_server, server_tls, syslog_server
from tests.slapd import BASE, PASSWORDS, SERVICE, SERVICE_PASSWORD, make_ca, slapd
from tests.unit.engines.upstreams import Connection, serving
from vlpro.audit.alerts.alert import Alert, Rule
from vlpro.audit.alerts.channels import Undelivered, channels_of
from vlpro.audit.alerts.options import AlertOptions
from vlpro.engines.upstream import Upstream
from vlpro.errors import ConfigError, DirectoryUnavailableError
from vlpro.identity.directories.oidc import OidcProvider
from vlpro.identity.directories.options import LdapOptions, OidcOptions
from vlpro.sealing import outside, relay

ALERT = Alert(Rule.EGRESS, "203.0.113.7:443", 1, 0.0, 7, 7, 1_800_000_000.25, "python")


@contextmanager
def relayed(*destinations: str) -> Iterator[None]:
    """All connections of this process by a relay."""
    control, process = relay.start(destinations)
    with process:
        with control:
            outside.through(control)
            try:
                yield
            finally:
                outside.through(None)
        process.wait(60)  # it ends with the service


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_ca(folder)
    return folder


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serves one connection."""

    def run() -> None:
        with listener.accept()[0] as connection:
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield outside.destination("127.0.0.1", listener.getsockname()[1])
        thread.join(60)
        assert not thread.is_alive()


def test_megabytes_both_ways_and_each_end_on_its_own() -> None:
    data = os.urandom(3_000_000)
    heard = bytearray()

    def serve(connection: socket.socket) -> None:
        while piece := connection.recv(65_536):
            heard.extend(piece)
        connection.sendall(data[::-1])  # only now: our side has ended, its has not

    with listening(serve) as where, relayed(where), outside.connection(where, 60) as ours:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        back = bytearray()
        while piece := ours.recv(65_536):
            back.extend(piece)
    assert hashlib.sha256(heard).digest() == hashlib.sha256(data).digest()
    assert bytes(back) == data[::-1]


def test_no_other_address_and_why_one_is_not_reached() -> None:
    closed = outside.destination("127.0.0.1", free_port())
    with socket.create_server(("127.0.0.1", 0)) as other:
        not_named = outside.destination("127.0.0.1", other.getsockname()[1])
        other.settimeout(0)
        with relayed(closed, "no-such-host.invalid:80", "unix:/nowhere/socket"):
            with pytest.raises(PermissionError, match="the settings name no such address"):
                outside.connection(not_named, 60)
            with pytest.raises(ConnectionRefusedError):
                outside.connection(closed, 60)
            with pytest.raises(socket.gaierror):
                outside.connection("no-such-host.invalid:80", 60)
            with pytest.raises(FileNotFoundError):
                outside.connection("unix:/nowhere/socket", 60)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_when_the_relay_is_gone_it_is_said() -> None:
    control, process = relay.start(["127.0.0.1:9"])
    with process, control:
        process.kill()
        process.wait(60)
        outside.through(control)
        try:
            with pytest.raises(OSError, match=r"Broken pipe|the relay has ended"):
                outside.connection("127.0.0.1:9", 60)
        finally:
            outside.through(None)


def test_one_that_could_not_be_passed_on_does_not_end_the_relay() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"here")

    with listening(serve) as where:
        control, process = relay.start([where])
        with process, control:
            control.send(where.encode())  # without a socket: as where the relay has too many open
            readable, writable = os.pipe()
            socket.send_fds(control, [where.encode()], [writable])  # and what is none
            os.close(writable)
            with open(readable, "rb") as pipe:  # noqa: PTH123 - a descriptor
                assert pipe.read() == b""  # the relay let go of it
            outside.through(control)
            try:
                with outside.connection(where, 60) as ours:
                    assert ours.recv(4) == b"here"
            finally:
                outside.through(None)


def test_what_is_no_address_is_refused() -> None:
    for wrong in ("host", "host:", "http://host:80", "unix:relative", "[::1]:80", "a b:80"):
        with pytest.raises(ConfigError, match="is no address"):
            relay.start([wrong])


def test_the_relay_is_sealed_itself(tmp_path: Path) -> None:
    code = f"""
import os, socket, subprocess
from pathlib import Path
from vlpro.sealing.seal import seal_relay
seal_relay([443])
def tried(what):
    try:
        what()
    except OSError as error:
        return error.errno
print([tried(what) for what in (
    lambda: Path({str(tmp_path / "x")!r}).write_text("x"),
    lambda: Path({str(tmp_path)!r}).iterdir().__next__(),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    lambda: socket.create_connection(("127.0.0.1", 80)),
)])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == str([errno.EACCES, errno.EACCES, errno.EPERM, errno.EPERM, errno.EACCES])


@pytest.mark.anyio
@pytest.mark.parametrize("secure", [False, True])
async def test_the_upstream(tls: Path, *, secure: bool) -> None:
    context = server_tls(tls) if secure else None

    async def answer(connection: Connection) -> None:
        await connection.whole("through")

    async with serving(answer, tls=context) as seen:
        parts = urlsplit(seen.url)
        port = parts.port or 0
        with relayed(outside.destination("localhost", port)):
            url = seen.url.replace("127.0.0.1", "localhost")
            upstream = Upstream(url, ca=str(tls / "ca.pem") if secure else "")
            async with upstream.client() as http:
                reply = await http.post(f"{url}/chat/completions", json={})
                assert "through" in reply.text
                with pytest.raises(httpx.ConnectError, match="no such address"):
                    await http.get(seen.url)


@pytest.mark.anyio
async def test_a_certificate_must_be_for_the_name_that_was_asked_for(tmp_path: Path) -> None:
    make_ca(tmp_path, ("elsewhere.example",))

    async def answer(connection: Connection) -> None:
        await connection.whole()

    async with serving(answer, tls=server_tls(tmp_path)) as seen:
        url = seen.url.replace("127.0.0.1", "localhost")
        with relayed(outside.destination("localhost", urlsplit(url).port or 0)):
            async with Upstream(url, ca=str(tmp_path / "ca.pem")).client() as http:
                with pytest.raises(httpx.ConnectError, match="not valid for 'localhost'"):
                    await http.get(f"{url}/models")


@pytest.mark.anyio
async def test_an_upstream_on_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "upstream.sock")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        with relayed(outside.unix(path)):
            async with Upstream("http://model/v1", socket=path).client() as http:
                assert (await http.get("http://model/v1/models")).text == "ok"


def alerts(**parts: Any) -> None:
    (one,) = channels_of(AlertOptions.model_validate({"name": "suzhou"} | parts), "log_0123")
    one.send(ALERT, 8)


def test_a_webhook(tls: Path) -> None:
    with hook(tls=server_tls(tls)) as server:
        to = {"url": f"https://localhost:{server.port}/", "secret": SECRET, "ca": str(tls / "ca.pem")}
        with relayed(outside.destination("localhost", server.port)):
            alerts(webhook=to)
        with relayed("localhost:9"), pytest.raises(Undelivered, match="no such address"):
            alerts(webhook=to)
        assert [got["id"] for got in server.got] == [ALERT.id]


def test_syslog(tls: Path, tmp_path: Path) -> None:
    with syslog_server("tls", tls) as server:
        parts = urlsplit(server.url)
        to = {"url": server.url, "ca": str(tls / "ca.pem")}
        with relayed(outside.destination(parts.hostname or "", parts.port or 0)):
            alerts(syslog=to)
        with relayed("localhost:9"), pytest.raises(Undelivered, match="no such address"):
            alerts(syslog=to)
        assert len(server.got) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail(tls: Path, security: str) -> None:
    with mail_server(server_tls(tls), starttls=security == "starttls") as server:
        to = {
            "host": "localhost",
            "port": server.port,
            "security": security,
            "ca": str(tls / "ca.pem"),
            "sender": "v@a.cn",
            "to": ["s@a.cn"],
        }
        with relayed(outside.destination("localhost", server.port)):
            alerts(mail=to)
        with relayed("localhost:9"), pytest.raises(Undelivered, match="no such address"):
            alerts(mail=to)
        assert len(server.got) == 1


@pytest.mark.parametrize("way", ["start_tls", "ldaps", "ldapi"])
def test_the_directory(tmp_path: Path, way: str) -> None:
    pytest.importorskip("ldap", reason="the package of the extra ldap is not installed (make ldap)")
    from vlpro.identity.directories.ldap import LdapDirectory  # noqa: PLC0415 - needs that package

    with slapd(tmp_path) as server:
        ways: dict[str, dict[str, Any]] = {
            "start_tls": {"url": server.url, "start_tls": True, "ca": server.ca},
            "ldaps": {"url": server.tls_url, "ca": server.ca},
            "ldapi": {"url": server.socket_url},
        }
        where = {
            "start_tls": f"127.0.0.1:{server.port}",
            "ldaps": f"127.0.0.1:{server.tls_port}",
            "ldapi": outside.unix(str(server.folder / "socket")),
        }[way]
        more = {"base_dn": f"ou=people,{BASE}", "bind_dn": SERVICE, "bind_password": SERVICE_PASSWORD}
        directory = LdapDirectory(LdapOptions.model_validate(ways[way] | more))
        try:
            with relayed(where):
                found = directory.check("li.wenjing", PASSWORDS["li.wenjing"])
            assert found is not None
            assert found.login == "li.wenjing"
            with relayed("localhost:9"), pytest.raises(DirectoryUnavailableError):
                directory.check("li.wenjing", PASSWORDS["li.wenjing"])
        finally:
            directory.close()


@pytest.mark.anyio
async def test_the_openid_provider(tls: Path) -> None:
    with provider(tls) as at:
        options = {
            "issuer": at.url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "ca": str(tls / "ca.pem"),
        }
        with relayed(at.url.removeprefix("https://")):
            begun = await OidcProvider(OidcOptions.model_validate(options)).begin("http://127.0.0.1/back")
            assert begun.url.startswith(at.url)
        with relayed("localhost:9"), pytest.raises(DirectoryUnavailableError):
            await OidcProvider(OidcOptions.model_validate(options)).begin("http://127.0.0.1/back")
