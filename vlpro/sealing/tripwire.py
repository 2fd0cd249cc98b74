"""Tells of tries to leave a sealed process. The kernel refuses them, whether they are told or not.

Python tells its audit hooks (PEP 578) before it makes a socket, looks a name up, or connects. What native code does
by itself is refused as well, and goes unseen here.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

__all__ = ["install"]

_UNKNOWN = -1  # the family of a socket that is made of a descriptor
_LOCAL = (socket.AF_UNIX, _UNKNOWN)

_Tell = Callable[[str, str], None]
_tell: _Tell | None = None
_hooked = False


def install(tell: _Tell | None) -> None:
    """From now on, tell of each try.

    Args:
        tell: Is given the way (``connect``, ``lookup``, ``socket``) and where to, as far as that is known; called in
            the thread that tried, so it must be quick and must not fail. None: nobody is told any more.
    """
    global _tell, _hooked  # noqa: PLW0603 - a hook is a fact of the process, and cannot be taken out again
    _tell = tell
    if tell is not None and not _hooked:
        _hooked = True
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _tell is None or not event.startswith("socket."):
        return
    if event == "socket.__new__":
        if arguments[1] not in _LOCAL:
            _tell("socket", "")
    elif event in ("socket.connect", "socket.sendto"):
        _tell("connect", _written(arguments[1]))
    elif event in (
        "socket.getaddrinfo",
        "socket.gethostbyname",
    ):  # by address, libraries ask for this machine's name
        _tell("lookup", _written(arguments))


def _written(address: object) -> str:
    if isinstance(address, tuple):
        host, port = (*address, "", "")[:2]
        return f"{_text(host)}:{_text(port)}" if port else _text(host)
    return _text(address)


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:200].encode("utf-8", "replace").decode()
