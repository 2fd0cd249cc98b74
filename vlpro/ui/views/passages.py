"""Passages of documents, shown with their pages: what they say is only ever quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vlpro.schema.knowledge import Citation, KnowledgeHit
from vlpro.ui import session
from vlpro.ui.citing import ANCHOR, found_words
from vlpro.ui.parts import mount
from vlpro.ui.session import t
from vlpro.ui.views.viewer import viewer_words

__all__ = ["hits", "sources"]

_WORDS = ("knowledge.at", "knowledge.open", "knowledge.gone")


def hits(found: Sequence[KnowledgeHit], label: str, names: Mapping[str, str], query: str) -> None:
    """What a search found, each with a small picture of its page.

    Args:
        found: The best first.
        label: What they are.
        names: Of the bases, by id, where they are to be told.
        query: What was asked for: its words are marked.
    """
    passages = [
        {
            "number": number,
            "of": names.get(hit.base, ""),
            "parts": found_words(query, hit.text),
            **hit.model_dump(exclude={"score"}),
        }
        for number, hit in enumerate(found, 1)
    ]
    mount("passages", {"passages": passages, "label": label, "words": _words()}, key="passages")


def sources(citations: Sequence[Citation], key: str, label: str = "", *, quoted: bool = False) -> None:
    """What an answer, or an inspection, cites.

    Args:
        citations: In the order of their numbers.
        key: Of the answer: its links are taken.
        label: What they are; empty: sources.
        quoted: Whether what they say stands there, too.
    """
    data = {
        "passages": [one.model_dump() for one in citations],
        "anchor": f"{ANCHOR}{key}-",
        "label": label or t("knowledge.sources"),
        "quoted": quoted,
        "words": _words(),
    }
    mount("sources", data, key=f"sources-{key}")


def _words() -> dict[str, str]:
    """The viewer's words; its pictures are pages of documents."""
    own = {"picture": t("knowledge.at"), "evidence": t("knowledge.passage")}
    return {**viewer_words(), **session.words(*_WORDS), **own}
