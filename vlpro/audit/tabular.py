"""Records as lines of text for other programs: CSV for a spreadsheet, JSON lines for everything else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

from vlpro.audit.search import Found

__all__ = ["BEGINS", "as_csv", "as_json_lines"]

_COLUMNS = ("time", "event", "outcome", "login", "role", "session", "key", "address", "request", "object")
# What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection); Chinese keyboards have wide ones.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(found: Iterable[Found]) -> str:
    """Lines of a CSV file (RFC 4180): what happened, column by column, and the rest as JSON."""
    written = io.StringIO()
    writer = csv.writer(written)
    for one in found:
        said = one.said
        cells = [_cell(said.get(name, "")) for name in _COLUMNS]
        detail = json.dumps(said["detail"], ensure_ascii=False) if said.get("detail") else ""
        writer.writerow([one.seq, *cells, _cell(detail), one.hash])
    return written.getvalue()


def as_json_lines(found: Iterable[Found]) -> str:
    """A line of JSON for each record."""
    return "".join(
        json.dumps({"seq": one.seq, "hash": one.hash, "record": one.said}, ensure_ascii=False) + "\n"
        for one in found
    )


def _cell(value: object) -> str:
    """A text that no spreadsheet computes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


# The byte order mark tells Excel that it is UTF-8.
BEGINS = {"csv": "\ufeff" + ",".join(("seq", *_COLUMNS, "detail", "hash")) + "\r\n", "jsonl": ""}
"""What a file begins with, by its kind."""
