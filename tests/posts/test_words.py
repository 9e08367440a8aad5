"""Words: what a document in the index is made of."""

from __future__ import annotations

import random
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.words import MAX_INDEX_BYTES, MAX_TEXT_CHARACTERS, VERSION, document, words
from service.models.post_documents import _tsvector
from tests.kit.texts import texts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It's  a_b: Café,\n½ — " + "x" * 70, "it s a b cafe 1 2 " + "x" * 64),
        ("東京都", "東京 京都 都"),
        ("猫", "猫"),
        ("東京、大阪", "東京 京 大阪 阪"),
        ("Python入門2", "python 入門 門 2"),
        ("iPhone15を買った", "iphone15 を買 買っ った た"),
        ("ﾊﾟﾘとﾊﾞﾘ", "パリ リと とバ バリ リ"),
        ("서울입니다", "서울 울입 입니 니다 다"),
        (unicodedata.normalize("NFD", "서울"), "서울 울"),
        ("ประเทศไทย", "ปร ระ ะเ เท ทศ ศไ ไท ทย ย"),
        ("ไม้", "ไม้ ม้"),
        ("ភាសា", "ភាសា សា"),
        ("မြန်မာ", "မြန် န်မာ မာ"),
        ("𠮷野家", "𠮷野 野家 家"),
        ("\U00031350\U00031351", "\U00031350\U00031351 \U00031351"),  # assigned since Unicode 15
        ("〇〇さん 々", "〇〇 〇さ さん ん 々"),
        # Syllables of Tibetan stand apart, words of Indic scripts too, with their marks.
        ("བོད་སྐད", "བོད སྐད"),
        ("हिन्दी में", "हिन्दी में"),
    ],
)
def test_words_are_runs_or_pairs_of_characters(text: str, found: str) -> None:
    assert " ".join(words(text)) == found


@given(texts)
def test_equivalent_texts_have_the_same_words(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFKC", text))


def test_a_document_has_the_title_twice_and_begins_with_its_version() -> None:
    assert document("A title", words("東京")) == f"{VERSION} a title ¶ a title ¶ 東京 京"


CHANCE = random.Random(0)
HAN = [chr(code) for code in range(0x4E00, 0x9FFF)]
HAN_BEYOND = [chr(code) for code in range(0x20000, 0x2A6DF)]
# The most that a post of 100 000 characters can ask for, each in its own way.
EXPENSIVE = {
    "one that folds to eighteen": "\ufdfa" * 100_000,
    "one that folds to two words": "½" * 100_000,
    "Han without a repeated pair": "".join(CHANCE.choices(HAN, k=100_000)),
    "Han of four bytes": "".join(CHANCE.choices(HAN_BEYOND, k=100_000)),
    "Hangul in pieces": "".join(chr(0x1100 + i % 19) + chr(0x1161 + i % 21) for i in range(50_000)),
    "marks on every letter": ("ก" + "\u0e34\u0e48" * 15) * 3225,
    "short words, all different": " ".join(
        chr(0x10D0 + i % 33) + chr(0x10D0 + i // 33 % 33) + chr(0x10D0 + i // 1089)
        for i in range(25_000)
    ),
    "long words, all different": " ".join(f"{'ა' * 59}{i:05}" for i in range(1538)),
}


@pytest.mark.parametrize("text", EXPENSIVE.values(), ids=EXPENSIVE)
def test_the_index_of_a_post_is_bounded(text: str) -> None:
    began = time.process_time()
    made = document("a" * 200, words(text[:100_000]))
    assert time.process_time() - began < 2
    assert len(made) <= 2 * MAX_TEXT_CHARACTERS
    assert len(made.encode()) <= 1_100_000
    assert _size(_tsvector(made)) <= MAX_INDEX_BYTES


def test_the_indexed_text_is_bounded_after_folding() -> None:
    made = words("\ufdfa " * 50_000 + "needle")
    assert "needle" not in made
    assert len(" ".join(made)) <= MAX_TEXT_CHARACTERS


def test_a_long_text_is_indexed_to_its_end() -> None:
    assert words("word " * 19_998 + "needle")[-1] == "needle"
    assert words("東京" * 49_999 + "砂丘")[-2:] == ["砂丘", "丘"]
    different = "".join(chr(0x4E00 + i * 7919 % 20000) for i in range(99_999))
    assert document("x", words(f"{different}砂")).endswith("砂")


@given(st.text(alphabet="東京都大阪ไทยaé ", max_size=30), st.integers(0, 30), st.integers(2, 6))
def test_a_part_of_a_run_is_a_part_of_its_words(text: str, start: int, length: int) -> None:
    part = text[start : start + length]
    if len(part) > 1 and all(char in "東京都大阪" for char in part):
        inside = f" {' '.join(words(part)[:-1])} "
        assert inside in f" {' '.join(words(text))} "


def _size(tsvector: str) -> int:
    """The bytes that PostgreSQL takes for the lexemes and positions of a vector (ts_type.h)."""
    size = 0
    for entry in tsvector.split(" "):
        word, _, positions = entry.rpartition(":")
        length = len(word.strip("'").encode())
        size += length + length % 2 + 2 + 2 * len(positions.split(","))
    return size
