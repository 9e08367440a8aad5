"""Secrets that cannot be mistaken for anything else, and the search for them."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

_START = 8  # bytes
_HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class Secret:
    """What was sent or issued, what kind of thing it is and whose."""

    kind: str
    owner: str
    text: str


class Marks:
    """All secrets of a test.

    Those that are made up here are letters and digits of pure chance, with around them what a
    careless writer would have to escape.
    """

    def __init__(self) -> None:
        self._needles: dict[bytes, list[tuple[bytes, Secret]]] = {}  # by how they start
        self._alphabet: set[int] = set()  # the bytes that a start consists of

    def word(self, kind: str, owner: str) -> str:
        """Letters and digits, for where nothing else may stand."""
        core = _core()
        return self.keep(kind, owner, core, core)

    def words(self, kind: str, owner: str) -> str:
        core = _core()
        return self.keep(kind, owner, f'{core} "quoted" <b>&amp; 100%</b> \\ Übung', core)

    def address(self, owner: str, domain: str) -> str:
        """An e-mail address that differs from the key it is compared by."""
        core = _core()
        return self.keep("address", owner, f"{core}+{owner}@{domain}", core)

    def password(self, owner: str) -> str:
        """A password, which a plain hash of it gives away as well."""
        core = _core()
        password = f"{core} pässwörd+%41&'\"<\\/>"
        hashes = (hashlib.new(name, password.encode()).hexdigest() for name in _HASHES)
        return self.keep("password", owner, password, core, *hashes)

    def token(self, kind: str, owner: str, token: str) -> str:
        """A token of the service's: its last part is chance, and so is either end of that."""
        chance = token.rpartition(".")[2]
        return self.keep(kind, owner, token, chance[:16], chance[-16:])

    def issued(self, kind: str, owner: str, text: str) -> str:
        """A secret of the service that is no token, also without hyphens, and as what it is in
        base64url, as authenticators get challenges."""
        meant = base64.urlsafe_b64decode(text + "==") if kind == "challenge" else b""
        plain = [meant.decode()] if meant.isascii() and meant else []
        return self.keep(kind, owner, text, text, text.replace("-", ""), *plain)

    def keep(self, kind: str, owner: str, text: str, *cores: str) -> str:
        """Look for these parts of a text from now on."""
        secret = Secret(kind, owner, text)
        for needle in {needle for core in cores for needle in _needles(core)}:
            self._needles.setdefault(needle[:_START], []).append((needle, secret))
            self._alphabet.update(needle[:_START])
        return text

    def found(self, *data: bytes) -> set[Secret]:
        """The secrets in the data: as they are, in another case, percent-encoded, JSON-escaped, in
        hexadecimal or in base64."""
        hay = b"\n".join(data).lower()
        # Most of what is searched is words shorter than a start.
        letters = re.escape(bytes(sorted(self._alphabet))) or b"a"
        words = set(re.findall(b"[%b]{%d,}" % (letters, _START), hay))
        starts = {word[at : at + _START] for word in words for at in range(len(word) - _START + 1)}
        known = starts & self._needles.keys()
        candidates = [candidate for start in known for candidate in self._needles[start]]
        return {secret for needle, secret in candidates if needle in hay}


def _core() -> str:
    return f"Zq{secrets.token_hex(8)}Kx"


def _needles(core: str) -> Iterator[bytes]:
    """The core in every encoding, all in lower case."""
    for data in (core.encode(), core.lower().encode()):
        yield data.lower()
        yield data.hex().encode()
        yield from (b"".join(form % byte for byte in data) for form in (b"%%%02x", b"\\u%04x"))
        for before in range(3):  # base64 looks different at each place; what is around is cut off
            first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                yield encode(bytes(before) + data)[first:last].lower()
