"""Alerts to channels that are slow, down, or broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from vlpro.audit.alerts import delivery as module
from vlpro.audit.alerts.alert import Alert, Rule
from vlpro.audit.alerts.channels import Channel, Undelivered
from vlpro.audit.alerts.delivery import Delivery


class Fake(Channel):
    """Fails so many times first."""

    def __init__(
        self, failures: int = 0, error: Callable[[], Exception] = lambda: Undelivered("down")
    ) -> None:
        self.name = "fake"
        self.failures = failures
        self.error = error
        self.got: list[Alert] = []
        self.tried = 0
        self.open = threading.Event()
        self.open.set()

    def send(self, alert: Alert, record: int) -> None:
        self.open.wait(120)
        self.tried += 1
        if self.tried <= self.failures:
            raise self.error()
        self.got.append(alert)


def alert(number: int) -> Alert:
    return Alert(Rule.EGRESS, f"host{number}", 1, 0.0, number, number, 1.8e9)


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("error", [lambda: Undelivered("down"), lambda: RuntimeError("a bug")])
def test_a_channel_that_comes_back_gets_everything_in_order(error: Callable[[], Exception]) -> None:
    channel = Fake(4, error)
    delivery = Delivery([channel], retry_s=60, pause_s=0.005)
    delivery.start()
    for number in range(5):
        delivery.hand_on(alert(number), number)
    wait_for(lambda: len(channel.got) == 5)
    delivery.stop()
    assert [one.subject for one in channel.got] == [f"host{n}" for n in range(5)]


def test_one_channel_that_hangs_delays_no_other_and_nobody() -> None:
    hangs, works = Fake(), Fake()
    hangs.open.clear()
    delivery = Delivery([hangs, works], retry_s=60)
    delivery.start()
    begun = time.monotonic()
    for number in range(2_000):  # more than are kept: the oldest go
        delivery.hand_on(alert(number), number)
    assert time.monotonic() - begun < 30
    wait_for(lambda: works.got[-1:] == [alert(1_999)])
    hangs.open.set()
    wait_for(lambda: hangs.got[-1:] == [alert(1_999)])
    assert len(hangs.got) <= 1_001
    delivery.stop()


def test_what_no_channel_takes_is_given_up_and_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    channel = Fake(10**9)
    delivery = Delivery([channel], retry_s=60, pause_s=0.01)
    delivery.start()
    delivery.hand_on(alert(1), 1)
    wait_for(lambda: channel.tried > 1)
    assert "did not take" not in caplog.text
    now[0] = 60.0
    wait_for(lambda: "did not take" in caplog.text)
    assert alert(1).id in caplog.text
    channel.failures = 0
    delivery.hand_on(alert(2), 2)
    wait_for(lambda: channel.got == [alert(2)])
    delivery.stop()


def test_the_end_waits_for_no_channel_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAST_S", 60.0)  # so that each has its chance also where the machine stalls
    channel = Fake(10**9)
    delivery = Delivery([channel], retry_s=600, pause_s=120)
    delivery.start()
    for number in range(50):
        delivery.hand_on(alert(number), number)
    wait_for(lambda: channel.tried == 1)
    begun = time.monotonic()
    delivery.stop()
    assert time.monotonic() - begun < 30
    assert channel.tried >= 50  # each had its chance
