"""What the values of settings look like: each function gives its value back in one form.

A value that cannot be is a ValueError; `Because` also says why.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import SecretStr

UNIX = "unix:"  # a proxy on the same machine that comes by a Unix socket, as nginx writes it
STORES = ("redis", "rediss", "redis+unix", "redis+sentinel", "redis+cluster")


class Because(ValueError):
    """A reason of our own: unlike those of the libraries, safe to print."""


def require(holds: object) -> None:
    if not holds:
        raise ValueError


def store(text: str) -> str:
    scheme, _, place = text.partition("://")
    if text == "memory://":
        return text
    require(scheme in STORES and place and text.isprintable())
    if scheme != "redis+unix":
        authority = re.split(r"[/?#]", place, maxsplit=1)[0]
        hosts = authority.rpartition("@")[2].split(",")  # the last: a password may have one
        several = scheme in ("redis+sentinel", "redis+cluster")
        require(several or len(hosts) == 1)
        for host in hosts:
            url = urlsplit(f"//{host}")
            require(url.hostname and "@" not in host and url.port != 0)
            require(not several or url.port)
    return text


def _count(limits: str) -> int:
    # As they are read later, one by one: the library takes other separators (`|`, `:;`) too.
    parsed = [parse_many(limit) for limit in limits.split(";")]
    require(all(len(one) == 1 and one[0].amount > 0 for one in parsed))
    return len(parsed)


def one_limit(text: str) -> str:
    require(_count(text) == 1)
    return text


def policies(value: Any, known: dict[str, int]) -> Any:
    """Limits by policy; `known` says how many each has."""
    if not isinstance(value, str):
        return value
    policies: dict[str, str] = {}
    for entry in split(value):
        name, _, limits = map(str.strip, entry.partition("="))
        if name not in known:
            raise Because(f"names a policy that is none of {', '.join(known)}")
        if name in policies:
            raise Because(f"names {name} twice")
        if _count(limits) != known[name]:
            raise Because(f"gives {name} a wrong number of limits ({known[name]} expected)")
        policies[name] = limits
    return policies


def pem(value: Any) -> Any:
    # An env file holds a PEM in one line, its line ends escaped.
    pem = value.replace("\\n", "\n").replace("\r\n", "\n") if isinstance(value, str) else value
    mark = "-----{} (EC |RSA )?PRIVATE KEY-----"
    # `openssl ecparam -genkey` writes the name of the curve in front.
    curve = "(-----BEGIN EC PARAMETERS-----[^-]+-----END EC PARAMETERS-----\n)?"
    shape = rf"\s*{curve}{mark.format('BEGIN')}\n.+\n{mark.format('END')}\s*"
    require(not isinstance(pem, str) or re.fullmatch(shape, pem, re.DOTALL))
    return pem


def web_address(text: str) -> str:
    url = urlsplit(text)
    require(url.scheme in ("http", "https") and url.hostname and url.port != 0)
    require(re.fullmatch(r"[!-~]+", text) and not url.query and not url.fragment)
    if "@" in url.netloc:
        raise Because("has a user or password in it")
    return text.rstrip("/")


def token(secret: SecretStr) -> SecretStr:
    require(re.fullmatch(r"[!-~]+", secret.get_secret_value()))
    return secret


def split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    label = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
    name = re.compile(rf"(\*\.)?({label}\.)*{label}\.?")
    hosts = tuple(host.lower() for host in hosts)
    for host in hosts:
        if re.fullmatch(r"[\d./]+", host) or ":" in host:  # an address, or a network of them
            network_of(host)
        else:
            require(name.fullmatch(host))
    require(hosts)
    return tuple(host.removesuffix(".") for host in hosts)


def network_of(host: str) -> IPv4Network | IPv6Network:
    """The network that an address or a network stands for, in brackets or not; ValueError."""
    return ip_network(re.sub(r"^\[([^]]+)\](/\d+)?$", r"\1\2", host))


def networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(UNIX if network == UNIX else str(_unmapped(network)) for network in networks)


def _unmapped(text: str) -> IPv4Network | IPv6Network:
    """The network; one of IPv4 addresses that are mapped into IPv6 as what it is."""
    network = network_of(text)
    if isinstance(network, IPv6Network) and (four := network[0].ipv4_mapped):
        require(network.prefixlen >= 96)
        return IPv4Network((four, network.prefixlen - 96))
    return network


def origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_origin(origin.lower()) for origin in origins)


def _origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.2): without the scheme's own port."""
    if text == "null":
        raise Because("includes null, which any page can send")
    if text == "*":
        return text
    require(re.fullmatch(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d+)?", text))
    url = urlsplit(text)
    require(url.scheme != "file" and url.port != 0)
    own = {"http": ":80", "https": ":443"}.get(url.scheme)
    return text.removesuffix(own) if own else text


def header_names(names: tuple[str, ...]) -> tuple[str, ...]:
    token = re.compile(r"[a-z0-9!#$%&'^_`|~+.-]+", re.IGNORECASE)  # RFC 9110, section 5.6.2; no *
    require(all(token.fullmatch(name) for name in names))
    return names
