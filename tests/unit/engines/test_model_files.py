from __future__ import annotations

import json
import os
import re
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vlpro.engines import model_files
from vlpro.engines.model_files import FileEntry, Manifest, find_manifest, make_manifest, verify
from vlpro.errors import ModelFilesError

WEIGHTS = os.urandom(3 * 2**20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text('{"a": 1}')
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "README.md").write_text("hello")
    return folder


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return make_manifest(folder, "own")


def refused(folder: Path, manifest: Manifest, name: str) -> str:
    """The sentence of the refusal, which names the file in both languages."""
    with pytest.raises(ModelFilesError) as error:
        verify(folder, manifest)
    assert error.value.param == name
    assert name in error.value.message
    assert name in error.value.zh
    return error.value.message


def test_a_folder_is_what_was_taken_down(folder: Path, manifest: Manifest) -> None:
    assert list(manifest.files) == ["config.json", "model.safetensors", "tokenizer.json"]
    verify(folder, manifest)
    assert Manifest.from_json(manifest.to_json(), "x") == manifest


@pytest.mark.parametrize("at", [0, 1_500_000, len(WEIGHTS) - 1])
def test_one_flipped_bit_is_noticed(at: int, folder: Path, manifest: Manifest) -> None:
    data = bytearray(WEIGHTS)
    data[at] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert "was altered" in refused(folder, manifest, "model.safetensors")


def test_a_missing_file_is_named(folder: Path, manifest: Manifest) -> None:
    (folder / "tokenizer.json").unlink()
    assert "is missing" in refused(folder, manifest, "tokenizer.json")


def test_an_optional_file_may_be_absent_but_not_differ(folder: Path, manifest: Manifest) -> None:
    entry = replace(manifest.files["tokenizer.json"], required=False)
    manifest = replace(manifest, files={**manifest.files, "tokenizer.json": entry})
    (folder / "tokenizer.json").write_text('{"a": 2}')
    assert "was altered" in refused(folder, manifest, "tokenizer.json")
    (folder / "tokenizer.json").unlink()
    verify(folder, manifest)


def test_another_size_is_told_before_a_byte_is_read(folder: Path, manifest: Manifest) -> None:
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    (folder / "config.json").chmod(0)

    def read(done: int, total: int) -> None:
        raise AssertionError

    with pytest.raises(ModelFilesError, match=f"has {len(WEIGHTS) + 1} bytes instead of {len(WEIGHTS)}"):
        verify(folder, manifest, progress=read)


@pytest.mark.parametrize(
    "name",
    [
        "modeling.py",
        "pytorch_model.bin",
        "extra.safetensors",
        "adapter_config.json",
        "chat_template.jinja",
        "notes.txt",
        "LICENSE.py",
        "README.md.py",
        "x.pt",
        ".hidden",
    ],
)
def test_what_is_not_in_the_manifest_is_refused(name: str, folder: Path, manifest: Manifest) -> None:
    (folder / name).write_text("x")
    assert "Remove it" in refused(folder, manifest, name)


def test_what_no_loader_reads_may_lie_there(folder: Path, manifest: Manifest) -> None:
    for name in ("LICENSE", "LICENSE-APACHE.txt", "NOTES.md", ".gitattributes", ".gitignore", "logo.png"):
        (folder / name).write_text("x")
    for name in (".cache", ".git"):
        (folder / name).mkdir()
        (folder / name / "x.py").write_text("x")
    verify(folder, manifest)
    assert make_manifest(folder, "own") == manifest


@pytest.mark.parametrize("name", ["additional_chat_templates", "config.md"])
def test_a_folder_inside_is_refused(name: str, folder: Path, manifest: Manifest) -> None:
    (folder / name).mkdir()
    assert "is a folder" in refused(folder, manifest, name)


def test_what_is_no_file_is_refused_without_waiting_on_it(folder: Path, manifest: Manifest) -> None:
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    assert "is no file" in refused(folder, manifest, "tokenizer.json")


def test_links_to_files_are_followed_and_their_content_hashed(
    folder: Path, manifest: Manifest, tmp_path: Path
) -> None:
    blob = tmp_path / "blob"
    (folder / "model.safetensors").rename(blob)
    (folder / "model.safetensors").symlink_to(blob)
    verify(folder, manifest)
    blob.write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    refused(folder, manifest, "model.safetensors")
    blob.unlink()
    refused(folder, manifest, "model.safetensors")


def test_a_name_cannot_steer_the_terminal(folder: Path, manifest: Manifest) -> None:
    (folder / "a\x1b[2J.py").write_text("x")
    with pytest.raises(ModelFilesError) as error:
        verify(folder, manifest)
    assert "\x1b" not in error.value.message + error.value.zh


@pytest.mark.parametrize("name", ["none", "model/config.json"])
def test_what_is_no_folder_is_said_so(name: str, folder: Path, manifest: Manifest) -> None:
    with pytest.raises(ModelFilesError, match="cannot be read") as error:
        verify(folder.parent / name, manifest)
    assert error.value.param == "model_dir"


def test_progress_ends_at_all_bytes(folder: Path, manifest: Manifest) -> None:
    told: list[tuple[int, int]] = []
    verify(folder, manifest, progress=lambda done, total: told.append((done, total)))
    total = sum(entry.size for entry in manifest.files.values())
    assert told == sorted(told)
    assert told[-1] == (total, total)


def test_it_stops_when_told_to(folder: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "_BLOCK", 4096)
    told: list[int] = []
    with pytest.raises(CancelledError):
        verify(folder, manifest, progress=lambda done, _: told.append(done), cancelled=lambda: len(told) > 5)
    assert told[-1] < len(WEIGHTS) // 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("model-files")]


def test_one_altered_file_ends_the_reading_of_the_others(
    folder: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_BLOCK", 512)
    (folder / "config.json").write_text("[]")
    told: list[int] = []

    def slow() -> bool:  # asked before each block: the weights take a minute
        time.sleep(0.01)
        return False

    with pytest.raises(ModelFilesError, match=r"config\.json was altered"):
        verify(folder, manifest, progress=lambda done, _: told.append(done), cancelled=slow)
    assert told[-1] < len(WEIGHTS)


def test_the_official_manifest() -> None:
    official = find_manifest("", Path("any"))
    assert official.name == "Qwen/Qwen3-VL-4B-Instruct"
    assert official.revision == "ebb281ec70b05090aa6165b016eac8ec08e71b17"
    assert sum(entry.size for entry in official.files.values()) == 8_887_284_080
    assert {name for name, entry in official.files.items() if not entry.required} == {
        "chat_template.json",
        "merges.txt",
        "video_preprocessor_config.json",
        "vocab.json",
    }
    assert official.files["model-00002-of-00002.safetensors"] == FileEntry(
        3_908_490_048, "046296a2a387efb43b0c997d5833c789604d168834f6e0d3064bf7bb13d002a6", required=True
    )


def test_an_own_manifest_lies_outside_the_folder(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    outside = tmp_path / "own.json"
    outside.write_text(manifest.to_json())
    assert find_manifest(str(outside), folder) == manifest
    for inside in (folder / "own.json", tmp_path / "link.json"):
        (folder / "own.json").write_text(manifest.to_json())
        if not inside.exists():
            inside.symlink_to(folder / "own.json")
        with pytest.raises(ModelFilesError, match="own folder") as error:
            find_manifest(str(inside), folder)
        assert error.value.param == "model_manifest"


GOOD = {"size": 1, "sha256": "a" * 64, "required": True}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"name": "x", "revision": ""}),
        json.dumps({"name": 5, "revision": "", "files": {}}),
        json.dumps({"name": "x", "revision": "", "files": {"a.json": {}}}),
        json.dumps({"name": "x", "revision": "", "files": {"a.json": GOOD | {"size": True}}}),
        json.dumps({"name": "x", "revision": "", "files": {"a.json": GOOD | {"sha256": "A" * 64}}}),
        json.dumps({"name": "x", "revision": "", "files": {"a.json": GOOD | {"required": 1}}}),
        json.dumps({"name": "x", "revision": "", "files": {"a.json": GOOD | {"more": 1}}}),
    ],
)
def test_what_is_no_manifest_is_said_so(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ModelFilesError, match=r"m\.json is not a manifest"):
        find_manifest(str(tmp_path / "m.json"), tmp_path / "model")


@pytest.mark.parametrize(
    "name", ["a.bin", "a.pt", "a.py", "../a.json", "/a.json", "b/a.json", ".json", "a.json\n"]
)
def test_a_manifest_names_only_files_that_are_read_and_never_run(name: str, folder: Path) -> None:
    text = json.dumps({"name": "x", "revision": "", "files": {name: GOOD}})
    with pytest.raises(ModelFilesError, match="read and never run"):
        Manifest.from_json(text, "m.json")


@pytest.mark.parametrize("name", ["a.bin", "a.pt", "a.py", "a.pkl"])
def test_no_manifest_is_made_of_a_folder_with_such_a_file(name: str, folder: Path) -> None:
    (folder / name).write_text("x")
    with pytest.raises(ModelFilesError, match=re.escape(name)):
        make_manifest(folder, "own")


def test_no_manifest_is_made_of_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match=r"config\.json is missing"):
        make_manifest(tmp_path, "own")


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b"\xff\xfe")
    for name in ("none.json", "m.json"):
        with pytest.raises(ModelFilesError, match="cannot be read"):
            find_manifest(str(tmp_path / name), tmp_path / "model")


def test_an_interrupt_ends_the_reading_whenever_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(400 * 2**30)  # a hole: minutes of reading, no disk
    submit = ThreadPoolExecutor.submit
    read = 0

    def interrupted(pool: ThreadPoolExecutor, *work: Any) -> Any:
        submit(pool, *work)
        raise KeyboardInterrupt

    def progress(done: int, _: int) -> None:
        nonlocal read
        read = done

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_manifest(tmp_path, "small", progress=progress)
    assert read < 40 * 2**30  # what a thread reads while this one stands still
