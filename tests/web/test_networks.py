"""Addresses of the same client or network are recognised, however they are written."""

from __future__ import annotations

import pytest

from service.engine.http.networks import (
    CLIENT,
    PROVIDER_BLOCK,
    SITE,
    UNKNOWN,
    Size,
    address,
    network,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("0:0:0:0:0:ffff:c000:0201", "192.0.2.1"),
        ("::ffff:192.0.2.1%eth0", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("64:ff9b::c000:201", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("::192.0.2.1", "::c000:201"),
    ],
)
def test_an_address_has_one_form(text: str, expected: str) -> None:
    assert address(text) == expected


NO_ADDRESSES = ["", UNKNOWN, "_hidden", "192.0.2", "192.0.2.01", "192.0.2.256", "192.0.2.1/24"]
NO_ADDRESSES += ["::ffff:192.0.2", "[::1]", "2001:db8::1::2", "%eth0", "\u0661.0.0.1", "x" * 30_000]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_text_that_is_no_address_is_one_unknown_client(text: str) -> None:
    assert address(text) == network(text) == network(text, PROVIDER_BLOCK) == UNKNOWN


@pytest.mark.parametrize(
    ("size", "text", "expected"),
    [
        (CLIENT, "192.0.2.1", "192.0.2.1/32"),
        (SITE, "192.0.2.1", "192.0.2.0/24"),
        (PROVIDER_BLOCK, "192.0.2.1", "192.0.2.0/24"),
        (PROVIDER_BLOCK, "::ffff:192.0.2.1", "192.0.2.0/24"),
        (CLIENT, "2001:db8:1:203::1", "2001:db8:1:203::/64"),
        (SITE, "2001:db8:1:203::1", "2001:db8:1:200::/56"),
        (PROVIDER_BLOCK, "2001:db8:1:203::1", "2001:db8:1::/48"),
        (CLIENT, "fe80::1%eth0", "fe80::/64"),
        (CLIENT, "fe80::2%eth1", "fe80::/64"),
    ],
)
def test_a_network_has_the_size_that_is_asked_for(size: Size, text: str, expected: str) -> None:
    assert network(text, size) == expected


def test_the_addresses_that_one_client_may_choose_are_one_client() -> None:
    own = {network(f"2001:db8:1:203::{number:x}") for number in range(1, 1000)}
    assert len(own) == 1
    assert network("2001:db8:1:204::1") not in own
    assert network("192.0.2.1") != network("192.0.2.2")
