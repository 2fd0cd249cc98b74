"""A document as the file that was asked for; what writes it is loaded then, not at the start of the service."""

from __future__ import annotations

from typing import Literal

from vlpro.documents.document import Document

__all__ = ["DocumentFormat", "written"]

DocumentFormat = Literal["docx", "pdf"]


def written(document: Document, kind: DocumentFormat) -> bytes:
    """Write a file.

    Args:
        document: With its pictures.
        kind: Of file.

    Raises:
        ConfigError: For PDF: this machine has no font with Chinese.
    """
    if kind == "pdf":
        from vlpro.documents.paper import to_pdf  # noqa: PLC0415 - see the module's docstring

        return to_pdf(document)
    from vlpro.documents.word import to_docx  # noqa: PLC0415 - likewise

    return to_docx(document)
