"""The record taken out from the page: what the filters show, or all of it to be verified elsewhere; with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import streamlit as st

from vlpro.schema.audit import AuditFilter, NewAuditExport
from vlpro.ui import session
from vlpro.ui.parts import note
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["export"]

_FORMATS = ("csv", "jsonl", "record")


def export(wanted: Mapping[str, Any], chips: str) -> None:
    """Open the dialog.

    Args:
        wanted: What the filters ask for, as the API is asked.
        chips: The same in words; empty: for everything.
    """
    st.dialog(t("audit.export"), width="medium")(_ask)(wanted, chips)


def _ask(wanted: Mapping[str, Any], chips: str) -> None:
    note("info", t("export.about"))
    with st.form("audit_export_form", border=False):
        kind = st.radio(
            t("export.what"),
            _FORMATS,
            key="audit_export_kind",
            format_func=lambda one: t(f"export.{one}"),
            captions=[
                t("export.filter", filter=chips) if chips else t("export.filter.none"),
                t("export.filter", filter=chips) if chips else t("export.filter.none"),
                t("export.record.about"),
            ],
        )
        reason = frame.reason("audit_export_reason", t("export.reason"), t("export.example"), t("export.do"))
    if reason is None:
        return
    chosen = cast("Literal['csv', 'jsonl', 'record']", kind)
    given = {name: value for name, value in wanted.items() if value not in ("", None)}
    asked = NewAuditExport(
        format=chosen,
        filter=AuditFilter(**given) if chosen != "record" else AuditFilter(),
        reason=reason,
    )
    made = frame.attempt(lambda: session.client().new_audit_export(asked))
    if made is not None:
        # The browser fetches it itself, with the person's own cookie: it can be larger than any memory.
        url = f"/v1/audit/exports/{made.id}/file"
        session.remember("file", {"id": made.id, "name": made.name, "url": url})
        st.rerun()
