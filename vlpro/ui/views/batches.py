"""The page "Batches"."""

from __future__ import annotations

from vlpro.ui.parts import title
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["page"]


def page() -> None:
    """Draw everything."""
    with frame.panel():
        pass
    with frame.middle():
        title(t("batches.nav"), t("batches.about"))
