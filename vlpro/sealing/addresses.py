"""What a service and its relay say to each other: addresses as text, and one byte in return."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["CONNECTED", "NOT_NAMED", "NO_ADDRESS", "destination", "is_address", "tcp_ports", "unix"]

CONNECTED, NOT_NAMED, NO_ADDRESS = 0, 254, 255
"""What the relay says first: it is connected; the address is not among its own; the name has no address. Any other
number is an error of the system's (errno)."""

_ADDRESS = re.compile(r"(?!unix:)[^\s/\[\]]{1,253}:[0-9]{1,5}|unix:/.{1,106}")


def destination(host: str, port: int) -> str:
    """A host's name or number, and a TCP port: ``HOST:PORT``."""
    name = host.strip("[]").lower()
    return f"{name if name.isascii() else name.encode('idna').decode()}:{port}"


def unix(path: str) -> str:
    """A Unix socket: ``unix:/PATH``."""
    return f"unix:{path}"


def is_address(text: str) -> bool:
    """Whether a text is one of both."""
    return _ADDRESS.fullmatch(text) is not None


def tcp_ports(destinations: Iterable[str]) -> list[int]:
    """The ports among addresses."""
    return sorted({int(where.rpartition(":")[2]) for where in destinations if not where.startswith("unix:")})
