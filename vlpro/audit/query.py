"""Questions to the record: who did what, when. Whoever asks is on the record, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from vlpro.audit.checkpoint import Signer
from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder, opened
from vlpro.audit.tables import checkpoints, contents, records
from vlpro.audit.tree import leaf_hash
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import BadRequestError, NotFoundError

__all__ = ["AuditQueries", "Filter", "Found", "Page", "Standing"]

_PAGE = 50
_SEARCHED = 100_000  # records that one search in the text looks at, the newest first
_DAY_S = 86_400
# Whoever alters SQLite's file may leave a text where bytes were: the record is shown all the same.
_DATA = sa.cast(records.c.data, sa.LargeBinary).label("data")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted; what is left empty does not matter.

    Args:
        event: Its name, or its beginning up to a colon.
        outcome: ok, refused or failed.
        login: Whose.
        session: Id of a session or a key.
        address: Where from.
        object: To what.
        since: Unix time, from.
        until: Unix time, before.
        text: Anywhere in the record.
    """

    event: str = ""
    outcome: str = ""
    login: str = ""
    session: str = ""
    address: str = ""
    object: str = ""
    since: float | None = None
    until: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One record: its number, its hash, and what it says.

    Args:
        seq: Its number.
        hash: Of its bytes as they are now, so that the next record's ``prev`` tells whether they were altered.
        said: Empty where the bytes are no record any more.
    """

    seq: int
    hash: str
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Records, the newest first.

    Args:
        found: The records.
        before: Ask for those before this number next; None: there are no more.
        complete: Whether everything was looked at; else a search in the text went on for long enough.
    """

    found: tuple[Found, ...]
    before: int | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the record stands.

    Args:
        log: The log's id.
        size: Records.
        first: Number of the oldest that is not in an archive.
        last_time: Unix time of the newest.
        signed: Records that the newest checkpoint covers.
        signed_root: Its root, hexadecimal; empty: there is no checkpoint yet.
        key: Public key of checkpoints, hexadecimal.
        refused_sign_ins: Sign-ins that were refused within a day.
        refusals: Other requests that were refused within a day.
    """

    log: str
    size: int
    first: int
    last_time: float
    signed: int
    signed_root: str
    key: str
    refused_sign_ins: int
    refusals: int


class AuditQueries:
    """Answers the audit administrator.

    Args:
        database: Of the audit.
        recorder: Records the questions themselves.
        sealer: Opens texts.
        signer: Of checkpoints.
    """

    def __init__(self, database: Database, recorder: Recorder, sealer: Sealer, signer: Signer) -> None:
        self._database = database
        self._recorder = recorder
        self._sealer = sealer
        self._signer = signer

    def find(self, wanted: Filter, before: int | None = None) -> Page:
        """Records that match, the newest first, fifty at most. Recorded, with what was asked for.

        Args:
            wanted: Which.
            before: Only those with smaller numbers.

        Raises:
            AuditError: The question cannot be recorded.
        """
        asked = {name: value for name, value in asdict(wanted).items() if value}
        question = self._recorder.note(
            Event.LOG_QUERIED, detail=asked | ({"before": before} if before else {})
        )
        newest = question if before is None else before  # the question does not find itself
        query = _narrowed(sa.select(records.c.seq, _DATA), wanted)
        query = query.where(records.c.seq < newest)
        floor = 0
        with self._database.read() as connection:
            if wanted.text:
                floor = max(0, newest - 1 - _SEARCHED)
                query = query.where(records.c.seq > floor, self._holds(wanted.text))
            rows = connection.execute(query.order_by(records.c.seq.desc()).limit(_PAGE)).all()
        found = tuple(_found(row.seq, bytes(row.data)) for row in rows)
        if len(found) == _PAGE:
            return Page(found, found[-1].seq, complete=False)
        return Page(found, floor + 1 if floor else None, complete=not floor)

    def get(self, seq: int) -> Found:
        """One record. Raises: NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(records.c.seq, _DATA).where(records.c.seq == seq)
            ).one_or_none()
        if row is None:
            raise NotFoundError(
                "There is no such record here; an old one may be in an archive.",
                zh="这里没有这条记录；较早的记录可能已归档。",
                code="record_not_found",
            )
        return _found(row.seq, bytes(row.data))

    def content(self, seq: int, reason: str) -> Mapping[str, str]:
        """The texts that a record of a question or an answer commits to. Looking is recorded, with the reason.

        Args:
            seq: Of the record.
            reason: Why they are looked at.

        Returns:
            Texts by the place in the record: ``question``, ``answers[0]``.

        Raises:
            NotFoundError: There is no such record, or its texts were not kept.
            BadRequestError: There is no reason.
            AuditError: The look cannot be recorded: nothing is shown.
        """
        if len(reason.strip()) < 4:
            raise BadRequestError(
                "Say why you look at what people wrote.", zh="请填写查看内容的理由。", param="reason"
            )
        detail = self.get(seq).said.get("detail", {})
        named = {"question": detail.get("question", {}).get("content")}
        named |= {
            f"answers[{index}]": answer.get("content")
            for index, answer in enumerate(detail.get("answers", []))
        }
        kept = {place: name for place, name in named.items() if name}
        with self._database.read() as connection:
            rows = connection.execute(sa.select(contents).where(contents.c.id.in_(kept.values()))).all()
        data = {row.id: bytes(row.data) for row in rows}
        if not data:
            raise NotFoundError(
                "The texts of this record are not kept: only their hashes are.",
                zh="这条记录没有保存文字内容，只保存了哈希。",
                code="content_not_kept",
            )
        self._recorder.note(
            Event.CONTENT_VIEWED, object=f"record_{seq}", detail={"reason": reason.strip()[:200]}
        )
        return {
            place: opened(self._sealer, name, data[name])[1] for place, name in kept.items() if name in data
        }

    def standing(self, now: float) -> Standing:
        """Where the record stands.

        Args:
            now: Unix time.
        """
        with self._database.read() as connection:
            first, size, newest = connection.execute(
                sa.select(sa.func.min(records.c.seq), sa.func.max(records.c.seq), sa.func.max(records.c.time))
            ).one()
            signed = connection.execute(
                sa.select(checkpoints.c.size, checkpoints.c.data).order_by(checkpoints.c.size.desc()).limit(1)
            ).one_or_none()
            refused = connection.execute(
                sa.select(records.c.event, sa.func.count())
                .where(
                    records.c.time > now - _DAY_S,
                    records.c.outcome == "refused",
                    records.c.event.in_([str(Event.SIGN_IN), str(Event.REQUEST_REFUSED)]),
                )
                .group_by(records.c.event)
            ).all()
        counted: dict[str, int] = {row[0]: row[1] for row in refused}
        return Standing(
            log=self._signer.log_id,
            size=size or 0,
            first=first or 0,
            last_time=newest or 0.0,
            signed=signed.size if signed is not None else 0,
            signed_root=json.loads(signed.data)["root"] if signed is not None else "",
            key=self._signer.public.hex(),
            refused_sign_ins=counted.get(str(Event.SIGN_IN), 0),
            refusals=counted.get(str(Event.REQUEST_REFUSED), 0),
        )

    def _holds(self, text: str) -> sa.ColumnElement[bool]:
        said = (
            sa.cast(records.c.data, sa.Text)
            if self._database.sqlite
            else sa.func.convert_from(records.c.data, "UTF8", type_=sa.Text)
        )
        return said.icontains(text, autoescape=True)


def _found(seq: int, data: bytes) -> Found:
    try:
        said = json.loads(data)
    except ValueError:
        said = {}
    return Found(seq, leaf_hash(data).hex(), said if isinstance(said, dict) else {})


def _narrowed(query: sa.Select[Any], wanted: Filter) -> sa.Select[Any]:
    for name in ("outcome", "login", "session", "address", "object"):
        value = getattr(wanted, name)
        if value:
            query = query.where(records.c[name] == value)
    if wanted.event.endswith(":"):
        query = query.where(records.c.event >= wanted.event, records.c.event < wanted.event[:-1] + ";")
    elif wanted.event:
        query = query.where(records.c.event == wanted.event)
    if wanted.since is not None:
        query = query.where(records.c.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(records.c.time < wanted.until)
    return query
