"""A watched folder: what is put in is inspected once, whole files only, and whatever fails says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.functional.boards import board, file_of, golden_board
from tests.functional.server import Server, data_url, eventually, run
from vlpro.config import Settings
from vlpro.errors import ConfigError
from vlpro.gateway.app import parts


@contextmanager
def watching(folder: Path, data: Path, **more: Any) -> Iterator[Server]:
    options = {
        "path": str(folder),
        "product": "A1",
        "method": "template",
        "poll_s": 0.05,
        "settle_s": 0.5,
    } | more
    given = {
        "engine": "fake",
        "data_dir": data,
        "max_image_bytes": 500_000,
        "inspection": {"folder": options},
    }
    with run(Settings.model_validate(given)) as server:
        yield server


def picture(seed: int = 0) -> bytes:
    return file_of(board(seed=seed), "JPEG")


def found(server: Server) -> list[dict[str, Any]]:
    with server.http() as http:
        data: list[dict[str, Any]] = http.get("/v1/inspections").json()["data"]
    return data


def test_pictures_are_inspected_whole_and_once_and_failures_say_why(tmp_path: Path) -> None:
    folder, data = tmp_path / "in", tmp_path / "data"
    (folder / "S1").mkdir(parents=True)
    with run(Settings(engine="fake", data_dir=data)) as server, server.http() as http:
        body = {"image": {"url": data_url(file_of(golden_board()))}}
        assert http.put("/v1/inspections/templates/A1", json=body).status_code == 200
    (folder / "1.jpg").write_bytes(picture(1))  # there before the service is
    with watching(folder, data) as server:
        eventually((folder / "done" / "1.jpg").exists)
        assert not (folder / "1.jpg").exists()
        result = json.loads((folder / "done" / "1.jpg.json").read_text())
        assert (result["verdict"], result["station"], result["product"]) == ("fail", "", "A1")

        # Under another name it is not whole before it is renamed.
        (folder / "S1" / "2.jpg.part").write_bytes(picture(3))
        (folder / "S1" / "0.jpg").write_bytes(picture(2))
        eventually((folder / "done" / "S1" / "0.jpg").exists)
        assert (folder / "S1" / "2.jpg.part").exists()
        (folder / "S1" / "2.jpg.part").rename(folder / "S1" / "2.jpg")
        eventually((folder / "done" / "S1" / "2.jpg").exists)
        assert {one["station"] for one in found(server)} == {"", "S1"}

        # What cannot be inspected goes aside with its reason, and holds up nothing.
        (folder / "S1" / "torn.jpg").write_bytes(picture(4)[:3_000])
        (folder / "S1" / "large.jpg").write_bytes(bytes(600_000))
        (folder / "S1" / "B7").mkdir()
        (folder / "S1" / "B7" / "3.jpg").write_bytes(picture(5))
        (folder / "S1" / "link.jpg").symlink_to("/etc/hostname")
        (folder / "S1" / "1.jpg").write_bytes(picture(6))
        eventually((folder / "done" / "S1" / "1.jpg").exists)
        failed = folder / "failed" / "S1"
        eventually(lambda: len(list(failed.rglob("*.jpg"))) == 3)  # the texts come first
        assert sorted(path.name for path in failed.rglob("*.jpg")) == ["3.jpg", "large.jpg", "torn.jpg"]
        assert "B7" in (failed / "B7" / "3.jpg.txt").read_text()
        assert "0.5 MB" in (failed / "large.jpg.txt").read_text()
        assert (folder / "S1" / "link.jpg").is_symlink()
        # Another picture of the same name takes no other's place.
        (folder / "S1" / "1.jpg").write_bytes(picture(7))
        eventually((folder / "done" / "S1" / "1-1.jpg").exists)
        assert (folder / "done" / "S1" / "1.jpg").read_bytes() == picture(6)
        assert len(found(server)) == 5
    (folder / "S2").mkdir()
    (folder / "S2" / "late.jpg").write_bytes(picture(8))
    with watching(folder, data, done="remove") as server:
        eventually(lambda: not (folder / "S2" / "late.jpg").exists())
        assert found(server)[0]["station"] == "S2"
        assert not (folder / "done" / "S2").exists()


@pytest.mark.parametrize("place", ["data", "data/in", ".", "none"])
def test_a_folder_that_cannot_be_watched_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "data" / "in").mkdir(parents=True)
    folder = {"path": str(tmp_path / place)}
    settings = Settings.model_validate(
        {"engine": "fake", "data_dir": tmp_path / "data", "inspection": {"folder": folder}}
    )
    with pytest.raises(ConfigError, match=r"inspection\.folder\.path"):
        parts(settings)
