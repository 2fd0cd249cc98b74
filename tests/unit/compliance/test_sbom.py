"""The bill of materials keeps to CycloneDX's own schema, and names what is there."""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.backends.openssl import backend

from tests.unit.compliance.installation import install
from vlpro.compliance.installed import packages
from vlpro.compliance.sbom import bill
from vlpro.engines.model_files import Manifest, make_manifest

validation = pytest.importorskip(
    "cyclonedx.validation.json",
    reason="cyclonedx-python-lib is not installed: pip install -r requirements-dev.txt",
)
NOW = 1_790_000_000.0


def valid(made: dict[str, Any]) -> dict[str, Any]:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - may not be installed

    problem = validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made))
    assert problem is None, str(problem)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")  # the schema takes any version
    return made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    install(site, "top", "1.0", {"top/x.so": "ELF"}, License_Expression="MIT", Requires_Dist="Low_er>=2")
    install(site, "low-er", "2.1+own", {"low_er/m.onnx": "net"}, License="Own words")
    install(site, "unrelated", "3")
    return site


def model(folder: Path) -> tuple[Path, Manifest]:
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder, make_manifest(folder, "our/model")


def test_it_keeps_to_the_schema_and_names_everything(site: Path, tmp_path: Path) -> None:
    made = valid(bill(packages([str(site)]), NOW, added=["evil.pth"], model=model(tmp_path / "model")))
    by_ref = {one["bom-ref"]: one for one in made["components"]}
    top, low = by_ref["pkg:pypi/top@1.0"], by_ref["pkg:pypi/low-er@2.1%2Bown"]
    assert top["licenses"] == [{"expression": "MIT"}]
    assert low["licenses"] == [{"license": {"name": "Own words"}}]
    assert top["components"][0]["hashes"][0]["content"] == hashlib.sha256(b"ELF").hexdigest()
    assert low["components"][0]["type"] == "machine-learning-model"
    needs = {one["ref"]: one["dependsOn"] for one in made["dependencies"]}
    assert needs["pkg:pypi/top@1.0"] == ["pkg:pypi/low-er@2.1%2Bown"]
    weights = by_ref["model:our/model"]
    assert weights["type"] == "machine-learning-model"
    assert [one["name"] for one in weights["components"]] == ["config.json", "model.safetensors"]
    assert {"name": "vlpro:added", "value": "evil.pth"} in made["metadata"]["properties"]


def test_what_the_packages_stand_on_is_named(site: Path) -> None:
    made = valid(bill(packages([str(site)]), NOW))
    by_ref = {one["bom-ref"]: one for one in made["components"]}
    python = Path(sys.executable).resolve().read_bytes()
    assert by_ref["interpreter"]["version"] == platform.python_version()
    assert by_ref["interpreter"]["hashes"][0]["content"] == hashlib.sha256(python).hexdigest()
    assert by_ref["sqlite"]["version"] == sqlite3.sqlite_version
    assert by_ref["openssl"]["version"] in ssl.OPENSSL_VERSION
    assert by_ref["openssl-of-cryptography"]["version"] in backend.openssl_version_text()


def test_a_changed_file_is_named_in_it(site: Path) -> None:
    (site / "top" / "x.so").write_text("other")
    made = valid(bill(packages([str(site)]), NOW))
    top = next(one for one in made["components"] if one["name"] == "top")
    told = {(one["name"], one["value"]) for one in top["properties"]}
    assert {("vlpro:as-installed", "no"), ("vlpro:altered", "top/x.so")} <= told
    other = next(one for one in made["components"] if one["name"] == "unrelated")
    assert {"name": "vlpro:as-installed", "value": "yes"} in other["properties"]
