"""Forges tokens for a running server, as an attacker could from a valid one."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization as form

from service.engine.tokens.keys import KeyRing, SigningKey
from tests.kit.forgery import PEMS, signed
from tests.kit.serving import Person

THEIRS = {alg: KeyRing.from_pem(pem).newest() for alg, pem in PEMS.items()}  # the attacker's keys
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # order of P-256
Json = dict[str, Any]


def encoded(data: bytes | str) -> str:
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


class Forger:
    """Has a valid token and the public keys; `key` is the signing key, which no attacker has."""

    def __init__(self, person: Person, which: str = "access_token") -> None:
        server = person.server
        self.token: str = person.tokens[which]
        self.parts = self.token.split(".")
        self.header: Json = json.loads(decoded(self.parts[0]))
        self.claims: Json = json.loads(decoded(self.parts[1]))
        self.signature = decoded(self.parts[2])
        with server.client() as client:
            [self.jwk] = client.get("/.well-known/jwks.json").json()["keys"]
        self.key: SigningKey = KeyRing.from_directory(server.settings.jwt_keys_dir).newest()

    def forged(
        self,
        header: Json | None = None,
        claims: Json | None = None,
        alg: str = "ES256",
        key: Any = None,
    ) -> str:
        """The token with these changes, signed by our own key unless another is given."""
        head, payload = ({**own, **(new or {})} for own, new in self._both(header, claims))
        secret = self.key.private if key is None else key
        return signed(json.dumps(head), json.dumps(payload), alg, secret)

    def edited(self, header: Json | None = None, claims: Json | None = None) -> str:
        """The token with these changes and its old signature."""
        head, payload = ({**own, **(new or {})} for own, new in self._both(header, claims))
        return ".".join([encoded(json.dumps(head)), encoded(json.dumps(payload)), self.parts[2]])

    def resigned(self, signature: bytes) -> str:
        return ".".join([*self.parts[:2], encoded(signature)])

    def halves(self) -> tuple[int, int]:
        """The numbers r and s of the signature."""
        r, s = self.signature[:32], self.signature[32:]
        return int.from_bytes(r), int.from_bytes(s)

    def _both(self, header: Json | None, claims: Json | None) -> list[tuple[Json, Json | None]]:
        return [(self.header, header), (self.claims, claims)]


def with_halves(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def public_forms(jwk: Json) -> dict[str, bytes]:
    """The public key in every form that a careless verifier could use as an HMAC secret."""
    public = jwt.PyJWK(jwk).key
    pem = public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    point, compressed = (
        public.public_bytes(form.Encoding.X962, layout)
        for layout in (form.PublicFormat.UncompressedPoint, form.PublicFormat.CompressedPoint)
    )
    return {
        "PEM": pem,
        "PEM without its last line feed": pem.rstrip(),
        "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "DER": der,
        "DER in base64": base64.b64encode(der),
        "point": point,
        "point without its prefix": point[1:],
        "compressed point": compressed,
        "x": decoded(jwk["x"]),
        "x as text": jwk["x"].encode(),
        "JWK": json.dumps(jwk).encode(),
        "JWK, compact": json.dumps(jwk, separators=(",", ":")).encode(),
        "kid": jwk["kid"].encode(),
        "nothing": b"",
        "a NUL": b"\0",
        "None": b"None",
        "the issuer": b"byline",
    }
