"""Guessing at passwords past the limits (OWASP API2 and API4, 2023)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.attack import Attack
from tests.kit.serving import PASSWORD, serving

WRONG, INVALID, LIMITED = (
    (401, "invalid-credentials"),
    (400, "invalid-request"),
    (429, "rate-limited"),
)
LOGIN = "/auth/login"


@pytest.fixture
def guarded(tmp_path: Any) -> Iterator[Attack]:
    """Attacks a server of its own where only `login` and `account` limit, with their defaults."""
    ample = dict.fromkeys(("client", "register", "write", "refresh"), "10000 per day")
    with serving(tmp_path, rate_limit_enabled=True, rate_limits=ample) as server:
        attack = Attack(server)
        yield attack
        assert attack.is_well()


ADDRESSES = ["198.51.100.{}", "2001:db8:{}::1", "for={}", "unknown", "127.0.0.1, 10.0.0.{}"]
SPOOFS = [
    *["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Via"],
    *["X-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-Cluster-Client-IP"],
    *[
        "Fastly-Client-IP",
        "X-Forwarded",
        "Forwarded-For",
        "X-Host",
        "X-Azure-ClientIP",
        "Client-IP",
    ],
]


def test_no_header_makes_another_client(guarded: Attack) -> None:
    def guess(number: int, headers: dict[str, str]) -> Any:
        email = f"{secrets.token_hex(6)}@example.com"
        return guarded("POST", LOGIN, json={"email": email, "password": "x"}, headers=headers)

    for number in range(10):
        assert guess(number, {}).status == 401
    for number, name in enumerate(SPOOFS):
        spoofed = ADDRESSES[number % len(ADDRESSES)].format(number)
        assert guess(number, {name: spoofed, "User-Agent": f"x{number}"}).code == "rate-limited"


def test_signing_in_elsewhere_allows_no_further_guesses(guarded: Attack) -> None:
    mallory = {"email": "mallory@example.com", "password": PASSWORD}
    guarded("POST", "/auth/register", 201, json=mallory)
    guess = {"email": "anna@example.com", "password": "x"}
    for _ in range(9):
        guarded("POST", LOGIN, WRONG, json=guess)
        guarded("POST", LOGIN, 200, json=mallory)
    guarded("POST", LOGIN, WRONG, json=guess)
    guarded("POST", LOGIN, LIMITED, json=guess)
    guarded("POST", LOGIN, LIMITED, json=mallory)


def test_a_malformed_login_is_not_counted_as_a_guess(guarded: Attack) -> None:
    for body in ({}, {"email": "x", "password": "x"}, [], {"email": ["a@example.com"]}) * 2:
        guarded("POST", LOGIN, INVALID, json=body)
    for _ in range(2):
        guarded("POST", LOGIN, 415, content="x")
    for _ in range(10):
        guarded("POST", LOGIN, WRONG, json={"email": "anna@example.com", "password": "x"})
    guarded("POST", LOGIN, LIMITED, json={"email": "anna@example.com", "password": "x"})


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET"])
def test_other_methods_have_no_effect(guarded: Attack, method: str) -> None:
    for _ in range(11):
        guarded(method, LOGIN, 204 if method == "OPTIONS" else 405)
    guarded("POST", LOGIN, WRONG, json={"email": "anna@example.com", "password": "x"})
