"""Pictures of boards and equipment."""

from __future__ import annotations

from typing import Literal

from vlpro import schema
from vlpro.client.calls import Calls, part
from vlpro.schema import inspections as inspecting

__all__ = ["InspectionCalls"]


class InspectionCalls(Calls):
    """Pictures of boards and equipment."""

    def inspect(self, asked: inspecting.NewInspection) -> inspecting.Inspection:
        """Inspect a picture."""
        return self._send(inspecting.Inspection, "/v1/inspections", asked)

    def inspections(self, *, after: str = "", limit: int = 50) -> inspecting.InspectionList:
        """One's own inspections, the newest first.

        Args:
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(inspecting.InspectionList, "GET", "/v1/inspections", params=asked)

    def inspection(self, inspection_id: str) -> inspecting.Inspection:
        """One inspection."""
        return self._call(inspecting.Inspection, "GET", f"/v1/inspections/{part(inspection_id)}")

    def inspection_picture(self, inspection_id: str) -> bytes:
        """The inspected picture with its defects drawn on it, a JPEG."""
        return self._bytes(f"/v1/inspections/{part(inspection_id)}/picture")

    def decide_inspection(
        self, inspection_id: str, verdict: Literal["pass", "fail"]
    ) -> inspecting.Inspection:
        """Say what a person found when looking at it."""
        body = inspecting.InspectionDecision(verdict=verdict)
        return self._send(inspecting.Inspection, f"/v1/inspections/{part(inspection_id)}/decision", body)

    def delete_inspection(self, inspection_id: str) -> schema.Deleted:
        """Delete an inspection with its picture."""
        return self._call(schema.Deleted, "DELETE", f"/v1/inspections/{part(inspection_id)}")

    def golden_templates(self) -> inspecting.GoldenTemplateList:
        """One's own golden pictures, by product."""
        return self._call(inspecting.GoldenTemplateList, "GET", "/v1/inspections/templates")

    def put_golden_template(
        self, product: str, asked: inspecting.NewGoldenTemplate
    ) -> inspecting.GoldenTemplate:
        """Store the golden picture of a product."""
        path = f"/v1/inspections/templates/{part(product)}"
        return self._send(inspecting.GoldenTemplate, path, asked, method="PUT")

    def delete_golden_template(self, product: str) -> schema.Deleted:
        """Delete the golden picture of a product."""
        return self._call(schema.Deleted, "DELETE", f"/v1/inspections/templates/{part(product)}")

    def inspection_alerts(
        self, *, state: inspecting.AlertState | None = None, after: str = "", limit: int = 50
    ) -> inspecting.InspectionAlertList:
        """One's own alerts, the newest first.

        Args:
            state: Only those; None: all.
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"limit": limit, **({"after": after} if after else {}), **({"state": state} if state else {})}
        return self._call(inspecting.InspectionAlertList, "GET", "/v1/inspections/alerts", params=asked)

    def acknowledge_alert(self, alert_id: str, note: str = "") -> inspecting.InspectionAlert:
        """Say that somebody saw to an alert."""
        path = f"/v1/inspections/alerts/{part(alert_id)}/acknowledge"
        return self._send(inspecting.InspectionAlert, path, inspecting.Acknowledgement(note=note))
