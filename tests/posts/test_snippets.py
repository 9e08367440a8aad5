"""Snippets: the place of the match, marked, as safe HTML."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.search import parse
from service.domain.snippets import snippet, snippets
from service.domain.words import words
from tests.posts.test_parsing_queries import junk


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
        ("昨日東京都に行きました", "東京", "昨日<mark>東京</mark>都に行きました"),
        ("昨日東京都に行きました", "東京都", "昨日<mark>東京都</mark>に行きました"),
        ("東京都と京都", "京", "東<mark>京</mark>都と<mark>京</mark>都"),
        ("京都と東京都", "東京都庁 と", "京都<mark>と</mark>東京都"),
        ("iPhone15を買った", "iphone15", "<mark>iPhone15</mark>を買った"),
        ("Python入門とPython", "Python入門", "<mark>Python入門</mark>とPython"),
        ("白猫 と犬", '"猫 と"', "白<mark>猫 と</mark>犬"),
        ("ﾊﾟﾘとﾊﾞﾘ", "バリ", "ﾊﾟﾘと<mark>ﾊﾞﾘ</mark>"),
        ("ไม้ไทยแท้", "ไทย", "ไม้<mark>ไทย</mark>แท้"),
        ("나는 \u1112\u1161\u11ab국에", "한국", "나는 <mark>\u1112\u1161\u11ab국</mark>에"),
        ("काम कम", "कम", "काम <mark>कम</mark>"),
        ("شكرا مُحَمَّد", "محمد", "شكرا <mark>مُحَمَّد</mark>"),
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
    allowed = {word.removesuffix("*") for phrase in asked.included for word in phrase}
    if len(text) <= width:
        for marked in re.findall("<mark>(.*?)</mark>", result, re.DOTALL):
            found = words(html.unescape(marked))
            assert any(word.startswith(one) for one in allowed for word in found)


def test_a_snippet_of_a_text_without_spaces_has_the_match_in_its_midst() -> None:
    result = snippet("あ" * 500 + "東京" + "い" * 500, parse("東京"))
    assert re.fullmatch("…あ{40}<mark>東京</mark>い{118}…", result)


def test_a_match_as_long_as_a_query_is_marked_as_a_whole() -> None:
    long = "".join(chr(0x4E00 + 7 * i) for i in range(200))
    assert f"<mark>{long}</mark>" in snippet(f"{'あ' * 300}{long}{'い' * 300}", parse(long))


def test_many_long_texts_cost_no_more_than_one_answer_may() -> None:
    deep = "é " * 45_000 + "needle"
    shown = snippets([deep] * 50, parse("needle"))
    assert "<mark>needle</mark>" in shown[0]
    assert "<mark>" not in shown[-1]
    assert snippets(["a needle"] * 50, parse("needle"))[-1] == "a <mark>needle</mark>"
