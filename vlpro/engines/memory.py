"""Memory that is free within this process goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes

__all__ = ["trim"]


def trim() -> None:
    """Give back what the C library holds free (``malloc_trim`` of glibc; others have none)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
