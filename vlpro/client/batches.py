"""Many files at once."""

from __future__ import annotations

from typing import BinaryIO, Literal

from vlpro import schema
from vlpro.client.calls import Calls, part
from vlpro.schema import batches as batch_schema

__all__ = ["BatchCalls"]


class BatchCalls(Calls):
    """Many files at once."""

    def add_file(self, name: str, data: bytes | BinaryIO, purpose: batch_schema.Purpose) -> batch_schema.File:
        """Send a file for a batch.

        Args:
            name: What it is called.
            data: Its bytes, or a file that is open to read.
            purpose: ``batch``: requests, one a line; ``user_data``: a picture, a PDF, or a zip archive of them.
        """
        return self._call(
            batch_schema.File,
            "POST",
            "/v1/files",
            data={"purpose": purpose},
            files={"file": (name, data, "application/octet-stream")},
        )

    def delete_file(self, file_id: str) -> batch_schema.FileDeleted:
        """Delete a file that no batch reads."""
        return self._call(batch_schema.FileDeleted, "DELETE", f"/v1/files/{part(file_id)}")

    def new_batch(self, asked: batch_schema.NewBatch) -> batch_schema.Batch:
        """Begin a batch."""
        return self._send(batch_schema.Batch, "/v1/batches", asked)

    def batches(self, *, after: str = "", limit: int = 20) -> batch_schema.BatchList:
        """One's own batches, the newest first.

        Args:
            after: Id of the last one of the page before.
            limit: How many at most, up to 100.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(batch_schema.BatchList, "GET", "/v1/batches", params=asked)

    def batch(self, batch_id: str) -> batch_schema.Batch:
        """One batch, with its progress."""
        return self._call(batch_schema.Batch, "GET", f"/v1/batches/{part(batch_id)}")

    def change_batch(self, batch_id: str, what: Literal["pause", "resume", "cancel"]) -> batch_schema.Batch:
        """Pause a batch, go on with it, or end it."""
        return self._call(batch_schema.Batch, "POST", f"/v1/batches/{part(batch_id)}/{what}")

    def delete_batch(self, batch_id: str, *, files: bool = False) -> schema.Deleted:
        """Delete a batch that has ended, with its results.

        Args:
            batch_id: Of the batch.
            files: Whether the files it read go too, but for those that another batch names.
        """
        asked = {"files": "true"} if files else {}
        return self._call(schema.Deleted, "DELETE", f"/v1/batches/{part(batch_id)}", params=asked)

    def batch_lines(
        self, batch_id: str, *, after: int = 0, limit: int = 50, status: str = ""
    ) -> batch_schema.BatchLineList:
        """What became of a batch's lines.

        Args:
            batch_id: Of the batch.
            after: Number of the last line before.
            limit: How many at most, up to 200.
            status: Only those that are waiting, completed or failed; empty: all.
        """
        asked = {"after": after, "limit": limit, **({"status": status} if status else {})}
        path = f"/v1/batches/{part(batch_id)}/lines"
        return self._call(batch_schema.BatchLineList, "GET", path, params=asked)

    def batch_results(
        self,
        batch_id: str,
        format: batch_schema.ExportFormat,  # noqa: A002 - the API's word
        language: Literal["zh", "en"] = "zh",
    ) -> bytes:
        """A batch's results as one file; that they are taken is recorded."""
        path = f"/v1/batches/{part(batch_id)}/results"
        return self._bytes(path, params={"format": format, "language": language})
