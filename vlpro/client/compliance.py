"""Compliance reports, for the security and the audit administrator."""

from __future__ import annotations

from vlpro.client.calls import Calls, part
from vlpro.schema import compliance as wire

__all__ = ["ComplianceCalls"]

_REPORTS = "/v1/compliance/reports"


class ComplianceCalls(Calls):
    """Compliance reports, for the security and the audit administrator."""

    def new_compliance_report(self) -> wire.ComplianceReportInfo:
        """Begin to make a report; one is made at a time."""
        return self._call(wire.ComplianceReportInfo, "POST", _REPORTS)

    def compliance_reports(self) -> wire.ComplianceReportList:
        """The newest reports, what is being made and what came to nothing among them."""
        return self._call(wire.ComplianceReportList, "GET", _REPORTS)

    def compliance_report(self, report_id: str) -> wire.ComplianceReport:
        """One report, or how far it is; a look at one that is made is recorded."""
        return self._call(wire.ComplianceReport, "GET", f"{_REPORTS}/{part(report_id)}")

    def stop_compliance_report(self, report_id: str) -> wire.ComplianceReportInfo:
        """Stop a report that is being made."""
        return self._call(wire.ComplianceReportInfo, "POST", f"{_REPORTS}/{part(report_id)}/stop")

    def compliance_file(self, report_id: str, name: wire.ComplianceFile) -> bytes:
        """A file of a report; that is recorded."""
        return self._bytes(f"{_REPORTS}/{part(report_id)}/files/{part(name)}")
