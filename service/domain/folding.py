"""Folds text into what search compares: without case, without compatibility forms, and without the
marks that its language ignores. A mark that makes a different letter stays.

Which marks are removed depends on the letter before them:

- Latin and Greek letters, and everything that is not a letter: every mark (`Café`, `Việt`,
  `Σίσυφος`).
- Cyrillic: stress marks on vowels and the dots of `ё`; `й`, `ї`, `ў`, `ќ` are letters.
- Arabic, Hebrew, Syriac: vowel points and signs of recitation; hamza and madda only above and below
  an alef, because `بئر` and `بير` are different words.
- Any other script: none. Kana voicing, Indic and Thai vowels and tones are part of the spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

MAX_MARKS_PER_LETTER = 30  # Unicode UAX 15, Stream-Safe Text; sorting more is quadratic

# Letters that do not decompose, and how people write them who have no key for them.
_SPELT = {ord("æ"): "ae", ord("œ"): "oe", ord("þ"): "th"}
_SPELT |= {ord(a): b for a, b in zip("øłđðħŧı", "olddhti", strict=True)}
# Variants of Arabic letters that other keyboards write, and alef with a wasla.
_SPELT |= {0x06CC: "\u064a", 0x06A9: "\u0643", 0x0671: "\u0627"}

# The blocks with marks and format characters; other blocks have none.
_BLOCKS = ((0xAD, 0xAE), (0x300, 0x3400), (0xA000, 0xAC00), (0xFB1E, 0x20000), (0xE0000, 0xE0200))
_TATWEEL, _NO_SPACE, _NON_JOINER, _ALEF = "\u0640", "\u200b", "\u200c", "\u0627"
_HAMZA_AND_MADDA = {"\u0653", "\u0654", "\u0655"}
# Variation selectors, the grapheme joiner and the invisible vowels of Khmer.
_INVISIBLE = {"\u034f", "\u17b4", "\u17b5", "\u180b", "\u180c", "\u180d", "\u180f"}
_INVISIBLE |= {chr(c) for c in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}

# After decomposition.
_LATIN_OR_GREEK = re.compile(
    "[A-Za-zªº\u00c0-\u02af\u0370-\u03ff\u1d00-\u1dbf\u1e00-\u1fff\u2c60-\u2c7f\ua720-\ua7ff"
    "\uab30-\uab6f\U00010780-\U000107bf\U0001df00-\U0001dfff]"
)
_CYRILLIC_VOWEL = re.compile("[аеиоуыэюяіє]", re.IGNORECASE)
_POINTED = re.compile("[\u0590-\u074f\u0750-\u077f\u0860-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# Han, kana, Bopomofo, Hangul (its particles join the word), Yi, Javanese, Balinese, and the scripts
# of Line_Break=SA (Unicode UAX 14). Not Tibetan: a tsheg separates its syllables.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u303f\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua9ff\uaa60-\uaadf\uac00-\ud7ff\uf900-\ufaff"
    "\U00011700-\U0001174f\U00016fe0-\U00018dff\U0001aff0-\U0001b2ff\U00020000-\U0003ffff"
)
_SPACELESS = re.compile(f"[{SPACELESS}]")


def _characters(*categories: str) -> str:
    """All characters of these general categories, as ranges for a regular expression."""
    codes = (code for first, end in _BLOCKS for code in range(first, end))
    found = [code for code in codes if unicodedata.category(chr(code)) in categories]
    firsts = [b for a, b in pairwise([-1, *found]) if b != a + 1]
    lasts = [a for a, b in pairwise([*found, -1]) if b != a + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(firsts, lasts, strict=True))


MARKS = _characters("Mn", "Mc", "Me")
_FOLLOWING = MARKS + _characters("Cf") + _TATWEEL
_FOLLOWERS = re.compile(f"[{_FOLLOWING}]+")
# Characters that join the one before them. They include halfwidth voicing marks, the vowels and
# finals of Hangul in all their forms, and whatever decomposes into a mark first.
_JOINING = (
    _FOLLOWING + "\uff9e\uff9f\u1160-\u11ff\ud7b0-\ud7ff\u3131-\u318e\uffa0-\uffdc\u0e33\u0eb3"
    "\ufcf2-\ufcf4\ufe71\ufe77\ufe79\ufe7b\ufe7d\ufe7f"
)
_JOINS = re.compile(f"[{_JOINING}]")
_CLUSTER = re.compile(f"[\\s\\S][{_JOINING}]*")
_LONG_RUN = re.compile(f"([{MARKS}\uff9e\uff9f]{{{MAX_MARKS_PER_LETTER}}})[{MARKS}\uff9e\uff9f]+")


def fold(text: str) -> str:
    """`text` as it is compared: decomposed (NFKD), without the marks that are ignored, case-folded,
    composed (NFC). Folding it again changes nothing, and equivalent texts fold to the same text.
    Folding `clusters` one by one and joining them is the same as folding the text.
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", _LONG_RUN.sub(r"\1", text))
    bare = _FOLLOWERS.sub(_followers, decomposed).casefold().translate(_SPELT)
    return unicodedata.normalize("NFC", bare)


def clusters(text: str) -> Iterator[str]:
    """The parts of `text` that fold independently: a character and those that join it."""
    return (match[0] for match in _CLUSTER.finditer(text))


def pieces(text: str, size: int) -> Iterator[str]:
    """`text` in parts of about `size` characters, each of whole clusters."""
    start = 0
    while start < len(text):
        match = _CLUSTER.match(text, start + size - 1)
        end = match.end() if match else len(text)
        yield text[start:end]
        start = end


def starts_spaceless(text: str, index: int) -> bool:
    """Whether a cluster of a script without spaces begins at `index`."""
    return bool(_SPACELESS.match(text, index)) and not _JOINS.match(text, index)


def _followers(match: re.Match[str]) -> str:
    start = match.start()
    return _kept(match.string[start - 1] if start else " ", match[0])


@lru_cache(4096)
def _kept(base: str, run: str) -> str:
    """The marks and format characters after a character that are kept."""
    if _NO_SPACE in run and not _SPACELESS.match(base):
        return " "
    if _NON_JOINER in run and _POINTED.match(base):  # it separates a word from its ending
        return " "
    return "".join(mark for mark in run if _matters(base, mark))[:MAX_MARKS_PER_LETTER]


def _matters(base: str, mark: str) -> bool:
    if unicodedata.category(mark) not in {"Mn", "Mc"} or mark in _INVISIBLE:
        return False
    if not base.isalpha() or _LATIN_OR_GREEK.match(base):
        return False
    if _CYRILLIC_VOWEL.match(base):
        ignored = "\u0300\u0301\u0308" if base in "еЕ" else "\u0300\u0301"
        return mark not in ignored
    if _POINTED.match(base):
        return mark in _HAMZA_AND_MADDA and base != _ALEF
    return True
