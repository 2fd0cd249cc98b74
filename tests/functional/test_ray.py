"""A batch on a Ray cluster of two nodes, each of them processes of its own on this machine."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.functional.server import Json, eventually, picture_file, run
from vlpro.audit.events import Event
from vlpro.config import Settings
from vlpro.errors import ConfigError
from vlpro.gateway.engine import cluster_of
from vlpro.workflows.batch.options import BatchOptions

ray = pytest.importorskip("ray", reason="the packages of the extra ray are not installed")
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

ROOT = Path(__file__).parents[2]
HEAD, SECOND = "127.0.0.2", "127.0.0.3"  # Ray takes 127.0.0.1 for the machine's address outside


@contextmanager
def node(log: Path, *arguments: str) -> Iterator[None]:
    """``ray start`` until the end of the block; all of its processes are of one group."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1"]
    command += ["--object-store-memory=80000000", "--include-log-monitor=false", "--disable-usage-stats"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *arguments], stdout=out, stderr=out, env=environment, start_new_session=True
        )
    with _ended(process):
        eventually(partial(_settled, process, log), timeout_s=180)
        assert process.poll() is None, log.read_text()
        yield


def _settled(process: subprocess.Popen[bytes], log: Path) -> bool:
    return process.poll() is not None or "Ray runtime started" in log.read_text()


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a cluster of two nodes with one processor each."""
    logs = tmp_path_factory.mktemp("ray")
    with socket.create_server((HEAD, 0)) as probe:
        address = f"{HEAD}:{probe.getsockname()[1]}"
    # Not in pytest's folder: paths of Unix sockets are short.
    temporary = tempfile.mkdtemp(prefix="ray")
    first = ("--head", f"--node-ip-address={HEAD}", f"--port={address.split(':')[1]}")
    try:
        with (
            node(logs / "1", *first, "--include-dashboard=false", f"--temp-dir={temporary}"),
            node(logs / "2", f"--address={address}", f"--node-ip-address={SECOND}"),
        ):
            yield address
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def test_rays_client_is_refused_at_the_start(tmp_path: Path) -> None:
    options = BatchOptions(ray_address="ray://head:10001")
    with pytest.raises(ConfigError, match="ray start --address") as refused:
        cluster_of(Settings(engine="fake", data_dir=tmp_path, batch=options))
    assert refused.value.param == "batch.ray_address"


def test_the_same_batch_on_two_nodes(cluster: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(12):
            archive.writestr(f"{number:02}.png", picture_file(seed=number))
        archive.writestr("broken.png", b"no picture")
    options = BatchOptions(ray_address=cluster, ray_workers=2, ray_cpus=1)
    settings = Settings(engine="fake", fake_delay_s=0.02, data_dir=tmp_path / "data", batch=options)
    with run(settings) as server, server.http() as http:
        file = http.post(
            "/v1/files", files={"file": ("a.zip", made.getvalue())}, data={"purpose": "user_data"}
        )
        asked = {"input": {"file_ids": [file.json()["id"]]}, "instruction": "what is it?"}
        name = http.post("/v1/batches", json=asked).json()["id"]
        here = 0
        found: list[Json] = []

        def is_over() -> bool:
            nonlocal here
            here += server.running()  # what this machine's own engine is asked
            found[:] = [http.get(f"/v1/batches/{name}").json()]
            return bool(found[0]["status"] == "completed")

        eventually(is_over, timeout_s=180)
        assert found[0]["request_counts"] == {"total": 13, "completed": 12, "failed": 1}
        assert here == 0
        output = http.get(f"/v1/files/{found[0]['output_file_id']}/content").text.splitlines()
        texts = [json.loads(line)["response"]["body"]["choices"][0]["message"]["content"] for line in output]
        assert len(set(texts)) == 12
        assert all("what is it?" in text and "40×30 png" in text for text in texts)
        # Both nodes have one of the two engines.
        assert sum(each["Alive"] for each in ray.nodes()) == 2
        eventually(lambda: ray.available_resources().get("CPU", 0) == 0)  # which Ray tells a moment later
        recorder = server.services.recorder
        audit = recorder.audit  # type: ignore[attr-defined]
        with audit.database.read() as connection:
            told = [str(row) for row in connection.exec_driver_sql("SELECT event FROM audit_records")]
        for event in (Event.ASKED, Event.ANSWERED):  # by the gateway, before and after each
            assert sum(str(event) in row for row in told) == 12
