"""Documents as fields."""

from __future__ import annotations

from collections.abc import Sequence

from vlpro import schema
from vlpro.client.calls import Calls, part
from vlpro.schema import extractions as extraction_schema

__all__ = ["ExtractionCalls"]


class ExtractionCalls(Calls):
    """Documents as fields."""

    def extract(self, asked: extraction_schema.NewExtraction) -> extraction_schema.ExtractionInfo:
        """Read a document as fields."""
        return self._send(extraction_schema.ExtractionInfo, "/v1/extractions", asked)

    def extractions(
        self, *, states: Sequence[str] = (), after: str = "", limit: int = 50
    ) -> extraction_schema.ExtractionList:
        """Results that one may see, the newest first.

        Args:
            states: open, approved or returned; none: all.
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"state": list(states), "limit": limit, **({"after": after} if after else {})}
        return self._call(extraction_schema.ExtractionList, "GET", "/v1/extractions", params=asked)

    def extraction(self, extraction_id: str) -> extraction_schema.ExtractionInfo:
        """One result."""
        return self._call(extraction_schema.ExtractionInfo, "GET", f"/v1/extractions/{part(extraction_id)}")

    def extraction_templates(self) -> extraction_schema.TemplateList:
        """The kinds of documents, and the systems that results can be sent to."""
        return self._call(extraction_schema.TemplateList, "GET", "/v1/extractions/templates")

    def correct_extraction(
        self, extraction_id: str, asked: extraction_schema.FieldCorrections
    ) -> extraction_schema.ExtractionInfo:
        """Put other values in place of what was read."""
        path = f"/v1/extractions/{part(extraction_id)}/fields"
        return self._send(extraction_schema.ExtractionInfo, path, asked, method="PUT")

    def approve_extraction(
        self, extraction_id: str, asked: extraction_schema.NewApproval
    ) -> extraction_schema.ExtractionInfo:
        """Say that a result is right."""
        path = f"/v1/extractions/{part(extraction_id)}/approve"
        return self._send(extraction_schema.ExtractionInfo, path, asked)

    def return_extraction(
        self, extraction_id: str, asked: extraction_schema.NewReturn
    ) -> extraction_schema.ExtractionInfo:
        """Send a result back, with a reason."""
        path = f"/v1/extractions/{part(extraction_id)}/return"
        return self._send(extraction_schema.ExtractionInfo, path, asked)

    def delete_extraction(self, extraction_id: str) -> schema.Deleted:
        """Delete a result of one's own."""
        return self._call(schema.Deleted, "DELETE", f"/v1/extractions/{part(extraction_id)}")

    def deliver_extraction(self, extraction_id: str, target: str) -> extraction_schema.DeliveryInfo:
        """Send an approved result to a system that the settings name."""
        path = f"/v1/extractions/{part(extraction_id)}/deliveries"
        return self._send(extraction_schema.DeliveryInfo, path, extraction_schema.NewDelivery(target=target))

    def retry_delivery(self, extraction_id: str, delivery_id: str) -> extraction_schema.DeliveryInfo:
        """Try a delivery again."""
        path = f"/v1/extractions/{part(extraction_id)}/deliveries/{part(delivery_id)}/retry"
        return self._call(extraction_schema.DeliveryInfo, "POST", path)
