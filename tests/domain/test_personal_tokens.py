"""The form of personal tokens, which scanners for secrets and people who mistype them rely on."""

from __future__ import annotations

import hashlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.problems import InvalidToken
from service.engine.tokens.personal import PersonalTokens
from service.engine.tokens.tokens import PERSONAL

ours = PersonalTokens("xyz_")
FORM = re.compile(r"xyz_[0-9A-Za-z]{49}")
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def number(text: str) -> int:
    value = 0
    for character in text:
        value = value * 62 + DIGITS.index(character)
    return value


def test_a_token_is_a_prefix_and_49_characters_the_last_six_a_checksum() -> None:
    for token in {ours.new() for _ in range(100)}:
        assert FORM.fullmatch(token)
        assert number(token[-6:]) == zlib.crc32(token[4:-6].encode())


def test_tokens_differ_in_256_bits() -> None:
    chances = [number(ours.new()[4:-6]) for _ in range(500)]
    assert len(set(chances)) == 500
    for bit in range(256):  # each is set in some and not in others
        assert 0 < sum(chance >> bit & 1 for chance in chances) < 500
    assert max(chances) < 2**256


def test_a_known_token_has_the_checksum_of_githubs_design() -> None:
    # The example of the design: github.blog, 5 April 2021, and those who have verified it since.
    assert zlib.crc32(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ") == number("0mLq17")


def test_a_token_says_its_hash_and_nothing_else() -> None:
    token = ours.new()
    claims = ours.claims(token)
    assert claims.typ == PERSONAL
    assert claims.id == claims.holder == hashlib.sha256(token.encode()).hexdigest()
    assert not claims.subject
    assert ours.shown(token) == token[:8]


@pytest.mark.parametrize("place", [0, 3, 4, 20, 46, 47, 52])
def test_a_token_with_one_wrong_character_is_refused(place: int) -> None:
    token = ours.new()
    wrong = "A" if token[place] != "A" else "B"
    with pytest.raises(InvalidToken):
        ours.claims(token[:place] + wrong + token[place + 1 :])


def test_two_characters_in_the_wrong_order_are_refused() -> None:
    token = ours.new()
    place = next(n for n in range(10, 40) if token[n] != token[n + 1])
    with pytest.raises(InvalidToken):
        ours.claims(token[:place] + token[place + 1] + token[place] + token[place + 2 :])


def test_a_token_of_another_length_is_refused() -> None:
    token = ours.new()
    for text in (token[:-1], token + "0", token + "\n", " " + token, token.upper(), "xyz_", ""):
        with pytest.raises(InvalidToken):
            ours.claims(text)


@given(st.text(max_size=80))
def test_no_text_is_a_token_by_accident_or_an_error(text: str) -> None:
    for one in (text, "xyz_" + text):
        with pytest.raises(InvalidToken):
            ours.claims(one)
