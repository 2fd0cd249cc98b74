"""Two replicas on one PostgreSQL behind nginx: who asks where, and what is lost when one of them ends."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.nginx import Nginx, Reply, running_nginx
from tests.deploy.recorder import Recorder
from tests.functional.server import MODEL, Json, chat, eventually, picture_file
from tests.postgresql import Cluster
from tests.replicas import Load, Scene, running

pytestmark = pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin") is None,
    reason="needs nginx: apt-get install nginx-light",
)


@pytest.fixture(scope="module")
def scene(postgresql: Cluster) -> Iterator[Scene]:
    """Both replicas, nginx, and a user. The tests end replicas, so they stand in an order."""
    with (
        tempfile.TemporaryDirectory(prefix="two") as folder,
        running(Path(folder), postgresql.new()) as running_,
    ):
        yield running_


def told(reply: Reply) -> Json:
    """The answer, which must be one."""
    assert reply.status in (200, 201, 202), reply.text
    found: Json = json.loads(reply.body)
    return found


def ask(scene: Scene, headers: list[tuple[str, str]], name: str, text: str) -> Json:
    """Ask in a conversation, and wait for the answer: its message."""
    path, nginx = f"/v1/conversations/{name}", scene.nginx
    body = json.dumps({"text": text}).encode()
    typed = [*headers, ("Content-Type", "application/json")]
    told(nginx.ask("POST", f"{path}/messages", headers=typed, body=body))
    found: Json = {}

    def answered() -> bool:
        found.update(told(nginx.get(path, headers=headers))["messages"][-1])
        return bool(found["status"] == "done")

    eventually(answered)
    return found


def opened(nginx: Nginx, headers: list[tuple[str, str]]) -> bytes:
    """The first line of the answer to a page's own connection."""
    lines = [
        *("GET /_stcore/stream HTTP/1.1", f"Host: {nginx.host}", "Connection: Upgrade", "Upgrade: websocket"),
        *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        *("Sec-WebSocket-Protocol: streamlit", *(f"{name}: {value}" for name, value in headers), "", ""),
    ]
    with nginx.connect() as connection:
        connection.sendall("\r\n".join(lines).encode())
        return connection.recv(4096).split(b"\r\n")[0]


def test_who_is_signed_in_stays_at_one_replica(scene: Scene) -> None:
    """Page, its connection and the API: what only one process holds in memory is there for its person."""
    nginx, met, number = scene.nginx, set[int](), 0
    while number < 8 or (len(met) < 2 and number < 32):  # of eight, all may be at one replica by chance
        browser = scene.session()
        image = told(nginx.ask("POST", "/v1/images", headers=browser, body=picture_file(seed=number)))["id"]
        replies = [nginx.get(f"/v1/images/{image}/content", headers=browser) for _ in range(3)]
        assert [reply.status for reply in replies] == [200] * 3
        page = nginx.get("/", headers=browser)
        assert page.status == 200
        assert opened(nginx, browser) == b"HTTP/1.1 101 Switching Protocols"
        eventually(lambda n=number: nginx.log("vlpro.access.log").count("/_stcore/stream") > n)  # type: ignore[misc]
        lines = [json.loads(line) for line in nginx.log("vlpro.access.log").splitlines()]
        stream = next(line for line in reversed(lines) if line["path"] == "/_stcore/stream")
        places = {scene.place(reply) for reply in [*replies, page]}
        assert places == set(scene.replicas_of(stream["upstream"]))
        met |= places
        number += 1
    assert met == {0, 1}  # each for some of the sessions


def test_a_program_asks_any_replica_but_finds_its_pictures(scene: Scene) -> None:
    nginx, body = scene.nginx, json.dumps(chat(model=MODEL)).encode()
    replies = [nginx.ask("POST", "/v1/chat/completions", headers=scene.bearer, body=body) for _ in range(16)]
    assert {reply.status for reply in replies} == {200}
    assert {scene.place(reply) for reply in replies} == {0, 1}
    key = scene.bearer[:1]
    image = told(nginx.ask("POST", "/v1/images", headers=key, body=picture_file()))["id"]
    assert {nginx.get(f"/v1/images/{image}/content", headers=key).status for _ in range(6)} == {200}


def test_one_after_the_other_is_restarted_and_nobody_sees_it(scene: Scene) -> None:
    first = scene.replicas[0]
    with Load(scene).running() as load:
        load.more(20)
        scene.take_out(0)
        first.stop()
        load.more(20)
    assert not load.failed
    first.start()
    first.wait()
    scene.take_in(0)


def test_one_that_is_killed_takes_no_record_with_it(scene: Scene) -> None:
    nginx, second = scene.nginx, scene.replicas[1]
    asked_before = scene.recorded()[0]
    browser = next(
        found
        for found in (scene.session() for _ in range(64))
        if scene.place(nginx.get("/v1/account", headers=found)) == 1
    )
    typed = [*browser, ("Content-Type", "application/json")]
    name = told(nginx.ask("POST", "/v1/conversations", headers=typed, body=b"{}"))["id"]
    before = ask(scene, browser, name, "remember this")
    with Load(scene).running() as load:
        load.more(20)
        second.kill()
        load.more(60)
    # Sessions live on, and what was stored: at the other one.
    account = nginx.get("/v1/account", headers=browser)
    assert (told(account)["login"], scene.place(account)) == ("liwei", 0)
    assert told(nginx.get(f"/v1/conversations/{name}", headers=browser))["messages"][-1]["id"] == before["id"]
    assert ask(scene, browser, name, "and this")["status"] == "done"
    # Each client had at most one question there, and was told that it failed.
    assert sum(load.failed.values()) <= load.clients
    assert set(load.failed) <= {"502", "IncompleteRead", "a stream without its end"}
    asked, answered = scene.recorded()
    assert [name for name in load.acknowledged if (asked[name], answered[name]) != (1, 1)] == []
    mine = asked - asked_before
    assert max(mine.values()) == 1
    assert len(load.acknowledged) <= len(mine) - 2 <= len(load.asked)  # two are the conversation's
    verified = scene.verified()
    assert verified.returncode == 0, verified.stdout + verified.stderr


# --- Which requests nginx sends once more


@contextmanager
def leaving(unix: Path, met: Counter[str]) -> Iterator[None]:
    """Stands where a replica does that ends whenever it has read a request."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(unix))
        listener.listen(64)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    met[connection.recv(65_536).split(b" ")[0].decode()] += 1

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.parametrize(
    ("method", "again"), [("POST", False), ("PATCH", False), ("GET", True), ("PUT", True), ("DELETE", True)]
)
def test_what_may_have_been_done_is_not_sent_again(method: str, *, again: bool) -> None:
    recorder, met = Recorder(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="two") as folder:
        gone, there = Path(folder) / "gone", Path(folder) / "there"
        (Path(folder) / "nginx").mkdir()
        with (
            recorder.at(there),
            leaving(gone, met),
            running_nginx(Path(folder) / "nginx", gone, options=("replicas",), second=there) as nginx,
        ):
            replies = [nginx.ask(method, "/v1/chat/completions") for _ in range(24)]
    failed = [reply.status for reply in replies if reply.status != 200]
    assert met[method]  # some came to the one that leaves; then nginx lets it be for a while
    assert failed == ([] if again else [502] * met[method])
    assert len(recorder.seen) == 24 - len(failed)
