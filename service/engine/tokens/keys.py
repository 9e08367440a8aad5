"""The keys that sign tokens, in a folder that several processes may share."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_Public = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
NAME = "%Y%m%dT%H%M%S.%fZ"  # a key file's name begins with the time at which it starts to sign
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key, its only algorithm, and its public half, also as a JWK (RFC 7517).

    `secret` is derived from it, for hashes that only this service can recompute. The key signs
    from `signs_from` on, in seconds since 1970.
    """

    kid: str
    algorithm: str
    private: _Private
    public: _Public
    jwk: dict[str, str]
    secret: bytes
    signs_from: float = 0.0


class KeyRing:
    """The keys: the newest one that is due signs; all of them verify and are published. Changes in
    their folder are noticed.

    A key is published before it is due, because other services cache the key set.

    `keys` (by kid, oldest first) is only ever replaced as a whole, so reading it needs no lock.
    """

    def __init__(
        self,
        keys: Mapping[str, SigningKey],
        directory: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys, self._directory, self._clock = keys, directory, clock
        self._wall_clock = wall_clock
        self._listing: list[tuple[Path, int]] = []
        self._looked, self._lock = clock(), threading.Lock()

    @classmethod
    def from_pem(cls, pem: str) -> KeyRing:
        """The ring of one private key; raises ValueError as from_directory does."""
        key = _key(pem.encode(), "The signing key")
        return cls({key.kid: key})

    @classmethod
    def from_directory(
        cls,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> KeyRing:
        """The ring of the private keys in `path`/*.pem, the newest last; there may be none.

        Raises ValueError, naming the file, unless each is EC P-256, RSA >= 2048 bits or Ed25519.
        """
        ring = cls({}, path, clock, wall_clock)
        ring._listing = _listing(path)
        ring.keys = _load(ring._listing)
        return ring

    def __len__(self) -> int:
        return len(self.keys)

    def current(self) -> Mapping[str, SigningKey]:
        """The keys by kid, as they were in the folder at most a minute ago."""
        self._look(every=60)
        return self.keys

    def latest(self) -> Mapping[str, SigningKey]:
        """The keys by kid, including any that another process may use already; costs a stat."""
        if self._directory:
            # A new file is read at once, or requests would fail after a rotation.
            unchanged = self._listing[:1] == [(self._directory, _changed(self._directory))]
            self._look(every=1 if unchanged else 0)
        return self.keys

    def newest(self) -> SigningKey:
        """The key that signs; raises LookupError if there is none.

        While none is due, as with a slow clock, it is the first one that will be.
        """
        keys = list(self.latest().values())
        now = self._wall_clock()
        due = [key for key in keys if key.signs_from <= now]
        return due[-1] if due else keys[0]

    def find(self, kid: str) -> SigningKey | None:
        """The key called `kid`, looked up in the folder too if it is unknown."""
        return self.keys.get(kid) or self.latest().get(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set (RFC 7517, section 5)."""
        return {"keys": [key.jwk for key in self.latest().values()]}

    def _look(self, every: float) -> None:
        """Reload the keys if their folder has changed; looks at most once in `every` seconds."""
        if self._directory is None or self._clock() - self._looked < every:
            return
        with self._lock:
            if self._clock() - self._looked < every:
                return  # another thread was faster
            self._looked = self._clock()
            listing = _listing(self._directory)
            if listing == self._listing:
                return
            try:
                # An empty folder is most likely a mistake, so the known keys stay in use.
                self.keys = _load(listing) or self.keys
            except ValueError as problem:
                _log.warning("The signing keys were not reloaded: %s", problem)
            self._listing = listing  # last, so that a thread that misses a key meanwhile waits


def generate_key(directory: Path, signs_from: datetime | None = None) -> Path:
    """Write a new ES256 key, readable by its owner only, into `directory`.

    Its name says when it starts to sign: at once, unless `signs_from` is later.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    moment = (signs_from or datetime.now(UTC)).astimezone(UTC)
    path = directory / f"{moment:{NAME}}-{secrets.token_hex(4)}.pem"
    unfinished = path.with_suffix(".new")  # another process must not read half a key
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    # File times have steps of milliseconds: a process that has just looked must see another time.
    time.sleep(0.02)
    return unfinished.rename(path)


def key_files(directory: Path) -> list[Path]:
    """The key files in a folder, the newest last, without the hidden files of editors and macOS."""
    return sorted(path for path in directory.glob("*.pem") if not path.name.startswith("."))


def signs_from(path: Path) -> datetime | None:
    """When the key in a file starts to sign, if `generate_key` has named the file."""
    try:
        return datetime.strptime(path.name.partition("-")[0], "%Y%m%dT%H%M%S.%f%z")
    except ValueError:
        return None


def _changed(path: Path) -> int:
    try:
        return path.stat().st_ctime_ns  # permissions and renames count too
    except OSError:  # removed meanwhile
        return 0


def _listing(directory: Path) -> list[tuple[Path, int]]:
    """The folder, then its key files, each with the time of its last change."""
    folder = (directory, _changed(directory))  # first, so that a file missed now is seen later
    return [folder, *((path, _changed(path)) for path in key_files(directory))]


def _load(listing: list[tuple[Path, int]]) -> dict[str, SigningKey]:
    keys = {}
    for path, _ in listing[1:]:
        try:
            key = _key(path.read_bytes(), path.name)
            due = signs_from(path)
            key = replace(key, signs_from=due.timestamp() if due else 0.0)
        except FileNotFoundError:  # removed since
            continue
        except OSError:
            raise ValueError(f"{path.name} cannot be read.") from None
        keys[key.kid] = key
    return keys


def _key(pem: bytes, name: str) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their messages may quote the key
        raise ValueError(f"{name} is not a private key in PEM without a password.") from None
    match private:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            algorithm, jwk = "ES256", ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case rsa.RSAPrivateKey(key_size=bits) if bits >= 2048:
            algorithm, jwk = "RS256", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case ed25519.Ed25519PrivateKey():
            algorithm, jwk = "EdDSA", OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            raise ValueError(f"{name} must be EC P-256, RSA from 2048 bits or Ed25519.")
    jwk = {
        member: jwk[member] for member in sorted({"crv", "e", "kty", "n", "x", "y"} & jwk.keys())
    }
    # RFC 7638, section 3: these members, sorted, without white space.
    digest = hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    jwk |= {"kid": kid, "use": "sig", "alg": algorithm}
    return SigningKey(kid, algorithm, private, private.public_key(), jwk, _secret(private))


def _secret(private: _Private) -> bytes:
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return hashlib.sha256(b"fingerprints" + der).digest()
