"""What an answer says of the limits that apply to it, and of the one that refused it."""

from __future__ import annotations

import re

import httpx


def items(header: str) -> dict[str, dict[str, int]]:
    """The items of a RateLimit or RateLimit-Policy header: strings with integer parameters, as the
    draft has them (draft-ietf-httpapi-ratelimit-headers; RFC 9651, section 3.1)."""
    found = {}
    for item in header.split(", "):
        match = re.fullmatch(r'"([a-z]+)"((?:;[a-z]+=[0-9]+)+)', item)
        assert match, header
        pairs = [parameter.split("=") for parameter in match[2].split(";")[1:]]
        found[match[1]] = {name: int(value) for name, value in pairs}
    return found


def left(answer: httpx.Response, policy: str) -> int:
    """How many more requests an answer says there may be."""
    return items(answer.headers["RateLimit"])[policy]["r"]


def check_refused(answer: httpx.Response, policy: str, window: int) -> None:
    """Holds an answer to what a refusal under a policy has to say."""
    assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
    assert answer.headers["Content-Type"] == "application/problem+json"
    wait = int(answer.headers["Retry-After"])
    assert 1 <= wait <= window
    assert items(answer.headers["RateLimit"])[policy] == {"r": 0, "t": wait}
    assert items(answer.headers["RateLimit-Policy"])[policy]["w"] == window
