"""What a search means, settled before an engine sees it, so that both engines find the same."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict

Phrase = tuple[str, ...]

_LONGEST_TOKEN = 64
_LONGEST_SCAN = 200_000  # folded; twice the longest post, though a few characters fold to many
# Characters that the snippets of one answer look through, and each of them at the least.
_REACH, _LEAST_REACH = 500_000, 2_000
_TOKEN = re.compile(r"[^\W_]+")  # exactly the maximal runs for which str.isalnum() holds
# A quoted phrase or a word; a minus means "not" only where a term begins.
_TERM = re.compile(r'(?:(?<!\S)(-))?(?:"([^"]*)"|([^\s"]+))')


class Terms(TypedDict):
    """What the engines are asked."""

    fts5: str
    tsquery: str
    phrases: list[str]
    nots: list[str]


@dataclass(frozen=True, slots=True)
class Query:
    """Phrases of folded tokens: all the included ones must occur, none of the excluded ones may.

    The engine expressions may be asked for only while `included` is not empty.
    """

    included: tuple[Phrase, ...]
    excluded: tuple[Phrase, ...]

    def fts5(self) -> str:
        """The expression for `MATCH` in SQLite's FTS5."""
        included = " AND ".join(map(_fts5_phrase, self.included))
        excluded = " OR ".join(map(_fts5_phrase, self.excluded))
        return f"({included}) NOT ({excluded})" if excluded else included

    def tsquery(self) -> str:
        """The text for `CAST(:query AS tsquery)` in PostgreSQL: single words, as lexemes."""
        included = [_lexeme(token) for phrase in self.included for token in phrase]
        excluded = [f"!{_lexeme(token)}" for token, *more in self.excluded if not more]
        return " & ".join(included + excluded)

    def phrases(self) -> list[str]:
        """Patterns for `LIKE` on the document between two spaces, of which all must match."""
        return [_pattern(phrase) for phrase in self.included if len(phrase) > 1]

    def nots(self) -> list[str]:
        """Patterns of which none may match."""
        return [_pattern(phrase) for phrase in self.excluded if len(phrase) > 1]

    def terms(self) -> Terms:
        """All of the above, by name."""
        return Terms(
            fts5=self.fts5(), tsquery=self.tsquery(), phrases=self.phrases(), nots=self.nots()
        )


def fold(text: str) -> str:
    """`text` without case and accents: NFKD, no combining marks, case-folded, and stable.

    Works character by character, so the folding of a part is that part of the folding.
    """
    return text.lower() if text.isascii() else text.translate(_folding)


def words(text: str) -> str:
    """`text` as the index gets it: its folded tokens, joined by one space."""
    return " ".join(_tokens(fold(text)))


def document(title: str, content: str) -> str:
    """The words that a post is found by; the title counts double and no phrase crosses its end."""
    heading = words(title)
    return f"{heading} ¶ {heading} ¶ {words(content)}"


def parse(query: str) -> Query:
    """What `query` asks for: words, "phrases" and -not; anything else only separates.

    A word of several tokens (`foo-bar`) is a phrase. Never raises; `included` may come out empty.
    """
    included: dict[Phrase, None] = {}
    excluded: dict[Phrase, None] = {}
    for term in _TERM.finditer(query):
        minus, quoted, word = term.groups()
        if phrase := tuple(_tokens(fold(quoted if word is None else word))):
            (excluded if minus else included)[phrase] = None
    return Query(tuple(included), tuple(excluded))


def snippets(texts: list[str], query: Query) -> list[str]:
    """The snippet of each text; the last of many long ones show no match that is far inside."""
    left, shown = _REACH, []
    for text in texts:
        reach = max(left, _LEAST_REACH)
        shown.append(snippet(text, query, reach=reach))
        left -= min(len(text), reach)
    return shown


def snippet(text: str, query: Query, width: int = 160, reach: int = _REACH) -> str:
    """About `width` characters of `text` around the first match, as safe HTML.

    Everything is escaped; the only tags are `<mark>` and `</mark>`. `…` stands where it is cut.
    Without a match in the first `reach` characters it is the beginning of the text.
    """
    start, end = _window(text, _first_match(text[:reach], query), width)
    excerpt = text[start:end]
    marked, done = [], 0
    for begin, stop in _matches(excerpt, query):
        match = html.escape(excerpt[begin:stop])
        marked.append(f"{html.escape(excerpt[done:begin])}<mark>{match}</mark>")
        done = stop
    marked.append(html.escape(excerpt[done:]))
    return "…" * (start > 0) + "".join(marked) + "…" * (end < len(text))


def _tokens(folded: str) -> Iterator[str]:
    return (token[:_LONGEST_TOKEN] for token in _TOKEN.findall(folded))


class _Folding(dict[int, str]):
    """The folding of each character, found out when first met; a table for str.translate."""

    def __missing__(self, code: int) -> str:
        text, folded = "", chr(code)
        if unicodedata.category(folded) in {"Cn", "Co", "Cs"}:
            return folded  # a million of them, that fold to themselves: not worth the memory
        while text != folded:
            text = folded
            bare = (c for c in unicodedata.normalize("NFKD", text) if not _is_mark(c))
            folded = "".join(bare).casefold()
        self[code] = folded
        return folded


_folding = _Folding()


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _fts5_phrase(phrase: Phrase) -> str:
    return f'"{" ".join(phrase)}"'


def _lexeme(token: str) -> str:
    return f"'{token}'"  # letters and digits only: there is nothing to escape


def _pattern(phrase: Phrase) -> str:
    return f"% {' '.join(phrase)} %"


def _first_match(text: str, query: Query) -> int:
    """Where in `text` an included phrase begins, the first one as a rule, or 0."""
    # Most matches are near the beginning: then the rest need not be read.
    for part in (text[:4096].rpartition(" ")[0], text):
        folded = fold(part)[:_LONGEST_SCAN]
        haystack = f" {' '.join(_tokens(folded))} "
        found = (haystack.find(f" {' '.join(phrase)} ") for phrase in query.included)
        first = min((at for at in found if at >= 0), default=None)
        if first is not None:
            index = haystack.count(" ", 0, first)
            return _origin(text, next(islice(_TOKEN.finditer(folded), index, None)).start())
    return 0


def _origin(text: str, offset: int) -> int:
    """The index of the character of `text` whose folding is at `offset` of the folded text."""
    at = 0
    for stride in (4096, 64, 1):
        while offset >= (length := len(fold(text[at : at + stride]))):
            offset -= length
            at += stride
    return at


def _window(text: str, match: int, width: int) -> tuple[int, int]:
    """The bounds of the excerpt: a little before the match, cut between words where possible."""
    start = max(0, match - width // 4)
    if start > 0:
        start = next((i for i in range(start, match) if text[i - 1].isspace()), match)
    end = start + width
    if end >= len(text):
        return start, len(text)
    return start, next((i for i in range(end, start + width // 2, -1) if text[i].isspace()), end)


def _matches(excerpt: str, query: Query) -> list[tuple[int, int]]:
    """The spans to mark: whole phrases or, where the excerpt holds none, tokens of them."""
    tokens = _located(excerpt)
    folded = tuple(token for _, _, token in tokens)
    for phrases in (query.included, [(token,) for phrase in query.included for token in phrase]):
        spans = [
            (tokens[i][0], tokens[i + len(phrase) - 1][1])
            for i in range(len(tokens))
            for phrase in phrases
            if folded[i : i + len(phrase)] == phrase
        ]
        if spans:
            return _merged(spans)
    return []


def _located(excerpt: str) -> list[tuple[int, int, str]]:
    """The tokens of `excerpt`, each with where it begins and ends there, marks included."""
    pieces = [fold(char) for char in excerpt]
    origin = [i for i, piece in enumerate(pieces) for _ in piece] + [len(excerpt)]
    located = []
    for token in _TOKEN.finditer("".join(pieces)):
        # One character may fold to several tokens, as ½ does; then they share its place.
        stop = max(origin[token.end()], origin[token.end() - 1] + 1)
        located.append((origin[token.start()], stop, token[0][:_LONGEST_TOKEN]))
    return located


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, stop in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((begin, stop))
    return merged
