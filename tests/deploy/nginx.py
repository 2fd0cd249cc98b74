"""The real nginx with the configuration that is shipped, and what may stand behind it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from tests.browser.server import ROOT
from tests.ports import free_port
from tests.support import end
from vlpro.schema import ErrorEnvelope

__all__ = [
    "ANOTHER",
    "HOST",
    "HSTS",
    "HTML",
    "INSIDE",
    "OUTSIDE",
    "SERVER",
    "SHIPPED",
    "UNKNOWN_TO_POLICY",
    "Nginx",
    "Reply",
    "is_envelope",
    "make_certificate",
    "read_all",
    "read_reply",
    "running_nginx",
    "running_service",
]

SHIPPED = ROOT / "deploy" / "nginx"
HOST = "vlpro.test"

SERVER = "127.17.0.1"
"""Where it listens: no other program of this machine, which might take the same port, is there."""
INSIDE = "127.0.0.1"
"""Listed, and a monitor too."""
OUTSIDE = "127.0.0.2"
"""Not listed. All other addresses of 127.0.0.0/8 are."""
ANOTHER = "127.0.0.3"
"""Listed, and no monitor."""
UNKNOWN_TO_POLICY = "127.0.0.99"
"""Listed here, but not in the policy of the service."""

HSTS = "Strict-Transport-Security"
HTML = ("Accept", "text/html")

_LIFE_S = 1_800  # whatever becomes of the tests: other files may come between those that use it
_NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")

# As Debian's own file, with what is wrong in it: TLS 1.0, compression, a log of whole request lines.
_MAIN = """
{user}worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/logs/error.log;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include {mime};
    default_type application/octet-stream;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log {folder}/logs/access.log;
    gzip on;
    client_body_temp_path {folder}/temp/body;
    proxy_temp_path {folder}/temp/proxy;
    fastcgi_temp_path {folder}/temp/fastcgi;
    uwsgi_temp_path {folder}/temp/uwsgi;
    scgi_temp_path {folder}/temp/scgi;
    include {folder}/conf.d/*.conf;
}}
"""
_MIME = "types { text/html html; text/css css; image/png png; application/json json; }\n"


@dataclass(frozen=True)
class Reply:
    """An answer; headers in their order, with those that came twice."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that comes once."""
        values = self.all(name)
        assert len(values) == 1, (name, values)
        return values[0]

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Nginx:
    """Where it listens and what it writes."""

    port: int
    plain_port: int
    folder: Path
    pid: int

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    def connect(
        self,
        source: str = INSIDE,
        *,
        plain: bool = False,
        name: str = HOST,
        context: ssl.SSLContext | None = None,
    ) -> socket.socket:
        """A connection from one of this machine's addresses; with TLS unless ``plain``."""
        port = self.plain_port if plain else self.port
        raw = socket.create_connection((SERVER, port), 60, (source, 0))
        if plain:
            return raw
        try:
            return (context or self.context()).wrap_socket(raw, server_hostname=name)
        except BaseException:
            raw.close()
            raise

    def context(self) -> ssl.SSLContext:
        """Trusts the certificate of :func:`make_certificate` and no other."""
        return ssl.create_default_context(cafile=str(self.folder / "vlpro" / "server.pem"))

    def send(self, data: bytes, source: str = INSIDE, *, plain: bool = False, wait_s: float = 15) -> bytes:
        """Send bytes and return all that comes until the other side closes, or is silent for too long."""
        with self.connect(source, plain=plain) as connection:
            connection.settimeout(wait_s)
            connection.sendall(data)
            return read_all(connection)

    def ask(
        self,
        method: str,
        target: str,
        *,
        source: str = INSIDE,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        host: str | None = None,
        plain: bool = False,
    ) -> Reply:
        """One request, its target and headers exactly as they are given."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or self.host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        with self.connect(source, plain=plain) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            return read_reply(connection, method)

    def get(self, target: str, **options: Any) -> Reply:
        """GET. The options are those of :meth:`ask`."""
        return self.ask("GET", target, **options)

    def log(self, name: str) -> str:
        """What it wrote into one of its logs."""
        path = self.folder / "logs" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def line(self, reply: Reply) -> dict[str, str]:
        """What the log of accesses says about a request; it is written after the reply has been sent."""
        name = reply.one("X-Request-Id")
        deadline = time.monotonic() + 20
        while True:
            for text in self.log("vlpro.access.log").splitlines(keepends=True):
                line: dict[str, str] = json.loads(text) if text.endswith("\n") else {}
                if line.get("request_id") == name:
                    return line
            assert time.monotonic() < deadline, f"no line about {name}"
            time.sleep(0.01)

    def files(self) -> list[str]:
        """Files in its temporary folders, and those that its processes hold open although they are deleted."""
        found = [str(path) for path in (self.folder / "temp").rglob("*") if path.is_file()]
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        for child in children:
            for entry in Path(f"/proc/{child}/fd").iterdir():
                with suppress(OSError):  # closed meanwhile
                    target = str(entry.readlink())
                    if str(self.folder / "temp") in target:
                        found.append(target)
        return found


def is_envelope(reply_type: str, body: bytes, code: str) -> bool:
    """Whether an answer is an error as the service's own are, with a sentence in both languages."""
    error = ErrorEnvelope.model_validate_json(body).error
    zh = (error.vlpro or {}).get("zh", "")
    return reply_type == "application/json" and error.code == code and bool(error.message) and zh > "一"


def read_all(connection: socket.socket) -> bytes:
    """All until the other side closes, in whatever way."""
    received = bytearray()
    try:
        while piece := connection.recv(65_536):
            received += piece
    except OSError:
        pass  # closed with a reset, or silent
    return bytes(received)


def read_reply(connection: socket.socket, method: str = "GET") -> Reply:
    """One answer."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Reply(response.status, response.getheaders(), response.read())
    finally:
        response.close()


def make_certificate(folder: Path) -> None:
    """``server.pem`` and ``server.key`` for :data:`HOST`, signed by itself."""
    names = f"subjectAltName=DNS:{HOST}"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={HOST} "
        f"-addext {names} -keyout {folder}/server.key -out {folder}/server.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)


def _configure(
    folder: Path,
    sockets: tuple[Path, Path],
    ports: tuple[int, int],
    options: Sequence[str],
    application: int,
) -> None:
    """The shipped files, with the marked places edited as README.md says."""
    for name in ("conf.d", "logs", "temp"):
        (folder / name).mkdir()
    shutil.copytree(SHIPPED / "vlpro", folder / "vlpro")
    make_certificate(folder / "vlpro")
    (folder / "mime.types").write_text(_MIME, encoding="utf-8")
    user = "user root;\n" if os.getuid() == 0 else ""
    main = _MAIN.format(user=user, folder=folder, mime=folder / "mime.types")
    (folder / "nginx.conf").write_text(main, encoding="utf-8")
    edits = {
        "vlpro.example.cn": HOST,
        "/run/vlpro/vlpro.sock": str(sockets[0]),
        "/run/vlpro/second.sock": str(sockets[1]),
        "/etc/nginx/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/logs/",
        "127.0.0.1:5601": f"127.0.0.1:{application}",
        "[::]:443": f"[::1]:{ports[0]}",
        "[::]:80": f"[::1]:{ports[1]}",
        "listen 443": f"listen {SERVER}:{ports[0]}",
        "listen 80": f"listen {SERVER}:{ports[1]}",
    }
    for source in [SHIPPED / "vlpro.conf", *(folder / "vlpro").glob("*.conf")]:
        text = source.read_text(encoding="utf-8")
        for old, new in edits.items():
            text = text.replace(old, new)
        for option in options:
            text = text.replace(f"#include vlpro/{option}.conf;", f"include vlpro/{option}.conf;")
        if not _has_ipv6():
            text = re.sub(r".*\[::1\]:\d+.*\n", "", text)
        target = folder / "conf.d" / "vlpro.conf" if source.parent == SHIPPED else source
        target.write_text(text, encoding="utf-8")
    addresses = f"127.0.0.0/8 1;\n{OUTSIDE}/32 0;\n"
    (folder / "vlpro" / "addresses.conf").write_text(addresses, encoding="ascii")


def _weaken(folder: Path, edits: Mapping[str, tuple[str, str]]) -> None:
    for name, (old, new) in edits.items():
        file = folder / ("conf.d" if name == "vlpro.conf" else "vlpro") / name
        text = file.read_text(encoding="utf-8")
        assert old in text, (name, old)
        file.write_text(text.replace(old, new), encoding="utf-8")


@contextmanager
def running_nginx(
    folder: Path,
    unix: Path,
    *,
    options: Sequence[str] = (),
    application: int = 9,
    second: Path | None = None,
    edits: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Iterator[Nginx]:
    """nginx with the shipped files until the end of the block.

    Args:
        folder: An empty one, for its files.
        unix: Socket of the service.
        options: Of the optional files those that are included, without ``.conf``.
        application: Port of the other application behind single sign-on.
        second: Socket of another replica, with the option ``replicas``.
        edits: Texts that somebody changed, old and new, by the name of the shipped file.
    """
    assert _NGINX is not None
    ports = free_port(), free_port()
    _configure(folder, (unix, second or unix), ports, options, application)
    _weaken(folder, edits)
    if "basic" in options:
        command = ["openssl", "passwd", "-6", "outer door"]
        hashed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (folder / "vlpro" / "passwords").write_text(f"office:{hashed}", encoding="ascii")
    command = [_NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr, checked.stderr
    with _process(command, folder / "output") as process:
        _await(process, lambda: _listens(ports[0]), folder / "output")
        master = int((folder / "nginx.pid").read_text(encoding="ascii"))
        yield Nginx(ports[0], ports[1], folder, master)


@contextmanager
def running_service(folder: Path, unix: Path, **settings: str) -> Iterator[None]:
    """``vlpro serve`` on a Unix socket until the end of the block.

    Args:
        folder: It is started in.
        unix: Path of its socket.
        **settings: Environment variables, without ``VLPRO_``.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    environment |= {f"VLPRO_{name.upper()}": value for name, value in settings.items()}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "vlpro", "serve", "--socket", str(unix)]

    def ready() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(unix))  # httpx leaves a socket open where nobody listens
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(unix)), trust_env=False) as client:
            return client.get("http://localhost/readyz", timeout=5).is_success

    with _process(command, folder / "output", environment, folder) as process:
        _await(process, ready, folder / "output")
        yield


@contextmanager
def _process(
    command: Sequence[str],
    output: Path,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block; and by itself, should the tests be killed."""
    command = ["timeout", "--kill-after=10", str(_LIFE_S), *command]
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
        try:
            yield process
        finally:
            end(process)


def _await(process: subprocess.Popen[bytes], ready: Callable[[], bool], output: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if ready():
                return
        except (OSError, httpx.HTTPError):
            pass  # not listening yet
        time.sleep(0.02)
    raise RuntimeError(f"it did not start:\n{output.read_text(errors='replace')[-4000:]}")


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _listens(port: int) -> bool:
    socket.create_connection((SERVER, port)).close()
    return True
