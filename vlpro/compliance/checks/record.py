"""The audit: nothing happens without a record, and no record is altered unseen."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from vlpro.audit.checkpoint import public_key
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event
from vlpro.audit.record import Actor, Entry
from vlpro.audit.recorder import NullRecorder, Recorder
from vlpro.audit.service import open_log
from vlpro.audit.sources import DatabaseSource
from vlpro.audit.verify import verify
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.compliance.selftest import BrokenError, Context, Promise, Sentence
from vlpro.db import Database, sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.errors import AuditError
from vlpro.imaging.ingest import Limits

__all__ = ["PROMISES"]

_RECORDS = 30
_EDIT = """UPDATE audit_records
    SET data = CAST(replace(CAST(data AS TEXT), '"selftest_', '"selftesT_') AS BLOB) WHERE seq = ?"""


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


PROMISES: tuple[Promise, ...] = (
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
)
