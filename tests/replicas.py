"""Two replicas of the service on one PostgreSQL behind the shipped nginx, and programs that ask without a rest."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa

from tests.browser.server import ROOT
from tests.deploy.nginx import HOST, Nginx, Reply, running_nginx
from tests.functional.server import MODEL, chat
from tests.people import Clock, Person, World
from vlpro.audit.events import Event
from vlpro.audit.tables import records
from vlpro.crypto import make_key_file, read_key_file
from vlpro.db import Database
from vlpro.identity.permissions import KEY_SCOPES, PERMISSIONS, Role

__all__ = ["Asked", "Load", "Replica", "Scene", "running"]

_LIFE_S = 240
_PLACES = 40  # addresses that clients come from, so that nobody meets nginx's limits for one address


class Replica:
    """``vlpro serve`` in profile mlps3, on a Unix socket.

    Args:
        folder: Of its own, for its data and its log.
        settings: Environment variables.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.unix = folder / "sock"
        self.log = folder / "log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
        self.environment = (
            clean | settings | {"VLPRO_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)}
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to start; it is not waited for."""
        command = [sys.executable, "-m", "vlpro", "serve", "--socket", str(self.unix)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.log.parent,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it is ready. Raises: RuntimeError: it is not, in two minutes."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            with suppress(OSError, httpx.HTTPError):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.unix))  # httpx leaves a socket open where nobody listens
                transport = httpx.HTTPTransport(uds=str(self.unix))
                with httpx.Client(transport=transport, trust_env=False) as client:
                    if client.get("http://localhost/readyz", timeout=5).is_success:
                        return
            time.sleep(0.02)
        raise RuntimeError(f"it did not start:\n{self.log.read_text(errors='replace')[-4000:]}")

    def kill(self) -> None:
        """SIGKILL, to its helpers as well: as when its machine is gone."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class Scene:
    """All that runs.

    Args:
        nginx: Before the replicas.
        replicas: Both.
        world: Their accounts.
        person: A user.
        key: The user's, for the API.
        database_url: Of everything.
        key_file: Of everything.
    """

    nginx: Nginx
    replicas: Sequence[Replica]
    world: World
    person: Person
    key: str
    database_url: str
    key_file: Path

    def session(self, person: Person | None = None) -> list[tuple[str, str]]:
        """The headers of a browser of somebody who has just signed in."""
        token = self.world.session(person or self.person, address="127.0.0.1")
        return [("Cookie", f"__Host-vlpro_session={token}"), ("Origin", f"https://{self.nginx.host}")]

    @property
    def bearer(self) -> list[tuple[str, str]]:
        """The headers of a program."""
        return [("Authorization", f"Bearer {self.key}"), ("Content-Type", "application/json")]

    def place(self, reply: Reply) -> int:
        """Which replica answered: 0 or 1."""
        return self.replicas_of(self.nginx.line(reply)["upstream"])[-1]

    def replicas_of(self, upstream: str) -> list[int]:
        """Which replicas were asked, in their order, as the access log has it."""
        names = [f"unix:{replica.unix}" for replica in self.replicas]
        return [names.index(name) for name in upstream.split(", ") if name in names]

    def take_out(self, number: int) -> None:
        """Have nginx ask a replica no more, as docs/replicas.md says: ``down``, and a reload."""
        self._edit(number, ";", " down;")

    def take_in(self, number: int) -> None:
        """Have it asked again."""
        self._edit(number, " down;", ";")

    def _edit(self, number: int, before: str, after: str) -> None:
        line = f"server unix:{self.replicas[number].unix} max_fails=1 fail_timeout=2s"
        for path in (
            self.nginx.folder / "vlpro" / "replicas.conf",
            self.nginx.folder / "conf.d" / "vlpro.conf",
        ):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f"{line}{before}", f"{line}{after}"), encoding="utf-8")
        master = psutil.Process(self.nginx.pid)
        old = master.children()
        master.send_signal(signal.SIGHUP)
        psutil.wait_procs(old, 20)  # they end when they have answered what they were asked

    def recorded(self) -> tuple[Counter[str], Counter[str]]:
        """By id of a request: how often it is on the record as asked, and as answered in full."""
        database = Database(self.database_url)
        with database.read() as connection:
            said = [json.loads(row) for row in connection.scalars(sa.select(records.c.data))]
        database.close()
        asked = Counter(one["request"] for one in said if one["event"] == Event.ASKED)
        answered = [one for one in said if one["event"] == Event.ANSWERED and one["outcome"] == "ok"]
        return asked, Counter(one["request"] for one in answered)

    def verified(self) -> subprocess.CompletedProcess[str]:
        """``vlpro audit verify``."""
        command = [sys.executable, "-m", "vlpro", "audit", "verify"]
        environment = self.replicas[0].environment
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: when, how long, the id of its request where its answer came whole, else what came instead."""

    began: float
    seconds: float
    request: str
    failed: str


@dataclass
class Load:
    """Programs that ask one question after the other, every other one streamed.

    Args:
        scene: Who answers.
        clients: How many.
        pictures: Files that are asked about in turn; an empty one, or none: text alone.
    """

    scene: Scene
    clients: int = 6
    pictures: Sequence[bytes] = ()
    asked: list[Asked] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Until the block ends; a question that is under way is waited for."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._ask, args=(n, over), daemon=True) for n in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            over.set()
            for thread in threads:
                thread.join(60)

    @property
    def acknowledged(self) -> list[str]:
        """Ids of requests whose answers came whole."""
        return [one.request for one in self.asked if not one.failed]

    @property
    def failed(self) -> Counter[str]:
        """What came instead of an answer."""
        return Counter(one.failed for one in self.asked if one.failed)

    def more(self, count: int, *, timeout_s: float = 60) -> None:
        """Wait for so many more whole answers."""
        wanted, deadline = len(self.acknowledged) + count, time.monotonic() + timeout_s
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"no more answers: {self.failed}"
            time.sleep(0.02)

    def _ask(self, number: int, over: threading.Event) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            stream = turn % 2 == 0
            source = f"127.0.1.{1 + (number + turn * self.clients) % _PLACES}"
            pictures = (
                [one for one in self.pictures[turn % len(self.pictures) :][:1] if one]
                if self.pictures
                else []
            )
            body = json.dumps(chat("count to 8", *pictures, model=MODEL, stream=stream)).encode()
            began = time.monotonic()
            request, failed = "", ""
            try:
                reply = self.scene.nginx.ask(
                    "POST", "/v1/chat/completions", source=source, headers=self.scene.bearer, body=body
                )
            except (OSError, http.client.HTTPException) as error:
                failed = type(error).__name__
            else:
                whole = b"data: [DONE]" if stream else b'"finish_reason":"stop"'
                if reply.status == 200 and whole in reply.body:
                    request = reply.one("X-Request-Id")
                else:
                    failed = str(reply.status) if reply.status != 200 else "a stream without its end"
            self.asked.append(Asked(began, time.monotonic() - began, request, failed))


@contextmanager
def running(folder: Path, database_url: str, **settings: str) -> Iterator[Scene]:
    """Both replicas and nginx, until the end of the block.

    Args:
        folder: An empty one with a short path.
        database_url: Of an empty PostgreSQL.
        **settings: Of the service, without ``VLPRO_``.
    """
    key_file = folder / "key"
    make_key_file(key_file)
    common = {
        "profile": "mlps3",
        "engine": "fake",
        "fake_delay_s": "0.01",
        "public_url": f"https://{HOST}",
        "key_file": str(key_file),
        "database_url": database_url,
        "trusted_proxies": '["unix"]',
    } | settings
    environment = {f"VLPRO_{name.upper()}": value for name, value in common.items()}
    world = World(
        database_url,
        Clock(time.time()),
        public_url=f"https://{HOST}",
        key=read_key_file(key_file, folder / "0"),
    )
    replicas = [Replica(folder / str(number), environment) for number in (0, 1)]
    try:
        for replica in replicas:
            replica.start()
        both = world.found()
        person = world.person("liwei", Role.USER, by=both)
        policies = world.identity.policies
        often = {"key_requests_per_minute": 100_000}  # clients without a rest share one key
        policies.decide(often, base=policies.versions()[0].version, note="", author=both[0].id)
        scopes = KEY_SCOPES & PERMISSIONS[Role.USER]
        _, key = world.identity.keys.create(person.id, Role.USER, name="tests", scopes=scopes, days=1)
        first, second = (replica.unix for replica in replicas)
        (folder / "nginx").mkdir()
        with running_nginx(folder / "nginx", first, options=("replicas",), second=second) as nginx:
            for replica in replicas:
                replica.wait()
            yield Scene(nginx, replicas, world, person, key, database_url, key_file)
    finally:
        for replica in replicas:
            replica.kill()
        world.close()
