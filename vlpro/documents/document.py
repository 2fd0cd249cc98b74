"""A document as Word and PDF both write it: headings, paragraphs, tables, pictures with captions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vlpro.documents.label import Label, Language

__all__ = ["Block", "Document", "Figure", "Heading", "Paragraph", "Table", "plain"]

# What XML 1.0 cannot hold (2.2), and what turns the direction of letters, by which a name can lie about itself.
_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within the document; level 1 stands below the title."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text; line feeds begin new lines.

    Args:
        text: Plain text.
        bold: Emphasised.
        small: For notes.
    """

    text: str
    bold: bool = False
    small: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header.

    Args:
        header: A cell a column; empty: no header.
        rows: Each as long as the header.
        widths: Shares of the columns; empty: equal ones.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[float] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A picture.

    Args:
        jpeg: Encoded, in colour (three components).
        width: Pixels.
        height: Pixels.
        caption: Below it; may be empty.
        share: Of the text's width that it takes at most.
    """

    jpeg: bytes
    width: int
    height: int
    caption: str = ""
    share: float = 1.0


Block = Heading | Paragraph | Table | Figure


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """What is to be written.

    Args:
        title: On top, and in the file's metadata.
        blocks: In order.
        language: Of its fixed words, and for readers that ask.
        created: When, with its time zone.
        label: That its content was generated; None: a person wrote it.
    """

    title: str
    blocks: Sequence[Block]
    language: Language
    created: datetime
    label: Label | None = field(default=None)


def plain(text: str) -> str:
    """A text without characters that a file cannot hold, or that show it other than it is."""
    return _UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
