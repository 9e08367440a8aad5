"""Limits count a client by its network, however many addresses and connections it uses."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.kit.serving import Server

Serve = Callable[..., Server]


def one_a_day(serve: Serve, proxies: str) -> Server:
    """A server that takes one request a day from each client."""
    limits = {"client": "1 per day"}
    return serve(rate_limit_enabled=True, trusted_proxies=proxies, rate_limits=limits)


@pytest.mark.parametrize(
    ("proxies", "addresses", "statuses"),
    [
        ("", ["203.0.113.1", "203.0.113.2"], [200, 429]),
        ("192.0.2.0/24", ["203.0.113.1", "203.0.113.2"], [200, 429]),
        ("127.0.0.1", ["203.0.113.1", "203.0.113.2", "203.0.113.1"], [200, 200, 429]),
        ("127.0.0.1", ["203.0.113.1", "198.51.100.9, 203.0.113.1"], [200, 429]),
        ("127.0.0.1", ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"], [200, 429, 200]),
        ("127.0.0.1", ["::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1"], [200, 200, 429]),
        ("127.0.0.1", ["::ffff:c000:201", "64:ff9b::c000:202", "192.0.2.2"], [200, 200, 429]),
        ("127.0.0.1", ["fe80::1%eth0", "fe80::2%eth1"], [200, 429]),
        ("127.0.0.1", ["_hidden", "unknown", "192.0.2.256"], [200, 429, 429]),
    ],
)
def test_a_client_is_an_address_or_a_network_that_a_trusted_proxy_names(
    serve: Serve, proxies: str, addresses: list[str], statuses: list[int]
) -> None:
    with one_a_day(serve, proxies).client() as client:
        answers = [client.get("/", headers={"X-Forwarded-For": from_}) for from_ in addresses]
    assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize(("bits", "clients"), [(56, 4), (48, 16)])
def test_a_larger_network_may_do_a_few_times_as_much_as_a_client(
    serve: Serve, bits: int, clients: int
) -> None:
    server = one_a_day(serve, "127.0.0.1")

    def asked(number: int) -> httpx.Response:
        with server.client() as client:
            prefix = (0x20010DB8_0000 << 16) + (number << (0 if bits == 56 else 8))
            groups = [f"{prefix >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0)]
            return client.get("/", headers={"X-Forwarded-For": f"{':'.join(groups)}::1"})

    assert [asked(number).status_code for number in range(clients)] == [200] * clients
    refused = asked(clients)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert '"client";r=0' in refused.headers["RateLimit"]
    assert asked(0x10000).status_code == 200  # in the next /48
