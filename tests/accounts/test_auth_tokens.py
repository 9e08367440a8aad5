"""Access tokens: their use, their verification, and the account behind them."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from service import maintenance
from service.engine.tokens.keys import KeyRing
from service.engine.tokens.tokens import Tokens
from tests.kit.serving import Person, Server

UNKNOWN = "0198c0de-0000-7000-8000-000000000001"


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def authority(server: Server) -> Tokens:
    """Signs what the server would sign, and what it would not."""
    settings = server.settings
    ring = KeyRing.from_directory(settings.jwt_keys_dir)
    return Tokens(ring, issuer=settings.jwt_issuer, audience=settings.jwt_audience)


# get_me


def test_an_unchanged_account_is_a_304(anna: Person) -> None:
    first = anna.http.get("/auth/me")
    assert first.json() == anna.tokens["user"]
    same = {"If-None-Match": first.headers["etag"]}
    again = anna.http.get("/auth/me", headers=same)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    changes = {"bio": "Writes about tea."}
    anna.http.patch(f"/api/users/{anna.id}", json=changes, headers={"If-Match": "*"})
    after = anna.http.get("/auth/me", headers=same)
    assert (after.status_code, after.json()["bio"]) == (200, "Writes about tea.")
    assert after.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Basic YTpi", "authentication-required"),
        ("Bearer", "authentication-required"),
        ("Bearer a.b", "invalid-token"),
        ("Bearer " + "a" * 5000, "invalid-token"),
        ("Bearer {token}.a", "invalid-token"),
        ("Bearer {token}=", "invalid-token"),
        ("Bearer {token} {token}", "invalid-token"),
    ],
)
def test_a_malformed_authorization_header_is_a_401(
    header: str, code: str, anonymous: httpx.Client, anna: Person
) -> None:
    value = header.format(token=anna.tokens["access_token"])
    answer = anonymous.get("/auth/me", headers={"Authorization": value})
    assert told(answer) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_an_expired_token_is_named_so(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    session = anna.http.get("/auth/sessions").json()[0]["id"]
    access = authority(server).access(anna.id, session, 0, -1)
    refresh = authority(server).refresh(anna.id, session, 0, -1)
    for method, path, token in (
        ("GET", "/auth/me", access),
        ("POST", "/auth/refresh", refresh),
        ("POST", "/auth/logout", access),
        ("POST", "/auth/logout", refresh),
    ):
        bearer = {"Authorization": f"Bearer {token}"}
        assert told(anonymous.request(method, path, headers=bearer)) == (401, "token-expired")
    assert anna.http.get("/auth/me").status_code == 200


@pytest.mark.parametrize("stolen", ["somebody", "nobody"])
def test_a_token_is_only_good_for_the_user_of_its_session(
    stolen: str, anonymous: httpx.Client, server: Server, anna: Person, ben: Person
) -> None:
    session = anna.http.get("/auth/sessions").json()[0]["id"]
    subject = {"somebody": ben.id, "nobody": UNKNOWN}[stolen]
    token = authority(server).access(subject, session, 0, 60)
    answer = anonymous.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert told(answer) == (401, "session-revoked")


# get_jwks


def test_the_key_set_is_public_and_may_be_cached(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=600"
    keys: list[dict[str, Any]] = answer.json()["keys"]
    assert keys
    for key in keys:
        assert key.keys() <= {"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"}
        assert key["use"] == "sig"


def test_anyone_can_verify_a_token_with_the_key_set(server: Server, anna: Person) -> None:
    keys = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json")
    token = anna.tokens["access_token"]
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, [key.algorithm_name], audience="byline", issuer="byline")
    assert claims["sub"] == anna.id


def test_a_verifier_that_caches_the_key_set_accepts_every_token_during_rotation(
    server: Server, anna: Person
) -> None:
    verifier = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json", lifespan=600)
    ring = server.flask.extensions["authority"].tokens._ring

    def kept(person: Person) -> str:
        """The key that verifies a token, if the verifier has it without asking again."""
        token = person.tokens["access_token"]
        [key] = [
            key
            for key in verifier.get_signing_keys()
            if key.key_id == jwt.get_unverified_header(token)["kid"]
        ]
        jwt.decode(token, key, [key.algorithm_name], audience="byline", issuer="byline")
        return str(key.key_id)

    old = kept(anna)
    path, due = maintenance.rotate_keys(server.settings.jwt_keys_dir, now=False)
    try:
        assert kept(server.sign_in(anna.email)) == old
        verifier = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json", lifespan=600)
        verifier.get_signing_keys()
        ring._wall_clock = due.timestamp  # the verifier has asked again by then
        assert kept(server.sign_in(anna.email)) != old
    finally:
        ring._wall_clock = time.time
        path.unlink()
