"""A service that runs is backed up; what is restored into an empty folder is a service that goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import pytest

from tests.functional.manuals import pdf
from tests.functional.server import data_url, eventually, picture_file, run
from tests.functional.test_cli import vlpro
from vlpro.audit.checkpoint import public_key
from vlpro.audit.sources import DatabaseSource
from vlpro.audit.verify import verify
from vlpro.commands.app import main
from vlpro.config import Settings
from vlpro.crypto import KeyFile, Sealer
from vlpro.db import Database, sqlite_url

BASES = "/v1/knowledge-bases"
MANUAL = pdf(["2 Fault codes", "E11: no water flows. Open the valve and clean the filter."])


def talked(http: httpx.Client, text: str) -> str:
    """A conversation with one question and its answer."""
    name = str(http.post("/v1/conversations", json={}).json()["id"])
    assert http.post(f"/v1/conversations/{name}/messages", json={"text": text}).status_code == 202
    eventually(lambda: not http.get(f"/v1/conversations/{name}").json()["busy"])
    return name


def test_what_is_restored_is_a_service_that_goes_on(tmp_path: Path) -> None:
    data, into, backups = tmp_path / "data", tmp_path / "new", tmp_path / "backups"
    backups.mkdir()
    environment = {"VLPRO_ENGINE": "fake", "VLPRO_DATA_DIR": str(data)}
    with run(Settings(engine="fake", data_dir=data)) as server, server.http() as http:
        conversation = talked(http, "the pump is loud, zebra")
        image = {"type": "image_url", "image_url": {"url": data_url(picture_file())}}
        made = http.post("/v1/extractions", json={"template": "vat_invoice", "input": [image]})
        assert made.status_code == 201, made.text
        extraction = made.json()
        base = http.post(BASES, json={"name": "Manuals"}).json()["id"]
        document = f"{BASES}/{base}/documents/pump.pdf"
        assert http.put(document, content=MANUAL).status_code == 202
        eventually(lambda: http.get(document).json()["status"] == "ready", timeout_s=60)
        done = vlpro("backup", "--to", backups, "--json", **environment)
        assert done.returncode == 0, done.stderr
        made_by_then = json.loads(done.stdout)
        later = talked(http, "behind the backup")
    done = vlpro("restore", backups, "--check", "--json", **environment)
    assert done.returncode == 0, done.stderr
    checked = json.loads(done.stdout)
    assert (checked["audit_verified"], checked["audit_root"]) == (True, made_by_then["audit_root"])
    assert json.loads((data / "backup-state.json").read_text())["verified"]["file"] == checked["file"]

    # The disk is lost: what is left are the backup, and the key that was kept elsewhere.
    (tmp_path / "kept-key").write_bytes((data / "key").read_bytes())
    (tmp_path / "kept-key").chmod(0o600)
    shutil.rmtree(data)
    environment = {"VLPRO_ENGINE": "fake", "VLPRO_KEY_FILE": str(tmp_path / "kept-key")}
    copies = (
        tmp_path / "checkpoints"
    )  # of the service that these settings are of, whose folder is another one
    copies.write_text("of the record that goes on\n")
    environment["VLPRO_AUDIT_COPY"] = str(copies)
    done = vlpro("restore", made_by_then["file"], "--into", into, "--json", **environment)
    assert done.returncode == 0, done.stderr
    assert copies.read_text() == "of the record that goes on\n"
    restored = json.loads(done.stdout)
    assert restored["audit_sequence"] == made_by_then["audit_sequence"]
    assert restored["selftest"]["kept"] > 5

    settings = Settings(engine="fake", data_dir=into, key_file=tmp_path / "kept-key")
    with run(settings) as server, server.http() as http:
        hits = http.post("/v1/conversations/search", json={"text": "ZEBRA"}).json()["data"]
        assert [hit["id"] for hit in hits] == [conversation]
        assert http.get(f"/v1/conversations/{later}").status_code == 404
        assert http.get(f"/v1/extractions/{extraction['id']}").json()["fields"] == extraction["fields"]
        found = http.post(f"{BASES}/{base}/search", json={"query": "What does E11 mean?"}).json()
        assert (found["hits"][0]["document"], found["answers"]) == ("pump.pdf", True)
        talked(http, "and on it goes")
    database = Database(sqlite_url(into, "audit"))
    key = public_key(Sealer(KeyFile(tmp_path / "kept-key")).signing_seed)
    summary = verify(DatabaseSource(database), keys=[key])
    database.close()
    assert summary.last > made_by_then["audit_sequence"] + 3
    assert summary.unsigned == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["restore", "x", "--check", "--into", "y"], "either --into FOLDER or --check"),
        (["restore", "x"], "either --into FOLDER or --check"),
        (["backup", "--to", "x", "--keep", "3"], "--keep is for a folder"),
        (["backup"], "--to"),
        (["backup", "--to", ".", "--keep", "0"], "--keep"),
    ],
)
def test_wrong_usage(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err


@pytest.mark.parametrize("language", ["en_US.UTF-8", "zh_CN.UTF-8"])
def test_refusals_are_one_sentence(
    tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANG", language)
    monkeypatch.setenv("VLPRO_DATA_DIR", str(tmp_path / "data"))
    assert main(["backup", "--to", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert ("nothing is stored yet" if language[0] == "e" else "尚未存储任何内容") in said.err
    assert not (tmp_path / "data").exists(), "a command that only reads makes nothing"
    assert main(["restore", str(tmp_path / "x"), "--into", str(tmp_path / "new")]) == 1
    assert ("The key is missing" if language[0] == "e" else "缺少密钥") in capsys.readouterr().err
