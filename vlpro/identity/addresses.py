"""Networks, and whether an address lies in one."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

__all__ = ["allowed"]


def allowed(address: str, listed: tuple[str, ...]) -> bool:
    """Whether an address is in one of the networks; what is no address is in none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return _in(parsed, listed)


@lru_cache(maxsize=4096)
def _in(address: IPv4Address | IPv6Address, listed: tuple[str, ...]) -> bool:
    return any(address in ip_network(network) for network in listed)
