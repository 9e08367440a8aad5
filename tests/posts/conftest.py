from __future__ import annotations

import secrets

import pytest

from tests.kit.corpus import Corpus, Write
from tests.kit.serving import Person


@pytest.fixture
def write(anna: Person) -> Write:
    """Writes posts by Anna with an unheard word in each title."""

    def _write(contents: dict[str, str]) -> Corpus:
        word = f"w{secrets.token_hex(8)}"
        posts = {
            title: anna.post(f"{title} {word}", text)["id"] for title, text in contents.items()
        }
        return Corpus(word, anna, posts)

    return _write
