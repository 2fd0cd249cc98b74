"""Where a page of a list goes on."""

from __future__ import annotations

from vlpro.errors import BadRequestError

__all__ = ["place_of"]


def place_of(after: str) -> tuple[float, str] | None:
    """The Unix time and the id of the last one of the page before; None: there is none.

    Args:
        after: As ``next`` of that page has it: time, ``~``, id.

    Raises:
        BadRequestError: It is something else.
    """
    if not after:
        return None
    when, _, name = after.partition("~")
    try:
        return float(when), name
    except ValueError:
        raise BadRequestError(
            "after is `next` of the page before.", zh="after 应为上一页的 next。", param="after"
        ) from None
