"""The words of the picture viewer."""

from __future__ import annotations

from vlpro.ui import session

__all__ = ["viewer_words"]

_WORDS = (
    *("not_kept", "not_kept.why"),
    *("evidence", "confidence", "doubtful", "picture", "boxes", "enlarge", "viewer", "stage"),
    *("larger", "smaller", "fit", "actual", "previous", "next", "close"),
)


def viewer_words() -> dict[str, str]:
    """The words of the picture viewer."""
    return session.words(*_WORDS)
