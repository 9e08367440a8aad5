"""Parses a query before a database sees it, so that both databases find the same posts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypedDict

from service.domain.words import character, words

Phrase = tuple[str, ...]

OPEN = "*"  # at the end of a phrase: its last word is a prefix
# A quoted phrase or a word; a minus means "not" only where a term begins.
_TERM = re.compile(r'(?:(?<!\S)(-))?(?:"([^"]*)"|([^\s"]+))')


class Terms(TypedDict):
    """The parameters of the search statements."""

    fts5: str
    tsquery: str
    phrases: list[str]
    nots: list[str]


@dataclass(frozen=True, slots=True)
class Query:
    """Phrases of words: all the included ones must occur, none of the excluded ones may.

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
        included = [_lexeme(word) for phrase in self.included for word in phrase]
        excluded = [f"!{_lexeme(word)}" for word, *more in self.excluded if not more]
        return " & ".join(dict.fromkeys(included + excluded))

    def phrases(self) -> list[str]:
        """Patterns for `LIKE` on the document between two spaces, of which all must match."""
        return [_pattern(phrase) for phrase in self.included if len(phrase) > 1]

    def nots(self) -> list[str]:
        """Patterns for `LIKE`, of which none may match."""
        return [_pattern(phrase) for phrase in self.excluded if len(phrase) > 1]

    def terms(self) -> Terms:
        """All of the above, by name."""
        return Terms(
            fts5=self.fts5(), tsquery=self.tsquery(), phrases=self.phrases(), nots=self.nots()
        )


def parse(query: str) -> Query:
    """The Query in the text `query`: words, "phrases" and -not; anything else only separates.

    A term of several words (`foo-bar`, `東京都`) is a phrase. Never raises; `included` may come out
    empty.
    """
    included: dict[Phrase, None] = {}
    excluded: dict[Phrase, None] = {}
    for term in _TERM.finditer(query):
        minus, quoted, word = term.groups()
        if phrase := _phrase(words(quoted if word is None else word)):
            (excluded if minus else included)[phrase] = None
    return Query(tuple(included), tuple(excluded))


def parts(phrase: Phrase) -> list[Phrase]:
    """The words of a phrase, and its runs of a script without spaces as phrases of their own."""
    found: list[Phrase] = []
    run: list[str] = []
    for word in phrase:
        first = character(word)
        if first:
            run.append(word)
        if not first:
            found.append((word,))
        elif word.removesuffix(OPEN) == first:  # the last character of the run
            found.append(_phrase(run))
            run = []
    return [*found, tuple(run)] if run else found


def _phrase(found: list[str]) -> Phrase:
    """The phrase that finds these words wherever a run of characters begins and ends."""
    if not found or character(found[-1]) != found[-1].removesuffix(OPEN):
        return tuple(found)
    if len(found) > 1 and len(found[-2]) > len(character(found[-2])) > 0:
        return tuple(found[:-1])  # the pair before has the character already
    return (*found[:-1], found[-1].removesuffix(OPEN) + OPEN)


def _fts5_phrase(phrase: Phrase) -> str:
    text = " ".join(phrase)
    return f'"{text[:-1]}" *' if text.endswith(OPEN) else f'"{text}"'


def _lexeme(word: str) -> str:
    # Letters, marks and digits only: there is nothing to escape.
    return f"'{word[:-1]}':*" if word.endswith(OPEN) else f"'{word}'"


def _pattern(phrase: Phrase) -> str:
    text = " ".join(phrase)
    return f"% {text[:-1]}%" if text.endswith(OPEN) else f"% {text} %"
