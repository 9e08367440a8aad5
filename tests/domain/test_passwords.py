from __future__ import annotations

import unicodedata
from unittest.mock import Mock

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import passwords
from service.problems import WeakPassword

pytestmark = pytest.mark.usefixtures("hashing_in_full")


def refusal(password: str, minimum: int = 8, username: str | None = "walrus-rider") -> str | None:
    try:
        passwords.check_strength(
            password, minimum=minimum, email="Very.Long@Example.com", username=username
        )
    except WeakPassword as problem:
        return problem.detail
    return None


def test_a_password_matches_its_own_hash_only() -> None:
    stored = passwords.hashed("correct horse")
    assert passwords.matches(stored, "correct horse")
    assert not passwords.matches(stored, "correct horsE")
    assert not passwords.matches(stored, "correct horse ")


def test_the_hash_has_the_agreed_parameters_and_its_own_salt() -> None:
    first, second = passwords.hashed("correct horse"), passwords.hashed("correct horse")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


def test_two_spellings_of_one_password_are_the_same() -> None:
    stored = passwords.hashed("Zoe\u0308 ﬁddles")
    assert passwords.matches(stored, "Zo\u00eb fiddles")


def test_a_long_password_is_not_truncated() -> None:
    stored = passwords.hashed("é" * 256)
    assert passwords.matches(stored, "é" * 256)
    assert not passwords.matches(stored, "é" * 255)


def test_an_unknown_address_matches_nothing() -> None:
    for password in ("", "\0", "correct horse"):
        assert not passwords.matches(None, password)


def test_an_unknown_address_costs_a_hash_of_the_current_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = Mock(wraps=passwords._hasher)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    passwords.matches(None, "correct horse")
    ((stored, _), _) = hasher.verify.call_args
    assert hasher.verify.call_count == 1
    assert not passwords.outdated(stored)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "\0",
        "\ud800",
        "$argon2id$é",
        "$argon2id$v=19$m=99999999999,t=2,p=1$AAAA$AAAA",
        f"$argon2id$v=19$m=8,t=0,p=1${'A' * 22}${'A' * 43}",
        "$2b$12$abcdefghijklmnopqrstuv",
    ],
)
def test_a_malformed_hash_matches_nothing(stored: str) -> None:
    assert not passwords.matches(stored, "correct horse")


def test_a_password_with_invalid_unicode_matches_nothing() -> None:
    assert not passwords.matches(passwords.hashed("correct horse"), "\ud800" * 13)
    assert not passwords.matches(None, "\ud800" * 13)


def test_a_hash_of_older_parameters_is_outdated() -> None:
    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))
    assert not passwords.outdated(passwords.hashed("x"))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("k3 ürz!", "The password must have at least 8 characters."),
        ("e\u0301" * 7, "The password must have at least 8 characters."),
        ("xq" * 129, "The password must have at most 256 characters."),
        ("very.long@example.com", "The password must not be the e-mail address or its first part."),
        ("VERY.LONG", "The password must not be the e-mail address or its first part."),
        ("Walrus-Rider", "The password must not be the user name."),
        ("password1", "The password is one of the most common ones; attackers try it first."),
        ("QWERTY123", "The password is one of the most common ones; attackers try it first."),
        (
            "\uff50assword",
            "The password is one of the most common ones; attackers try it first.",
        ),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, reason: str) -> None:
    assert refusal(password) == reason


@pytest.mark.parametrize(
    "password",
    ["wqxzjvkp", "correct horse battery", "        x", "日本語のパスワード", "🦭" * 8, "xq" * 128],
)
def test_length_is_all_that_a_good_password_needs(password: str) -> None:
    assert refusal(password) is None


def test_the_server_chooses_the_minimum_length() -> None:
    assert refusal("fourteen chars", minimum=15) == "The password must have at least 15 characters."
    assert refusal("fifteen chars!!", minimum=15) is None


def test_a_user_without_a_name_is_not_refused_a_password_for_it() -> None:
    assert refusal("walrus-rider", username=None) is None


def test_the_common_passwords_are_in_the_form_that_is_looked_up() -> None:
    common = passwords._common() - {""}
    assert len(common) > 10_000
    for entry in common:
        assert entry == unicodedata.normalize("NFKC", entry).casefold()
        assert len(entry) >= 8


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_checking_any_password_returns_a_reason_or_nothing(password: str) -> None:
    reason = refusal(password)
    assert reason is None or reason.endswith(".")
