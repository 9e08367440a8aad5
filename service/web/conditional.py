"""Conditional requests (RFC 9110, section 13): entity tags and what is asked about them."""

from __future__ import annotations

import re

from service.problems import InvalidRequest, PreconditionRequired

# Empty elements of a list are to be ignored (RFC 9110, section 5.6.1.2).
_TAGS = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,[\s,]*|$)')


def quoted(etag: str) -> str:
    """The version as a strong entity tag."""
    return f'"{etag}"'


def versions(header: str | None, *, required: bool) -> list[str] | None:
    """The versions that `If-Match` allows, or None for any; weak tags never match (13.1.1).

    Raises `PreconditionRequired` when it is required and missing, `InvalidRequest` for no list.
    """
    if header is None:
        if required:
            raise PreconditionRequired
        return None
    if header.strip() == "*":
        return None
    return [tag for weak, tag in _tags(header, "If-Match") if not weak]


def is_fresh(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names the entity tag (weak comparison, 13.1.2)."""
    if header is None:
        return False
    return header.strip() == "*" or any(
        quoted(tag) == etag for _, tag in _tags(header, "If-None-Match")
    )


def _tags(header: str, name: str) -> list[tuple[str, str]]:
    tags: list[tuple[str, str]] = []
    at = 0
    while at < len(header):
        match = _TAGS.match(header, at)
        if match is None:
            detail = "must be * or a list of quoted entity tags"
            raise InvalidRequest(errors=[{"pointer": name, "code": "format", "detail": detail}])
        tags.append((match[1] or "", match[2]))
        at = match.end()
    return tags
