"""The commands about what was brought in, as an administrator types them."""

from __future__ import annotations

import json
import os
import zipfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.functional.test_cli import vlpro
from tests.unit.compliance.installation import install
from vlpro.audit.canonical import encode
from vlpro.crypto.sm3 import sm3

WEIGHTS = os.urandom(2**20)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Of a service with a model and a key file."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    made = tmp_path / "own.json"
    assert vlpro("model", "manifest", folder, "--name", "our/model", "--output", made).returncode == 0
    assert vlpro("key", tmp_path / "key").returncode == 0
    return {
        "VLPRO_MODEL_DIR": str(folder),
        "VLPRO_MODEL_MANIFEST": str(made),
        "VLPRO_KEY_FILE": str(tmp_path / "key"),
        "VLPRO_DATA_DIR": str(tmp_path / "data"),
    }


def report_of(tmp_path: Path, settings: dict[str, str], **more: str) -> Path:
    path = tmp_path / "report.json"
    done = vlpro("model", "verify", "--report", path, **(settings | more))
    assert (done.returncode, "100 %" in done.stderr) == (0, True), done.stderr
    return path


def test_a_verification_is_reported_and_signed(tmp_path: Path, settings: dict[str, str]) -> None:
    path = report_of(tmp_path, settings)
    whole = json.loads(path.read_text())
    said = whole["report"]
    assert [file["name"] for file in said["files"]] == ["config.json", "model.safetensors"]
    assert (said["result"], said["manifest"]["name"]) == ("verified", "our/model")
    public = vlpro("audit", "key", **settings).stdout.split()[0]
    assert said["key"] == public
    # As anybody can check it without this product:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    key.verify(bytes.fromhex(whole["signature"]), b"vlpro model report 1\0" + encode(said))
    with pytest.raises(InvalidSignature):  # it is good for nothing else
        key.verify(bytes.fromhex(whole["signature"]), encode(said))
    done = vlpro("model", "report", path, **settings)
    assert (done.returncode, "2 files were what they must be" in done.stdout) == (0, True), done.stderr
    done = vlpro("model", "report", path, "--key", public, language="zh_CN.UTF-8")
    assert (done.returncode, "签名正确" in done.stdout) == (0, True), done.stderr


def test_a_refusal_is_reported_too(tmp_path: Path, settings: dict[str, str]) -> None:
    weights = Path(settings["VLPRO_MODEL_DIR"], "model.safetensors")
    weights.write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    path = tmp_path / "report.json"
    done = vlpro("model", "verify", "--report", path, **settings)
    assert (done.returncode, "model.safetensors was altered" in done.stderr) == (1, True)
    said = json.loads(path.read_text())["report"]
    assert (said["result"], said["files"]) == ("refused", [])
    assert said["refused"]["file"] == "model.safetensors"
    done = vlpro("model", "report", path, **settings)
    assert (done.returncode, "model.safetensors" in done.stderr) == (1, True)


def test_with_gm_algorithms_a_report_has_sm3_too(tmp_path: Path, settings: dict[str, str]) -> None:
    said = json.loads(report_of(tmp_path, settings, VLPRO_CRYPTO="gm").read_text())["report"]
    assert [file["sm3"] for file in said["files"]] == [sm3(b"{}").hex(), sm3(WEIGHTS).hex()]


def test_the_bill_of_materials_is_of_this_installation(tmp_path: Path, settings: dict[str, str]) -> None:
    site, made = tmp_path / "site", tmp_path / "bom.json"
    install(site, "as-it-was", "2.0", {"as_it_was/a.py": "x = 1\n"})
    files = install(site, "some-thing", "1.0", {"some_thing/a.py": "x = 1\n"})
    files["some_thing/a.py"].write_text("x = 2\n")
    done = vlpro("sbom", "--output", made, PYTHONPATH=str(site), **settings)
    assert (done.returncode, "some-thing 1.0: some_thing/a.py (altered)" in done.stderr) == (1, True)
    assert "as-it-was" not in done.stderr
    bom = json.loads(made.read_text())
    versions = {one["name"].lower(): one["version"] for one in bom["components"]}
    for name in ("streamlit", "cryptography", "openvino"):
        assert versions[name] == metadata.version(name)
    assert versions["our/model"] == ""
    validation = pytest.importorskip(
        "cyclonedx.validation.json",
        reason="cyclonedx-python-lib is not installed: pip install -r requirements-dev.txt",
    )
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - may not be installed

    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(made.read_text()) is None


def database(path: Path, *advisories: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for one in advisories:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    return path


def weakness(identifier: str, name: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "modified": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "summary": "It is weak.",
        "affected": [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9999"}]}],
            }
        ],
    }


def test_a_known_weakness_fails_the_check_until_it_is_accepted(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "weak-one", "1.0")
    path = database(tmp_path / "all.zip", weakness("PYSEC-1", "Weak_One"), weakness("PYSEC-2", "not-here"))
    # Builds of one's own, such as torch's, are findings too; here only this package's matter.
    own = [
        f"--accept={one.metadata['Name']} {one.version}"
        for one in metadata.distributions()
        if "+" in one.version
    ]
    done = vlpro("advisories", path, *own, PYTHONPATH=str(site))
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("vulnerable"))
    assert line.split()[:4] == ["vulnerable", "weak-one", "1.0", "PYSEC-1"]
    assert "fixed in 9999" in line
    accepted = vlpro("advisories", path, "--accept", "PYSEC-1", *own, PYTHONPATH=str(site))
    assert (accepted.returncode, "accepted     weak-one 1.0" in accepted.stdout) == (0, True), accepted.stderr


def test_a_database_that_is_none_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(b"PK")
    done = vlpro("advisories", tmp_path / "all.zip", "--json")
    assert done.returncode == 1
    assert {"not checked"} == {one["kind"] for one in json.loads(done.stdout)["findings"]}
