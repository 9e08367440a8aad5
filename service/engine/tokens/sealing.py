"""Encrypts small secrets that the database holds, with keys derived from the signing keys."""

from __future__ import annotations

import base64
import os

import flask
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.engine.tokens.keys import KeyRing, SigningKey

_NONCE_BYTES = 12  # random, of 96 bits (NIST SP 800-38D, section 8.2.2)


class Sealer:
    """Seals with the newest key that is due, and opens with any key of the ring.

    A sealed text is `<kid>.<nonce and ciphertext>`, AES-256-GCM. The `context` under which it was
    sealed, such as the table and the user, is authenticated too, so that a text that was copied
    elsewhere does not open.
    """

    def __init__(self, app: flask.Flask, ring: KeyRing) -> None:
        self._ring = ring
        app.extensions["sealer"] = self

    def seal(self, data: bytes, context: str) -> str:
        """The data as text that can be stored."""
        key = self._ring.newest()
        nonce = os.urandom(_NONCE_BYTES)
        hidden = nonce + _cipher(key).encrypt(nonce, data, context.encode())
        return f"{key.kid}.{base64.urlsafe_b64encode(hidden).decode()}"

    def open(self, sealed: str, context: str) -> bytes | None:
        """The data, or None if its key has been removed, or if the text is not as it was."""
        kid, _, hidden = sealed.partition(".")
        key = self._ring.find(kid)
        if key is None:
            return None
        raw = base64.urlsafe_b64decode(hidden)
        try:
            return _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
        except InvalidTag:
            return None

    def knows_key_of(self, sealed: str) -> bool:
        """Whether the key of a sealed text is still there."""
        return self._ring.find(sealed.partition(".")[0]) is not None

    @property
    def prefix(self) -> str:
        """The first characters of what is sealed now; other texts are sealed with older keys."""
        return f"{self._ring.newest().kid}."


def sealer() -> Sealer:
    """The running application's sealer."""
    found: Sealer = flask.current_app.extensions["sealer"]
    return found


def _cipher(key: SigningKey) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"sealing").derive(key.secret))
