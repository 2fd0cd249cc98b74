"""Networks within networks."""

from __future__ import annotations

import pytest

from vlpro.identity.addresses import one_outside


@pytest.mark.parametrize(
    ("networks", "listed", "found"),
    [
        (["10.0.0.0/8"], ["10.0.0.0/8"], ""),
        (["10.0.0.0/8"], ["0.0.0.0/0"], ""),
        (["10.1.0.0/16", "10.2.0.0/16"], ["10.0.0.0/8"], ""),
        (["10.0.0.0/8"], ["10.0.0.0/9", "10.128.0.0/9"], ""),
        (["10.0.0.0/8"], ["10.0.0.0/9"], "10.128.0.1"),
        (["10.0.0.0/30"], ["10.0.0.0/31", "10.0.0.2"], "10.0.0.3"),
        (["10.0.0.0/8"], [], "10.0.0.1"),
        (["127.0.0.0/8", "::1"], ["10.0.0.0/8"], ""),
        (["10.0.0.0/8"], ["::/0"], "10.0.0.1"),
        (["fc00::/7"], ["fc00::/8", "10.0.0.0/8"], "fd00::1"),
        ([], [], ""),
    ],
)
def test_an_address_that_another_list_leaves_out(networks: list[str], listed: list[str], found: str) -> None:
    assert one_outside(networks, listed) == found
