"""Sealed secrets outlive a rotation of keys, and nothing but the right key opens them."""

from __future__ import annotations

from pathlib import Path

import flask
import pytest

from service.engine.tokens.keys import KeyRing, generate_key
from service.engine.tokens.sealing import Sealer

DATA, CONTEXT = b"a small secret", "totp 01a1f83c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate_key(tmp_path)
    return tmp_path


def sealer(folder: Path) -> Sealer:
    return Sealer(flask.Flask("test"), KeyRing.from_directory(folder))


def test_what_is_sealed_opens_again_and_does_not_show(folder):
    one, other = (sealer(folder).seal(DATA, CONTEXT) for _ in range(2))
    assert one != other
    assert DATA.hex() not in one.encode().hex()
    assert sealer(folder).open(one, CONTEXT) == sealer(folder).open(other, CONTEXT) == DATA


def test_a_text_that_was_copied_elsewhere_does_not_open(folder):
    assert sealer(folder).open(sealer(folder).seal(DATA, CONTEXT), "totp 01a1f83d") is None


def test_a_text_that_was_changed_does_not_open(folder):
    sealed = sealer(folder).seal(DATA, CONTEXT)
    changed = sealed[:-5] + ("A" if sealed[-5] != "A" else "B") + sealed[-4:]
    assert sealer(folder).open(changed, CONTEXT) is None


def test_the_newest_key_seals_and_an_older_one_opens(folder):
    old = sealer(folder).seal(DATA, CONTEXT)
    generate_key(folder)
    rotated = sealer(folder)
    new = rotated.seal(DATA, CONTEXT)
    assert rotated.open(old, CONTEXT) == rotated.open(new, CONTEXT) == DATA
    assert new.startswith(rotated.prefix)
    assert not old.startswith(rotated.prefix)


def test_a_key_that_was_added_is_found_at_once(folder):
    running = sealer(folder)
    running.seal(DATA, CONTEXT)
    generate_key(folder)
    assert running.open(sealer(folder).seal(DATA, CONTEXT), CONTEXT) == DATA


def test_without_its_key_a_text_does_not_open(folder):
    sealed = sealer(folder).seal(DATA, CONTEXT)
    assert sealer(folder).knows_key_of(sealed)
    for key in list(folder.glob("*.pem")):
        key.unlink()
    generate_key(folder)
    assert sealer(folder).open(sealed, CONTEXT) is None
    assert not sealer(folder).knows_key_of(sealed)
