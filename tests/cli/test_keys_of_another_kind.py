"""A signing key that cannot sign is one clear line, and nothing of it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519

from service.application import create_app
from service.engine.settings import BadConfiguration
from service.settings import load

PLAIN = serialization.NoEncryption()
PKCS8, TRADITIONAL = (
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.TraditionalOpenSSL,
)


def pem(key: Any, form: Any = PKCS8, encryption: Any = PLAIN) -> str:
    return str(key.private_bytes(serialization.Encoding.PEM, form, encryption).decode())


def public(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


P256 = ec.generate_private_key(ec.SECP256R1())
DSA = dsa.generate_private_key(1024)
LOCKED = serialization.BestAvailableEncryption(b"hunter2")
GOOD = {
    "P-256": pem(P256),
    "P-256 of OpenSSL": pem(P256, TRADITIONAL),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "RSA 2048": pem(rsa.generate_private_key(65537, 2048), TRADITIONAL),
}
BAD = {
    "encrypted": pem(P256, PKCS8, LOCKED),
    "encrypted in the old way": pem(P256, TRADITIONAL, LOCKED),
    "public": public(P256),
    "DSA": pem(DSA),
    "DSA of OpenSSL": pem(DSA, TRADITIONAL),
    "P-384": pem(ec.generate_private_key(ec.SECP384R1())),
    "P-521": pem(ec.generate_private_key(ec.SECP521R1())),
    "secp256k1": pem(ec.generate_private_key(ec.SECP256K1())),
    "RSA 1024": pem(rsa.generate_private_key(65537, 1024)),
    "Ed448": pem(ed448.Ed448PrivateKey.generate()),
    "X25519": pem(x25519.X25519PrivateKey.generate()),
    "garbage": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    "garbage in base 64": "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n",
    "another label": pem(P256).replace("PRIVATE", "RSA PRIVATE"),
    "cut off": pem(P256)[:100] + "\n-----END PRIVATE KEY-----\n",
    "two": pem(P256) + pem(P256),
    "a certificate": public(P256).replace("PUBLIC KEY", "CERTIFICATE"),
    "of OpenSSH": pem(P256, serialization.PrivateFormat.OpenSSH),
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/byline.db")


def refusal() -> str:
    with pytest.raises(BadConfiguration) as refused:
        create_app(load())
    return str(refused.value)


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_key_is_taken(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("JWT_PRIVATE_KEY", GOOD[kind])
    create_app(load())


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "two"])
def test_another_is_one_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("JWT_PRIVATE_KEY", BAD[kind])
    line = refusal()
    assert line.startswith("JWT_PRIVATE_KEY ")
    assert len(line.splitlines()) == 1
    assert not [part for part in BAD[kind].splitlines()[1:-1] if part and part in line]


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "two"])
def test_in_a_folder_the_line_names_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine.pem").write_text(BAD[kind])
    monkeypatch.setenv("JWT_KEYS_DIR", "keys")
    line = refusal()
    assert line.startswith("JWT_KEYS_DIR cannot be used: mine.pem ")
    assert not [part for part in BAD[kind].splitlines()[1:-1] if part and part in line]


@pytest.mark.parametrize("url", [None, "postgresql://byline:hunter2@127.0.0.1:1/byline"])
def test_a_folder_that_is_a_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str | None
) -> None:
    (tmp_path / "secret-place").write_text("")
    monkeypatch.setenv("JWT_KEYS_DIR", "secret-place")
    if url:
        monkeypatch.setenv("DATABASE_URL", url)
    assert refusal() == "JWT_KEYS_DIR cannot be used: Not a directory"


def test_a_key_that_is_a_folder_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keys" / "mine.pem").mkdir(parents=True)
    monkeypatch.setenv("JWT_KEYS_DIR", "keys")
    assert refusal() == "JWT_KEYS_DIR cannot be used: mine.pem cannot be read."
