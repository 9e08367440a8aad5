from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as form
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.problems import InvalidToken, TokenExpired
from service.engine.tokens import tokens as module
from service.engine.tokens.keys import KeyRing
from service.engine.tokens.tokens import ACCESS, REFRESH, Authentication, Claims, Tokens
from tests.kit.forgery import (
    ANN,
    HERE,
    KEY,
    NOW,
    PEMS,
    RING,
    Clock,
    clock,
    forged,
    outcome,
    signed,
    tokens,
)


@pytest.mark.parametrize("algorithm", PEMS)
def test_each_kind_of_key_signs_and_verifies_with_its_own_algorithm(algorithm: str) -> None:
    ours = Tokens(KeyRing.from_pem(PEMS[algorithm]), issuer="i", audience="a", clock=clock)
    token = ours.access(ANN, HERE, 0, 60)
    claims = ours.verify(token, ACCESS)
    assert claims == Claims(ANN, HERE, NOW + 60, 0, claims.id, ACCESS)
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "typ": "at+jwt", "kid": header["kid"]}


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_token_is_good_until_the_second_it_expires(seen_before: bool) -> None:
    time = Clock(NOW)
    ours = Tokens(RING, issuer="byline", audience="readers", clock=time)
    token = ours.access(ANN, HERE, 0, 60)
    if seen_before:
        ours.verify(token, ACCESS)
    time.now = NOW + 59.9
    assert isinstance(outcome(token, verifier=ours), Claims)
    time.now = NOW + 60
    assert outcome(token, verifier=ours) is TokenExpired


def test_one_type_of_token_does_not_pass_for_the_other() -> None:
    access, refresh = tokens.access(ANN, HERE, 6, 60), tokens.refresh(ANN, HERE, 7, 60)
    for _ in range(2):  # remembered or not
        assert outcome(access, REFRESH) is InvalidToken
        assert outcome(refresh, ACCESS) is InvalidToken
        assert tokens.verify(access, ACCESS).generation == 6
        assert tokens.verify(refresh, REFRESH).generation == 7


@pytest.mark.parametrize(("issuer", "audience"), [("byline", "x"), ("x", "readers")])
def test_a_token_for_others_is_refused(issuer: str, audience: str) -> None:
    other = Tokens(RING, issuer=issuer, audience=audience, clock=clock)
    assert outcome(other.access(ANN, HERE, 0, 60)) is InvalidToken


def test_the_forged_tokens_are_valid_but_for_one_thing() -> None:
    assert outcome(forged()) == Claims(ANN, HERE, NOW + 60, None, "j", ACCESS)
    assert isinstance(outcome(forged({"gen": 0}, typ=REFRESH), REFRESH), Claims)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "iat", "exp", "jti"])
def test_a_token_without_a_required_claim_is_refused(claim: str) -> None:
    assert outcome(forged({claim: ...})) is InvalidToken


@pytest.mark.parametrize("bad", [None, True, 1.5, 1e400, -1, 10**30, "1", [1], {}, "\ud800"])
@pytest.mark.parametrize("claim", ["exp", "iat", "gen", "sub", "sid", "jti", "aud", "iss"])
def test_a_claim_of_a_wrong_kind_is_refused(claim: str, bad: object) -> None:
    if claim == "jti" and isinstance(bad, str):
        return  # an id is any string
    token = forged({"gen": 1, claim: bad}, typ=REFRESH)
    assert outcome(token, REFRESH) is InvalidToken


@pytest.mark.parametrize("bad", [None, True, 1.5, -1, 10**30, "1", [1]])
def test_a_generation_of_a_wrong_kind_is_refused(bad: object) -> None:
    assert outcome(forged({"pair": 3})).generation == 3
    assert outcome(forged({"pair": bad})) is InvalidToken


def test_an_access_token_says_when_and_how_its_user_signed_in() -> None:
    said = Authentication(NOW - 100, ("pwd", "otp", "mfa"), "aal2")
    token = tokens.access(ANN, HERE, 0, 60, said)
    assert tokens.verify(token, ACCESS).authentication == said
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["auth_time"] == NOW - 100
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp", "mfa"], "aal2")
    assert tokens.verify(forged(), ACCESS).authentication is None


@pytest.mark.parametrize("bad", [None, True, 1.5, -1, 10**30, "1", [1], {}])
@pytest.mark.parametrize("claim", ["auth_time", "amr", "acr"])
def test_an_authentication_of_a_wrong_kind_is_refused(claim: str, bad: object) -> None:
    good = {"auth_time": NOW, "amr": ["pwd"], "acr": "aal1"}
    assert isinstance(outcome(forged(good)), Claims)
    if (claim, bad) != ("acr", "1"):  # a level is any string
        assert outcome(forged(good | {claim: bad})) is InvalidToken


@pytest.mark.parametrize("subject", [ANN.upper(), "{" + ANN + "}", ANN + "\n", "urn:uuid:" + ANN])
def test_a_subject_that_is_no_plain_uuid_is_refused(subject: str) -> None:
    assert outcome(forged({"sub": subject})) is InvalidToken


HEADERS: dict[str, list[object]] = {
    "kid": ["unknown", ["a"], "\ud800", None],
    "typ": ["JWT", None, 1, "AT+JWT"],
    "alg": ["none", "HS256", "ES384", ["ES256"], None],
    "crit": [["exp"], ["b64"], []],
    "b64": [False],
    "jku": ["https://evil.example/jwks.json"],
    "jwk": [KEY.jwk],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in HEADERS.items() for v in vs])
def test_a_header_that_is_not_ours_is_refused(name: str, value: object) -> None:
    assert outcome(forged(headers={name: value})) is InvalidToken


@pytest.mark.parametrize("layout", ["Raw", "SubjectPublicKeyInfo"])
def test_the_public_key_is_no_secret_to_sign_with(layout: str) -> None:
    ring = KeyRing.from_pem(PEMS["EdDSA"])
    encoding = form.Encoding.Raw if layout == "Raw" else form.Encoding.PEM
    public = ring.newest().public.public_bytes(encoding, getattr(form.PublicFormat, layout))
    ours = Tokens(ring, issuer="byline", audience="readers", clock=clock)
    header = json.dumps({"alg": "HS256", "kid": ring.newest().kid, "typ": ACCESS})
    claims = jwt.decode(ours.access(ANN, HERE, 0, 60), options={"verify_signature": False})
    forgery = signed(header, json.dumps(claims), "HS256", public)
    assert outcome(forgery, verifier=ours) is InvalidToken


GOOD = tokens.access(ANN, HERE, 0, 60)
HEADER = json.dumps({"kid": KEY.kid, "typ": ACCESS, "alg": "ES256"})
JUNK = ["", "..", "a.b.c", "\ud800.\ud800.\ud800", "é" * 30, "x" * 2049, "e30.e30.AA"]
JUNK += [GOOD + "=", GOOD + "==", GOOD + "\n", " " + GOOD, GOOD[:-1], GOOD + "." + GOOD]
JUNK += [GOOD.rsplit(".", 1)[0] + ".", forged({"more": "x" * 2000})]
JUNK += [signed(header, "{}") for header in ("[]", "[" * 600, f'{{"kid":{"9" * 900}}}', "1e999")]
JUNK += [signed(HEADER, payload) for payload in ("[1]", "[" * 900, '"sub"', "{", "\0", "NaN")]
JUNK += [signed(HEADER.replace("{", '{"alg":"none","typ":"JWT",'), "{}")]


@pytest.mark.parametrize("token", JUNK, ids=range(len(JUNK)))
def test_junk_is_not_a_token(token: str) -> None:
    assert outcome(token) is InvalidToken


dotted = st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True)
places = st.integers(0, len(GOOD) - 1)
edited = st.builds(lambda at, c: GOOD[:at] + c + GOOD[at + 1 :], places, st.characters())


@settings(max_examples=300, deadline=None)
@given(st.text() | dotted | edited)
def test_junk_is_only_ever_refused(token: str) -> None:
    assert token == GOOD or outcome(token) is InvalidToken


def test_many_threads_share_one_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_CACHED_TOKENS", 8)
    tokens._verified[1].clear()  # of other tests
    many = [tokens.access(ANN, HERE, 0, 60) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert all(isinstance(claims, Claims) for claims in pool.map(outcome, many * 8))
    assert len(tokens._verified[1]) <= 8
