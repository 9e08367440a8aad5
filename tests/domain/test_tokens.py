from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import tokens as module
from service.domain.keys import KeyRing, generate_key
from service.domain.tokens import ACCESS, REFRESH, Claims, Tokens
from service.problems import InvalidToken, TokenExpired

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
    """A token with a good signature and whatever else a test wants wrong; `...` leaves out."""
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
    except InvalidToken as problem:  # TokenExpired is one too
        return type(problem)


@pytest.mark.parametrize("algorithm", PEMS)
def test_each_kind_of_key_signs_and_verifies_with_its_own_algorithm(algorithm: str) -> None:
    ours = Tokens(KeyRing.from_pem(PEMS[algorithm]), issuer="i", audience="a", clock=clock)
    token = ours.access(ANN, HERE, 60)
    claims = ours.verify(token, ACCESS)
    assert claims == Claims(ANN, HERE, NOW + 60, None, claims.id)
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "typ": "at+jwt", "kid": header["kid"]}


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_token_is_good_until_the_second_it_expires(seen_before: bool) -> None:
    time = Clock(NOW)
    ours = Tokens(RING, issuer="byline", audience="readers", clock=time)
    token = ours.access(ANN, HERE, 60)
    if seen_before:
        ours.verify(token, ACCESS)
    time.now = NOW + 59.9
    assert isinstance(outcome(token, verifier=ours), Claims)
    time.now = NOW + 60
    assert outcome(token, verifier=ours) is TokenExpired


def test_one_type_of_token_does_not_pass_for_the_other() -> None:
    access, refresh = tokens.access(ANN, HERE, 60), tokens.refresh(ANN, HERE, 7, 60)
    for _ in range(2):  # remembered or not
        assert outcome(access, REFRESH) is InvalidToken
        assert outcome(refresh, ACCESS) is InvalidToken
        assert tokens.verify(access, ACCESS).generation is None
        assert tokens.verify(refresh, REFRESH).generation == 7


@pytest.mark.parametrize(("issuer", "audience"), [("byline", "x"), ("x", "readers")])
def test_a_token_for_others_is_refused(issuer: str, audience: str) -> None:
    other = Tokens(RING, issuer=issuer, audience=audience, clock=clock)
    assert outcome(other.access(ANN, HERE, 60)) is InvalidToken


def test_nothing_else_is_wrong_with_the_forged_tokens() -> None:
    assert outcome(forged()) == Claims(ANN, HERE, NOW + 60, None, "j")
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
    claims = jwt.decode(ours.access(ANN, HERE, 60), options={"verify_signature": False})
    forgery = signed(header, json.dumps(claims), "HS256", public)
    assert outcome(forgery, verifier=ours) is InvalidToken


GOOD = tokens.access(ANN, HERE, 60)
HEADER = json.dumps({"kid": KEY.kid, "typ": ACCESS, "alg": "ES256"})
JUNK = ["", "..", "a.b.c", "\ud800.\ud800.\ud800", "é" * 30, "x" * 2049, "e30.e30.AA"]
JUNK += [GOOD + "=", GOOD + "==", GOOD + "\n", " " + GOOD, GOOD[:-1], GOOD + "." + GOOD]
JUNK += [GOOD.rsplit(".", 1)[0] + ".", forged({"more": "x" * 2000})]
JUNK += [signed(header, "{}") for header in ("[]", "[" * 600, f'{{"kid":{"9" * 900}}}', "1e999")]
JUNK += [signed(HEADER, payload) for payload in ("[1]", "[" * 900, '"sub"', "{", "\0", "NaN")]
JUNK += [signed(HEADER.replace("{", '{"alg":"none","typ":"JWT",'), "{}")]


@pytest.mark.parametrize("token", JUNK, ids=range(len(JUNK)))
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    assert outcome(token) is InvalidToken


dotted = st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True)
places = st.integers(0, len(GOOD) - 1)
edited = st.builds(lambda at, c: GOOD[:at] + c + GOOD[at + 1 :], places, st.characters())


@settings(max_examples=300, deadline=None)
@given(st.text() | dotted | edited)
def test_nothing_but_a_refusal_comes_of_junk(token: str) -> None:
    assert token == GOOD or outcome(token) is InvalidToken


def test_many_threads_share_one_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED", 8)
    many = [tokens.access(ANN, HERE, 60) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert all(isinstance(claims, Claims) for claims in pool.map(outcome, many * 8))
    assert len(tokens._verified[1]) <= 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate_key(tmp_path / "keys")
    return tmp_path / "keys"


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = generate_key(tmp_path / "instance" / "keys")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_the_newest_key_signs_and_all_verify(folder: Path) -> None:
    old = Tokens(KeyRing.from_directory(folder), issuer="i", audience="a").access(ANN, HERE, 60)
    generate_key(folder)
    ring = KeyRing.from_directory(folder)
    ours = Tokens(ring, issuer="i", audience="a")
    new = ours.access(ANN, HERE, 60)
    assert ours.verify(old, ACCESS).subject == ours.verify(new, ACCESS).subject == ANN
    kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
    assert kids == list(ring.keys) == [key["kid"] for key in ring.jwks()["keys"]]
    assert len(set(kids)) == len(ring) == 2


def test_a_new_key_counts_at_once_even_among_junk(folder: Path) -> None:
    ours = Tokens(KeyRing.from_directory(folder, Clock(0)), issuer="i", audience="a")
    assert outcome(forged(), verifier=ours) is InvalidToken
    before = folder.stat().st_ctime_ns
    while folder.stat().st_ctime_ns == before:  # it ticks but every few milliseconds
        generate_key(folder)
    other = Tokens(KeyRing.from_directory(folder), issuer="i", audience="a")
    assert isinstance(outcome(other.access(ANN, HERE, 60), verifier=ours), Claims)


def test_junk_makes_the_folder_be_read_once_a_second(folder: Path, monkeypatch: Any) -> None:
    time, listed = Clock(0), Mock(wraps=module._listing)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    monkeypatch.setattr(module, "_listing", listed)
    for time.now in (0.5, 0.9, 1.0, 1.5, 1.9, 2.0):
        outcome(forged(), verifier=ours)
    assert listed.call_count == 2


def test_a_retired_key_is_refused_and_forgotten_within_a_minute(folder: Path) -> None:
    time = Clock(0)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    token = ours.access(ANN, HERE, 60)
    assert isinstance(outcome(token, verifier=ours), Claims)
    (retired,) = folder.iterdir()
    generate_key(folder)
    retired.unlink()
    time.now = 59.9
    assert ours.access(ANN, HERE, 60).split(".")[0] == token.split(".")[0]
    time.now = 60
    assert ours.access(ANN, HERE, 60).split(".")[0] != token.split(".")[0]
    assert outcome(token, verifier=ours) is InvalidToken


@pytest.mark.parametrize("mishap", ["broken file", "empty folder", "no folder"])
def test_a_mishap_in_the_folder_leaves_the_keys_as_they_were(folder: Path, mishap: str) -> None:
    time = Clock(0)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    token = ours.access(ANN, HERE, 60)
    (path,) = folder.iterdir()
    path.write_text("half a k") if mishap == "broken file" else path.unlink()
    if mishap == "no folder":
        folder.rmdir()
    time.now = 60
    assert isinstance(outcome(ours.access(ANN, HERE, 60), verifier=ours), Claims)
    assert isinstance(outcome(token, verifier=ours), Claims)


def test_the_published_keys_are_public_and_named_by_their_thumbprint(tmp_path: Path) -> None:
    for algorithm, text in PEMS.items():
        (tmp_path / f"{algorithm}.pem").write_text(text)
    public = KeyRing.from_directory(tmp_path).jwks()["keys"]
    assert [key["alg"] + key["kty"] for key in public] == ["ES256EC", "EdDSAOKP", "RS256RSA"]
    assert {key["use"] for key in public} == {"sig"}
    for key in public:
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "k", "key_ops"}
        named = {name: key[name] for name in sorted(key) if name not in ("alg", "kid", "use")}
        digest = hashlib.sha256(json.dumps(named, separators=(",", ":")).encode()).digest()
        assert key["kid"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert jwt.PyJWK(key).algorithm_name == key["alg"]


UNFIT = ["", "c2VjcmV0", PEMS["EdDSA"].replace("PRIVATE", "PUBLIC")]
UNFIT += [pem(ec.generate_private_key(ec.SECP384R1())), pem(rsa.generate_private_key(65537, 1024))]
UNFIT += [pem(ec.generate_private_key(ec.SECP256R1()), password=b"secret")]


@pytest.mark.parametrize("content", UNFIT, ids=range(len(UNFIT)))
def test_an_unfit_key_is_refused_by_the_name_of_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "odd.pem").write_text(content)
    with pytest.raises(ValueError, match=r"^odd\.pem (is not a|must be) [^\n]*\.$") as refusal:
        KeyRing.from_directory(tmp_path)
    assert not content or content.split()[-1] not in str(refusal.value)
    with pytest.raises(ValueError, match=r"^The signing key "):
        KeyRing.from_pem(content)


def test_a_folder_without_keys_makes_an_empty_ring(tmp_path: Path) -> None:
    assert len(KeyRing.from_directory(tmp_path)) == len(KeyRing.from_directory(tmp_path / "x")) == 0
