"""Networks, and whether an address lies in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, cast

__all__ = ["allowed", "one_outside"]


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


def one_outside(networks: Sequence[str], listed: Sequence[str]) -> str:
    """An address of some networks, not of this machine itself, that others leave out; empty: they leave none out.

    Args:
        networks: Where it is looked for.
        listed: Where it must not be.
    """
    others = [ip_network(text) for text in listed]
    for text in networks:
        left: list[IPv4Network | IPv6Network] = [ip_network(text)]
        for other in others:
            left = [rest for one in left for rest in _without(one, other)]
        for one in left:
            if not one.is_loopback:
                return str(one[0] if one.num_addresses == 1 else one[1])
    return ""


def _without(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> Iterator[Any]:
    """What is left of a network without another: two of one version have nothing in common, or one has the other."""
    if one.version != other.version or not one.overlaps(other):
        yield one
    elif one.prefixlen < other.prefixlen:
        yield from cast("Any", one).address_exclude(other)
