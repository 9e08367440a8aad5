"""Which web pages may use passkeys: origins, and the domain to which passkeys are bound."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_LOCAL = "localhost"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_WEB = re.compile(rf"(https?)://({_LABEL}(?:\.{_LABEL})*)(:[1-9][0-9]{{0,4}})?")
# An Android app that the site vouches for (developer.android.com, "Integrate with Credential
# Manager"): the SHA-256 of the certificate that signs it.
_APP = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}")


class OutsideOfFirst(ValueError):
    """An origin for which the passkeys of the first one do not work."""


def checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """The origins as browsers write them (RFC 6454, section 6.2): without the scheme's own port.

    The first is a web page's. Raises ValueError, or `OutsideOfFirst`.
    """
    checked = tuple(_checked(origin) for origin in origins)
    if not checked or _APP.fullmatch(checked[0]):
        raise ValueError
    domain = relying_party(checked)
    for host in (_host(origin) for origin in checked if not _APP.fullmatch(origin)):
        if host != domain and not host.endswith(f".{domain}"):
            raise OutsideOfFirst
    return checked


def relying_party(origins: tuple[str, ...]) -> str:
    """The RP ID: the host of the first origin. Adding an origin must not change it, because
    passkeys are of no use under another one (WebAuthn Level 3, section 5.1.2)."""
    return _host(origins[0])


def default_origin(site: str) -> str:
    """The origin of a site. Browsers have no passkeys for IP addresses, so that of this machine is
    `localhost`."""
    url = urlsplit(site)
    host = url.hostname or _LOCAL
    if _is_loopback(host):
        host = _LOCAL
    own_port = {"http": 80, "https": 443}.get(url.scheme)
    port = f":{url.port}" if url.port and url.port != own_port else ""
    return f"{url.scheme}://{host}{port}"


def _checked(origin: str) -> str:
    if _APP.fullmatch(origin):
        return origin
    origin = origin.lower()
    found = _WEB.fullmatch(origin)
    if not found or re.fullmatch(r"[0-9.]+", found[2]):
        raise ValueError
    if found[1] == "http" and not (found[2] == _LOCAL or found[2].endswith(f".{_LOCAL}")):
        raise ValueError
    if int((found[3] or ":1")[1:]) > 65535:
        raise ValueError
    own_port = {"http": ":80", "https": ":443"}[found[1]]
    return origin.removesuffix(own_port) if found[3] == own_port else origin


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
