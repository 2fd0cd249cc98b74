"""A model brought in: only what the manifest says arrives, from a folder or an archive, in one run or in several."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from vlpro.engines import model_fetch
from vlpro.engines.model_fetch import Fetched, fetch
from vlpro.engines.model_files import Manifest, make_manifest, verify
from vlpro.errors import ConfigError, ModelFilesError

WEIGHTS = os.urandom(3 * 2**20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "medium" / "Model-4B"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "README.md").write_text("read me")
    return folder


@pytest.fixture
def manifest(source: Path) -> Manifest:
    return make_manifest(source, "our/model")


def packed(source: Path, kind: str) -> Path:
    place = source.parent / f"model.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in source.iterdir():
                archive.write(file, f"Model-4B/{file.name}")
    else:
        with tarfile.open(place, "w:gz" if kind == "tar.gz" else "w") as archive:
            archive.add(source, "Model-4B")
    return place


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_what_arrives_verifies_and_is_what_the_manifest_names(
    kind: str, source: Path, manifest: Manifest, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    place = source if kind == "folder" else packed(source, kind)
    made = fetch(str(place), tmp_path / "new", manifest, lambda *progress: told.append(progress))
    verify(tmp_path / "new", manifest)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["config.json", "model.safetensors"]
    assert made == [Fetched(name, entry.size, entry.size) for name, entry in manifest.files.items()]
    assert told == sorted(told)
    assert told[-1] == (len(WEIGHTS) + 2, len(WEIGHTS) + 2)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_later_run_goes_on(
    kind: str, source: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = source if kind == "folder" else packed(source, kind)
    monkeypatch.setattr(model_fetch, "_BLOCK", 2**20)

    def stop(done: int, _total: int) -> None:
        if done > 2**20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(str(place), tmp_path / "new", manifest, stop)
    with pytest.raises(ModelFilesError):  # a part is no model
        verify(tmp_path / "new", manifest)
    made = {one.name: one for one in fetch(str(place), tmp_path / "new", manifest)}
    assert made["config.json"].copied == 0
    assert 0 < made["model.safetensors"].copied < len(WEIGHTS)
    verify(tmp_path / "new", manifest)
    assert [one.copied for one in fetch(str(place), tmp_path / "new", manifest)] == [0, 0]


def test_a_part_that_is_not_the_beginning_is_not_gone_on_with(
    source: Path, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "model.safetensors.part").write_bytes(os.urandom(2**20))
    (tmp_path / "new" / "config.json").write_text("[]")  # nor is an altered file kept
    made = fetch(str(source), tmp_path / "new", manifest)
    assert [one.copied for one in made] == [2, len(WEIGHTS)]
    verify(tmp_path / "new", manifest)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_one_altered_byte_does_not_arrive(
    kind: str, source: Path, manifest: Manifest, tmp_path: Path
) -> None:
    altered = bytearray(WEIGHTS)
    altered[1_234_567] ^= 1
    (source / "model.safetensors").write_bytes(altered)
    place = source if kind == "folder" else packed(source, kind)
    with pytest.raises(ModelFilesError, match=r"model\.safetensors was altered"):
        fetch(str(place), tmp_path / "new", manifest)
    assert not list((tmp_path / "new").glob("model.safetensors*"))


def test_what_cannot_come_right_is_refused_before_anything_is_copied(
    source: Path, manifest: Manifest, tmp_path: Path
) -> None:
    (source / "model.safetensors").write_bytes(WEIGHTS[:-1])
    with pytest.raises(ModelFilesError, match=f"has {len(WEIGHTS) - 1} bytes"):
        fetch(str(source), tmp_path / "new", manifest)
    (source / "model.safetensors").unlink()
    with pytest.raises(ModelFilesError, match="is not in"):
        fetch(str(source), tmp_path / "new", manifest)
    assert not (tmp_path / "new").exists()


def test_a_disk_that_is_too_small_is_told_before(
    source: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigError, match="Make room"):
        fetch(str(source), tmp_path / "new", manifest)


@pytest.mark.parametrize(
    "named",
    [
        "https://models.example/Qwen",
        "s3://bucket/model",
        "git@models.example:Qwen/model",
        "Qwen/Qwen3-VL-4B-Instruct",
    ],
)
def test_nothing_is_asked_of_a_network(named: str, manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is fetched over a network") as refused:
        fetch(named, tmp_path / "new", manifest)
    assert "不会从网络下载" in refused.value.zh
    assert not (tmp_path / "new").exists()


def test_what_is_no_source_is_named(source: Path, manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is the medium mounted"):
        fetch(str(tmp_path / "none"), tmp_path / "new", manifest)
    with pytest.raises(ConfigError, match="neither a folder nor an archive"):
        fetch(str(source / "README.md"), tmp_path / "new", manifest)
    half = packed(source, "tar.gz")
    half.write_bytes(half.read_bytes()[:2000])
    with pytest.raises(ModelFilesError, match="cannot be read"):
        fetch(str(half), tmp_path / "new", manifest)


def test_a_folder_with_something_else_is_left_alone(source: Path, manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match=r"letter\.txt"):
        fetch(str(source), tmp_path / "new", manifest)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["letter.txt"]


def test_names_in_an_archive_lead_nowhere(source: Path, manifest: Manifest, tmp_path: Path) -> None:
    """A member is found by its name beside config.json, and written under the manifest's name alone."""
    place = tmp_path / "evil.tar"
    with tarfile.open(place, "w") as archive:
        archive.add(source / "config.json", "../../model/config.json")
        archive.add(source / "model.safetensors", "../../model/model.safetensors")
        archive.add(source / "README.md", "/etc/evil")
    fetch(str(place), tmp_path / "new" / "inner", manifest)
    assert sorted(path.name for path in (tmp_path / "new").rglob("*") if path.is_file()) == [
        "config.json",
        "model.safetensors",
    ]
