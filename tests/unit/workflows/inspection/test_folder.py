from __future__ import annotations

import os
import shutil
from pathlib import Path
from unittest import mock

import pytest

from vlpro.workflows.inspection import folder
from vlpro.workflows.inspection.folder import WatchedFolder
from vlpro.workflows.inspection.operator import Operator
from vlpro.workflows.inspection.options import FolderOptions


@pytest.fixture
def watched(tmp_path: Path) -> WatchedFolder:
    (tmp_path / "in").mkdir()
    options = FolderOptions(path=tmp_path / "in", settle_s=2)
    operator = Operator(None, "", "folder")
    return WatchedFolder(mock.Mock(), options, operator, data_dir=tmp_path / "data", max_bytes=1_000)


def look(watched: WatchedFolder, now: float) -> list[str]:
    """Names of what is taken at a time."""
    with mock.patch("vlpro.workflows.inspection.folder.time.monotonic", return_value=now):
        return [file.path.name for file in watched._look()]


def test_a_file_is_taken_when_it_has_not_changed_for_a_while(tmp_path: Path, watched: WatchedFolder) -> None:
    file = tmp_path / "in" / "1.jpg"
    file.write_bytes(b"1")
    assert look(watched, 0) == []
    assert look(watched, 1.9) == []
    file.write_bytes(b"12")  # it is still being written
    assert look(watched, 2.1) == []
    assert look(watched, 4) == []
    assert look(watched, 4.2) == ["1.jpg"]


def test_an_empty_file_is_waited_for_longer(tmp_path: Path, watched: WatchedFolder) -> None:
    (tmp_path / "in" / "1.jpg").touch()
    assert look(watched, 0) == []
    assert look(watched, 9) == []
    assert look(watched, 10) == ["1.jpg"]


def test_what_is_taken_away_while_it_looks_costs_no_other(
    tmp_path: Path, watched: WatchedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    for name in ("1.jpg", "2.jpg", "S1/3.jpg", "S2/4.jpg"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"1")

    def taken(entry: os.DirEntry[str]) -> bool:
        if entry.name == "1.jpg":
            Path(entry.path).unlink()
            shutil.rmtree(root / "S1")
        return True

    assert look(watched, 0) == []
    monkeypatch.setattr(folder, "_is_taken", taken)
    assert look(watched, 60) == ["2.jpg", "4.jpg"]
    shutil.rmtree(root)
    with pytest.raises(FileNotFoundError):  # which is told, and looked at again later
        look(watched, 61)


def test_what_is_no_picture_to_be_inspected_is_left_alone(tmp_path: Path, watched: WatchedFolder) -> None:
    root = tmp_path / "in"
    for name in (
        ".hidden",
        "1.jpg.part",
        "2.tmp",
        "3~",
        "done/4.jpg",
        "failed/5.jpg",
        "S1/done/6.jpg",
        "S1/A/B/7.jpg",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"1")
    (root / "link.jpg").symlink_to("/etc/hostname")
    (root / "elsewhere").symlink_to("/etc")
    assert look(watched, 0) == []
    assert look(watched, 60) == ["6.jpg"]  # in a folder of a station, done is a product
