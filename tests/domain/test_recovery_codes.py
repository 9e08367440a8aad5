"""Recovery codes are easy to type and hard to guess."""

from __future__ import annotations

import re

import pytest

from service.domain.recovery_codes import hashed, new_codes

ID, OTHER = "01a1f83c-047f-7c31-9a42-5be07d4f8e16", "01a1f83c-047f-7c31-9a42-5be07d4f8e17"


def test_there_are_ten_codes_and_all_differ():
    codes = new_codes()
    assert len(set(codes)) == 10
    # Without i, l, o and u, which are mistaken for others.
    form = re.compile("[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}")
    assert all(form.fullmatch(code) for code in codes)


def test_every_character_of_the_alphabet_is_used():
    seen = set("".join("".join(new_codes()) for _ in range(100)))
    assert len(seen - {"-"}) == 32


@pytest.mark.parametrize(
    "typed",
    ["4X2F-9KQM-07RA-BTZ1", "4x2f9kqm07rabtz1", " 4x2f 9kqm o7ra btzl", "4x2f-9kqm-O7ra-btzI"],
)
def test_a_code_may_be_typed_in_other_ways(typed):
    assert hashed(ID, typed) == hashed(ID, "4x2f-9kqm-07ra-btz1")


def test_the_hash_is_of_a_code_and_its_user():
    code, other = new_codes()[:2]
    assert len({hashed(ID, code), hashed(ID, other), hashed(OTHER, code)}) == 3
    assert code.replace("-", "") not in hashed(ID, code)
