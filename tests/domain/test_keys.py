from __future__ import annotations

import base64
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.engine.problems import InvalidToken
from service.engine.tokens import keys as module
from service.engine.tokens.keys import KeyRing, generate_key
from service.engine.tokens.tokens import ACCESS, Claims, Tokens
from tests.kit.forgery import ANN, HERE, PEMS, Clock, forged, outcome, pem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate_key(tmp_path / "keys")
    return tmp_path / "keys"


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = generate_key(tmp_path / "instance" / "keys")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_the_newest_key_signs_and_all_verify(folder: Path) -> None:
    old = Tokens(KeyRing.from_directory(folder), issuer="i", audience="a").access(ANN, HERE, 0, 60)
    generate_key(folder)
    ring = KeyRing.from_directory(folder)
    ours = Tokens(ring, issuer="i", audience="a")
    new = ours.access(ANN, HERE, 0, 60)
    assert ours.verify(old, ACCESS).subject == ours.verify(new, ACCESS).subject == ANN
    kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
    assert kids == list(ring.keys) == [key["kid"] for key in ring.jwks()["keys"]]
    assert len(set(kids)) == len(ring) == 2


def test_a_new_key_is_used_at_once_even_among_junk(folder: Path) -> None:
    ours = Tokens(KeyRing.from_directory(folder, Clock(0)), issuer="i", audience="a")
    assert outcome(forged(), verifier=ours) is InvalidToken
    before = folder.stat().st_ctime_ns
    while folder.stat().st_ctime_ns == before:  # it ticks but every few milliseconds
        generate_key(folder)
    other = Tokens(KeyRing.from_directory(folder), issuer="i", audience="a")
    assert isinstance(outcome(other.access(ANN, HERE, 0, 60), verifier=ours), Claims)


@pytest.mark.parametrize("use", ["junk", "signing", "publishing"])
def test_the_folder_is_read_once_a_second_at_most(folder: Path, monkeypatch: Any, use: str) -> None:
    time, listed = Clock(0), Mock(wraps=module._listing)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    monkeypatch.setattr(module, "_listing", listed)
    uses = {
        "junk": lambda: outcome(forged(), verifier=ours),
        "signing": lambda: ours.access(ANN, HERE, 0, 60),
        "publishing": ours.jwks,
    }
    for time.now in (0.5, 0.9, 1.0, 1.5, 1.9, 2.0):
        uses[use]()
    assert listed.call_count == 2


def test_a_thread_that_misses_a_key_waits_while_it_is_read(folder: Path, monkeypatch: Any) -> None:
    ring = KeyRing.from_directory(folder, clock := Clock(0))
    new = KeyRing.from_pem(generate_key(folder).read_text()).newest()
    load, reading, go_on = module._load, threading.Event(), threading.Event()
    monkeypatch.setattr(
        module, "_load", lambda listing: reading.set() or (go_on.wait(60) and load(listing))
    )
    clock.now = 60
    with ThreadPoolExecutor(1) as thread:
        thread.submit(ring.current)
        assert reading.wait(60)
        threading.Timer(0.1, go_on.set).start()
        assert ring.find(new.kid) is not None


def test_a_key_that_comes_while_the_folder_is_read_counts_at_once(
    folder: Path, monkeypatch: Any
) -> None:
    ring = KeyRing.from_directory(folder, clock := Clock(0))
    real, made = module._changed, []

    def meanwhile(path: Path) -> int:
        if path == folder and not made:
            made.append(generate_key(folder))
        return real(path)

    monkeypatch.setattr(module, "_changed", meanwhile)
    clock.now = 60
    ring.current()
    [new] = KeyRing.from_pem(made[0].read_text()).keys
    assert ring.find(new) is not None


def test_a_reader_sees_a_new_key_once_its_file_is_complete(folder: Path, monkeypatch: Any) -> None:
    changed, sleep, seen = module._changed, module.time.sleep, []
    monkeypatch.setattr(module, "_changed", lambda path: changed(path) // 10**7)  # a slow clock
    ring = KeyRing.from_directory(folder, Clock(0))
    monkeypatch.setattr(module.time, "sleep", lambda s: sleep(s) or seen.append(ring.latest()))
    generate_key(folder)
    assert [len(keys) for keys in (*seen, ring.latest())] == [1, 2]


def test_a_key_removed_while_the_folder_is_read_causes_no_error(
    folder: Path, monkeypatch: Any
) -> None:
    ring = KeyRing.from_directory(folder, Clock(0))
    (retired,) = folder.iterdir()
    new = KeyRing.from_pem(generate_key(folder).read_text()).newest()
    real = module._listing
    monkeypatch.setattr(
        module, "_listing", lambda path: (real(path), retired.unlink(missing_ok=True))[0]
    )
    assert ring.find(new.kid) is not None
    assert len(ring) == 1


def test_a_key_that_is_not_due_is_published_and_verifies_and_signs_when_it_is(
    folder: Path,
) -> None:
    wall = Clock(datetime.now(UTC).timestamp())
    ring = KeyRing.from_directory(folder, Clock(0), wall)
    ours = Tokens(ring, issuer="i", audience="a")
    [old] = ring.keys
    due = datetime.now(UTC) + timedelta(seconds=660)
    new = KeyRing.from_pem(generate_key(folder, due).read_text()).newest().kid
    assert [key["kid"] for key in ours.jwks()["keys"]] == [old, new]
    assert ring.newest().kid == old
    ahead = KeyRing.from_directory(folder, Clock(0), Clock(due.timestamp()))
    early = Tokens(ahead, issuer="i", audience="a").access(ANN, HERE, 0, 60)
    assert jwt.get_unverified_header(early)["kid"] == new
    assert isinstance(outcome(early, verifier=ours), Claims)  # whose clock is behind
    wall.now = due.timestamp()
    assert ring.newest().kid == new


def test_a_ring_whose_only_key_is_not_due_signs_with_it(tmp_path: Path) -> None:
    generate_key(tmp_path / "keys", datetime.now(UTC) + timedelta(hours=1))
    assert len(KeyRing.from_directory(tmp_path / "keys").newest().kid) > 0


def test_a_new_key_signs_and_is_published_at_once(folder: Path) -> None:
    ours = Tokens(KeyRing.from_directory(folder, Clock(0)), issuer="i", audience="a")
    old = ours.access(ANN, HERE, 0, 60)
    generate_key(folder)
    new = ours.access(ANN, HERE, 0, 60)
    kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
    assert [key["kid"] for key in ours.jwks()["keys"]] == kids
    assert len(set(kids)) == len(ours.fingerprints(b"data")) == 2


def test_a_fingerprint_made_elsewhere_with_a_new_key_is_recognised_at_once(folder: Path) -> None:
    ours = Tokens(KeyRing.from_directory(folder, Clock(0)), issuer="i", audience="a")
    generate_key(folder)
    other = Tokens(KeyRing.from_directory(folder), issuer="i", audience="a")
    assert other.fingerprints(b"data")[-1] in ours.fingerprints(b"data")


def test_a_retired_key_is_refused_at_once_where_tokens_are_signed(folder: Path) -> None:
    ours = Tokens(KeyRing.from_directory(folder, Clock(0)), issuer="i", audience="a")
    token = ours.access(ANN, HERE, 0, 60)
    assert isinstance(outcome(token, verifier=ours), Claims)
    (retired,) = folder.iterdir()
    generate_key(folder)
    retired.unlink()
    assert ours.access(ANN, HERE, 0, 60).split(".")[0] != token.split(".")[0]
    assert outcome(token, verifier=ours) is InvalidToken


def test_a_removed_key_is_refused_within_a_minute_though_nothing_is_signed(folder: Path) -> None:
    time = Clock(0)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    token = ours.access(ANN, HERE, 0, 10**6)
    assert isinstance(outcome(token, verifier=ours), Claims)
    (leaked,) = folder.iterdir()
    generate_key(folder)
    leaked.unlink()
    time.now = 60
    assert outcome(token, verifier=ours) is InvalidToken


@pytest.mark.parametrize("mishap", ["broken file", "empty folder", "no folder"])
def test_an_error_in_the_folder_keeps_the_loaded_keys(folder: Path, mishap: str) -> None:
    time = Clock(0)
    ours = Tokens(KeyRing.from_directory(folder, time), issuer="i", audience="a")
    token = ours.access(ANN, HERE, 0, 60)
    (path,) = folder.iterdir()
    path.write_text("half a k") if mishap == "broken file" else path.unlink()
    if mishap == "no folder":
        folder.rmdir()
    time.now = 60
    assert isinstance(outcome(ours.access(ANN, HERE, 0, 60), verifier=ours), Claims)
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
