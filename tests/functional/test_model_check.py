"""The model's files are checked when the service loads them, and the record says what came of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.functional.company import settings_of
from tests.functional.server import Json, Server, eventually, run
from tests.seeing import MANIFEST, MODEL
from vlpro.audit.events import Event
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.tables import records
from vlpro.config import Settings
from vlpro.errors import ConfigError
from vlpro.gateway.profile import check_profile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def started(folder: Path, **more: Any) -> Any:
    return run(
        Settings(
            engine="openvino",
            model_dir=str(folder),
            model_manifest=str(MANIFEST),
            data_dir=folder.parent / "data-of-service",
            **more,
        )
    )


def checks(server: Server, at_least: int) -> list[Json]:
    """What the record says of checks, once there are so many."""
    recorder = server.services.recorder
    assert isinstance(recorder, LogRecorder)
    query = sa.select(records.c.data).where(records.c.event == str(Event.MODEL_VERIFIED))
    found: list[Json] = []

    def recorded() -> bool:
        with recorder.audit.database.read() as connection:
            found[:] = [
                json.loads(data) for data in connection.execute(query.order_by(records.c.seq)).scalars()
            ]
        return len(found) >= at_least

    eventually(recorded, timeout_s=60)
    return found


def test_each_start_reads_every_file_unless_it_may_believe_the_last_one(folder: Path) -> None:
    count = len([name for name in json.loads(MANIFEST.read_text())["files"] if (folder / name).exists()])
    for number, (how, read) in enumerate(
        [("always", count), ("always", count), ("cached", count), ("cached", 0)], 1
    ):
        with started(folder, model_check=how) as server:
            last = checks(server, number)[-1]
            assert (last["outcome"], last["detail"]["read"], last["detail"]["files"]) == ("ok", read, count)
            assert ("since" in last["detail"]) == (read == 0)
    (folder / "model.safetensors").touch()
    with started(folder, model_check="cached") as server:
        assert checks(server, 5)[-1]["detail"]["read"] == 1


@pytest.mark.parametrize("how", ["always", "cached"])
def test_a_flipped_byte_is_refused_by_its_files_name(how: str, folder: Path) -> None:
    with started(folder, model_check=how) as server:
        checks(server, 1)
    weights = folder / "model.safetensors"
    before = weights.stat()
    with weights.open("r+b") as file:
        file.seek(before.st_size // 2)
        letter = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([letter[0] ^ 1]))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with started(folder, model_check=how) as server:
        last = checks(server, 2)[-1]
        assert (last["outcome"], last["detail"]["file"]) == ("failed", "model.safetensors")
        with server.http() as http:
            status = http.get("/v1/status").json()
        assert not status["ready"]
        assert "model.safetensors" in status["problem"]["message"]
        assert "被改动" in status["problem"]["vlpro"]["zh"]


def test_profile_mlps3_reads_everything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="VLPRO_MODEL_CHECK"):
        check_profile(settings_of(tmp_path, model_check="cached"))
    check_profile(settings_of(tmp_path))
