"""In which language a person is spoken to: Chinese or English."""

from __future__ import annotations

import re

__all__ = ["LANGUAGE_COOKIE", "preferred_language"]

LANGUAGE_COOKIE = "vlpro_language"


def preferred_language(accept_language: str, cookie: str = "") -> str:
    """The page's language before anybody has chosen one.

    Args:
        accept_language: The browser's header, as RFC 9110 section 12.5.4 has it.
        cookie: Value of :data:`LANGUAGE_COOKIE`: an earlier choice.

    Returns:
        "zh" or "en"; Chinese where the browser names neither.
    """
    if cookie in {"zh", "en"}:
        return cookie
    ranked: list[tuple[float, int, str]] = []
    for place, entry in enumerate(accept_language.split(",")):
        tag, _, parameters = entry.strip().partition(";")
        found = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", parameters)
        quality = float(found[1]) if found else 1.0
        if (language := tag.strip().lower()[:2]) in {"zh", "en"}:
            ranked.append((-quality, place, language))
    return min(ranked)[2] if ranked else "zh"
