"""Folding: what two spellings of a word have in common, and what makes them two words."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.folding import clusters, fold, pieces, starts_spaceless
from tests.kit.texts import texts

ANY = st.one_of(st.text(), texts)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café", "cafe"),
        ("CAFE\u0301", "cafe"),
        ("straße STRASSE", "strasse strasse"),
        ("ﬁne ㎏ Ⅷ", "fine kg viii"),
        ("Ångström", "angstrom"),
        # Turkish: an I without a dot would otherwise not find itself in capitals.
        ("İstanbul ISPARTA ısparta", "istanbul isparta isparta"),
        ("Tiếng Việt, Đường", "tieng viet, duong"),
        ("Łódź Ærø Þór", "lodz aero thor"),
        # Greek: accents, breathings, the subscript, and the final sigma.
        ("Σίσυφος ᾼδης Ἀθῆναι", "σισυφοσ αδησ αθηναι"),
        # Cyrillic: ё is written е, stress is for learners; й, ї, ў and ќ are letters.
        ("Ёлка за́мок", "елка замок"),
        ("бой бои", "бой бои"),
        ("Їжак ўзор ќе", "їжак ўзор ќе"),
        # Arabic and Hebrew: points and tatweel go; hamza goes from an alef only.
        ("مُحَمَّد محـمد", "محمد محمد"),
        ("إسلام أسد آخر", "اسلام اسد اخر"),
        ("بئر بير", "بئر بير"),
        ("کتاب ی", "كتاب ي"),
        ("שָׁלוֹם שלום", "שלום שלום"),
        ("שלומ", "שלומ"),
        # Kana, Indic and Thai marks are letters.
        ("パリ バリ ハリ", "パリ バリ ハリ"),
        ("ﾊﾟﾘ ﾊﾞﾘ ﾊﾘ", "パリ バリ ハリ"),
        ("कम काम क़म", "कम काम क\u093cम"),
        ("มา ม้า", "มา ม้า"),
        ("ㅎㅏㄴ", "하\u1102"),
        # What nobody sees is nothing; what parts words parts them.
        ("Zei\u00adtung a\u2060b \u202eab\u202c", "zeitung ab ab"),
        ("a\u200bb ไ\u200bทย", "a b ไทย"),
        ("می\u200cخواهم क्\u200dष", "مي خواهم क्ष"),
        ("\u0301 1\u0301 ☃\ufe0f 1\u20e3", " 1 ☃ 1"),
    ],
)
def test_case_and_marks_are_folded_where_the_language_ignores_them(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@given(text=ANY)
@example(text="각각 ﾊﾟ ｶ\uff9e")
def test_equivalent_texts_fold_to_the_same(form, text: str) -> None:
    assert fold(unicodedata.normalize(form, text)) == fold(text)


@given(ANY)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(ANY)
def test_the_folding_of_clusters_is_their_part_of_the_folding(text: str) -> None:
    assert "".join(clusters(text)) == text
    assert "".join(map(fold, clusters(text))) == fold(text)


@given(ANY, st.integers(1, 5))
def test_a_text_may_be_folded_in_pieces(text: str, size: int) -> None:
    parts = list(pieces(text, size))
    assert "".join(parts) == text
    assert "".join(map(fold, parts)) == fold(text)


def test_every_character_folds_alike_in_every_form_and_place() -> None:
    # Not Han and Hangul, tens of thousands of the same kind.
    for code in [*range(0x3400), *range(0xA000, 0xAC80), *range(0xF900, 0x1F000)]:
        char = chr(code)
        folded = fold(char)
        assert fold(folded) == folded, hex(code)
        assert fold(unicodedata.normalize("NFD", char)) == folded, hex(code)
        if len(list(clusters(f"あ{char}"))) == 2:
            assert fold(f"あ{char}") == f"あ{folded}", hex(code)


@pytest.mark.parametrize(
    "text",
    ["a" + "\u0301\u0316" * 50_000, "ｶ" + "\uff9e\u0334" * 50_000, "क" + "\u0301\u0316" * 50_000],
)
def test_a_long_run_of_marks_is_folded_in_bounded_time(text: str) -> None:
    began = time.process_time()
    assert len(fold(text)) <= 31
    assert time.process_time() - began < 1, "sorting them all takes half a minute"


def test_a_character_and_the_same_character_with_a_mark_differ() -> None:
    text = "ab 東京 กิน"
    assert [i for i in range(len(text)) if starts_spaceless(text, i)] == [3, 4, 6, 8]


@settings(deadline=None)
@given(texts)
def test_case_never_matters(text: str) -> None:
    assert fold(text.swapcase()) == fold(text)
