"""Many pictures, reported on."""

from __future__ import annotations

from vlpro import schema
from vlpro.client.calls import Calls, part
from vlpro.schema import reports as report_schema

__all__ = ["ReportCalls"]


class ReportCalls(Calls):
    """Many pictures, reported on."""

    def make_report(self, asked: report_schema.NewReport) -> report_schema.Report:
        """Report on pictures; at once, which may take minutes (``timeout_s``), or in the background."""
        return self._send(report_schema.Report, "/v1/reports", asked)

    def reports(self, *, after: str = "", limit: int = 20) -> report_schema.ReportList:
        """One's own reports, the newest first.

        Args:
            after: ``next`` of the page before.
            limit: How many at most, up to 100.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(report_schema.ReportList, "GET", "/v1/reports", params=asked)

    def report(self, report_id: str) -> report_schema.Report:
        """One report; it may still be being made."""
        return self._call(report_schema.Report, "GET", f"/v1/reports/{part(report_id)}")

    def cancel_report(self, report_id: str) -> report_schema.Report:
        """Stop a report that is being made."""
        return self._call(report_schema.Report, "POST", f"/v1/reports/{part(report_id)}/cancel")

    def delete_report(self, report_id: str) -> schema.Deleted:
        """Delete a report with its pictures."""
        return self._call(schema.Deleted, "DELETE", f"/v1/reports/{part(report_id)}")
