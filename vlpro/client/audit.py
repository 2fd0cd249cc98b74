"""The audit, for its administrator."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from vlpro.client.calls import Calls, no_answer, part, refused
from vlpro.schema import audit as audit_schema

__all__ = ["AuditCalls"]


class AuditCalls(Calls):
    """The audit, for its administrator."""

    def audit_records(
        self,
        *,
        event: str = "",
        outcome: str = "",
        login: str = "",
        session: str = "",
        address: str = "",
        object: str = "",  # noqa: A002 - the record's word
        since: float | None = None,
        until: float | None = None,
        text: str = "",
        before: int | None = None,
    ) -> audit_schema.AuditRecordList:
        """Records that match, the newest first, fifty at most. What was asked for is recorded, too.

        Args:
            event: Its name, or its beginning up to a colon. What is left empty, here and below, does not matter.
            outcome: ok, refused or failed.
            login: Whose.
            session: Id of a session or a key.
            address: Where from.
            object: To what.
            since: Unix time, from.
            until: Unix time, before.
            text: Anywhere in the record.
            before: Only those with smaller numbers, as the page before says.
        """
        given = {
            "event": event,
            "outcome": outcome,
            "login": login,
            "session": session,
            "address": address,
            "object": object,
            "since": since,
            "until": until,
            "text": text,
            "before": before,
        }
        asked = {name: value for name, value in given.items() if value not in ("", None)}
        return self._call(audit_schema.AuditRecordList, "GET", "/v1/audit/records", params=asked)

    def audit_record(self, seq: int) -> audit_schema.AuditRecord:
        """One record."""
        return self._call(audit_schema.AuditRecord, "GET", f"/v1/audit/records/{seq}")

    def audit_content(self, seq: int, reason: str) -> audit_schema.AuditContent:
        """What people wrote, where it is kept; the look is recorded, with its reason."""
        asked = audit_schema.ContentReason(reason=reason)
        return self._send(audit_schema.AuditContent, f"/v1/audit/records/{seq}/content", asked)

    def audit_standing(self) -> audit_schema.AuditStanding:
        """How much is recorded and signed; what was refused within a day."""
        return self._call(audit_schema.AuditStanding, "GET", "/v1/audit/standing")

    def audit_verification(self) -> audit_schema.AuditVerification:
        """The verification of the record that goes on, and the last one that ended."""
        return self._call(audit_schema.AuditVerification, "GET", "/v1/audit/verification")

    def verify_audit(self) -> audit_schema.AuditVerification:
        """Begin to verify the whole stored record."""
        return self._call(audit_schema.AuditVerification, "POST", "/v1/audit/verification")

    def stop_audit_verification(self) -> audit_schema.AuditVerification:
        """End the verification that goes on, if one does."""
        return self._call(audit_schema.AuditVerification, "POST", "/v1/audit/verification/stop")

    def new_audit_export(self, asked: audit_schema.NewAuditExport) -> audit_schema.AuditExport:
        """Say what is to be taken out of the record, and why; the file can then be fetched once."""
        return self._send(audit_schema.AuditExport, "/v1/audit/exports", asked)

    def audit_export_file(self, export_id: str, write: Callable[[bytes], object]) -> None:
        """Fetch the file of an export, in pieces.

        Args:
            export_id: Of :meth:`new_audit_export`.
            write: Is given the pieces; if this method raises, they are no whole file.
        """
        path = f"/v1/audit/exports/{part(export_id)}/file"
        try:
            with self._http.stream("GET", path) as reply:
                if not reply.is_success:
                    reply.read()
                    raise refused(reply)
                for piece in reply.iter_bytes():
                    write(piece)
        except httpx.HTTPError as error:
            raise no_answer() from error
