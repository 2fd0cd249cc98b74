"""Camera → result → alert over a real broker; what is broken, too large or comes while the service is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.functional.boards import board, file_of, golden_board
from tests.functional.server import Server, data_url, run
from tests.mosquitto import PASSWORD, USER, Broker, broker, camera
from vlpro.config import Settings
from vlpro.sealing import outside, relay

GOLDEN = file_of(golden_board())


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


def settings_of(at: Broker, data: Path, **more: Any) -> Settings:
    mqtt = {
        "url": f"mqtts://localhost:{at.tls_port}",
        "ca": at.ca,
        "user": USER,
        "password": PASSWORD,
        "prefix": "factory/vlpro",
        "method": "template",
    }
    given: dict[str, Any] = {"engine": "fake", "data_dir": data, "inspection": {"mqtt": mqtt}}
    return Settings.model_validate(given | more)


def ready(server: Server, at: Broker) -> None:
    """Store the golden picture, and wait until the service is at the broker."""
    body = {"image": {"url": data_url(GOLDEN)}}
    with server.http() as http:
        assert http.put("/v1/inspections/templates/A1", json=body).status_code == 200
    with camera(at, "factory/vlpro/status") as watch:
        while watch.hear()[1] != "online":
            pass


@contextmanager
def relayed(*destinations: str) -> Iterator[None]:
    """All connections of the service by the relay."""
    control, process = relay.start(destinations)
    with process, control:
        outside.through(control)
        try:
            yield
        finally:
            outside.through(None)
            process.terminate()


TOPICS = [f"factory/vlpro/{kind}/#" for kind in ("results", "errors", "alerts")]


def picture(seed: int = 0, *, defect: bool = True) -> bytes:
    return file_of(board(seed=seed, defect=defect), "JPEG")


def test_from_camera_to_result_to_alert_and_what_cannot_be_inspected(
    mosquitto: Broker, tmp_path: Path
) -> None:
    with (
        relayed(f"localhost:{mosquitto.tls_port}"),  # as a sealed service reaches it
        run(settings_of(mosquitto, tmp_path, max_image_bytes=200_000)) as server,
        camera(mosquitto, *TOPICS) as line,
    ):
        ready(server, mosquitto)
        line.publish("factory/vlpro/pictures/S1/A1", picture())
        heard = dict([line.hear(), line.hear()])
        result, alert = heard["factory/vlpro/results/S1/A1"], heard["factory/vlpro/alerts/S1/A1"]
        assert (result["verdict"], result["source"], result["alert"]["id"]) == ("fail", "mqtt", alert["id"])
        assert (alert["station"], alert["product"], alert["kinds"]) == ("S1", "A1", ["open"])

        # The same picture once more is another result, and the same alert, which nobody is told twice.
        line.publish("factory/vlpro/pictures/S1/A1", picture())
        topic, again = line.hear()
        assert (topic, again["alert"]["id"]) == ("factory/vlpro/results/S1/A1", alert["id"])

        for data, station, product, code in (
            (picture()[:2000], "S1", "A1", "invalid_image_format"),
            (b"", "S1", "A1", "invalid_image_format"),
            (bytes(300_000), "S1", "A1", "image_too_large"),
            (picture(), "S1", "B7", "template_not_found"),
            (picture(), "$S1", "A1", "invalid_value"),
        ):
            line.publish(f"factory/vlpro/pictures/{station}/{product}", data)
            topic, said = line.hear()
            assert (topic, said["error"]["code"]) == (f"factory/vlpro/errors/{station}/{product}", code)
            assert said["error"]["message"]
            assert said["error"]["vlpro"]["zh"] != said["error"]["message"]
        # A good board follows, and is no alert.
        line.publish("factory/vlpro/pictures/S1/A1", picture(5, defect=False))
        topic, said = line.hear()
        assert (topic, said["verdict"], said["alert"]) == ("factory/vlpro/results/S1/A1", "pass", None)
        # What the API inspects raises alerts there, too.
        body = {"image": {"url": data_url(picture(9))}, "product": "A1", "station": "S2"}
        with server.http() as http:
            raised = http.post("/v1/inspections", json=body).json()["alert"]
        assert line.hear()[1]["id"] == raised["id"]
        assert line.heard.empty()


def test_what_comes_while_service_or_broker_are_away_is_not_lost(mosquitto: Broker, tmp_path: Path) -> None:
    settings = settings_of(mosquitto, tmp_path)
    began = threading.Event()

    async def never(*_: object) -> None:
        began.set()
        await asyncio.Event().wait()

    with run(settings) as server, camera(mosquitto) as line:
        ready(server, mosquitto)
        with mock.patch.object(server.services.inspections, "inspect", never):
            line.publish("factory/vlpro/pictures/S1/A1", picture(1))
            assert began.wait(20)  # and the service ends in the middle of it
    with camera(mosquitto, *TOPICS, "factory/vlpro/status") as line:
        assert line.hear() == ("factory/vlpro/status", "offline")
        line.publish("factory/vlpro/pictures/S2/A1", picture(3))
        with run(settings) as server:
            heard = dict(line.hear() for _ in range(5))
            assert heard["factory/vlpro/status"] == "online"
            assert [heard[f"factory/vlpro/results/{name}/A1"]["verdict"] for name in ("S1", "S2")] == [
                "fail"
            ] * 2
            mosquitto.stop()
            # Raised while the broker is away, and told when it is back.
            body = {"image": {"url": data_url(picture(2))}, "product": "A1", "station": "S3"}
            with server.http() as http:
                raised = http.post("/v1/inspections", json=body).json()["alert"]
            mosquitto.start()
            while (told := line.hear())[0] != "factory/vlpro/alerts/S3/A1":
                pass
            assert told[1]["id"] == raised["id"]
