"""Questions to the record: who did what, when. Whoever asks is on the record, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from vlpro.audit.checkpoint import Signer
from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder, opened
from vlpro.audit.search import DATA, Filter, Found, Page, as_found, search
from vlpro.audit.tables import checkpoints, contents, records
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import BadRequestError, NotFoundError

__all__ = ["AuditQueries", "Filter", "Found", "Page", "Standing"]

_FIRST_S = 0.25  # seconds that a question takes at most until it is told what was found
_FURTHER_S = 1.0  # and where it goes on
_DAY_S = 86_400


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

        Where nothing quick tells which ones match, the answer comes all the same, with where to go on.

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
        below = question if before is None else before  # the question does not find itself
        seconds = _FIRST_S if before is None else _FURTHER_S
        return search(self._database, wanted, below, seconds=seconds)

    def get(self, seq: int) -> Found:
        """One record. Raises: NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(records.c.seq, DATA).where(records.c.seq == seq)).one_or_none()
        if row is None:
            raise NotFoundError(
                "There is no such record here; an old one may be in an archive.",
                zh="这里没有这条记录；较早的记录可能已归档。",
                code="record_not_found",
            )
        return as_found(row.seq, bytes(row.data))

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
            # One by one: each then comes from an index, and all three together from a million records.
            first = connection.execute(sa.select(sa.func.min(records.c.seq))).scalar()
            last = connection.execute(
                sa.select(records.c.seq, records.c.time).order_by(records.c.seq.desc()).limit(1)
            ).one_or_none()
            signed = connection.execute(
                sa.select(checkpoints.c.size, checkpoints.c.data).order_by(checkpoints.c.size.desc()).limit(1)
            ).one_or_none()
            # The numbers of this day come from the index of times alone, the rest from that of events.
            since, _ = connection.execute(
                sa.select(sa.func.min(records.c.seq + 0), sa.func.max(records.c.seq + 0)).where(
                    records.c.time > now - _DAY_S
                )
            ).one()
            refused = connection.execute(
                sa.select(records.c.event, sa.func.count())
                .where(
                    records.c.seq >= (since or 0),
                    records.c.time > now - _DAY_S,
                    records.c.outcome == "refused",
                    records.c.event.in_([str(Event.SIGN_IN), str(Event.REQUEST_REFUSED)]),
                )
                .group_by(records.c.event)
            ).all()
        counted: dict[str, int] = {row[0]: row[1] for row in refused}
        return Standing(
            log=self._signer.log_id,
            size=last.seq if last is not None else 0,
            first=first or 0,
            last_time=last.time if last is not None else 0.0,
            signed=signed.size if signed is not None else 0,
            signed_root=json.loads(signed.data)["root"] if signed is not None else "",
            key=self._signer.public.hex(),
            refused_sign_ins=counted.get(str(Event.SIGN_IN), 0),
            refusals=counted.get(str(Event.REQUEST_REFUSED), 0),
        )
