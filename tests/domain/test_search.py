from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.search import Phrase, Query, fold, parse, snippet, snippets, words

JUNK = ["-", '"', "'", "\\", "NOT", "AND", "OR", "NEAR", "*", "^", ":", "(", ")", "&", "|", "<->"]
JUNK += [" ", "foo", "Café", "ß", "½", "ﷺ", "\0", "\ud800", "漢", "title:", "{a}", "é", "e\u0301"]
JUNK += ["\u0661", "\u0301", "\U0001d4b3", "x" * 70, "--", "<b>", "&amp;", "a", "b"]
junk = st.one_of(st.text(), st.lists(st.sampled_from(JUNK), max_size=60).map("".join))


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE VIRTUAL TABLE d USING fts5(title, content, tokenize='ascii')")
    yield connection
    connection.close()


def finds(index: sqlite3.Connection, query: str, content: str, title: str = "") -> bool:
    index.execute("DELETE FROM d")
    index.execute("INSERT INTO d VALUES (?, ?)", (words(title), words(content)))
    return bool(index.execute("SELECT 1 FROM d WHERE d MATCH ?", (parse(query).fts5(),)).fetchall())


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café", "cafe"),
        ("CAFE\u0301", "cafe"),
        ("straße STRASSE", "strasse strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁne ㎏ Ⅷ", "fine kg viii"),
        ("Σίσυφος", "σισυφοσ"),
        ("Ångström", "angstrom"),
    ],
)
def test_case_and_accents_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.text())
def test_the_folding_of_a_part_is_that_part_of_the_folding(left: str, right: str) -> None:
    assert fold(left + right) == fold(left) + fold(right)


def test_the_index_gets_folded_tokens_of_at_most_64_characters() -> None:
    assert words("It's  a_b: Café,\n½ — " + "x" * 70) == "it s a b cafe 1 2 " + "x" * 64


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
    ],
)
def test_a_query_is_words_phrases_and_minus(
    query: str, included: list[Phrase], excluded: list[Phrase]
) -> None:
    assert parse(query) == Query(tuple(included), tuple(excluded))


def test_each_engine_is_asked_for_words_and_for_phrases_in_its_own_way() -> None:
    assert parse('"a b" c -d -"e f"').terms() == {
        "fts5": '("a b" AND "c") NOT ("d" OR "e f")',
        "tsquery": "'a' & 'b' & 'c' & !'d'",
        "phrases": ["% a b %"],
        "nots": ["% e f %"],
    }


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
def test_what_postgresql_is_asked_holds_letters_and_digits_and_no_operator_of_the_user(
    query: str,
) -> None:
    terms = parse(query).terms()
    if parse(query).included:
        lexeme = r"'[^\W_]+'"
        assert re.fullmatch(rf"{lexeme}(?: & !?{lexeme})*", terms["tsquery"])
    for pattern in terms["phrases"] + terms["nots"]:
        assert re.fullmatch(r"% [^\W_]+(?: [^\W_]+)+ %", pattern)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=junk, text=junk)
def test_a_text_is_found_by_itself_and_not_without_itself(
    index: sqlite3.Connection, query: str, text: str
) -> None:
    if words(text):
        assert finds(index, words(text), text)
        assert finds(index, f'"{words(text)}"', text)
        assert not finds(index, f'{words(text)} -"{words(text)}"', text)


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Das Café ist zu", "cafe", "Das <mark>Café</mark> ist zu"),
        ("Cafe\u0301!", "café", "<mark>Cafe\u0301</mark>!"),
        ("auf der Straße da", '"der strasse"', "auf <mark>der Straße</mark> da"),
        ("der, die: der Mann", '"der mann"', "der, die: <mark>der Mann</mark>"),
        ("ab a b", "a b", "ab <mark>a</mark> <mark>b</mark>"),
        ("a b c", '"a b" "b c"', "<mark>a b c</mark>"),
        ("nur ½ da", "2", "nur <mark>½</mark> da"),
        ("nothing here", "zebra", "nothing here"),
        ("seen and not", "seen -not", "<mark>seen</mark> and not"),
        ("<b>\"x\" & 'y'", "x", "&lt;b&gt;&quot;<mark>x</mark>&quot; &amp; &#x27;y&#x27;"),
        ("<mark>x</mark>", "mark", "&lt;<mark>mark</mark>&gt;x&lt;/<mark>mark</mark>&gt;"),
    ],
)
def test_a_snippet_marks_the_matches_in_escaped_text(text: str, query: str, expected: str) -> None:
    assert snippet(text, parse(query)) == expected


def test_a_snippet_is_cut_between_words_around_the_first_match() -> None:
    text = "left " * 100 + "needle " + "right " * 100 + "needle"
    result = snippet(text, parse("needle"), width=60)
    assert re.fullmatch(r"…(left )+<mark>needle</mark>( right)+…", result)
    assert 40 <= len(re.sub(r"</?mark>|…", "", result)) <= 60


def test_a_snippet_without_a_match_is_the_beginning() -> None:
    assert snippet("word " * 100, parse("zebra"), width=22) == "word word word word…"


def test_a_phrase_too_long_for_the_snippet_is_marked_token_by_token() -> None:
    text = "alpha" + "-" * 500 + "omega"
    assert snippet(text, parse('"alpha omega"')).startswith("<mark>alpha</mark>---")


def test_a_match_is_located_behind_characters_that_fold_to_many() -> None:
    text = "ﷺ\u0301 " * 3000 + "ß needle " + "e\u0301 " * 1000
    assert "ß <mark>needle</mark> e" in snippet(text, parse("needle"))


@settings(max_examples=500, deadline=None)
@given(junk, junk, st.integers(8, 200))
def test_a_snippet_is_a_piece_of_the_text_and_marks_only_what_was_asked(
    text: str, query: str, width: int
) -> None:
    asked = parse(query)
    result = snippet(text, asked, width)
    assert html.unescape(re.sub(r"</?mark>", "", result)).strip("…") in text
    assert re.sub(r"<mark>[^<>]+</mark>", "", result).find("<") == -1
    allowed = {token for phrase in asked.included for token in phrase}
    if len(text) <= width:
        for marked in re.findall("<mark>(.*?)</mark>", result, re.DOTALL):
            assert allowed & set(words(html.unescape(marked)).split())
        assert ("<mark>" in result) == bool(allowed & set(words(text).split()))


def test_many_long_texts_cost_no_more_than_one_answer_may() -> None:
    deep = "é " * 45_000 + "needle"
    shown = snippets([deep] * 50, parse("needle"))
    assert "<mark>needle</mark>" in shown[0]
    assert "<mark>" not in shown[-1]
    assert snippets(["a needle"] * 50, parse("needle"))[-1] == "a <mark>needle</mark>"
