"""The page's own component, and small pieces of HTML."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from vlpro import __version__

__all__ = ["Kind", "Tone", "badge", "facts", "mount", "note", "page_style", "size", "strip", "title"]

Kind = Literal[
    "account",
    "actions",
    "batching",
    "composer",
    "documents",
    "download",
    "evidence",
    "figures",
    "handin",
    "history",
    "inspecting",
    "leave",
    "passages",
    "preferences",
    "putting",
    "queue",
    "receipt",
    "reporting",
    "rules",
    "secret",
    "sources",
    "table",
    "thumbnails",
    "timeline",
    "welcome",
]
Tone = Literal["plain", "ok", "warn", "bad", "info"]

_FOLDER = Path(__file__).parent
_NAME = "vlpro.page"
_SHEETS = (
    "parts.css",
    "timeline.css",
    "history.css",
    "receipts.css",
    "inspecting.css",
    "batching.css",
    "reporting.css",
    "knowing.css",
)


def mount(kind: Kind, data: Mapping[str, Any], key: str, **triggers: Callable[[], None]) -> None:
    """Show a part of ``static/index.js``.

    Args:
        kind: Which part.
        data: What it shows; JSON values.
        key: Names its place: the same key keeps its state.
        **triggers: Called when it sends the event of that name; the value stands in ``st.session_state[key]``.
    """
    callbacks = {f"on_{name}_change": call for name, call in triggers.items()}
    _component()(data={"kind": kind, **data}, key=key, **callbacks)


def _component() -> Any:
    """The component, served as files of this origin: inline scripts would need ``blob:`` in the script policy.

    Streamlit finds such components in installed distributions only. This package also runs from a plain checkout,
    so it registers its folder itself.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(_NAME) is None:
        here = ComponentConfig(name="page", asset_dir="static")
        manager.register_from_manifest(ComponentManifest("vlpro", __version__, [here]), _FOLDER)
    return st.components.v2.component(
        _NAME,
        css="".join(map(_sheet, _SHEETS)),
        js="index.js",
    )


def page_style(lost: str) -> None:
    """Put the page's style sheet in place; first thing on each run.

    Args:
        lost: What to say while the service does not answer: only the sheet is left to say it then.
    """
    sheets = _sheet("page.css") + _sheet("accounts.css") + _sheet("batches.css") + _sheet("compliance.css")
    st.html(f"<style>{sheets} :root {{ --vl-lost: {json.dumps(lost, ensure_ascii=False)}; }}</style>")


@cache
def _sheet(name: str) -> str:
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


def note(kind: Literal["info", "warn", "bad"], sentence: str, small: str = "") -> None:
    """A sentence that stands out: what happened, and what to do."""
    role = "alert" if kind == "bad" else "status"
    detail = f"<small>{escape(small)}</small>" if small else ""
    st.html(f'<div class="vl-note {kind}" role="{role}"><p>{escape(sentence)}</p>{detail}</div>')


def title(heading: str, below: str = "") -> None:
    """A page's heading, and a sentence about it."""
    st.html(f'<div class="vl-title"><h1>{escape(heading)}</h1><p>{escape(below)}</p></div>')


def badge(tone: Tone, text: str) -> str:
    """A state, as HTML: a colour, an icon and a word."""
    return f'<span class="vl-badge {tone}">{escape(text)}</span>'


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values, one below the other, as HTML; values are HTML."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in pairs)
    return f'<dl class="vl-facts">{rows}</dl>'


def strip(pairs: Sequence[tuple[str, str]], end: str = "") -> None:
    """Names and values beside each other, above a page's work; values are HTML."""
    cells = "".join(f"<dl><dt>{escape(name)}</dt><dd>{value}</dd></dl>" for name, value in pairs)
    st.html(f'<div class="vl-strip">{cells}<div class="end">{escape(end)}</div></div>')


def size(amount: int) -> str:
    """Bytes as people read them: 40 KiB, 812 MiB, 11.4 GiB."""
    if amount < 2**20:
        return f"{amount / 2**10:.0f} KiB"
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"
