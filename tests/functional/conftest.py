"""Servers that the functional tests share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.functional.server import Server, run
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The service as it comes, with the fake engine."""
    with run(Settings(engine="fake")) as running:
        yield running


@pytest.fixture(scope="session")
def slow() -> Iterator[Server]:
    """Takes 20 ms for each piece of an answer."""
    with run(Settings(engine="fake", fake_delay_s=0.02)) as running:
        yield running


@pytest.fixture(scope="session")
def narrow() -> Iterator[Server]:
    """Answers one question at a time, slowly, and lets one more wait; small in every other way but in time."""
    engine = FakeEngine(delay_s=0.02)
    engine.capabilities = replace(engine.capabilities, concurrency=1)
    settings = Settings(
        engine="fake",
        queue_size=1,
        max_body_bytes=400_000,
        max_image_bytes=100_000,
        max_images=3,
        max_text_chars=5_000,
        max_choices=2,
        max_conversations=3,
        max_picture_store_bytes=60_000,
    )
    with run(settings, engine) as running:
        yield running


@pytest.fixture(scope="session")
def hasty() -> Iterator[Server]:
    """Gives up soon: only for what shall be given up, since a busy machine makes anything late."""
    settings = Settings(
        engine="fake", fake_delay_s=0.02, answer_timeout_s=3, slow_client_timeout_s=2, max_conversations=3
    )
    with run(settings) as running:
        yield running


class Sink:
    """Listens, and remembers whether anybody came."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]

    def touched(self) -> bool:
        """Whether somebody connected since the last call."""
        try:
            self._listener.accept()[0].close()
        except TimeoutError:
            return False
        return True

    def touch(self) -> None:
        """Connect, as a service that fetches would."""
        socket.create_connection(("127.0.0.1", self.port)).close()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Where a request would arrive if anything were fetched."""
    listening = Sink()
    yield listening
    listening.close()


@pytest.fixture(scope="session")
def stalling() -> Iterator[Server]:
    """Gives readers up that take nothing for a second."""
    with run(Settings(engine="fake", slow_client_timeout_s=1.0), send_buffer=4096) as running:
        yield running
