"""An authenticator in software, which can do wrong what authenticators must not."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Json = dict[str, Any]

PRESENT, VERIFIED, BACKED_UP, ATTESTED, EXTENDED = 0x01, 0x04, 0x18, 0x40, 0x80
KEYS = {
    -7: lambda: ec.generate_private_key(ec.SECP256R1()),
    -8: ed25519.Ed25519PrivateKey.generate,
    -257: lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass
class Credential:
    """A passkey as the authenticator keeps it."""

    id: bytes
    key: Key
    user_handle: bytes
    counter: int = 0


@dataclass
class Authenticator:
    """It answers the options of one site, at the page `origin`, for the domain `domain`, or for the
    one that the options name.

    `step` is added to the counter at each use; with 0 it does not count. `attestation` is `none`,
    `packed` (by the key itself) or `forged`.
    """

    origin: str
    domain: str | None = None
    algorithm: int = -7
    step: int = 0
    is_verified: bool = True
    is_backed_up: bool = False
    attestation: str = "none"
    extensions: Json = field(default_factory=dict)  # of its own, in the signed data
    client_data: Json = field(default_factory=dict)  # instead of what a browser says
    passkeys: list[Credential] = field(default_factory=list)

    def create(self, options: Json, id_: bytes = b"") -> Json:
        """The RegistrationResponseJSON for creation options, of a passkey with this id or a new
        one."""
        assert self.algorithm in [one["alg"] for one in options["pubKeyCredParams"]]
        handle = decoded(options["user"]["id"])
        made = Credential(id_ or secrets.token_bytes(16), KEYS[self.algorithm](), handle)
        self.passkeys.append(made)
        said = self._client_data("webauthn.create", options["challenge"])
        data = self._data(options["rp"]["id"], made, new=True)
        statement = self._statement(made, data + hashlib.sha256(said).digest())
        fmt = "none" if self.attestation == "none" else "packed"
        attested = cbor2.dumps({"fmt": fmt, "attStmt": statement, "authData": data})
        response = {"clientDataJSON": encoded(said), "attestationObject": encoded(attested)}
        return _credential(made, response)

    def get(self, options: Json, passkey: int = -1) -> Json:
        """The AuthenticationResponseJSON for request options, by one of the passkeys."""
        used = self.passkeys[passkey]
        used.counter += self.step
        said = self._client_data("webauthn.get", options["challenge"])
        data = self._data(options["rpId"], used)
        response = {
            "clientDataJSON": encoded(said),
            "authenticatorData": encoded(data),
            "signature": encoded(_signed(used.key, data + hashlib.sha256(said).digest())),
            "userHandle": encoded(used.user_handle),
        }
        return _credential(used, response)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | self.client_data).encode()

    def _data(self, domain: str, credential: Credential, *, new: bool = False) -> bytes:
        """Authenticator data (WebAuthn Level 3, section 6.1)."""
        flags = PRESENT | (VERIFIED if self.is_verified else 0)
        flags |= (BACKED_UP if self.is_backed_up else 0) | (ATTESTED if new else 0)
        flags |= EXTENDED if self.extensions else 0
        data = hashlib.sha256((self.domain or domain).encode()).digest()
        data += bytes([flags]) + credential.counter.to_bytes(4, "big")
        if new:
            data += bytes(16) + len(credential.id).to_bytes(2, "big") + credential.id
            data += cbor2.dumps(_cose(credential.key))
        return data + (cbor2.dumps(self.extensions) if self.extensions else b"")

    def _statement(self, credential: Credential, signed: bytes) -> Json:
        if self.attestation == "none":
            return {}
        by = KEYS[self.algorithm]() if self.attestation == "forged" else credential.key
        return {"alg": self.algorithm, "sig": _signed(by, signed)}


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


def _credential(credential: Credential, response: Json) -> Json:
    id_ = encoded(credential.id)
    return {
        "id": id_,
        "rawId": id_,
        "type": "public-key",
        "response": response,
        "clientExtensionResults": {},
    }


def _signed(key: Key, data: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), SHA256())
    return key.sign(data)


def _cose(key: Key) -> dict[int, Any]:
    """The public key in COSE form (RFC 9052, section 7)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {
            1: 2,
            3: -7,
            -1: 1,
            -2: point.x.to_bytes(32, "big"),
            -3: point.y.to_bytes(32, "big"),
        }
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\x01\x00\x01"}
    return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
