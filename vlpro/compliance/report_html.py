"""A compliance report as one HTML file that stands alone: no script, nothing that is fetched, printable."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2

from vlpro.compliance.report import Content
from vlpro.compliance.report_words import SCOPES, VERDICTS, WORDS

__all__ = ["to_html"]


def to_html(content: Content) -> bytes:
    """Write the file; the same report gives the same bytes.

    Args:
        content: The report, with the keys that will sign it under ``keys``.
    """
    template = _templates().get_template("report.html")
    verdicts = {clause["id"]: clause["verdict"] for clause in content["clauses"]}
    text = template.render(
        report=content,
        created=datetime.fromtimestamp(content["created"], UTC),
        words=WORDS,
        verdicts=VERDICTS,
        scopes=SCOPES,
        anchors={name: f"c{number}" for number, name in enumerate(verdicts, 1)},
    )
    return text.encode()


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
