from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.domain import keys as module
from service.domain.keys import KeyRing, generate_key
from service.domain.tokens import ACCESS, Claims, Tokens
from service.problems import InvalidToken
from tests.domain.forgery import ANN, HERE, PEMS, Clock, forged, outcome, pem


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


def test_a_removed_key_is_refused_within_a_minute_though_nothing_is_signed(folder: Path) -> None:
    time = Clock(0)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    token = ours.access(ANN, HERE, 10**6)
    assert isinstance(outcome(token, verifier=ours), Claims)
    (leaked,) = folder.iterdir()
    generate_key(folder)
    leaked.unlink()
    time.now = 60
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
