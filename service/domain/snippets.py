"""Excerpts of found texts, as safe HTML with the matches marked."""

from __future__ import annotations

import html
from itertools import islice

from service.domain.folding import clusters, fold, pieces, starts_spaceless
from service.domain.search import OPEN, Phrase, Query, parts
from service.domain.words import Word, character, folded, located

# Characters read for all snippets of one answer, and the minimum for each.
_REACH, _LEAST_REACH = 200_000, 2_000
_PIECE_CHARACTERS = 4096


def snippets(texts: list[str], query: Query) -> list[str]:
    """The snippet of each text; of many long texts, the last may show no match that is far
    inside."""
    left, shown = _REACH, []
    for text in texts:
        reach = max(left, _LEAST_REACH)
        shown.append(snippet(text, query, reach=reach))
        left -= min(len(text), reach)
    return shown


def snippet(text: str, query: Query, width: int = 160, reach: int = _REACH) -> str:
    """About `width` characters of `text` around the first match, or more if a phrase is as long,
    as safe HTML.

    Everything is escaped; the only tags are `<mark>` and `</mark>`. `…` stands where it is cut.
    Without a match in the first `reach` characters it is the beginning of the text.
    """
    longest = max(map(_length, query.included), default=0)
    match = _first_match(text[:reach], query)
    start, end = _window(text, match, max(width, longest * 4 // 3 + 2))
    excerpt = text[start:end]
    marked, done = [], 0
    for begin, stop in _matches(excerpt, query):
        hit = html.escape(excerpt[begin:stop])
        marked.append(f"{html.escape(excerpt[done:begin])}<mark>{hit}</mark>")
        done = stop
    marked.append(html.escape(excerpt[done:]))
    return "…" * (start > 0) + "".join(marked) + "…" * (end < len(text))


def _length(phrase: Phrase) -> int:
    """About how many characters a phrase takes: the pairs of a run overlap."""
    return 1 + sum(len(character(word)) or len(word) + 1 for word in phrase)


def _first_match(text: str, query: Query) -> int:
    """The index in `text` at which an included phrase begins, usually the first one; 0 if there is
    none."""
    # Most matches are near the beginning, so that the rest need not be read.
    first = next(pieces(text, _PIECE_CHARACTERS), "")
    for part in (first, text) if len(first) < len(text) else (text,):
        content = folded(part)
        haystack = f" {' '.join(word.text for word in located(content))} "
        if len(part) < len(text):
            haystack = haystack[: haystack.rfind(" ", 0, -1) + 1]  # the last may go on
        found = (haystack.find(_needle(phrase)) for phrase in query.included)
        at = min((at for at in found if at >= 0), default=None)
        if at is not None:
            index = haystack.count(" ", 0, at)
            return _origin(text, next(islice(located(content), index, None)).start)
    return 0


def _needle(phrase: Phrase) -> str:
    text = " ".join(phrase)
    return f" {text[:-1]}" if text.endswith(OPEN) else f" {text} "


def _origin(text: str, offset: int) -> int:
    """The index of the character of `text` whose folding is at `offset` of the folded text."""
    at = 0
    for piece in pieces(text, _PIECE_CHARACTERS):
        length = len(fold(piece))
        if offset < length:
            break
        offset -= length
        at += len(piece)
    for cluster in clusters(text[at : at + len(piece)]):
        offset -= len(fold(cluster))
        if offset < 0:
            break
        at += len(cluster)
    return at


def _window(text: str, match: int, width: int) -> tuple[int, int]:
    """The bounds of the excerpt: a little before the match, cut between words where possible."""
    start = max(0, match - width // 4)
    if start > 0:
        start = next(
            (i for i in range(start, match) if text[i - 1].isspace() or starts_spaceless(text, i)),
            match,
        )
    end = start + width
    if end >= len(text):
        return start, len(text)
    return start, next(
        (
            i
            for i in range(end, start + width // 2, -1)
            if text[i].isspace() or starts_spaceless(text, i)
        ),
        end,
    )


def _matches(excerpt: str, query: Query) -> list[tuple[int, int]]:
    """The spans to mark: whole phrases or, where the excerpt holds none, parts of them."""
    text, bounds = _mapped(excerpt)
    words = list(located(text))
    for phrases in (query.included, [part for phrase in query.included for part in parts(phrase)]):
        spans = [
            span
            for i in range(len(words))
            for phrase in phrases
            if (span := _span(words[i : i + len(phrase)], phrase))
        ]
        if spans:
            return _merged([(bounds[begin][0], bounds[end - 1][1]) for begin, end in spans])
    return []


def _mapped(excerpt: str) -> tuple[str, list[tuple[int, int]]]:
    """The folding of `excerpt`, and from where to where in it each folded character comes."""
    folding, bounds, at = [], [], 0
    for cluster in clusters(excerpt):
        folding.append(fold(cluster))
        bounds += [(at, at + len(cluster))] * len(folding[-1])
        at += len(cluster)
    return "".join(folding), bounds


def _span(words: list[Word], phrase: Phrase) -> tuple[int, int] | None:
    """Where the words begin and end in the folded text, if they are the phrase."""
    if len(words) < len(phrase) or any(
        w.text != p for w, p in zip(words, phrase[:-1], strict=False)
    ):
        return None
    last, wanted = words[-1], phrase[-1]
    if last.text == wanted:
        return words[0].start, last.end
    if wanted.endswith(OPEN) and last.text.startswith(wanted[:-1]):
        return words[0].start, last.start + len(character(last.text))
    return None


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, stop in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((begin, stop))
    return merged
