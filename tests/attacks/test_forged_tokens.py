"""Forged tokens: RFC 8725, chapter 2, over HTTP against keys that are in use."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import jwt
import pytest

from service.engine.tokens.tokens import ACCESS, REFRESH
from tests.kit.attack import Attack, on, table
from tests.kit.forger import (
    ORDER,
    THEIRS,
    Forger,
    decoded,
    encoded,
    public_forms,
    with_halves,
)
from tests.kit.forgery import signed
from tests.kit.serving import Person, Server

pytestmark = on("sqlite")

REFUSED = (401, "invalid-token")
Forge = Callable[[Forger], str]


@pytest.fixture(scope="module")
def holder(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture(scope="module")
def forger(holder: Person) -> Forger:
    return Forger(holder)


def test_the_forged_requests_are_valid_but_for_one_thing(attack: Attack, forger: Forger) -> None:
    for token in (forger.token, forger.forged(), forger.forged(claims={"more": 1})):
        attack("GET", "/auth/me", 200, token=token)


def test_a_token_without_a_signature_is_refused(attack: Attack, forger: Forger) -> None:
    for alg in ("none", "None", "NONE", "nOnE", "none ", "", None):
        edited = forger.edited({"alg": alg})
        body = edited.rpartition(".")[0]
        for token in (body, f"{body}.", f"{body}.AA", edited, f"{body}.{encoded(b'{}')}"):
            attack("GET", "/auth/me", REFUSED, token=token)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_secret_in_whatever_form(
    attack: Attack, forger: Forger, alg: str
) -> None:
    for name, secret in public_forms(forger.jwk).items():
        token = forger.forged({"alg": alg}, alg=alg, key=secret)
        assert attack("GET", "/auth/me", token=token).code == "invalid-token", name


def by_other(alg: str, **header: Any) -> Forge:
    """The token as signed by a key of the attacker's."""
    return lambda f: f.forged({"alg": alg, **header}, alg=alg, key=THEIRS[alg].private)


ATTACKERS = THEIRS["ES256"]


@table(
    "forge",
    {
        "under our kid": by_other("ES256"),
        "under its own kid": by_other("ES256", kid=ATTACKERS.kid),
        "another algorithm, our kid": by_other("RS256"),
        "a third algorithm, our kid": by_other("EdDSA"),
        "the key in the header": by_other("ES256", jwk=ATTACKERS.jwk),
        "the key in the header, its kid": by_other("ES256", jwk=ATTACKERS.jwk, kid=ATTACKERS.kid),
        "the key as the kid": by_other("ES256", kid=ATTACKERS.jwk),
        "a certificate in the header": by_other("ES256", x5c=["MIIB"], x5t="AA"),
        "the kid with a space": by_other("ES256", kid=f"{ATTACKERS.kid} "),
    },
)
def test_only_our_own_keys_are_trusted(attack: Attack, forger: Forger, forge: Forge) -> None:
    attack("GET", "/auth/me", REFUSED, token=forge(forger))


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "iss", "kid", "cty"])
def test_no_url_in_a_token_is_fetched(attack: Attack, forger: Forger, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        header = {"kid": ATTACKERS.kid, name: url}
        for claims in ({}, {"iss": url}):
            token = forger.forged(header, claims, key=ATTACKERS.private)
            attack("GET", "/auth/me", REFUSED, token=token)
        with pytest.raises(TimeoutError), closing(listener.accept()[0]):
            pass


@table(
    "kids",
    {
        "a file": ["../../../../dev/null", "/dev/null", "file:///dev/null", "/proc/version"],
        "the file of the key": ["{file}", "./{file}", "{folder}/{file}", "{kid}.pem"],
        "a statement": ["' UNION SELECT 'a' -- ", "x' OR '1'='1", "1; DROP TABLE users"],
        "a command": ["|id", "$(id)", "`id`", "%s", "{{7*7}}"],
        "an odd string": ["", ".", "*", "%00", "a\0b", "\n", "\U0001f9f6", "x" * 900, "__proto__"],
        "nearly ours": ["{kid}\0", " {kid}", "{kid}\n", "{upper}", "{kid}{kid}"],
        "another kind of value": [0, 1, True, None, 1.5, [], {}],
        "ours inside another kind": [["{kid}"], {"{kid}": "{kid}"}, [["{kid}"]], {"kid": "{kid}"}],
    },
)
def test_a_kid_is_only_looked_up_by_name(
    attack: Attack, forger: Forger, server: Server, kids: list[Any]
) -> None:
    folder, kid = server.settings.jwt_keys_dir, forger.key.kid
    [file] = folder.glob("*.pem")
    names = {"file": file.name, "folder": str(folder), "kid": kid, "upper": kid.swapcase()}
    text = json.dumps(kids)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    for header in ({"kid": filled} for filled in json.loads(text)):
        attack("GET", "/auth/me", REFUSED, token=forger.forged(header))
        for secret in (b"", b"a"):
            token = forger.forged({**header, "alg": "HS256"}, alg="HS256", key=secret)
            attack("GET", "/auth/me", REFUSED, token=token)


def half_edited(half: int, number: int) -> Forge:
    def forge(forger: Forger) -> str:
        halves = list(forger.halves())
        halves[half] = number
        return forger.resigned(with_halves(*halves))

    return forge


@table(
    "forge",
    {
        "zeros": lambda f: f.resigned(bytes(64)),  # CVE-2022-21449
        "r of zero": half_edited(0, 0),
        "s of zero": half_edited(1, 0),
        "r and s of the order": lambda f: f.resigned(with_halves(ORDER, ORDER)),
        "r of one": half_edited(0, 1),
        "r and s exchanged": lambda f: f.resigned(with_halves(*reversed(f.halves()))),
        "half of it": lambda f: f.resigned(f.signature[:32]),
        "a byte too many": lambda f: f.resigned(f.signature + b"\0"),
        "a byte in front": lambda f: f.resigned(b"\0" + f.signature),
        "twice": lambda f: f.resigned(f.signature * 2),
        "in DER": lambda f: f.resigned(bytes.fromhex("30060201010201") + b"\1"),
        "1000 bytes": lambda f: f.resigned(bytes(1000)),
        "that of another token": lambda f: f.resigned(decoded(f.forged().split(".")[2])),
        "padded": lambda f: f.token + "==",
        "the standard alphabet": lambda f: f.resigned(b"\xfb\xff" * 32).translate(
            str.maketrans("-_", "+/")
        ),
    },
)
def test_a_signature_is_valid_for_its_own_token_only(
    attack: Attack, forger: Forger, forge: Forge
) -> None:
    attack("GET", "/auth/me", REFUSED, token=forge(forger))


@table(
    "edit",
    {
        "another subject": lambda f, other: f.edited(claims={"sub": other.claims["sub"]}),
        "another session": lambda f, other: f.edited(claims={"sid": other.claims["sid"]}),
        "all of another": lambda f, other: f.edited(claims=other.claims),
        "a longer life": lambda f, _: f.edited(claims={"exp": f.claims["exp"] + 1}),
        "a claim to be an admin": lambda f, _: f.edited(claims={"role": "admin"}),
        "spaces": lambda f, _: f.edited(),
        "the header of another": lambda f, other: f.edited({"jti": other.claims["jti"]}),
        "the parts in another order": lambda f, _: ".".join(reversed(f.parts)),
        "the payload of another": lambda f, other: ".".join(
            [f.parts[0], other.parts[1], f.parts[2]]
        ),
    },
)
def test_nothing_in_a_token_can_be_edited(
    attack: Attack, forger: Forger, ben: Person, edit: Callable[[Forger, Forger], str]
) -> None:
    attack("GET", "/auth/me", REFUSED, token=edit(forger, Forger(ben)))


def test_a_refresh_token_does_not_become_an_access_token(attack: Attack, ben: Person) -> None:
    refresh, access = Forger(ben, "refresh_token"), Forger(ben)
    attack("GET", "/auth/me", REFUSED, token=refresh.edited({"typ": ACCESS}))
    attack("POST", "/auth/refresh", REFUSED, token=access.edited({"typ": REFRESH}))
    # Nor with our own signature, were a type ever confused: a refresh has to name its generation.
    attack("POST", "/auth/refresh", REFUSED, token=access.forged({"typ": REFRESH}))
    attack("POST", "/auth/refresh", 200, token=ben.tokens["refresh_token"])


@table(
    "claims",
    {
        "not good yet": {"nbf": int(time.time()) + 3600},
        "not good until a text": {"nbf": "tomorrow"},
        "an end that is no whole number": {"exp": 4e9},
        "an end beyond all numbers": {"exp": 2**63},
        "an audience in a list": {"aud": ["byline"]},
        "several audiences": {"aud": ["byline", "others"]},
        "another case of the audience": {"aud": "Byline"},
        "an issuer with a slash": {"iss": "byline/"},
        "several issuers": {"iss": ["byline"]},
        "a session in capitals": {"sid": "0198C0DE-0000-7000-8000-00000000000A"},
        "a session that is SQL": {"sid": "' OR 1=1 --"},
        "a subject that is all": {"sub": "%"},
        "a subject that is NUL": {"sub": "\0"},
    },
)
def test_a_signed_claim_must_be_valid_too(
    attack: Attack, forger: Forger, claims: dict[str, Any]
) -> None:
    attack("GET", "/auth/me", REFUSED, token=forger.forged(claims=claims))


def test_claims_about_rights_in_a_token_are_ignored(attack: Attack, forger: Forger) -> None:
    rights = {"role": "admin", "roles": ["admin"], "scope": "admin", "admin": True, "gen": 99}
    token = forger.forged(claims=rights)
    attack("GET", "/auth/me", 200, token=token)
    attack("GET", "/api/accounts", (403, "admin-required"), token=token)


def nested(forger: Forger) -> str:
    return signed(json.dumps({**forger.header, "cty": "JWT"}), json.dumps(forger.token))


@table(
    "forge",
    {
        "in a token": nested,
        "in JSON": lambda f: json.dumps(
            {"protected": f.parts[0], "payload": f.parts[1], "signature": f.parts[2]}
        ),
        "in quotes": lambda f: f'"{f.token}"',
        "encrypted": lambda f: ".".join([f.parts[0], "", *f.parts]),
        "in the clear": lambda f: jwt.encode(f.claims, "", algorithm="none"),
        "without its dots": lambda f: "".join(f.parts),
        "with wide dots": lambda f: "\uff0e".join(f.parts),
        "with a space for a dot": lambda f: " ".join(f.parts),
        "in hexadecimal": lambda f: f.token.encode().hex(),
        "in wide letters": lambda f: "".join(chr(ord(c) + 0xFEE0) for c in f.token),
        "with a comment": lambda f: f"{f.token}#x",
        "as what it says": lambda f: json.dumps(f.claims),
        "compressed": lambda f: f.forged({"zip": "DEF"}),
        "of another type": lambda f: f.forged({"typ": f"application/{ACCESS}"}),
        "of a name twice": lambda f: ".".join(
            [encoded(json.dumps(f.header).replace("{", '{"alg": "none", ')), *f.parts[1:]]
        ),
    },
)
def test_a_token_has_one_form(attack: Attack, forger: Forger, forge: Forge) -> None:
    attack("GET", "/auth/me", REFUSED, token=forge(forger))
