"""A bill of materials of this installation: CycloneDX 1.6 (ECMA-424) as JSON."""

from __future__ import annotations

import hashlib
import platform
import sqlite3
import ssl
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.backends.openssl import backend
from packaging.requirements import InvalidRequirement, Requirement

from vlpro import __version__
from vlpro.compliance.installed import Package
from vlpro.engines.model_files import Manifest, stamps

__all__ = ["bill"]

_ROOT = f"pkg:pypi/vlpro@{__version__}"
Json = dict[str, Any]


def bill(
    found: Sequence[Package],
    now: float,
    *,
    added: Sequence[str] = (),
    model: tuple[Path, Manifest] | None = None,
) -> Json:
    """The bill.

    Args:
        found: The packages, by :func:`vlpro.compliance.installed.packages`.
        now: Unix time.
        added: Files among them that no package brings.
        model: The model's folder, which was verified, and its manifest.
    """
    others = [package for package in found if package.key != "vlpro"]
    components = [_package(package) for package in others]
    beneath = _beneath()
    root: Json = {
        "type": "application",
        "bom-ref": _ROOT,
        "name": "vlpro",
        "version": __version__,
        "purl": _ROOT,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    own = next((package for package in found if package.key == "vlpro"), None)
    if own is not None:
        root["properties"] = _properties(own)
    links = _dependencies(found)
    links[_ROOT] = sorted({*links.get(_ROOT, ()), *(one["bom-ref"] for one in beneath)})
    if model is not None:
        weights = _model(*model)
        components.append(weights)
        links[_ROOT].append(weights["bom-ref"])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "operations"}],
            "tools": {"components": [{"type": "application", "name": "vlpro sbom", "version": __version__}]},
            "component": root,
            "properties": [
                {"name": "vlpro:host", "value": platform.node()},
                {"name": "vlpro:platform", "value": platform.platform()},
                *({"name": "vlpro:added", "value": name} for name in added),
            ],
        },
        "components": [*components, *beneath],
        "dependencies": [{"ref": ref, "dependsOn": links[ref]} for ref in sorted(links)],
    }


def _purl(package: Package) -> str:
    return f"pkg:pypi/{package.key}@{package.version}".replace("+", "%2B")


def _ref(package: Package) -> str:
    return _ROOT if package.key == "vlpro" else _purl(package)


def _package(package: Package) -> Json:
    component: Json = {
        "type": "library",
        "bom-ref": _ref(package),
        "name": package.name or "(without a name)",
        "version": package.version,
        "purl": _purl(package),
        "properties": _properties(package),
    }
    if package.is_expression:
        component["licenses"] = [{"expression": package.licence}]
    elif package.licence:
        component["licenses"] = [{"license": {"name": package.licence}}]
    if package.binaries:
        component["components"] = [
            {
                "type": "machine-learning-model" if name.endswith((".onnx", ".safetensors")) else "file",
                "bom-ref": f"{_ref(package)}#{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for name, digest in sorted(package.binaries.items())
        ]
    return component


def _properties(package: Package) -> list[Json]:
    """That its files are what they were when it was installed; or which are not."""
    state = "yes" if package.record_sha256 and not package.altered else "no"
    told = [("files", str(package.files)), ("as-installed", state)]
    if package.record_sha256:
        told.append(("record-sha256", package.record_sha256))
    told += [(how.replace(" ", "-"), name) for name, how in package.altered]
    return [{"name": f"vlpro:{name}", "value": value} for name, value in told]


def _beneath() -> list[Json]:
    """What the packages stand on: the interpreter, and libraries that tell their version."""
    told = {
        "openssl": (ssl.OPENSSL_VERSION.split()[1], "of the interpreter"),
        "openssl-of-cryptography": (
            backend.openssl_version_text().split()[1],
            "in the wheel of cryptography",
        ),
        "sqlite": (sqlite3.sqlite_version, "of the interpreter"),
    }
    python = Path(sys.executable).resolve()
    found: list[Json] = [
        {
            "type": "platform",
            "bom-ref": "interpreter",
            "name": platform.python_implementation(),
            "version": platform.python_version(),
            "purl": f"pkg:generic/python@{platform.python_version()}",
            "hashes": [{"alg": "SHA-256", "content": _sha256(python)}],
        }
    ]
    for name, (version, where) in told.items():
        plain = name.partition("-")[0]
        found.append(
            {
                "type": "library",
                "bom-ref": name,
                "name": plain,
                "version": version,
                "description": where,
                "purl": f"pkg:generic/{plain}@{version}",
            }
        )
    return found


def _model(folder: Path, manifest: Manifest) -> Json:
    there = stamps(folder, manifest)
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{manifest.name}",
        "name": manifest.name,
        "version": manifest.revision,
        "components": [
            {
                "type": "file",
                "bom-ref": f"model:{manifest.name}#{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": entry.sha256}],
            }
            for name, entry in manifest.files.items()
            if name in there
        ],
    }


def _dependencies(found: Sequence[Package]) -> dict[str, list[str]]:
    """Who needs whom, of those that are installed; by reference."""
    by_name: Mapping[str, Package] = {package.key: package for package in found}
    links: dict[str, list[str]] = {}
    for package in found:
        needs = set()
        for line in package.requires:
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue
            key = Package(wanted.name, "").key
            if key in by_name and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
                needs.add(_ref(by_name[key]))
        links[_ref(package)] = sorted(needs - {_ref(package)})
    return links


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
