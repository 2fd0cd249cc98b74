"""A broker of MQTT: Debian's mosquitto with a password, in the clear and with TLS, in a folder of its own."""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.ports import free_port
from tests.slapd import make_ca
from tests.support import end

__all__ = ["PASSWORD", "USER", "Broker", "Camera", "broker", "camera"]

USER, PASSWORD = "line", "of bread and circuits"

_CONFIG = """
user {user}
allow_anonymous false
password_file {folder}/passwords
persistence true
persistence_location {folder}/
autosave_on_changes true
listener {port} 127.0.0.1
listener {tls_port} 127.0.0.1
certfile {folder}/server.pem
keyfile {folder}/server.key
"""


@dataclass
class Broker:
    """Where it listens; it can be stopped and started again, and keeps its sessions."""

    folder: Path
    program: str
    port: int
    tls_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def start(self) -> None:
        before = self.log().count(" running")
        with (self.folder / "log").open("ab") as log:
            command = [self.program, "-c", str(self.folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        # By its own word: that something listens at the port would not say that it is this broker.
        deadline = time.monotonic() + 20
        while self.log().count(" running") <= before:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self) -> str:
        """What the broker said so far."""
        return (self.folder / "log").read_text() if (self.folder / "log").exists() else ""

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None


@dataclass
class Camera:
    """A client that publishes, and keeps what it hears."""

    client: paho.Client
    heard: Queue[paho.MQTTMessage] = field(default_factory=Queue)

    def publish(self, topic: str, data: bytes, *, qos: int = 1) -> None:
        """Publish; returns when the broker has it."""
        self.client.publish(topic, data, qos).wait_for_publish(30)

    def hear(self, timeout_s: float = 20) -> tuple[str, Any]:
        """The next message: topic, and the JSON or text in it."""
        message = self.heard.get(timeout=timeout_s)
        text = message.payload.decode()
        return message.topic, json.loads(text) if text[:1] == "{" else text

    def hears_nothing(self, for_s: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            self.heard.get(timeout=for_s)
        except Empty:
            return True
        return False


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """Start one, and end it."""
    where = "/usr/sbin:/usr/local/sbin:/usr/bin"
    program, passwords = shutil.which("mosquitto", path=where), shutil.which("mosquitto_passwd", path=where)
    if program is None or passwords is None:
        pytest.skip("mosquitto is not installed (Debian's package mosquitto)")
    make_ca(folder)
    made = Broker(folder, program, free_port(), free_port())
    subprocess.run(
        [passwords, "-b", "-c", str(folder / "passwords"), USER, PASSWORD],
        check=True,
        capture_output=True,
    )
    text = _CONFIG.format(folder=folder, port=made.port, tls_port=made.tls_port, user=getpass.getuser())
    (folder / "mosquitto.conf").write_text(text)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def camera(at: Broker, *topics: str) -> Iterator[Camera]:
    """A client of a broker that hears some topics."""
    name = f"camera-{uuid.uuid4()}"  # with a name, it hears what came while the broker was away, too
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
    client.reconnect_delay_set(1, 1)
    made = Camera(client)
    client.on_message = lambda _client, _data, message: made.heard.put(message)
    client.username_pw_set(USER, PASSWORD)
    subscribed: Queue[int] = Queue()
    client.on_subscribe = lambda *_: subscribed.put(1)
    client.connect("127.0.0.1", at.port)
    client.loop_start()
    for topic in topics:
        client.subscribe(topic, 1)
        try:
            subscribed.get(timeout=30)
        except Empty:
            pytest.fail(f"the broker took no subscription:\n{at.log()}")
    try:
        yield made
    finally:
        client.disconnect()
        client.loop_stop()
