"""The promises, and what is tried against each."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import secrets
import sqlite3
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from io import BytesIO
from pathlib import Path

from PIL import Image

from vlpro.audit.checkpoint import public_key
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event
from vlpro.audit.record import Actor, Entry
from vlpro.audit.recorder import NullRecorder, Recorder
from vlpro.audit.service import open_log
from vlpro.audit.sources import DatabaseSource
from vlpro.audit.verify import verify
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.compliance.selftest import BrokenError, Context, NotHereError, Promise, Sentence
from vlpro.crypto import Sealer
from vlpro.crypto.self_test import self_test
from vlpro.db import Database, sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.errors import AuditError, ImageError, VlproError
from vlpro.imaging.ingest import Limits
from vlpro.imaging.workers import WorkerPool
from vlpro.sealing.offline import OFFLINE

__all__ = ["PROMISES"]

_PR_GET_DUMPABLE = 3
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_RECORDS = 30
_EDIT = """UPDATE audit_records
    SET data = CAST(replace(CAST(data AS TEXT), '"selftest_', '"selftesT_') AS BLOB) WHERE seq = ?"""
_READ_S = 30.0  # seconds for a picture


def _ciphers(_: Context) -> Sentence:
    names = self_test()
    return Sentence(f"Right: {'; '.join(names)}.", f"结果正确：{'；'.join(names)}。")


def _sealed(context: Context) -> Sentence:
    place, secret = "selftest.data:1", secrets.token_bytes(48)
    sealed = context.sealer.seal(secret, place)
    if secret in sealed or context.sealer.open(sealed, place) != secret:
        raise BrokenError("What was sealed can be read, or does not open.", "密封后的内容可读，或无法解开。")
    for at in range(len(sealed)):
        altered = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        if _opens(context.sealer, altered, place):
            raise BrokenError(f"Byte {at} can be changed unseen.", f"第 {at} 字节被改动而未被发现。")
    if _opens(context.sealer, sealed, "selftest.data:2"):
        raise BrokenError("It opens at another place, too.", "复制到别处后仍能解开。")
    return Sentence(
        f"All {len(sealed)} changes of a byte, and a copy in another row, were refused.",
        f"{len(sealed)} 处单字节改动和复制到另一行均被拒绝。",
    )


def _opens(sealer: Sealer, sealed: bytes, place: str) -> bool:
    try:
        sealer.open(sealed, place)
    except VlproError:
        return False
    return True


def _folder_closed(context: Context) -> Sentence:
    folder = context.settings.data_dir
    if not folder.exists():
        raise NotHereError("Nothing is stored yet.", "尚未存储任何内容。")
    if folder.stat().st_mode & _OTHERS:
        raise BrokenError(
            f"{folder} is open to other users. Close it: chmod 700 {folder}",
            f"{folder} 对其他用户开放，请执行 chmod 700 {folder}",
        )
    return Sentence(f"Only its owner may enter {folder}.", f"只有所有者可以进入 {folder}。")


def _audit_altered(context: Context) -> Sentence:
    database = Database(sqlite_url(context.folder, "audit"))
    try:
        log = open_log(database, context.sealer, every_records=10)
        log.start()
        waiting = [log.submit(Entry(Event.ASKED, Actor(), object=f"selftest_{n}")) for n in range(_RECORDS)]
        last = max(done.result() for done in waiting)
        log.stop()
        keys = [public_key(context.sealer.signing_seed)]
        verify(DatabaseSource(database), keys=keys)
        found = [
            _finding(context.folder, keys, name, statement, seq)
            for name, statement, seq in (
                ("edited", _EDIT, last // 2),
                ("deleted", "DELETE FROM audit_records WHERE seq = ?", last // 2),
                ("cut", "DELETE FROM audit_records WHERE seq > ?", last - 3),
            )
        ]
    finally:
        database.close()
    return Sentence(
        f"Found and named: {'; '.join(each.en for each in found)}.",
        f"均被发现并指出：{'；'.join(each.zh for each in found)}。",
    )


def _finding(folder: Path, keys: list[bytes], name: str, statement: str, seq: int) -> Sentence:
    """Tamper with a copy of the record; what the verification says of it."""
    source, copy = folder / "audit.db", folder / f"{name}.db"
    with sqlite3.connect(source) as here, sqlite3.connect(copy) as there:
        here.backup(there)
    changed = sqlite3.connect(copy)
    done = changed.execute(statement, [seq]).rowcount
    changed.commit()
    changed.close()
    tampered = Database(sqlite_url(folder, name))
    try:
        verify(DatabaseSource(tampered), keys=keys)
    except VerificationError as error:
        return Sentence(str(error), error.zh)
    finally:
        tampered.close()
    raise BrokenError(f"{done} of the records: {name}, unseen.", f"{done} 条记录被改动（{name}）而未被发现。")


class _DeafRecorder(NullRecorder):
    """Cannot write."""

    async def arecord(self, entry: Entry) -> int:  # noqa: ARG002 - that is the point
        raise AuditError("The self-test lets the audit fail.", zh="自检令审计失败。")


class _WatchedEngine(FakeEngine):
    """Tells whether it was asked."""

    asked = False

    async def _generate(self, request: object) -> AsyncGenerator[object, None]:  # type: ignore[override]
        self.asked = True
        async for delta in super()._generate(request):  # type: ignore[arg-type]
            yield delta


def _no_answer_without_record(_: Context) -> Sentence:
    async def ask(recorder: Recorder) -> tuple[bool, bool]:
        engine = _WatchedEngine()
        service = ChatService(
            engine,
            limits=Limits(),
            max_images=1,
            max_text_chars=1000,
            max_choices=1,
            queue_size=1,
            answer_timeout_s=10,
            recorder=recorder,
        )
        try:
            async with aclosing(service.answer(Question((Turn("user", ("count to 2",)),)))) as pieces:
                async for _ in pieces:
                    pass
        except AuditError:
            return engine.asked, False
        return engine.asked, True

    if asyncio.run(ask(NullRecorder())) != (True, True):
        raise BrokenError("A question is not answered at all.", "提问没有得到回答。")
    asked, answered = asyncio.run(ask(_DeafRecorder()))
    if asked or answered:
        raise BrokenError("A question was answered without a record.", "没有审计记录却回答了提问。")
    return Sentence("The engine never heard of the question.", "引擎没有收到该提问。")


def _pictures(context: Context) -> Sentence:
    return asyncio.run(_read_pictures(context))


async def _read_pictures(context: Context) -> Sentence:
    pool = WorkerPool(Limits(max_decode_bytes=context.settings.max_image_decode_bytes), seconds=_READ_S)
    try:
        clean = await pool.read(_picture(64, 48), max_pixels_used=10_000)
        if (clean.original_width, clean.original_height) != (64, 48):
            raise BrokenError("A good picture is not read.", "正常的图片无法读取。")
        if b"selftest camera" not in _picture(64, 48):
            raise BrokenError("The self-test's own photo has no camera in it.", "自检所用照片不含相机信息。")
        again = await pool.jpeg(_picture(64, 48))
        if b"Exif" in again or b"selftest" in again:
            raise BrokenError("A picture keeps what its camera wrote.", "图片保留了相机写入的信息。")
        try:
            await pool.read(_bomb(), max_pixels_used=10_000)
        except ImageError as error:
            said = error.message
        else:
            raise BrokenError("A picture of 400 megapixels was decoded.", "4 亿像素的图片被解码。")
    finally:
        await pool.stop()
    return Sentence(
        f"Position and camera are gone; a bomb was refused: {said}",
        f"位置和相机信息已去除；炸弹图片被拒绝：{said}",
    )


def _picture(width: int, height: int) -> bytes:
    image, out = Image.new("RGB", (width, height), "teal"), BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "selftest camera"  # Make
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def _bomb() -> bytes:
    """A PNG of a few hundred kilobytes that says 20,000 × 20,000."""
    out = BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


def _memory_private(_: Context) -> Sentence:
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        raise BrokenError("A crash would write the memory to a file.", "崩溃时内存会写入文件。")
    if ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise BrokenError("Programs of the same user may read the memory.", "同一用户的其他程序可读取内存。")
    return Sentence("No core file; not dumpable.", "不生成核心转储，内存不可被读取。")


def _offline(_: Context) -> Sentence:
    wrong = [name for name, value in OFFLINE.items() if os.environ.get(name) != value]
    if wrong:
        raise BrokenError(f"Not set: {', '.join(wrong)}.", f"未设置：{'、'.join(wrong)}。")
    return Sentence(f"{len(OFFLINE)} variables are set.", f"已设置 {len(OFFLINE)} 个变量。")


PROMISES: tuple[Promise, ...] = (
    Promise(
        "ciphers",
        "8.1.4.8",
        Sentence("The ciphers compute what their standards say.", "密码算法的计算结果符合标准。"),
        Sentence(
            "Published vectors, both ways, and a changed tag.", "用公开的测试向量加密、解密，并改动校验标签。"
        ),
        _ciphers,
    ),
    Promise(
        "sealing",
        "8.1.4.7",
        Sentence(
            "What is stored encrypted cannot be changed or moved unseen.",
            "加密存储的内容被改动或移动会被发现。",
        ),
        Sentence(
            "Each byte of a sealed value is changed, and the value copied.",
            "逐字节改动密文，并复制到另一行。",
        ),
        _sealed,
    ),
    Promise(
        "data_folder",
        "8.1.4.2",
        Sentence("The data belongs to the service alone.", "数据文件夹只属于本服务。"),
        Sentence("The rights of the data folder.", "检查数据文件夹的权限。"),
        _folder_closed,
    ),
    Promise(
        "audit_chain",
        "8.1.4.3",
        Sentence("The audit record cannot be altered unseen.", "审计记录被改动会被发现。"),
        Sentence(
            "A record of its own is made; then, in copies, a record is edited, one deleted, and the end cut off.",
            "生成一份测试记录，在副本中修改、删除一条记录，并截去末尾。",
        ),
        _audit_altered,
    ),
    Promise(
        "audit_first",
        "8.1.4.3",
        Sentence("Nobody is answered without a record.", "没有审计记录就不回答提问。"),
        Sentence("A question is asked while the audit fails.", "在审计失败时提问。"),
        _no_answer_without_record,
    ),
    Promise(
        "pictures",
        "8.1.4.4",
        Sentence(
            "Pictures are read by a process of their own; what cameras write is dropped, and bombs are refused.",
            "图片在独立进程中读取；拍摄信息被去除，炸弹图片被拒绝。",
        ),
        Sentence(
            "A photo with a position, and a PNG that unpacks to 400 megapixels, go through a worker.",
            "让带位置信息的照片和解开后为 4 亿像素的 PNG 经过读取进程。",
        ),
        _pictures,
    ),
    Promise(
        "memory",
        "8.1.4.10",
        Sentence("The memory of the service stays private.", "服务的内存不外泄。"),
        Sentence("What the kernel says of this process.", "向内核查询本进程的设置。"),
        _memory_private,
    ),
    Promise(
        "offline",
        "8.1.3.1",
        Sentence("No library looks for anything outside.", "任何软件库都不会联网查找内容。"),
        Sentence("The variables by which they are told.", "检查相应的环境变量。"),
        _offline,
    ),
)
"""All of them, in the order of the report."""
