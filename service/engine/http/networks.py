"""The networks of client addresses, at the sizes used to tell clients apart."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

UNKNOWN = "unknown"  # for clients without an address: a Unix socket, or text that is not one

_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052, section 2.1: IPv4 clients of an IPv6-only server
_IPV4 = 0xFFFFFFFF
_MAX_ADDRESS_CHARACTERS = 100  # with a scope id; longer texts would fill the cache


class Size(NamedTuple):
    """How many leading bits two addresses have in common when they are in one network."""

    ipv4: int
    ipv6: int


CLIENT = Size(32, 64)  # one client: an IPv6 host picks any address of its /64 (RFC 8981)
SITE = Size(24, 56)  # one customer of a provider, as RFC 6177 recommends for IPv6
PROVIDER_BLOCK = Size(24, 48)  # what a moving or newly numbered client usually stays in


def address(text: str) -> str:
    """The address in its one form: IPv4 in IPv6 as IPv4, without a scope id, else `UNKNOWN`."""
    return _address(text) if len(text) <= _MAX_ADDRESS_CHARACTERS else UNKNOWN


@lru_cache(8192)
def is_local(text: str) -> bool:
    """Whether an address identifies no client: it belongs to this machine, or is unknown."""
    found = _parsed(text)
    return found is None or found.is_loopback


@lru_cache(8192)
def network(text: str, size: Size = CLIENT) -> str:
    """The network of an address, such as `192.0.2.0/24`; `UNKNOWN` for what is no address.

    Whatever is no address shares one network, so that inventing such texts gains nothing.
    """
    found = _parsed(text)
    if found is None:
        return UNKNOWN
    bits = size.ipv4 if found.version == 4 else size.ipv6
    return str(ip_network((found, bits), strict=False))


@lru_cache(8192)
def _address(text: str) -> str:
    found = _parsed(text)
    return UNKNOWN if found is None else str(found)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])  # a scope id (RFC 4007, section 11)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return found.ipv4_mapped
        if found in _NAT64:
            return IPv4Address(int(found) & _IPV4)
    return found
