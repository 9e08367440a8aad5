"""Splits text into the words that both databases index: a document is only words and spaces.

Where a script puts spaces between words, a word is a run of letters, marks and digits. Where it
does not (`folding.SPACELESS`), every pair of neighbouring characters is a word, and so is the last
character of a run: `東京都` becomes `東京 京都 都`. A query for such a run is a phrase of its
pairs, which matches anywhere in a run, so `京都` finds `東京都` too. A query for one character
searches for words that begin with it: each character begins exactly one word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from service.domain.folding import MARKS, SPACELESS, fold, pieces

VERSION = "¶2"  # of documents, and their first word; `db reindex` renews older ones
MAX_WORD_CHARACTERS = 64
MAX_TEXT_CHARACTERS = 200_000  # after folding; the rest is not indexed
# Bytes for a document's words in a PostgreSQL `tsvector`, whose limit is 1 048 575.
MAX_INDEX_BYTES = 1_000_000

_PIECE_CHARACTERS = 4096
_UNIT = f"(?=[^\\W_]|[\U00020000-\U0003ffff])[{SPACELESS}][{MARKS}]*"
_RUN = re.compile(f"((?:{_UNIT})+)|(?:(?![{SPACELESS}])[^\\W_][{MARKS}]*)+")
_UNITS = re.compile(_UNIT)
_ASCII_WORD = re.compile(r"[a-z0-9]+")


class Word(NamedTuple):
    """A word, and where it begins and ends in the folded text."""

    text: str
    start: int
    end: int


def folded(text: str) -> str:
    """The folded text, cut off where indexing ends."""
    if len(text) <= _PIECE_CHARACTERS:
        return fold(text)
    parts, length = [], 0
    for piece in pieces(text, _PIECE_CHARACTERS):
        parts.append(fold(piece))
        length += len(parts[-1])
        if length >= MAX_TEXT_CHARACTERS:
            break
    return "".join(parts)[:MAX_TEXT_CHARACTERS]


def located(text: str) -> Iterator[Word]:
    """The words of a folded text, in order."""
    for run in _RUN.finditer(text):
        if run[1] is None:
            yield Word(run[0][:MAX_WORD_CHARACTERS], *run.span())
        else:
            yield from _pairs(text, *run.span())


def words(text: str) -> list[str]:
    """The words of a text that is not folded yet, up to where indexing ends."""
    text = folded(text)
    if text.isascii():  # same words as the general case, in a tenth of the time
        return [word[:MAX_WORD_CHARACTERS] for word in _ASCII_WORD.findall(text)]
    return [word.text for word in located(text)]


def document(title: str, content: list[str]) -> str:
    """The searchable document of a post, from its title and the words of its content. The title
    counts double, and no phrase crosses its end."""
    heading = words(title)
    return " ".join(_bounded([VERSION, *heading, "¶", *heading, "¶", *content]))


def index_text(title: str, content: str) -> str:
    """The searchable document of a post."""
    return document(title, words(content))


def character(word: str) -> str:
    """The first character, with its marks, of a word in a script without spaces; else empty."""
    match = _UNITS.match(word)
    return match[0] if match else ""


def _pairs(text: str, start: int, end: int) -> Iterator[Word]:
    units = [match.span() for match in _UNITS.finditer(text, start, end)]
    for (first, _), (_, last) in pairwise(units):
        yield Word(text[first:last], first, last)
    first, last = units[-1]
    yield Word(text[first:last], first, last)


def _bounded(document: list[str]) -> list[str]:
    """The beginning of a document that fits into a `tsvector`."""
    if len(document) * (MAX_WORD_CHARACTERS + 8) <= MAX_INDEX_BYTES:
        return document
    size, seen = 0, set()
    for number, word in enumerate(document):
        size += 2  # a position
        if word not in seen:
            seen.add(word)
            size += len(word.encode()) + 3  # alignment, and the number of positions
        if size > MAX_INDEX_BYTES:
            return document[:number]
    return document
