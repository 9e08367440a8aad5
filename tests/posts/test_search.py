"""Search: what a query finds is settled by its words alone, whichever database is asked."""

from __future__ import annotations

import html
import secrets
from typing import Any

import httpx
import pytest

from tests.kit.corpus import Corpus, Write
from tests.kit.serving import Person, Server

# Every query below is asked for this corpus, of which each post is named by its title.
CORPUS = {
    "tea": "Warm the pot first. Café au lait is not tea.",
    "coffee": "An ESPRESSO in a small café; the naïve order a Frappé.",
    "street": "Die Straße nach İzmir, über Ångström und Σίσυφος.",
    "code": "C++ and foo_bar, e-mail to a.b@example.com: it's 3.14 or ½.",
    "long": f"{'filler ' * 3000}needle in the haystack {'filler ' * 3000}",
    "width": "ﬁne \uff26\uff55\uff4c\uff4c ㎏ Ⅷ",
    "often": f"{'the pot ' * 300}the end",
    "far": f"{'a b ' * 8500}far away",
    "words": "or and not near order orders",
    "asia": "漢字 かな 한글 ไทย हिन्दी",
}


@pytest.fixture(scope="module")
def corpus(server: Server) -> Corpus:
    author = server.sign_up()
    word = f"w{secrets.token_hex(8)}"
    posts = {t: author.post(f"{t} {word}", text)["id"] for t, text in CORPUS.items()}
    return Corpus(word, author, posts)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        # Case and accents.
        ("cafe", {"tea", "coffee"}),
        ("CAFÉ", {"tea", "coffee"}),
        ("cafe\u0301", {"tea", "coffee"}),
        ("espresso naive", {"coffee"}),
        ("STRASSE", {"street"}),
        ("izmir ANGSTROM", {"street"}),
        ("σισυφοσ", {"street"}),
        ("fine full kg viii", {"width"}),
        ("漢字", {"asia"}),
        ("かな 한글", {"asia"}),
        # Words: all of them, whole ones.
        ("cafe pot", {"tea"}),
        ("cafe straße", set()),
        ("caf", set()),
        ("espressos", set()),
        ("tea", {"tea"}),
        ("needle", {"long"}),
        ("far", {"far"}),
        # A word of several tokens is a phrase.
        ("foo_bar", {"code"}),
        ("bar-foo", set()),
        ("e-mail", {"code"}),
        ("3.14", {"code"}),
        ("1/2", {"code"}),
        # Phrases.
        ('"warm the pot"', {"tea"}),
        ('"the warm pot"', set()),
        ('"pot, FIRST! cafe"', {"tea"}),
        ('"naive order"', {"coffee"}),
        ('"needle in the haystack"', {"long"}),
        ('"the end"', {"often"}),
        ('"far away"', {"far"}),
        # Exclusion.
        ("cafe -tea", {"coffee"}),
        ('cafe -"au lait"', {"coffee"}),
        ('cafe -"lait au"', {"tea", "coffee"}),
        ("cafe -pot -espresso", set()),
        ('pot -"the end"', {"tea"}),
        ("cafe -CAFÉ", set()),
        ("cafe - tea", {"tea"}),
        # Nothing else is an operator.
        ("cafe OR straße", set()),
        ("or and not near", {"words"}),
        ("order", {"coffee", "words"}),
        ("orde*", set()),
        ("order*", {"coffee", "words"}),
        ("NEAR(cafe, pot)", set()),
        ("^cafe", {"tea", "coffee"}),
        ("title:cafe", set()),
        ("{words}:cafe", set()),
        ("cafe + pot", {"tea"}),
        ("!cafe", {"tea", "coffee"}),
        ("cafe:*", {"tea", "coffee"}),
        ("cafe <-> pot", {"tea"}),
        ("(cafe & pot) | !first", {"tea"}),
        ("cafe'", {"tea", "coffee"}),
        ('cafe"', {"tea", "coffee"}),
        ("cafe\\", {"tea", "coffee"}),
        ("cafe%", {"tea", "coffee"}),
        ("'; DROP TABLE posts; --", set()),
    ],
)
def test_a_query_finds_the_same_on_every_database(
    corpus: Corpus, query: str, titles: set[str]
) -> None:
    assert corpus.found(query) == titles


@pytest.mark.parametrize(
    "query",
    ["-tea", '-"warm the pot" -coffee', '""', "--", "!?", "\u0301\u0301", "  ", "- -", '"" ½'[:3]],
)
def test_a_query_without_a_word_to_look_for_finds_nothing(
    anonymous: httpx.Client, query: str
) -> None:
    answer = anonymous.get("/api/search", params={"q": query})
    assert (answer.status_code, answer.json()) == (200, {"results": []})


@pytest.mark.parametrize(
    "query",
    [
        "a\x01b",
        "\U0001f9f6\U0001f9f6",
        "((((((((((",
        '"' * 200,
        "-" * 200,
        "a " * 100,
        "-a " * 66 + "b",
        "ﷺ" * 200,
        "\u202e\ufeff\u200b",
        "% _ %",
        "\\'\\'",
        "*:*",
        "{} [] <> ~ ^ & | : ; , .",
    ],
)
def test_a_hostile_query_is_harmless(corpus: Corpus, query: str) -> None:
    answer = corpus.author.http.get("/api/search", params={"q": query[:200]})
    assert answer.status_code == 200
    assert corpus.found("cafe") == {"tea", "coffee"}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "x" * 201},
        {"q": "a\x00b"},
        {"q": "tea", "limit": 0},
        {"q": "tea", "limit": 51},
        {"q": "tea", "offset": -1},
        {"q": "tea", "offset": 1001},
        {"q": "tea", "after": "1"},
        {"q": ["tea", "coffee"]},
    ],
)
def test_a_query_outside_the_bounds_is_refused(
    anonymous: httpx.Client, query: dict[str, Any]
) -> None:
    answer = anonymous.get("/api/search", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")


def test_a_result_is_the_post_its_score_and_a_snippet(corpus: Corpus) -> None:
    [result] = corpus.ask("espresso")
    assert result.keys() == {"post", "score", "snippet"}
    assert result["post"] == corpus.author.http.get(f"/api/posts/{corpus.posts['coffee']}").json()
    assert result["score"] > 0
    assert result["snippet"].startswith("An <mark>ESPRESSO</mark> in a small café;")


def test_a_word_in_the_title_outranks_one_in_the_content(write: Write) -> None:
    for first, second in (("title", "content"), ("content", "title")):
        rare = f"r{secrets.token_hex(8)}"
        posts = {"title": {f"one {rare}": "two three four"}, "content": {"one": f"two {rare} four"}}
        word = write({**posts[first], **posts[second]})
        results = word.ask(rare)
        assert [rare in result["post"]["title"] for result in results] == [True, False]
        assert results[0]["score"] > results[1]["score"]


def test_more_of_a_word_is_better(write: Write) -> None:
    word = write({"a": "pot pan pan pan", "b": "pot pot pot pan", "c": "pot pot pan pan"})
    results = word.ask("pot")
    assert [result["post"]["title"][0] for result in results] == ["b", "c", "a"]
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("content", "snippet"),
    [
        ("<b>pot</b>", "&lt;b&gt;<mark>pot</mark>&lt;/b&gt;"),
        ("<mark>x</mark> pot", "&lt;mark&gt;x&lt;/mark&gt; <mark>pot</mark>"),
        ("\"pot\" & 'pan'", "&quot;<mark>pot</mark>&quot; &amp; &#x27;pan&#x27;"),
        ("a POT, a po\u0301t", "a <mark>POT</mark>, a <mark>po\u0301t</mark>"),
        ("<script>pot()</script>", "&lt;script&gt;<mark>pot</mark>()&lt;/script&gt;"),
    ],
)
def test_a_snippet_is_escaped_and_marks_what_matched(
    write: Write, content: str, snippet: str
) -> None:
    [result] = write({"one": content}).ask("pot")
    assert result["snippet"] == snippet


def test_a_snippet_shows_the_place_of_the_match(corpus: Corpus) -> None:
    [result] = corpus.ask("haystack")
    snippet = result["snippet"]
    assert "needle in the <mark>haystack</mark> filler" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(html.unescape(snippet)) < 200


def test_a_match_in_the_title_alone_shows_the_beginning(write: Write) -> None:
    [result] = write({"one": "Nothing of the sort."}).ask("one")
    assert result["snippet"] == "Nothing of the sort."


def test_limit_and_offset_page_through_the_results_in_order(write: Write) -> None:
    word = write({f"n{number}": "pot " * (number % 3) + "x" for number in range(7)})
    every = [result["post"]["id"] for result in word.ask("x")]
    assert set(every) == set(word.posts.values())
    pages = [word.ask("x", limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [result["post"]["id"] for page in pages for result in page] == every


def test_there_are_twenty_results_unless_asked_otherwise(write: Write) -> None:
    word = write({f"n{number}": "x" for number in range(21)})
    assert len(word.ask("x")) == 20
    assert len(word.ask("x", limit=50)) == 21


def test_a_changed_post_is_found_by_its_new_words_only(write: Write) -> None:
    word = write({"one": "kettle"})
    path = f"/api/posts/{word.posts['one']}"
    for change in ({"content": "teapot"}, {"title": f"two {word.word}"}):
        answer = word.author.http.patch(path, json=change, headers={"If-Match": "*"})
        assert answer.status_code == 200
    assert word.found("teapot") == {"two"}
    assert word.found("kettle") == set()
    assert word.found("one") == set()


def test_search_does_not_find_a_deleted_post(write: Write) -> None:
    word = write({"one": "kettle", "two": "kettle"})
    assert word.author.http.delete(f"/api/posts/{word.posts['one']}").status_code == 204
    assert word.found("kettle") == {"two"}


def test_search_does_not_find_the_posts_of_a_deleted_user(write: Write, ben: Person) -> None:
    word = write({"one": "kettle"})
    ben.post(f"two {word.word}", "kettle")
    assert word.found("kettle") == {"one", "two"}
    assert ben.http.delete(f"/api/users/{ben.id}").status_code == 204
    assert word.found("kettle") == {"one"}
