"""What can go wrong between here and the destination.

Exception
└── ShippingError             a sentence in two languages
    ├── UnavailableError      nobody answers, or not now: try again later
    ├── RefusedError          it answers, and takes nothing from us: a person must act; trying again is harmless
    │   └── TooLargeError     this request is too large
    └── StoppedError          going on would hide something: the process ends
"""

from __future__ import annotations

__all__ = ["RefusedError", "ShippingError", "StoppedError", "TooLargeError", "UnavailableError"]


class ShippingError(Exception):
    """Base of all.

    Args:
        message: One English sentence. Never holds a secret or a record's content.
        zh: The same in Chinese.
        doubtful: Whether something may have arrived all the same.
        wait_s: Seconds that the destination asks to be left alone for.
    """

    def __init__(self, message: str, *, zh: str, doubtful: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.zh = zh
        self.doubtful = doubtful
        self.wait_s = wait_s


class UnavailableError(ShippingError):
    """Nobody answers, or it is too busy, or its answer is nonsense."""


class RefusedError(ShippingError):
    """It takes nothing from us as things are: secret, certificate, right, index."""


class TooLargeError(RefusedError):
    """The request is larger than it takes."""


class StoppedError(ShippingError):
    """Going on would hide something: a record that is refused, or another one under its number."""
