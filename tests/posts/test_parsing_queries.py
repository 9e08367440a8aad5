from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.folding import MARKS, clusters, fold
from service.domain.search import Phrase, Query, parse, parts
from service.domain.words import character, words
from tests.kit.texts import SAMPLES, texts

JUNK = ["-", '"', "'", "\\", "NOT", "AND", "OR", "NEAR", "*", "^", ":", "(", ")", "&", "|", "<->"]
JUNK += [" ", "foo", "Café", "ß", "½", "ﷺ", "\0", "\ud800", "漢", "title:", "{a}", "é", "e\u0301"]
JUNK += ["\u0661", "\u0301", "\U0001d4b3", "x" * 70, "--", "<b>", "&amp;", "a", "b"]
junk = st.one_of(st.text(), texts, st.lists(st.sampled_from(JUNK), max_size=60).map("".join))

# Also of later versions of Unicode than Python knows.
HAN = "\U00020000-\U0003ffff"
LETTERS = f"(?:[^\\W_]|[{HAN}])(?:[^\\W_]|[{HAN}{MARKS}])*"


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE VIRTUAL TABLE d USING fts5(title, content, tokenize='ascii')")
    yield connection
    connection.close()


def finds(index: sqlite3.Connection, query: str, content: str, title: str = "") -> bool:
    index.execute("DELETE FROM d")
    row = (" ".join(words(title)), " ".join(words(content)))
    index.execute("INSERT INTO d VALUES (?, ?)", row)
    return bool(index.execute("SELECT 1 FROM d WHERE d MATCH ?", (parse(query).fts5(),)).fetchall())


@pytest.mark.parametrize(
    ("query", "included", "excluded"),
    [
        ("Foo bar", [("foo",), ("bar",)], []),
        ('"foo bar" baz', [("foo", "bar"), ("baz",)], []),
        ("foo -bar", [("foo",)], [("bar",)]),
        ('foo -"bar baz"', [("foo",)], [("bar", "baz")]),
        ("foo-bar a.b", [("foo", "bar"), ("a", "b")], []),
        ("foo -bar-baz", [("foo",)], [("bar", "baz")]),
        ("foo - bar --baz", [("foo",), ("bar",)], [("baz",)]),
        ('foo "bar baz', [("foo",), ("bar",), ("baz",)], []),
        ('-"foo bar', [("foo",), ("bar",)], []),
        ('a"b c"d', [("a",), ("b", "c"), ("d",)], []),
        ('"a"-b', [("a",), ("b",)], []),
        ("foo FOO fóo", [("foo",)], []),
        (
            "foo OR bar AND NOT baz*",
            [("foo",), ("or",), ("bar",), ("and",), ("not",), ("baz",)],
            [],
        ),
        ("title:foo", [("title", "foo")], []),
        ('"" - " " !?', [], []),
        ("-foo", [], [("foo",)]),
        ("x" * 70, [("x" * 64,)], []),
        # Scripts without spaces: pairs; a character alone is what words begin with.
        ("東京都", [("東京", "京都")], []),
        ("東京 -京都", [("東京",)], [("京都",)]),
        ("猫 -犬", [("猫*",)], [("犬*",)]),
        ('"猫 と"', [("猫", "と*")], []),
        ("Python入門 入門Python", [("python", "入門"), ("入門", "門", "python")], []),
        ("第3章", [("第", "3", "章*")], []),
        ("ไทย ก", [("ไท", "ทย"), ("ก*",)], []),
        ("東京　大阪", [("東京",), ("大阪",)], []),
        ("ああああ", [("ああ", "ああ", "ああ")], []),
    ],
)
def test_a_query_is_words_phrases_and_minus(
    query: str, included: list[Phrase], excluded: list[Phrase]
) -> None:
    assert parse(query) == Query(tuple(included), tuple(excluded))


def test_words_and_phrases_are_translated_to_the_syntax_of_each_database() -> None:
    assert parse('"a b" c -d -"e f"').terms() == {
        "fts5": '("a b" AND "c") NOT ("d" OR "e f")',
        "tsquery": "'a' & 'b' & 'c' & !'d'",
        "phrases": ["% a b %"],
        "nots": ["% e f %"],
    }


def test_a_single_character_is_searched_as_a_prefix() -> None:
    assert parse('猫 "と 犬" -鳥 -"a 魚"').terms() == {
        "fts5": '("猫" * AND "と 犬" *) NOT ("鳥" * OR "a 魚" *)',
        "tsquery": "'猫':* & 'と' & '犬':* & !'鳥':*",
        "phrases": ["% と 犬%"],
        "nots": ["% a 魚%"],
    }


def test_the_parts_of_a_phrase_are_its_words_and_its_runs() -> None:
    [phrase] = parse('"Python入門 の 第3章 東京都"').included
    assert parts(phrase) == [
        ("python",),
        ("入門",),
        ("の*",),
        ("第*",),
        ("3",),
        ("章*",),
        ("東京", "京都"),
    ]


@pytest.mark.parametrize(
    ("query", "content", "found"),
    [
        ("cafe", "Das Café", True),
        ("STRASSE", "auf der straße", True),
        ("caf", "café", False),
        ('"der straße"', "auf der Straße", True),
        ('"auf straße"', "auf der Straße", False),
        ("straße auf", "auf der Straße", True),
        ("auf -straße", "auf der Straße", False),
        ('auf -"straße der"', "auf der Straße", True),
        ("b-52", "a B 52", True),
        ("x" * 80, "x" * 70, True),
        ("東京", "昨日東京都に行きました", True),
        ("京都", "昨日東京都に行きました", True),  # a pair of characters is no word, but found
        ("東都", "昨日東京都に行きました", False),
        ("東京京都", "昨日東京都に行きました", False),
        ("猫", "白猫", True),
        ("猫", "猫", True),
        ("猫", "犬", False),
        ('"猫 と"', "白猫 と犬", True),
        ('"猫 と"', "白猫と犬", False),
        ("猫と", "白猫 と犬", False),
        ("入門Python", "新入門Python", True),
        ("入門Python", "入門書Python", False),
        ("白 -猫", "白猫", False),
        ("東" * 200, "東" * 199, False),
        ("東" * 200, "東" * 200, True),
    ],
)
def test_sqlite_finds_what_the_query_says(
    index: sqlite3.Connection, query: str, content: str, found: bool
) -> None:
    assert finds(index, query, content) is found


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(junk, junk)
def test_sqlite_accepts_every_query(index: sqlite3.Connection, query: str, text: str) -> None:
    if parse(query).included:
        finds(index, query, text)


@settings(max_examples=500, deadline=None)
@given(junk)
def test_a_tsquery_contains_no_operator_of_the_user(
    query: str,
) -> None:
    terms = parse(query).terms()
    if parse(query).included:
        lexeme = rf"'{LETTERS}'(?::\*)?"
        assert re.fullmatch(rf"{lexeme}(?: & !?{lexeme})*", terms["tsquery"])
    for pattern in terms["phrases"] + terms["nots"]:
        assert re.fullmatch(rf"% {LETTERS}(?: {LETTERS})+ ?%", pattern)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=junk, text=junk)
def test_a_text_is_found_by_its_own_words_and_not_by_their_negation(
    index: sqlite3.Connection, query: str, text: str
) -> None:
    if words(text):
        plain = re.sub(r'["\s-]+', " ", text)
        assert finds(index, plain, text)
        assert finds(index, f'"{plain}"', text)
        assert not finds(index, f'{plain} -"{plain}"', text)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SAMPLES), st.integers(0, 60), st.integers(1, 6))
def test_any_part_of_a_run_without_spaces_is_found(
    index: sqlite3.Connection, text: str, start: int, length: int
) -> None:
    part = "".join(list(clusters(text))[start : start + length])
    if part and all(character(char) for char in clusters(fold(part))):
        assert finds(index, part, text)
