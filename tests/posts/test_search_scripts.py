"""Search in scripts without spaces and with marks: the same on every database."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit import databases
from tests.kit.corpus import Corpus, Write
from tests.kit.serving import Server, serving
from tests.kit.texts import SAMPLES

# Each post is named by its title.
CORPUS = {
    "tokyo": "昨日東京都に行きました",
    "kyoto": "京都は古い都です。",
    "seoul": "대한민국의 수도는 서울입니다",
    "thai": "ฉันรักประเทศไทย",
    "wood": "ไม้",
    "cat": "白猫 と犬",
    "python": "Python入門、iPhone15を買った",
    "paris": "パリ",
    "bali": "ﾊﾞﾘ",
    "needle": "ハリ",
    "noshi": "𠮷野家で𪚥",
    "little": "कम",
    "work": "काम हिन्दी में",
    "fights": "бои без правил",
    "fight": "последний бой",
    "tree": "ёлка и за\u0301мок",
    "arabic": "مُحَمَّد أسد محـمد می\u200cخواهم",
    "hebrew": "שָׁלוֹם",
    "well": "بئر",
    "latin": "Việt Đường Łódź ISPARTA Straße",
    "khmer": "ភាសា\u200bខ្មែរ",
    "myanmar": "မြန်မာစာ",
    "tibetan": "བོད་སྐད",
    "jamo": unicodedata.normalize("NFD", "한국어"),
}
FOUND = [
    ("東京", {"tokyo"}),
    ("京都", {"tokyo", "kyoto"}),
    ("東都", set()),
    ("東京都に行きました", {"tokyo"}),
    ("都", {"tokyo", "kyoto"}),
    ("行", {"tokyo"}),
    ("東京 京都", {"tokyo"}),
    ("京都 -東京", {"kyoto"}),
    ("都 -東", {"kyoto"}),
    ('都 -"行きました"', {"kyoto"}),
    ("서울", {"seoul"}),
    ("수도", {"seoul"}),
    ("수도서울", set()),
    (unicodedata.normalize("NFD", "서울"), {"seoul"}),
    ("한국", {"jamo"}),
    ("ไทย", {"thai"}),
    ("ประเทศ", {"thai"}),
    ("ไม้", {"wood"}),
    ("ไม", set()),
    ("猫", {"cat"}),
    ("猫と", set()),
    ('"猫 と"', {"cat"}),
    ("python入門", {"python"}),
    ("入門", {"python"}),
    ("\uff29\uff30\uff28\uff2f\uff2e\uff25\uff11\uff15", {"python"}),
    ("iphone15を買った", {"python"}),
    ("iphone", set()),
    ("パリ", {"paris"}),
    ("ﾊﾟﾘ", {"paris"}),
    ("バリ", {"bali"}),
    ("ハリ", {"needle"}),
    ("リ", {"paris", "bali", "needle"}),
    ("𠮷野", {"noshi"}),
    ("𪚥", {"noshi"}),
    ("吉野", set()),
    ("कम", {"little"}),
    ("काम", {"work"}),
    ("हनद", set()),
    ("हिन्दी में", {"work"}),
    ("бои", {"fights"}),
    ("бой", {"fight"}),
    ("бои\u0306", {"fight"}),
    ("елка замок", {"tree"}),
    ("ЁЛКА", {"tree"}),
    ("محمد اسد", {"arabic"}),
    ("أَسَد", {"arabic"}),
    ("خواهم", {"arabic"}),
    ("شلوم", set()),
    ("שלום", {"hebrew"}),
    ("بئر", {"well"}),
    ("بير", set()),
    ("viet duong lodz ısparta STRASSE", {"latin"}),
    ("ខ្មែរ", {"khmer"}),
    ("ភាសាខ្មែរ", {"khmer"}),
    ("မြန်မာ", {"myanmar"}),
    ("སྐད", {"tibetan"}),
    ("བོད་སྐད", {"tibetan"}),
]


@pytest.fixture(scope="module")
def corpus(server: Server) -> Corpus:
    author = server.sign_up()
    posts = {title: author.post(f"{title} zz9", text)["id"] for title, text in CORPUS.items()}
    return Corpus("zz9", author, posts)


@pytest.mark.parametrize(("query", "titles"), FOUND)
def test_a_query_finds_the_same_on_every_database(
    corpus: Corpus, query: str, titles: set[str]
) -> None:
    assert corpus.found(query) == titles
    assert corpus.found(unicodedata.normalize("NFD", query)) == titles


@pytest.mark.parametrize("query", ["東京", "서울", "ไทย", "猫", "x"])
def test_a_query_may_be_a_single_word_or_character(corpus: Corpus, query: str) -> None:
    titles = _titles(corpus.author.http, query)
    assert {title.split()[0] for title in titles if "zz9" in title} == dict(FOUND).get(query, set())


def test_a_snippet_marks_the_match_and_nothing_beside_it(corpus: Corpus) -> None:
    marked = {
        "東京": "昨日<mark>東京</mark>都に行きました",
        "東京都": "昨日<mark>東京都</mark>に行きました",
        "行": "昨日東京都に<mark>行</mark>きました",
        "서울": "대한민국의 수도는 <mark>서울</mark>입니다",
        "ไทย": "ฉันรักประเทศ<mark>ไทย</mark>",
        "バリ": "<mark>ﾊﾞﾘ</mark>",
    }
    for query, snippet in marked.items():
        assert [result["snippet"] for result in corpus.ask(query)] == [snippet]


def test_more_of_a_match_is_better_in_every_script(write: Write) -> None:
    word = write({"a": "東京と大阪と福岡", "b": "東京と東京と東京", "c": "東京と東京と大阪"})
    assert [r["post"]["title"][0] for r in word.ask("東京")] == ["b", "c", "a"]
    assert [r["post"]["title"][0] for r in word.ask("京")] == ["b", "c", "a"]


def test_a_query_of_200_characters_is_answered(write: Write) -> None:
    long = "".join(chr(0x4E00 + i * 7919 % 20000) for i in range(200))
    word = write({"whole": f"前{long}後", "part": long[:199], "again": "東" * 5000})
    for query, titles in [
        (long, {"whole"}),
        (long[:199], {"whole", "part"}),
        ("東" * 150, {"again"}),
    ]:
        answer = word.author.http.get("/api/search", params={"q": query})
        assert {r["post"]["title"].split()[0] for r in answer.json()["results"]} == titles


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """A server on each database."""
    here, there = tmp_path_factory.mktemp("sqlite"), tmp_path_factory.mktemp("postgresql")
    with serving(here) as sqlite, serving(there, database_url=databases.postgresql()) as postgresql:
        yield [sqlite, postgresql]


def test_generated_texts_are_found_alike_on_both_databases(both: list[Server]) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    authors = [server.sign_up() for server in both]
    words = sorted({word for line in SAMPLES for word in line.split()})

    def text(most: int) -> str:
        parts = chance.choices(words, k=chance.randint(1, most))
        cut = [part[chance.randrange(len(part)) :][: chance.randint(1, 6)] for part in parts]
        picked = [chance.choice(pair) for pair in zip(parts, cut, strict=True)]
        return "".join(part + chance.choice(["", " ", "、", "-"]) for part in picked)

    posts = [(f"t{number} {text(3)}"[:200], text(30)) for number in range(60)]
    for title, content in posts:
        for author in authors:
            author.post(title, f"{content}.")
    some = 0
    for _ in range(150):
        query = chance.choice(["{}", '"{}"', "{} -{}", '{} -"{}"', "{} {}"]).format(
            text(2), text(1)
        )
        found = [_titles(author.http, query[:200]) for author in authors]
        assert found[0] == found[1], f"{query!r}, seed {seed}"
        some += bool(found[0])
    assert some > 20, f"too few queries find anything, seed {seed}"


def _titles(http: Any, query: str) -> set[str]:
    answer = http.get("/api/search", params={"q": query, "limit": 50})
    assert answer.status_code == 200, answer.text
    return {result["post"]["title"] for result in answer.json()["results"]}
