"""From picture to alert: a camera publishes by MQTT, and hears the alert. Needs Debian's mosquitto.

python bench/inspection_latency.py [PICTURE GOLDEN]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.functional.boards import board, file_of, golden_board
from tests.functional.server import data_url, run
from tests.mosquitto import PASSWORD, USER, broker, camera
from vlpro.config import Settings

ROUNDS, WARM = 20, 3


def main() -> None:
    golden = file_of(golden_board())
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as data,
        broker(Path(folder)) as at,
    ):
        mqtt = {"url": f"mqtts://localhost:{at.tls_port}", "ca": at.ca, "user": USER, "password": PASSWORD}
        settings = Settings.model_validate(
            {"engine": "fake", "data_dir": data, "inspection": {"mqtt": mqtt | {"method": "template"}}}
        )
        with run(settings) as server, camera(at, "vlpro/alerts/#") as line, server.http() as http:
            http.put("/v1/inspections/templates/A1", json={"image": {"url": data_url(golden)}})
            took = []
            for number in range(WARM + ROUNDS):
                picture = file_of(board(seed=number), "JPEG")
                began = time.perf_counter()
                line.publish("vlpro/pictures/S1/A1", picture)
                line.hear()
                took.append(time.perf_counter() - began)
            found = [one["seconds"] for one in http.get(f"/v1/inspections?limit={ROUNDS}").json()["data"]]
    took = sorted(took[WARM:])
    print(
        f"load {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} processors; JPEG 640 × 640, TLS, QoS 1, audit on"
    )
    print(
        f"{'picture to alert':<22} median {statistics.median(took):.3f} s   worst of {ROUNDS} {took[-1]:.3f} s"
    )
    print(
        f"{'of which inspection':<22} median {statistics.median(found):.3f} s   worst of {ROUNDS} {max(found):.3f} s"
    )


if __name__ == "__main__":
    main()
