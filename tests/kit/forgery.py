"""Keys of every kind, and tokens that are wrong in one way."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from service.engine.problems import InvalidToken
from service.engine.tokens.keys import KeyRing
from service.engine.tokens.tokens import ACCESS, Tokens

ANN = "0198c0de-0000-7000-8000-000000000001"
HERE = "0198c0de-0000-7000-8000-00000000000a"
NOW = 1_800_000_000
Json = dict[str, Any]


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def pem(private: Any, password: bytes = b"") -> str:
    secrecy = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    return str(private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, secrecy), "ascii")


PEMS = {
    "ES256": pem(ec.generate_private_key(ec.SECP256R1())),
    "RS256": pem(rsa.generate_private_key(65537, 2048)),
    "EdDSA": pem(ed25519.Ed25519PrivateKey.generate()),
}
RING = KeyRing.from_pem(PEMS["ES256"])
KEY = RING.newest()
clock = Clock(NOW)
tokens = Tokens(RING, issuer="byline", audience="readers", clock=clock)


def forged(change: Json | None = None, headers: Json | None = None, typ: str = ACCESS) -> str:
    """A token with a valid signature and these changes; `...` removes a claim or header."""
    claims: Json = {"iss": "byline", "aud": "readers", "sub": ANN, "sid": HERE, "jti": "j"}
    claims |= {"iat": NOW, "exp": NOW + 60, **(change or {})}
    header = {"kid": KEY.kid, "typ": typ, "alg": KEY.algorithm, **(headers or {})}
    return signed(json.dumps(header), json.dumps({k: v for k, v in claims.items() if v is not ...}))


def signed(header: str, payload: str, alg: str = KEY.algorithm, key: Any = KEY.private) -> str:
    parts = [base64.urlsafe_b64encode(p.encode()).rstrip(b"=") for p in (header, payload)]
    signature = jwt.get_algorithm_by_name(alg).sign(b".".join(parts), key)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def outcome(token: str, typ: str = ACCESS, verifier: Tokens = tokens) -> Any:
    try:
        return verifier.verify(token, typ)
    except InvalidToken as problem:  # TokenExpired is a subclass
        return type(problem)
