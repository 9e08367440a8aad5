"""The hosts that requests may name (TRUSTED_HOSTS): names, their subdomains, addresses,
networks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from service.engine.http.occasional import Occasional
from service.engine.settings_types import network_of

MAX_REMEMBERED_HOSTS = 1000  # spellings that are known to be allowed
MAX_HOST_CHARACTERS = 300  # of a remembered spelling: a name has 253, a port six

# RFC 3986, section 3.2.2, without user information: a Host has none (RFC 9110, section 7.2).
_HOST = re.compile(
    r"(\[[0-9a-f:.]+\]|[^\s\[\]@/?#:.][^\s\[\]@/?#:]*?)\.?(?::[0-9]{0,5})?", re.ASCII
)


class TrustedHosts:
    """Hosts as TRUSTED_HOSTS has them, in lower case."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._names = set(hosts)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))
        self._networks = list(_networks(hosts))
        self._seen: set[bytes] = set()
        self._refused = Occasional("Refused a host that TRUSTED_HOSTS does not name.")

    def allow(self, header: bytes | None) -> bool:
        """Whether the value of a Host header names one of the hosts, on whatever port."""
        if header in self._seen:
            return True
        host = (header or b"").decode("latin-1")
        if not self.matches(host):
            self._refused.warn()
            return False
        if header and len(header) <= MAX_HOST_CHARACTERS and len(self._seen) < MAX_REMEMBERED_HOSTS:
            self._seen.add(header)
        return True

    def matches(self, authority: str) -> bool:
        """Whether a host, with or without a port, is one of these."""
        found = _HOST.fullmatch(authority.lower())
        if found is None:
            return False
        host = found[1]
        if host in self._names or host.endswith(self._suffixes):
            return True
        address = _address(host)
        return address is not None and any(address in network for network in self._networks)


def _networks(hosts: tuple[str, ...]) -> Iterator[IPv4Network | IPv6Network]:
    for host in hosts:
        with suppress(ValueError):  # it is a name
            yield network_of(host)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is; an IPv4 address that is mapped into IPv6 as what it is."""
    is_bracketed = host.startswith("[")
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return (address.ipv4_mapped or address) if is_bracketed else None
    return None if is_bracketed else address
