"""The pages before the application: sign-in, second factor, password, first start. Plain HTML from the server."""

from __future__ import annotations

from vlpro.gateway.pages.render import Page, assets, render
from vlpro.gateway.pages.strings import Language, text

__all__ = ["Language", "Page", "assets", "render", "text"]
