"""Known weaknesses of what is installed, by a database of advisories that an administrator has carried in.

The database is OSV's export for PyPI: a zip of JSON files, as https://osv-vulnerabilities.storage.googleapis.com/PyPI/
all.zip has it, or a folder of them (https://ossf.github.io/osv-schema, version 1). Nothing is fetched. What could not
be checked is a finding of its own: silence would read as safety.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from vlpro.compliance.installed import Package
from vlpro.errors import ConfigError

__all__ = ["Finding", "Kind", "Report", "check"]

_DAY_S = 86_400
_MOST_BYTES = 20_000_000
_ECOSYSTEM = "pypi"
Json = dict[str, Any]


class Kind(StrEnum):
    """What a finding is."""

    VULNERABLE = "vulnerable"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Args:
        kind: A weakness, or something that could not be checked.
        subject: Package and version; or the file of the database.
        id: Of the advisory; empty where it is not about one.
        en: What is wrong, in English.
        zh: In Chinese.
        fixed: Versions in which it is mended.
        aliases: Other names of the advisory, such as its CVE.
    """

    kind: Kind
    subject: str
    id: str
    en: str
    zh: str
    fixed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """By which it can be accepted."""
        return frozenset({self.subject, self.id, *self.aliases} - {""})


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found.

    Args:
        findings: Weaknesses first.
        packages: How many packages were checked.
        advisories: How many advisories the database holds.
        newest: When the newest of them was changed, Unix time; None: there is none.
    """

    findings: tuple[Finding, ...]
    packages: int
    advisories: int
    newest: float | None


def check(found: Sequence[Package], source: Path, now: float, *, most_days: int) -> Report:
    """Compare what is installed with a database.

    Args:
        found: The packages.
        source: The database: a zip, a folder, or one JSON file.
        now: Unix time.
        most_days: How old its newest advisory may be.

    Raises:
        ConfigError: It cannot be opened at all.
    """
    by_name: dict[str, list[Package]] = {}
    findings: list[Finding] = []
    for package in found:
        if not package.name or not package.version:
            known = package.name or "?"
            findings.append(_unchecked(known, "it tells no name or no version", "没有名称或版本"))
        elif package.key != "vlpro":  # the product itself is in no such database
            by_name.setdefault(package.key, []).append(package)
            findings += _comparable(package)
    count, newest = 0, None
    seen: set[tuple[str, str, Kind]] = set()
    for name, content in _files(source):
        try:
            advisory = _parsed(content)
            changed = datetime.fromisoformat(advisory["modified"]).timestamp()
            told = list(_of(advisory, by_name))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            findings.append(_unchecked(name, "it is no advisory that can be read", "无法解析的公告"))
            continue
        count += 1
        newest = changed if newest is None else max(newest, changed)
        findings += (one for one in told if (one.subject, one.id, one.kind) not in seen)
        seen.update((one.subject, one.id, one.kind) for one in told)
    findings += _stale(source, newest, now, most_days)
    findings.sort(key=lambda one: (one.kind != Kind.VULNERABLE, one.subject, one.id))
    return Report(tuple(findings), sum(map(len, by_name.values())), count, newest)


def _comparable(package: Package) -> Iterator[Finding]:
    subject = f"{package.name} {package.version}"
    try:
        version = Version(package.version)
    except InvalidVersion:
        yield _unchecked(
            subject, "its version cannot be compared (PEP 440)", "版本号不符合 PEP 440，无法比较"
        )
        return
    if version.local is not None:
        yield _unchecked(
            subject,
            f"it is a build of its own ({version.local}); only {version.public} could be looked up",
            f"是自行构建的版本（{version.local}），只能按 {version.public} 查询",
        )


def _stale(source: Path, newest: float | None, now: float, most_days: int) -> Iterator[Finding]:
    if newest is None:
        yield _unchecked(str(source), "it holds no advisory for PyPI", "其中没有 PyPI 的公告")
    elif newest < now - most_days * _DAY_S:
        day = datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%d")
        yield _unchecked(
            str(source),
            f"its newest advisory is of {day}, more than {most_days} days ago: carry a newer one in",
            f"最新的公告是 {day} 的，已超过 {most_days} 天，请导入更新的数据",
        )
    elif newest > now + _DAY_S:
        yield _unchecked(
            str(source), "it is of the future: check this machine's clock", "日期在未来，请检查本机时钟"
        )


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of the database."""
    try:
        if source.is_dir():
            for file in sorted(source.rglob("*")):
                if file.is_file():
                    yield (
                        str(file.relative_to(source)),
                        file.read_bytes() if _fits(file.stat().st_size) else b"",
                    )
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir():
                        yield entry.filename, archive.read(entry) if _fits(entry.file_size) else b""
        else:
            yield source.name, source.read_bytes()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ConfigError(
            f"The database {source} cannot be read ({error}). Carry it in again.",
            zh=f"无法读取公告数据库 {source}（{error}），请重新导入。",
            param="database",
        ) from error


def _fits(size: int) -> bool:
    return size <= _MOST_BYTES


def _parsed(content: bytes) -> Json:
    advisory = json.loads(content)
    if not isinstance(advisory, dict) or not isinstance(advisory["id"], str):
        raise TypeError("no advisory")
    return advisory


def _of(advisory: Json, by_name: dict[str, list[Package]]) -> Iterator[Finding]:
    """What an advisory says of the packages."""
    if advisory.get("withdrawn"):
        return
    for affected in advisory.get("affected") or ():
        told = affected.get("package") or {}
        if str(told.get("ecosystem", "")).partition(":")[0].lower() != _ECOSYSTEM:
            continue
        for package in by_name.get(Package(str(told["name"]), "").key, ()):
            subject, summary = f"{package.name} {package.version}", _summary(advisory)
            hit = _is_hit(affected, package.version)
            if hit is None:
                yield Finding(
                    Kind.UNCHECKED,
                    subject,
                    advisory["id"],
                    f"the advisory's versions cannot be compared: {summary}",
                    f"公告中的版本范围无法比较：{summary}",
                    aliases=tuple(map(str, advisory.get("aliases") or ())),
                )
            elif hit:
                yield Finding(
                    Kind.VULNERABLE,
                    subject,
                    advisory["id"],
                    summary,
                    summary,
                    tuple(_fixed(affected)),
                    tuple(map(str, advisory.get("aliases") or ())),
                )


def _summary(advisory: Json) -> str:
    text = str(advisory.get("summary") or advisory.get("details") or "").strip()
    first = text.splitlines()[0] if text else ""
    return "".join(letter if letter.isprintable() else " " for letter in first)[:160]


def _is_hit(affected: Json, installed: str) -> bool | None:
    """Whether a version is affected; None: that cannot be told.

    As OSV's schema evaluates it: listed by name, or within a range. A local version counts as its public one.
    """
    listed = affected.get("versions") or []
    ranges = [one for one in affected.get("ranges") or [] if one.get("type") != "GIT"]
    try:
        version = Version(Version(installed).public)
        known = {Version(one) for one in listed if _is_version(one)}
        if installed in listed or version in known:
            return True
        if any(_within(one, version) for one in ranges):
            return True
    except InvalidVersion:
        return True if installed in listed else None
    # Without any range nothing is said of versions that came later than the list.
    return False if ranges or listed else None


def _is_version(text: object) -> bool:
    try:
        Version(str(text))
    except InvalidVersion:
        return False
    return True


def _within(span: Json, version: Version) -> bool:
    """Whether a version lies in one range of events.

    Raises:
        InvalidVersion: It is not of versions as PyPI has them.
    """
    if span.get("type") != "ECOSYSTEM":
        raise InvalidVersion(str(span.get("type")))
    hit = False
    order = {"introduced": 0, "fixed": 1, "limit": 1, "last_affected": 2}
    events = sorted(
        ((_at(value), order[name], name) for event in span["events"] for name, value in event.items()),
        key=lambda event: event[:2],
    )
    for at, _, name in events:
        if version > at or (version == at and name != "last_affected"):
            hit = name == "introduced"
    return hit


def _at(value: str) -> Version:
    return Version("0.dev0") if value == "0" else Version(value)


def _fixed(affected: Json) -> Iterator[str]:
    for span in affected.get("ranges") or ():
        if span.get("type") == "ECOSYSTEM":
            yield from (str(event["fixed"]) for event in span["events"] if "fixed" in event)


def _unchecked(subject: str, en: str, zh: str) -> Finding:
    return Finding(Kind.UNCHECKED, subject, "", en, zh)
