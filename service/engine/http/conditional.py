"""Conditional requests (RFC 9110, section 13): entity tags, If-Match and If-None-Match."""

from __future__ import annotations

import re

from service.engine.problems import InvalidRequest, PreconditionRequired

# Empty elements of a list are to be ignored (RFC 9110, section 5.6.1.2).
_TAGS = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,[\s,]*|$)')

# The suffixes of compressing servers: Apache and Caddy -gzip, -br or -zstd, Jetty --gzip, others
# ;gzip. nginx, Varnish and Cloudflare make the tag weak.
_ENCODING = re.compile(r"(?:--?|;)(?:gzip|br|zstd|deflate)$", re.IGNORECASE)
_VERSION = re.compile(r"[a-z0-9_-]+(?:\.[0-9]+)?")  # as the models make them


def quoted(etag: str) -> str:
    """The version as a strong entity tag."""
    return f'"{etag}"'


def versions(header: str | None, *, required: bool) -> list[str] | None:
    """The versions that `If-Match` allows, or None for any.

    Weak tags never match (13.1.1), but for those that a proxy has made of ours: the version decides
    over the whole representation, however it was encoded on the way. Raises `PreconditionRequired`
    when it is required and missing, `InvalidRequest` for no list.
    """
    if header is None:
        if required:
            raise PreconditionRequired
        return None
    if header.strip() == "*":
        return None
    return [
        tag
        for weak, given in _tags(header, "If-Match")
        if not weak or _VERSION.fullmatch(_unencoded(given))
        for tag in (given, _unencoded(given))
    ]


def is_fresh(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names the entity tag (weak comparison, 13.1.2)."""
    if header is None:
        return False
    return header.strip() == "*" or any(
        etag in {quoted(tag), quoted(_unencoded(tag))} for _, tag in _tags(header, "If-None-Match")
    )


def _unencoded(tag: str) -> str:
    """The tag without the suffix that a compressing proxy has added."""
    return _ENCODING.sub("", tag)


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
