"""A known weakness of what is installed is found, and so is whatever could not be checked."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vlpro.compliance.advisories import Finding, Kind, Report, check
from vlpro.compliance.installed import Package
from vlpro.errors import ConfigError

NOW = 1_790_000_000.0  # 2026-09-21
FRESH = "2026-09-20T12:00:00Z"


def advisory(name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    """As OSV writes one."""
    affected: dict[str, Any] = {"package": {"name": name, "ecosystem": "PyPI"}}
    if events:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": list(events)}]
    if "versions" in more:
        affected["versions"] = more.pop("versions")
    whole = {"id": "PYSEC-2026-1", "modified": FRESH, "summary": "It is weak.", "affected": [affected]}
    return whole | more


# Of the shape of GHSA-jfhm-5ghh-2f97 and PYSEC-2023-254 (cryptography), in OSV's export.
REAL: dict[str, Any] = {
    "schema_version": "1.6.0",
    "id": "GHSA-jfhm-5ghh-2f97",
    "modified": "2026-09-19T05:12:44.482916374Z",
    "published": "2023-11-28T20:42:45Z",
    "aliases": ["CVE-2023-49083", "PYSEC-2023-254"],
    "summary": "cryptography vulnerable to NULL-dereference when loading PKCS7 certificates",
    "details": "### Summary\n\nCalling `load_pem_pkcs7_certificates` could lead to a NULL-pointer dereference",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
    "affected": [
        {
            "package": {"name": "cryptography", "ecosystem": "PyPI", "purl": "pkg:pypi/cryptography"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "3.1"}, {"fixed": "41.0.6"}]}],
            "versions": ["3.1", "41.0.5"],
            "database_specific": {"source": "https://github.com/advisories"},
        }
    ],
    "references": [{"type": "WEB", "url": "https://example.test"}],
}


def database(folder: Path, *advisories: dict[str, Any], **files: bytes) -> Path:
    """A zip, as OSV publishes it."""
    path = folder / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(advisories):
            archive.writestr(f"{one.get('id', number)}-{number}.json", json.dumps(one))
        for name, content in files.items():
            archive.writestr(f"{name}.json", content)
    return path


def found(folder: Path, version: str, *advisories: dict[str, Any], name: str = "thing") -> list[Finding]:
    path = database(folder, *advisories, advisory("another", {"introduced": "0"}))
    return list(check([Package(name, version)], path, NOW, most_days=14).findings)


@pytest.mark.parametrize(
    ("version", "hit"),
    [
        ("0.9", False),
        ("1.0", True),
        ("1.0rc1", False),
        ("1.5.post1", True),
        ("1.9.9", True),
        ("2.0rc1", True),
        ("2.0", False),
        ("2.10", False),
        ("3.0", True),
        ("3.1", True),
        ("3.1.1", False),
        ("10.0", True),
        ("10!1.0", True),
    ],
)
def test_versions_are_compared_as_python_compares_them(version: str, hit: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    spans = (
        {"introduced": "1.0"},
        {"fixed": "2.0"},
        {"introduced": "3.0"},
        {"last_affected": "3.1"},
        {"introduced": "10"},
    )
    findings = found(tmp_path, version, advisory("Thing", *spans))
    assert [one.kind for one in findings] == ([Kind.VULNERABLE] if hit else [])


def test_an_advisory_as_it_is_published_is_understood(tmp_path: Path) -> None:
    for version, hit in (
        ("41.0.5", True),
        ("3.1", True),
        ("41.0.6", False),
        ("50.0.2", False),
        ("3.0", False),
    ):
        findings = found(tmp_path, version, REAL, name="cryptography")
        assert bool(findings) == hit, version
    (finding,) = found(tmp_path, "41.0.5", REAL, name="cryptography")
    assert finding.fixed == ("41.0.6",)
    assert finding.names == {"cryptography 41.0.5", "GHSA-jfhm-5ghh-2f97", "CVE-2023-49083", "PYSEC-2023-254"}
    assert "NULL-dereference" in finding.en


def test_a_list_of_versions_alone_is_enough(tmp_path: Path) -> None:
    listed = advisory("thing", versions=["1.0", "1.1.0", "nonsense"])
    assert found(tmp_path, "1.1", listed)[0].kind == Kind.VULNERABLE
    assert found(tmp_path, "1.2", listed) == []


def test_a_malicious_package_is_bad_in_every_version(tmp_path: Path) -> None:
    bad = advisory("thing", {"introduced": "0"}, id="MAL-2026-1")
    assert found(tmp_path, "0.0.1.dev0", bad)[0].id == "MAL-2026-1"


def test_names_are_compared_in_their_normal_form(tmp_path: Path) -> None:
    assert found(tmp_path, "1", advisory("Some_Thing.x", {"introduced": "0"}), name="some-thing-X")


def test_what_was_withdrawn_or_is_of_another_ecosystem_is_left_out(tmp_path: Path) -> None:
    other = advisory("thing", {"introduced": "0"})
    other["affected"][0]["package"]["ecosystem"] = "npm"
    assert found(tmp_path, "1", other) == []
    assert found(tmp_path, "1", advisory("thing", {"introduced": "0"}, withdrawn=FRESH)) == []


def unchecked(report: Report) -> list[str]:
    assert {one.kind for one in report.findings} <= {Kind.UNCHECKED}
    return [one.en for one in report.findings]


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (Package("thing", ""), "no version"),
        (Package("", "1.0"), "no name"),
        (Package("thing", "2.0+cpu"), "build of its own"),
        (Package("thing", "two"), "cannot be compared"),
    ],
)
def test_a_package_that_cannot_be_checked_is_a_finding(package: Package, why: str, tmp_path: Path) -> None:
    path = database(tmp_path, advisory("another", {"introduced": "0"}))
    (told,) = unchecked(check([package], path, NOW, most_days=14))
    assert why in told


def test_a_build_of_ones_own_is_looked_up_by_its_public_version(tmp_path: Path) -> None:
    findings = found(tmp_path, "2.0+cpu", advisory("thing", {"introduced": "2"}, {"fixed": "2.1"}))
    assert [one.kind for one in findings] == [Kind.VULNERABLE, Kind.UNCHECKED]


@pytest.mark.parametrize(
    "span",
    [
        {"type": "SEMVER", "events": [{"introduced": "0"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "first"}]},
        {"type": "GIT", "events": [{"introduced": "0"}]},
    ],
)
def test_a_range_that_cannot_be_compared_is_a_finding(span: dict[str, Any], tmp_path: Path) -> None:
    one = advisory("thing")
    one["affected"][0]["ranges"] = [span]
    (finding,) = found(tmp_path, "1", one)
    assert (finding.kind, finding.id) == (Kind.UNCHECKED, "PYSEC-2026-1")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"id": "x"}', b'{"id": "x", "modified": "yesterday"}', b"\xff", b"[" * 100_000,
     b'{"id": "x", "modified": "2026-09-20T00:00:00Z", "affected": [{"package": {"ecosystem": "PyPI"}}]}'],
)  # fmt: skip
def test_an_advisory_that_cannot_be_read_is_a_finding(content: bytes, tmp_path: Path) -> None:
    path = database(tmp_path, advisory("another", {"introduced": "0"}), broken=content)
    report = check([Package("thing", "1")], path, NOW, most_days=14)
    assert [one.subject for one in report.findings] == ["broken.json"]
    assert unchecked(report)


def test_an_old_an_empty_and_a_future_database_are_findings(tmp_path: Path) -> None:
    for more, why in (
        ({"modified": "2026-08-01T00:00:00Z"}, "2026-08-01"),
        ({"modified": "2027-01-01T00:00:00Z"}, "clock"),
    ):
        path = database(tmp_path, advisory("another", {"introduced": "0"}, **more))
        (told,) = unchecked(check([Package("thing", "1")], path, NOW, most_days=14))
        assert why in told
    (told,) = unchecked(check([Package("thing", "1")], database(tmp_path), NOW, most_days=14))
    assert "no advisory" in told
    path = database(tmp_path, advisory("another", {"introduced": "0"}, modified="2026-08-01T00:00:00Z"))
    assert check([Package("thing", "1")], path, NOW, most_days=90).findings == ()


def test_a_folder_and_a_single_file_serve_as_well(tmp_path: Path) -> None:
    (tmp_path / "db" / "thing").mkdir(parents=True)
    file = tmp_path / "db" / "thing" / "PYSEC-2026-1.json"
    file.write_text(json.dumps(advisory("thing", {"introduced": "0"})))
    for source in (tmp_path / "db", file):
        report = check([Package("thing", "1")], source, NOW, most_days=14)
        assert [one.id for one in report.findings] == ["PYSEC-2026-1"]
        assert (report.packages, report.advisories) == (1, 1)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = database(tmp_path, *(advisory("another", {"introduced": "0"}, id=f"X-{n}") for n in range(50)))
    data = bytearray(path.read_bytes())
    data[40] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="cannot be read"):
        check([Package("thing", "1")], path, NOW, most_days=14)
    with pytest.raises(ConfigError, match="cannot be read"):
        check([Package("thing", "1")], tmp_path / "none", NOW, most_days=14)


def test_what_an_advisory_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    one = advisory("thing", {"introduced": "0"}, summary="\x1b[2J weak\nsecond line")
    (finding,) = found(tmp_path, "1", one)
    assert finding.en == " [2J weak"
