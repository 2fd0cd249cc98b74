"""What was found right is believed for its files, its days and its key only."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from vlpro.crypto import Sealer
from vlpro.engines.checked_files import CheckedFiles
from vlpro.engines.model_files import Manifest, make_manifest, stamps, verify
from vlpro.errors import ModelFilesError

NOW = 1_790_000_000.0
DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights" * 1000)
    return folder


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return make_manifest(folder, "own")


def tick(folder: Path) -> None:
    """Let the file system's clock go on: on kernels before 6.13 it stands for milliseconds."""
    beside = folder.parent / "tick"
    beside.touch()
    before = beside.stat().st_ctime_ns
    while beside.stat().st_ctime_ns == before:
        beside.touch()


def kept(
    tmp_path: Path, folder: Path, manifest: Manifest, key: bytes = b"k" * 32, days: int = 7
) -> CheckedFiles:
    return CheckedFiles(tmp_path, Sealer(key), folder, manifest, days=days)


def test_what_was_found_right_is_known_for_some_days(
    tmp_path: Path, folder: Path, manifest: Manifest
) -> None:
    found = stamps(folder, manifest)
    assert kept(tmp_path, folder, manifest).known(NOW) == ({}, 0.0)
    kept(tmp_path, folder, manifest).remember(found, NOW)
    assert kept(tmp_path, folder, manifest).known(NOW + 7 * DAY) == (found, NOW)
    assert kept(tmp_path, folder, manifest).known(NOW + 7 * DAY + 1) == ({}, 0.0)
    assert kept(tmp_path, folder, manifest).known(NOW - 1) == ({}, 0.0)  # the clock went back


def test_an_entry_is_of_one_folder_manifest_and_key(tmp_path: Path, folder: Path, manifest: Manifest) -> None:
    kept(tmp_path, folder, manifest).remember(stamps(folder, manifest), NOW)
    other = tmp_path / "other"
    other.mkdir()
    assert kept(tmp_path, other, manifest).known(NOW) == ({}, 0.0)
    assert kept(tmp_path, folder, replace(manifest, revision="2")).known(NOW) == ({}, 0.0)
    assert kept(tmp_path, folder, manifest, key=b"x" * 32).known(NOW) == ({}, 0.0)


def test_an_entry_cannot_be_forged(tmp_path: Path, folder: Path, manifest: Manifest) -> None:
    kept(tmp_path, folder, manifest).remember(stamps(folder, manifest), NOW)
    file = tmp_path / "model-checked.json"
    stored = json.loads(file.read_text())
    for name, value in (("time", int(NOW) + DAY), ("files", {"config.json": "1:2:3:4:5"}), ("more", 1)):
        file.write_text(json.dumps({**stored, "entry": {**stored["entry"], name: value}}))
        assert kept(tmp_path, folder, manifest).known(NOW) == ({}, 0.0), name
    for text in ("", "[]", "{}", '{"entry": {}, "mac": ""}', '{"entry": NaN, "mac": "00"}', "[" * 100_000):
        file.write_text(text)
        assert kept(tmp_path, folder, manifest).known(NOW) == ({}, 0.0), text[:20]


def test_a_known_file_is_not_read_and_a_touched_one_is(folder: Path, manifest: Manifest) -> None:
    read: list[int] = []
    known = stamps(folder, manifest)
    verify(folder, manifest, known=known, progress=lambda _, total: read.append(total))
    assert read == []
    tick(folder)
    (folder / "config.json").touch()
    verify(folder, manifest, known=known, progress=lambda _, total: read.append(total))
    assert set(read) == {2}


@pytest.mark.parametrize("how", ["in place", "another in its place"])
def test_an_altered_file_with_its_old_times_is_noticed(how: str, folder: Path, manifest: Manifest) -> None:
    known = stamps(folder, manifest)
    weights = folder / "model.safetensors"
    before = weights.stat()
    tick(folder)
    if how == "in place":
        with weights.open("r+b") as file:
            file.write(b"W")
    else:
        data = b"W" + weights.read_bytes()[1:]
        weights.rename(folder.parent / "old")
        weights.write_bytes(data)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(ModelFilesError, match=r"model\.safetensors was altered"):
        verify(folder, manifest, known=known)
