"""Office files as PDFs, by LibreOffice where it is installed: in a process of its own, without network, in memory.

The file and its PDF lie in a folder under ``/dev/shm``, which is memory, for as long as that takes. LibreOffice gets
a profile of its own there, of which nothing is kept: no macro is run, nothing is recovered, no link is followed.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import shutil
import signal
import sys
import tempfile
import zipfile
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from vlpro.errors import BadRequestError, BusyError, UnsupportedError
from vlpro.process import package_path
from vlpro.sealing.seal import is_sealed

__all__ = ["OfficeConverter", "kind_of"]

_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_PREFIX = "vlpro-office-"
_MOST_PARTS = 20_000
_MOST_UNPACKED = 1_000_000_000
_MOST_TYPES = 1_000_000  # bytes that are read of the list of parts and their types
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop>
<prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop>
<prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop>
<prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop>
</item>
<item oor:path="/org.openoffice.Office.Common/Misc">
<prop oor:name="FirstRun" oor:op="fuse"><value>false</value></prop>
</item>
</oor:items>
"""


def kind_of(data: bytes) -> str | None:
    """``docx`` or ``pptx``, by what is inside; None: it is none of them.

    Raises:
        BadRequestError: It is one, but broken, would be too large unpacked, or has macros.
    """
    if not data.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            macros = _has_macros(archive, names)
    except (zipfile.BadZipFile, ValueError, RuntimeError, OSError, zlib.error, EOFError) as error:
        raise BadRequestError(
            "This file is broken or incomplete. Open it, and save it as PDF.",
            zh="文件已损坏或不完整，请打开后另存为 PDF。",
            param="file",
            code="invalid_document",
        ) from error
    kind = next((kind for kind, part in _MAIN_PARTS.items() if part in names), None)
    if kind is None:
        return None
    if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > _MOST_UNPACKED:
        raise BadRequestError(
            "This file is far larger unpacked than it may be. Save it as PDF, and send that.",
            zh="该文件解压后过大，请另存为 PDF 后上传。",
            param="file",
            code="document_too_large",
        )
    if macros:
        raise BadRequestError(
            "This file has macros, and files with macros are not taken. Save it without them, as DOCX, PPTX or PDF.",
            zh="文件含有宏，不予接收。请另存为不含宏的 DOCX、PPTX 或 PDF 后上传。",
            param="file",
            code="document_has_macros",
        )
    return kind


def _has_macros(archive: zipfile.ZipFile, names: set[str]) -> bool:
    """Whether it brings a VBA project, by the part's name or type (MS-OFFMACRO2, 2.2).

    Whoever hides one gains nothing: LibreOffice's profile here runs none.
    """
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        return True
    if _TYPES not in names:
        return False
    with archive.open(_TYPES) as part:
        types = part.read(_MOST_TYPES).lower()
    return b"macroenabled" in types or b"vbaproject" in types


_TYPES = "[Content_Types].xml"
_MAIN_PARTS = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml"}


class OfficeConverter:
    """Makes PDFs, one at a time.

    Args:
        timeout_s: Seconds that one may take, of the clock and of the processor.
        memory_mb: Memory that one may take, MiB of address space.
    """

    def __init__(self, *, timeout_s: float, memory_mb: int = 2_048) -> None:
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._turn = asyncio.Lock()

    def check(self, kind: str) -> None:
        """Refuse what cannot be made a PDF of here.

        Raises:
            UnsupportedError: LibreOffice is not installed, or the service is sealed.
        """
        if is_sealed():
            raise UnsupportedError(
                f"{kind.upper()} files are not read under --sealed, where LibreOffice cannot run. Save it as PDF.",
                zh=f"密封运行（--sealed）时无法使用 LibreOffice，不能读取 {kind.upper()}，请另存为 PDF 后上传。",
                param="file",
                code="office_sealed",
            )
        if self._program() is None:
            raise UnsupportedError(
                f"{kind.upper()} files need LibreOffice on the server, which is not installed. Save the file as PDF, "
                "or ask the administrator to install libreoffice-writer-nogui and libreoffice-impress-nogui.",
                zh=f"读取 {kind.upper()} 需要服务器安装 LibreOffice，当前未安装。请另存为 PDF 后上传，或请管理员"
                "安装 libreoffice-writer-nogui 和 libreoffice-impress-nogui。",
                param="file",
                code="office_not_installed",
            )

    async def pdf(self, data: bytes, kind: str) -> bytes:
        """A PDF of an office file.

        Args:
            data: The file.
            kind: ``docx`` or ``pptx``.

        Raises:
            UnsupportedError: LibreOffice is not installed.
            BadRequestError: It could not be read, or took too long.
            BusyError: There is no room in memory for it.
        """
        self.check(kind)
        program = self._program()
        async with self._turn:
            try:
                folder = await asyncio.to_thread(self._folder, data, kind)
            except OSError as error:
                raise BusyError(
                    "There is no room in memory for this file now. Try again later.",
                    zh="当前内存不足以处理该文件，请稍后重试。",
                    retry_after=60,
                ) from error
            try:
                return await self._converted(str(program), folder, kind)
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # at once: whoever is cancelled may have no later
                _pipe_of(folder).unlink(missing_ok=True)  # one that was killed leaves it

    @staticmethod
    def _program() -> str | None:
        return shutil.which("soffice")

    @staticmethod
    def _folder(data: bytes, kind: str) -> Path:
        _clear()
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_MEMORY_FOLDER))
        try:
            (folder / "profile" / "user").mkdir(parents=True)
            (folder / "profile" / "user" / "registrymodifications.xcu").write_text(_PROFILE, encoding="utf-8")
            (folder / f"document.{kind}").write_bytes(data)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    async def _converted(self, program: str, folder: Path, kind: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing is imported from the folder that the service was started in
            "-m",
            "vlpro.knowledge.office_program",
            str(folder),
            str(os.getpid()),
            str(self._memory_mb << 20),
            str(math.ceil(self._timeout_s) + 1),
            program,
            "--headless",
            "--norestore",
            "--nolockcheck",
            "--nodefault",
            f"-env:UserInstallation=file://{folder}/profile",
            "--convert-to",
            "pdf",
            "--outdir",
            str(folder),
            str(folder / f"document.{kind}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.wait()
        except TimeoutError as error:
            raise BadRequestError(
                f"LibreOffice needed more than {self._timeout_s:g} s for this file. Save it as PDF, and send that.",
                zh=f"LibreOffice 处理该文件超过 {self._timeout_s:g} 秒，请另存为 PDF 后上传。",
                code="invalid_document",
            ) from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        made = folder / "document.pdf"
        if not made.is_file():
            raise BadRequestError(
                "LibreOffice could not read this file: it may be broken, protected by a password, or need more than "
                f"{self._memory_mb} MiB of memory. Save it as PDF, and send that.",
                zh=f"LibreOffice 无法读取该文件：可能已损坏、有密码保护，或需要超过 {self._memory_mb} MiB 内存。"
                "请另存为 PDF 后上传。",
                code="invalid_document",
            )
        return await asyncio.to_thread(made.read_bytes)


def _clear() -> None:
    """Delete what a process that was killed left."""
    for left in _MEMORY_FOLDER.glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)


def _pipe_of(folder: Path) -> Path:
    """The socket by which a second LibreOffice of the same profile would find the first (its officeipcthread.cxx)."""
    profile = f"file://{folder}/profile".encode("utf-16-le")
    digest = hashlib.md5(profile, usedforsecurity=False).digest()
    return Path("/tmp", f"OSL_PIPE_{os.getuid()}_SingleOfficeIPC_" + "".join(f"{byte:x}" for byte in digest))  # noqa: S108


def _environment(folder: Path) -> dict[str, str]:
    """No setting and no secret of the service, but the same package; a home in memory."""
    return {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONPATH": package_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
