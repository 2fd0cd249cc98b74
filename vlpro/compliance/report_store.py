"""Where reports lie: a folder each, written as a whole and signed, under ``compliance`` in the data folder."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from vlpro.audit import canonical
from vlpro.audit.checkpoint import Signer
from vlpro.compliance.report import Content, Report, hashes_of
from vlpro.compliance.report_errors import ReportVerificationError
from vlpro.compliance.report_html import to_html
from vlpro.compliance.report_paper import document_of
from vlpro.compliance.report_signature import SIGNATURE, Keys, signature_of
from vlpro.compliance.report_verify import CONTENT, Verified, read_file, verify, verify_content
from vlpro.documents.writing import written
from vlpro.errors import ConfigError, NotFoundError, VlproError

__all__ = ["FILES", "HTML", "PDF", "ZIP", "ReportStore", "folder_of", "write"]

log = logging.getLogger(__name__)

HTML, PDF, ZIP = "report.html", "report.pdf", "report.zip"
FILES = (HTML, PDF, CONTENT, SIGNATURE, ZIP)
"""What can be fetched of a report; the ZIP file holds the whole folder, evidence included."""

_ID = re.compile(r"cr_[0-9a-f]{16}")
_COMING, _GOING = ".part", ".gone"
_WRITTEN_S = 3600  # in which any report is written
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # of all members: the same folder gives the same file


def folder_of(data_dir: Path) -> Path:
    """Where the reports of a service lie."""
    return data_dir / "compliance"


def write(report: Report, folder: Path, signer: Signer) -> Content:
    """Write a report with all its files into a folder of its own, and sign it.

    Args:
        report: What is to be written.
        folder: Is made; it is there as a whole or not at all.
        signer: As of :func:`vlpro.compliance.report_signature.signer_of`.

    Returns:
        The content as it was written, with ``files`` and ``keys``.

    Raises:
        ConfigError: The folder is there already, or cannot be written.
        AuditError: OpenSSL has failed at the signature with SM2.
    """
    if folder.exists():
        raise ConfigError(f"{folder} is there already.", zh=f"{folder} 已存在。", param="output")
    keys = {"ed25519": signer.public.hex()} | ({"sm2": signer.sm2.hex()} if signer.sm2 else {})
    content: Content = {**report.content, "keys": keys, "without_pdf": False}
    files = dict(report.evidence)
    try:
        files[PDF] = written(document_of(content), "pdf")
    except ConfigError:  # no Chinese font on this machine: the HTML says so
        content["without_pdf"] = True
    files[HTML] = to_html(content)
    content["files"] = {name: hashes_of(files[name], gm=report.gm) for name in sorted(files)}
    data = canonical.encode(content)
    files[CONTENT] = data
    files[SIGNATURE] = signature_of(signer, content["id"], data, content["created"])
    _placed(folder, files)
    return content


def _placed(folder: Path, files: dict[str, bytes]) -> None:
    unfinished = folder.with_name(f".{folder.name}{_COMING}")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        for name, data in files.items():
            path = unfinished.joinpath(*PurePosixPath(name).parts)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
        unfinished.rename(folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise ConfigError(
            f"The report cannot be written to {folder}: {error.strerror}.",
            zh=f"无法将报告写入 {folder}：{error.strerror}。",
            param="output",
        ) from error


class ReportStore:
    """The reports of a service. What is read is verified first.

    Args:
        folder: As of :func:`folder_of`.
        keys: That are trusted: the service's own.
    """

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder = folder
        self._keys = keys

    def listed(self, most: int) -> list[Content | ReportVerificationError]:
        """The newest reports first; in place of one that is not as it was signed, why.

        Args:
            most: How many.
        """
        found = [self._content(path) for path in self._paths()]
        return [each for _, each in sorted(found, key=lambda pair: pair[0], reverse=True)[:most]]

    def last(self) -> Content | None:
        """The newest report that is as it was signed; None: there is none."""
        for each in self.listed(100):
            if not isinstance(each, ReportVerificationError):
                return each
            log.warning("a compliance report is not compared with: %s", each)
        return None

    def older(self, keep: int) -> tuple[list[Content], list[ReportVerificationError]]:
        """Reports behind the newest ones, the oldest first; and those that are not as they were signed.

        Args:
            keep: How many of those that verify count as the newest, 1 at least.
        """
        listed = self.listed(sys.maxsize)
        good = [each for each in listed if not isinstance(each, ReportVerificationError)]
        bad = [each for each in listed if isinstance(each, ReportVerificationError)]
        found: list[Content] = []
        for content in reversed(good[max(1, keep) :]):
            try:  # with all its files: an altered one is evidence
                path = self.folder / content["id"]
                found.append(_named(path, verify(path, self._keys)).content)
            except ReportVerificationError as error:
                error.report, error.created = content["id"], content["created"]
                bad.append(error)
        return found, bad

    def sha256(self, report: str) -> str:
        """Of what a report says, in hexadecimal digits: a copy that lies elsewhere is known by it."""
        return str(hashes_of(read_file(self.folder / report, CONTENT), gm=False)["sha256"])

    def delete(self, report: str) -> None:
        """Delete a report; that it goes must be on the record before.

        Raises:
            OSError: It cannot be deleted.
        """
        going = self.folder / f".{report}{_GOING}"  # half of one is never listed
        (self.folder / report).rename(going)
        shutil.rmtree(going)

    def sweep(self) -> None:
        """Delete what an interrupted deletion left, and what was killed while it was written. Raises: OSError."""
        for path in [*self.folder.glob(f".cr_*{_GOING}"), *self.folder.glob(f".cr_*{_COMING}")]:
            if path.name.endswith(_GOING) or path.lstat().st_mtime < time.time() - _WRITTEN_S:
                shutil.rmtree(path)

    def open(self, report: str) -> Verified:
        """One report, all of whose files were verified.

        Raises:
            NotFoundError: There is none of this id.
            VlproError: It is not as it was signed; names the first wrong file.
        """
        return self._checked(report, verify)

    def file(self, report: str, name: str) -> bytes:
        """A file of a report, all of whose files were verified.

        Args:
            report: Its id.
            name: One of ``FILES``.

        Raises:
            NotFoundError: There is no such report, or file.
            VlproError: It is not as it was signed.
        """
        content = self.open(report).content
        folder = self.folder / report
        if name == ZIP:
            return _zipped(folder, report, [SIGNATURE, CONTENT, *content["files"]])
        if name not in FILES or (name not in content["files"] and name not in (SIGNATURE, CONTENT)):
            raise _no_file()
        data = read_file(folder, name)
        listed = content["files"].get(name)
        if listed is not None and hashes_of(data, gm=False)["sha256"] != listed["sha256"]:
            raise _altered(ReportVerificationError(name, "was altered just now", zh="刚被改动"))
        return data

    # ---

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if _ID.fullmatch(path.name)]

    def _content(self, path: Path) -> tuple[float, Content | ReportVerificationError]:
        try:
            content = _named(path, verify_content(path, self._keys)).content
        except ReportVerificationError as error:
            error.report, error.created = path.name, path.lstat().st_mtime
            return error.created, error
        return content["created"], content

    def _checked(self, report: str, how: Callable[[Path, Keys], Verified]) -> Verified:
        path = self.folder / report
        if not _ID.fullmatch(report) or not path.is_dir() or path.is_symlink():
            raise NotFoundError("There is no such report.", zh="没有这份报告。", param="report_id")
        try:
            return _named(path, how(path, self._keys))
        except ReportVerificationError as error:
            raise _altered(error) from error


def _named(path: Path, found: Verified) -> Verified:
    if found.content["id"] != path.name:  # a copy of another one
        raise ReportVerificationError(
            CONTENT, "is another report", zh="是另一份报告", expected=path.name, found=found.content["id"]
        )
    return found


def _no_file() -> NotFoundError:
    return NotFoundError(
        f"The report has no such file. There are: {', '.join(FILES)}.",
        zh=f"报告中没有这个文件。可用：{'、'.join(FILES)}。",
        param="name",
    )


def _altered(error: ReportVerificationError) -> VlproError:
    return VlproError(
        f"The report is not as it was signed: {error}. Make a new one, and find out who altered this one.",
        zh=f"报告与签名时不同：{error.zh}。请重新生成，并查明改动者。",
        code="integrity_error",
    )


def _zipped(folder: Path, report: str, names: list[str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            member = zipfile.ZipInfo(f"{report}/{name}", _ZIP_TIME)
            member.external_attr = 0o600 << 16
            archive.writestr(member, read_file(folder, name), zipfile.ZIP_DEFLATED)
    return made.getvalue()
