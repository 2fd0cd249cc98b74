"""Verifies a report's folder, offline: its signature, then every file in it; nothing is believed before that."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vlpro.compliance.clause import Verdict
from vlpro.compliance.report import Content, hashes_of
from vlpro.compliance.report_errors import ReportVerificationError
from vlpro.compliance.report_signature import SIGNATURE, Keys, Signed, checked

__all__ = ["CONTENT", "EVIDENCE", "Verified", "read_file", "verify", "verify_content"]

CONTENT = "report.json"
EVIDENCE = "evidence"
_MOST_BYTES = {SIGNATURE: 64 << 10, CONTENT: 16 << 20}
_MOST_FILE = 64 << 20
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Verified:
    """A report that is as it was signed.

    Args:
        content: Of ``report.json``.
        signed: What its signature says.
        files: How many files were read, the signature among them.
    """

    content: Content
    signed: Signed
    files: int


def verify(folder: Path, keys: Keys) -> Verified:
    """Verify a report with all its files.

    Args:
        folder: Of the report, as it was written or unpacked.
        keys: That are trusted.

    Raises:
        ReportVerificationError: It is not as it was signed; names the first wrong file: the signature and
            ``report.json`` come first, then the others by their names.
    """
    found = verify_content(folder, keys)
    listed = {SIGNATURE, CONTENT, *found.content["files"]}
    there = _names(folder)
    for name in sorted(listed | there):
        if name not in there:
            raise ReportVerificationError(
                name, "is missing", zh="缺失", meaning=_REMOVED, meaning_zh=_REMOVED_ZH
            )
        if name not in listed:
            raise ReportVerificationError(
                name,
                "is not of this report",
                zh="不属于本报告",
                meaning="Somebody has put it there. Take it away, and verify again.",
                meaning_zh="由他人放入。请移走后重新核验。",
            )
        if name not in (SIGNATURE, CONTENT):
            data = read_file(folder, name)
            _same(name, data, found.content["files"][name])
            if name.startswith(f"{EVIDENCE}/"):
                _own(name, data, found.content["id"])
    return Verified(found.content, found.signed, len(listed))


def verify_content(folder: Path, keys: Keys) -> Verified:
    """Verify signature and ``report.json``, and that one agrees with itself; no other file is read.

    Raises:
        ReportVerificationError: Names the wrong one.
    """
    signed = checked(read_file(folder, SIGNATURE), keys)
    data = read_file(folder, CONTENT)
    _same(CONTENT, data, {"sha256": signed.sha256})
    try:
        content: Content = json.loads(data)
        _agrees(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReportVerificationError(CONTENT, "is no report", zh="不是报告") from None
    if content["id"] != signed.report:
        raise ReportVerificationError(
            CONTENT, "is another report", zh="是另一份报告", expected=signed.report, found=content["id"]
        )
    return Verified(content, signed, 2)


def read_file(folder: Path, name: str) -> bytes:
    """A file of a report: a plain file within bounds, never what a link leads to.

    Raises:
        ReportVerificationError: It is missing, no plain file, or too large.
    """
    most = _MOST_BYTES.get(name, _MOST_FILE)
    path = folder.joinpath(*PurePosixPath(name).parts)
    try:
        folder_too = (
            os.O_NOFOLLOW if path.parent != folder else 0
        )  # of evidence; the report's own may be a link
        with _opened(path.parent, os.O_PATH | os.O_DIRECTORY | folder_too) as parent:
            handle = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except FileNotFoundError:
        raise ReportVerificationError(
            name, "is missing", zh="缺失", meaning=_REMOVED, meaning_zh=_REMOVED_ZH
        ) from None
    except OSError:
        raise ReportVerificationError(name, "cannot be read as a file", zh="无法作为文件读取") from None
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            raise ReportVerificationError(
                name, f"is no plain file of at most {most} bytes", zh=f"不是不超过 {most} 字节的普通文件"
            )
        return file.read(most)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


_REMOVED = "It was taken away, or the folder was not copied as a whole."
_REMOVED_ZH = "文件被移走，或文件夹未完整复制。"


def _names(folder: Path) -> set[str]:
    """All that lies in the folder, as paths; folders with nothing in them too, since none belongs there."""
    found: set[str] = set()
    for where, folders, files in os.walk(folder):
        inside = PurePosixPath(Path(where).relative_to(folder).as_posix())
        found |= {str(inside / name) for name in files}
        found |= {str(inside / name) for name in folders if str(inside / name) != EVIDENCE}
        if len(found) > _MOST_FILES:
            break
    return found


def _same(name: str, data: bytes, listed: Mapping[str, str]) -> None:
    for kind, digest in hashes_of(data, gm="sm3" in listed).items():
        if digest != listed[kind]:
            raise ReportVerificationError(
                name,
                f"is not as it was signed: its {kind.upper()} differs",
                zh=f"与签名时不同：{kind.upper()} 不一致",
                expected=listed[kind],
                found=digest,
                meaning="The file was altered, exchanged or cut after the report was signed.",
                meaning_zh="报告签署之后文件被改动、替换或截断。",
            )


def _own(name: str, data: bytes, report: str) -> None:
    """Evidence says itself whose it is."""
    said: dict[str, Any] = {}
    with suppress(ValueError):
        said = json.loads(data)
    if f"{EVIDENCE}/{said.get('check')}.json" != name or said.get("report") != report:
        raise ReportVerificationError(
            name, "is the evidence of another check or report", zh="是另一项检查或另一份报告的证据"
        )


def _agrees(content: Content) -> None:
    """Raises: ValueError where the report says two things about one."""
    files = content["files"]
    counted = dict.fromkeys(map(str, Verdict), 0)
    for clause in content["clauses"]:
        counted[clause["verdict"]] += 1
        verdicts = {check["verdict"] for check in clause["checks"]}
        if clause["verdict"] == Verdict.PASS and verdicts != {str(Verdict.PASS)}:
            raise ValueError("a clause passes without its checks")
        for check in clause["checks"]:
            evidence = dict(check["evidence"])
            if files[evidence.pop("file")] != evidence:
                raise ValueError("two hashes of one file")
    if counted != content["totals"] or content["object"] != "compliance.report":
        raise ValueError("the totals are others")
    for name, digests in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or "sha256" not in digests:
            raise ValueError("a file that is none")
