"""Program logs without personal data."""

from __future__ import annotations

import logging
from typing import Any

from vlpro.masking.text import mask_text

__all__ = ["MaskedRecord", "mask_logs"]


class MaskedRecord(logging.LogRecord):
    """A log record whose message, traceback and stack are masked, whichever handler writes it."""

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """The message with its arguments, masked."""
        return mask_text(super().getMessage())

    def __setattr__(self, name: str, value: Any) -> None:
        # A formatter keeps the text of a traceback here, before it writes it.
        if name in ("exc_text", "stack_info") and isinstance(value, str):
            value = mask_text(value)
        super().__setattr__(name, value)


def mask_logs() -> None:
    """Mask all that this process logs from now on, by every handler that there is or will be.

    A filter would have to be put on each handler; Streamlit and uvicorn make theirs late, and anew.
    """
    logging.setLogRecordFactory(MaskedRecord)
