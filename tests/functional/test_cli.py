"""The command, from outside: as an administrator types it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.seeing import MANIFEST, MODEL
from vlpro.commands.app import main
from vlpro.engines import hardware
from vlpro.engines.hardware import Card, probe

WEIGHTS = os.urandom(3 * 2**20)


def vlpro(
    *arguments: str | Path, language: str = "en_US.UTF-8", **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vlpro", *arguments],
        capture_output=True,
        text=True,
        env=environment(language) | settings,
        timeout=240,  # a bill of materials reads all that is installed
        check=False,
    )


def environment(language: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    return kept | {"LANG": language, "PYTHONUTF8": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def manifest(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "own.json"
    done = vlpro("model", "manifest", folder, "--name", "our/model", "--output", path)
    assert (done.returncode, done.stdout) == (0, "")
    return path


def refused(folder: Path, manifest: Path, *names: str, language: str = "en_US.UTF-8") -> None:
    """Nothing on stdout, and last on stderr one sentence that names the file."""
    done = vlpro("model", "verify", folder, "--manifest", manifest, language=language)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    sentence = done.stderr.splitlines()[-1]
    for name in names:
        assert name in sentence
    assert (max(sentence) >= "\u4e00") == language.startswith("zh")


def test_a_good_folder_is_listed(folder: Path, manifest: Path) -> None:
    done = vlpro("model", "verify", folder, "--manifest", manifest)
    assert done.returncode == 0
    entries = json.loads(manifest.read_text())["files"]
    for line, (name, entry) in zip(done.stdout.splitlines(), entries.items(), strict=False):
        assert line.split() == [name, f"{entry['size']:,}", entry["sha256"], "ok"]
    assert "our/model: 2 files" in done.stdout
    assert done.stderr.splitlines()[-1] == "100 %"
    assert "\r" not in done.stderr


def test_the_settings_name_folder_and_manifest(folder: Path, manifest: Path) -> None:
    settings = {"VLPRO_MODEL_DIR": str(folder), "VLPRO_MODEL_MANIFEST": str(manifest)}
    assert vlpro("model", "verify", **settings).returncode == 0
    done = vlpro("model", "verify")
    assert done.returncode == 1
    assert "VLPRO_MODEL_DIR" in done.stderr


@pytest.mark.parametrize("language", ["en_US.UTF-8", "zh_CN.UTF-8", "C"])
def test_one_flipped_byte_is_refused(language: str, folder: Path, manifest: Path) -> None:
    data = bytearray(WEIGHTS)
    data[1_234_567] ^= 0xFF
    (folder / "model.safetensors").write_bytes(data)
    refused(folder, manifest, "model.safetensors", "SHA-256", language=language)


def test_a_missing_file_is_refused(folder: Path, manifest: Path) -> None:
    (folder / "config.json").unlink()
    refused(folder, manifest, "config.json")


def test_python_is_refused(folder: Path, manifest: Path) -> None:
    (folder / "modeling_qwen.py").write_text("print('run')")
    refused(folder, manifest, "modeling_qwen.py")


def test_a_wrong_size_is_refused(folder: Path, manifest: Path) -> None:
    (folder / "model.safetensors").write_bytes(WEIGHTS[:-1])
    refused(folder, manifest, "model.safetensors", str(len(WEIGHTS)), str(len(WEIGHTS) - 1))


def test_another_model_is_not_the_official_one(folder: Path) -> None:
    done = vlpro("model", "verify", folder)
    assert done.returncode == 1
    assert "config.json has 2 bytes instead of 1505" in done.stderr


def test_the_manifest_stays_outside_the_folder(folder: Path, manifest: Path) -> None:
    done = vlpro("model", "manifest", folder, "--name", "x", "--output", folder / "m.json")
    assert done.returncode == 1
    assert not (folder / "m.json").exists()
    (folder / "m.json").write_text(manifest.read_text())
    refused(folder, folder / "m.json", "m.json")


def test_a_manifest_goes_to_stdout(folder: Path, manifest: Path) -> None:
    done = vlpro("model", "manifest", folder, "--name", "our/model")
    assert done.stdout == manifest.read_text()
    done = vlpro("model", "manifest", folder, "--name", "x", "--output", folder / "none" / "m.json")
    assert done.returncode == 1


def test_a_terminal_sees_a_bar(folder: Path, manifest: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vlpro", "model", "verify", str(folder), "--manifest", str(manifest)]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=environment("C")) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # the terminal is gone with the process
            pass
    os.close(ours)
    assert process.returncode == 0
    assert "━" * 40 in re.sub("\x1b[^m]*m", "", shown.decode())
    assert b"100%" in shown


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(50 * 2**30)  # a hole: half a minute of reading, no disk
    command = [sys.executable, "-m", "vlpro", "model", "manifest", str(folder), "--name", "x"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment("C")) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "0 %\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert "Traceback" not in process.stderr.read()


def test_the_plan_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = vlpro("plan", "--json", VLPRO_DEVICE="cpu", CUDA_VISIBLE_DEVICES="")
    if done.returncode:  # too small a machine is told so
        assert "GB" in done.stderr
        return
    plan = json.loads(done.stdout)
    assert plan["engine"] == "openvino"
    assert (plan["weights_bits"], plan["activations"]) == (4, "usual")
    assert all(reason["zh"] and reason["en"] for reason in plan["reasons"])
    assert "convert" in plan["reasons"][-1]["en"]
    # For people, by one look at the machine: what is free, and so the plan, may be another one a second later.
    monkeypatch.setenv("VLPRO_DEVICE", "cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    there = replace(probe(), free_memory=64 << 30)
    monkeypatch.setattr(hardware, "probe", lambda: there)
    assert main(["plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    for language, key in (("en_US.UTF-8", "en"), ("zh_CN.UTF-8", "zh")):
        monkeypatch.setenv("LANG", language)
        assert main(["plan"]) == 0
        text = capsys.readouterr().out
        assert f"- {plan['reasons'][0][key]}" in text
        assert f"{plan['context_tokens']:,}" in text


def test_the_plan_of_engine_transformers() -> None:
    done = vlpro("plan", "--json", VLPRO_ENGINE="transformers", VLPRO_DEVICE="cpu", CUDA_VISIBLE_DEVICES="")
    if done.returncode:  # too small a machine is told so
        assert "GB" in done.stderr
        return
    plan = json.loads(done.stdout)
    assert (plan["engine"], plan["device"]) == ("transformers", "cpu")
    assert plan["dtype"] in {"bfloat16", "float32"}


def test_a_folder_that_is_not_packed_is_told_to_be_packed(tmp_path: Path) -> None:
    official = Path(__file__).parents[1] / "unit/engines/transformers/config_4b.json"
    (tmp_path / "config.json").write_text(official.read_text())
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(200_000_000_000)  # takes no room
    done = vlpro("plan", tmp_path, VLPRO_DEVICE="cpu")
    assert done.returncode == 1
    assert "vlpro model convert" in done.stderr


def test_a_plan_for_a_card_says_what_was_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Card("card", (8, 0), 80 << 30, 79 << 30)
    monkeypatch.setattr(hardware, "probe", lambda: replace(probe(), cards=(card,)))
    assert main(["plan"]) == 0
    assert "Not verified: other cards" in capsys.readouterr().out


def test_the_plan_of_another_model_reads_its_config(tmp_path: Path) -> None:
    official = Path(__file__).parents[1] / "unit/engines/transformers/config_4b.json"
    config = json.loads(official.read_text())
    config["text_config"]["num_hidden_layers"] = 1_000_000
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = vlpro("plan", tmp_path, VLPRO_DEVICE="cpu")
    assert done.returncode == 1
    assert "The model needs" in done.stderr
    for text in ("[]", "{", '{"model_type": "llama"}'):
        (tmp_path / "config.json").write_text(text)
        done = vlpro("plan", tmp_path)
        assert done.returncode == 1
        assert "config.json" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_wrong_command_is_told_how() -> None:
    done = vlpro()
    assert done.returncode == 2
    assert "Usage: vlpro" in done.stderr
    assert "模型文件" in vlpro("--help", language="zh_CN.UTF-8").stdout


def test_weights_are_packed_and_the_result_verifies(tmp_path: Path) -> None:
    made = tmp_path / "packed"
    done = vlpro("model", "convert", MODEL, "--manifest", MANIFEST, "--output", made)
    assert done.returncode == 0, done.stderr
    listing = tmp_path / "packed.manifest.json"
    assert f"VLPRO_MODEL_DIR={made} VLPRO_MODEL_MANIFEST={listing}" in done.stdout
    assert vlpro("model", "verify", made, "--manifest", listing).returncode == 0
    before = (MODEL / "model.safetensors").stat().st_size
    assert (made / "model.safetensors").stat().st_size < 0.75 * before


def test_an_altered_folder_is_not_packed(folder: Path, manifest: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    done = vlpro("model", "convert", folder, "--manifest", manifest, "--output", tmp_path / "packed")
    assert (done.returncode, done.stdout) == (1, "")
    assert "model.safetensors" in done.stderr
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("language", ["en_US.UTF-8", "zh_CN.UTF-8"])
def test_a_folder_that_is_there_is_kept(language: str, tmp_path: Path) -> None:
    done = vlpro("model", "convert", MODEL, "--manifest", MANIFEST, "--output", tmp_path, language=language)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_model_is_fetched_from_a_medium_and_verifies(folder: Path, manifest: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (new).mkdir()
    (new / "model.safetensors.part").write_bytes(WEIGHTS[: 2**20])  # of a run that was interrupted
    done = vlpro("model", "fetch", folder, "--output", new, "--manifest", manifest, "--json")
    assert done.returncode == 0, done.stderr
    copied = {file["name"]: file["copied"] for file in json.loads(done.stdout)["files"]}
    assert copied == {"config.json": 2, "model.safetensors": len(WEIGHTS) - 2**20}
    assert done.stderr.splitlines()[-1] == "100 %"
    assert vlpro("model", "verify", new, "--manifest", manifest).returncode == 0


def test_a_manifest_that_comes_with_the_files_proves_nothing(
    folder: Path, manifest: Path, tmp_path: Path
) -> None:
    (folder / "m.json").write_text(manifest.read_text())
    done = vlpro("model", "fetch", folder, "--output", tmp_path / "new", "--manifest", folder / "m.json")
    assert done.returncode == 1
    assert "proves nothing" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("language", ["en_US.UTF-8", "zh_CN.UTF-8"])
def test_no_model_is_fetched_over_a_network(language: str, tmp_path: Path) -> None:
    done = vlpro("model", "fetch", "Qwen/Qwen3-VL-4B", "--output", tmp_path / "new", language=language)
    assert (done.returncode, done.stdout) == (1, "")
    assert "vlpro model fetch /media/usb/MODEL" in done.stderr
    assert (max(done.stderr) >= "\u4e00") == language.startswith("zh")
