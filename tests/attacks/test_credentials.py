"""Signing in with malformed or nearly correct credentials, or with injected statements."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.kit.attack import Attack, Expected, on, table
from tests.kit.serving import PASSWORD, Person, Server

WRONG, INVALID = (401, "invalid-credentials"), (400, "invalid-request")
BAD_JSON, BAD_TYPE = (400, "malformed-body"), (415, "unsupported-media-type")
TOO_LARGE = (413, "body-too-large")
OTHER = "seven purple herons at dawn"
LOGIN = "/auth/login"

sqlite = on("sqlite")
both = on("sqlite", "postgresql")


@pytest.fixture(scope="module")
def victim(server: Server) -> Person:
    return server.sign_up()


@sqlite
@table(
    "juggle",
    {
        "true": lambda _: True,
        "zero": lambda _: 0,
        "null": lambda _: None,
        "an empty list": lambda _: [],
        "it in a list": lambda value: [value],
        "it and another": lambda value: [value, "mallory@example.com"],
        "hundreds of guesses": lambda _: [f"guess {number}" for number in range(500)],
        "an empty object": lambda _: {},
        "not equal": lambda _: {"$ne": None},
        "greater": lambda _: {"$gt": ""},
        "an expression": lambda _: {"$regex": ".*"},
        "a function": lambda _: {"$where": "sleep(1000) || true"},
        "one of many": lambda value: {"$in": [value]},
        "a column": lambda _: {"password": 1},
        "its own prototype": lambda value: {"__proto__": {"toString": value}},
    },
)
@pytest.mark.parametrize("field", ["email", "password"])
def test_a_credential_that_is_not_a_string_is_refused(
    attack: Attack, victim: Person, field: str, juggle: Callable[[str], Any]
) -> None:
    body: dict[str, Any] = {"email": victim.email, "password": victim.password}
    body[field] = juggle(body[field])
    answer = attack("POST", LOGIN, INVALID, json=body)
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/{field}"}


@sqlite
@table(
    "shape",
    {
        "in a list": lambda right: [right],
        "nested": lambda right: {"user": right},
        "with names in brackets": lambda right: {"email[]": right["email"], "password[$ne]": ""},
        "with names with dots": lambda right: {"email": right["email"], "password.length": 0},
        "with names in capitals": lambda right: {k.title(): v for k, v in right.items()},
        "without a password": lambda right: {"email": right["email"]},
        "inherited": lambda right: {"__proto__": right, "constructor": {"prototype": right}},
        "with a grant": lambda right: {**right, "grant_type": "password"},
        "with a role": lambda right: {**right, "role": "admin"},
        "with an id": lambda right: {**right, "user_id": "0198c0de-0000-7000-8000-000000000001"},
    },
)
def test_credentials_have_one_shape(
    attack: Attack, victim: Person, shape: Callable[[dict[str, str]], Any]
) -> None:
    right = {"email": victim.email, "password": victim.password}
    attack("POST", LOGIN, INVALID, json=shape(right))


@sqlite
@table(
    ("media_type", "body"),
    {
        "a form": ("application/x-www-form-urlencoded", "email={email}&password={password}"),
        "an operator in a form": (
            "application/x-www-form-urlencoded",
            "email={email}&password[$ne]=",
        ),
        "JSON that is called text": ("text/plain", '{"email":"{email}","password":"{password}"}'),
        "XML": (
            "application/xml",
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
        ),
        "YAML": ("application/yaml", "!!python/object/apply:os.system ['id']"),
        "parts": ("multipart/form-data; boundary=x", "--x\r\n\r\n{password}\r\n--x--"),
    },
)
def test_a_form_of_another_page_cannot_sign_in(
    attack: Attack, victim: Person, media_type: str, body: str
) -> None:
    filled = body.replace("{email}", victim.email).replace("{password}", PASSWORD)
    attack("POST", LOGIN, BAD_TYPE, content=filled, headers={"Content-Type": media_type})


@sqlite
def test_credentials_stay_out_of_addresses(attack: Attack, victim: Person) -> None:
    right = {"email": victim.email, "password": victim.password}
    attack("GET", LOGIN, 405, params=right)
    attack("POST", LOGIN, INVALID, params=right, json=right)


STATEMENTS = [
    *["' OR '1'='1", "' OR 1=1 --", '" OR ""="', "'; DROP TABLE users; --", "') OR ('a'='a"],
    *["\\' OR 1=1 #", "' UNION SELECT NULL, 'x' --", "x' AND pg_sleep(9) --", "*)(uid=*", "${7*7}"],
    *["{{7*7}}", "%s%s%n", "%", "_", "*", "../../etc/passwd", "|| true", "$argon2id$v=19$m=8,t=1"],
]


@both
def test_sql_in_a_password_is_a_wrong_password(attack: Attack, victim: Person) -> None:
    for statement in STATEMENTS:
        credentials = {"email": victim.email, "password": statement}
        attack("POST", LOGIN, WRONG, json=credentials)


@both
@pytest.mark.parametrize("local", ["'or'1'='1'--", "x'or'1'='1", "%", "_%", "{{7*7}}", "$ne"])
def test_an_address_may_look_like_a_statement_and_is_an_address(
    attack: Attack, server: Server, local: str
) -> None:
    own = {"email": f"{local}@{secrets.token_hex(6)}.example", "password": PASSWORD}
    attack("POST", LOGIN, WRONG, json=own)
    made = attack("POST", "/auth/register", 201, json=own).json()
    assert made["email"] == own["email"]
    assert server.sign_in(own["email"]).id == made["id"]


@sqlite
@table(
    "spelling",
    {
        "a tag": "{local}+x@example.com",
        "dots": "{dotted}@example.com",
        "a Cyrillic letter": "{local}@exampl\u0435.com",
        "a longer domain": "{local}@example.com.evil.example",
        "a subdomain": "{local}@x.example.com",
        "a hyphen": "{local}-@example.com",
    },
)
def test_another_address_is_another_account(attack: Attack, server: Server, spelling: str) -> None:
    local = f"anna{secrets.token_hex(6)}"
    anna = server.sign_up(email=f"{local}@example.com")
    email = spelling.format(local=local, dotted=".".join(local))
    attack("POST", LOGIN, WRONG, json={"email": email, "password": PASSWORD})
    made = attack("POST", "/auth/register", 201, json={"email": email, "password": OTHER}).json()
    assert made["id"] != anna.id
    assert server.sign_in(anna.email).id == anna.id


@sqlite
@table(
    ("spelling", "expected"),
    {
        "a dot behind the domain": ("{}.", INVALID),
        "a second address": ("{},mallory@example.com", INVALID),
        "a second address, behind a space": ("{} mallory@example.com", INVALID),
        "a second address, behind a line feed": ("{}\nBcc: mallory@example.com", INVALID),
        "a second address, behind NUL": ("{}\0@evil.example", BAD_JSON),
        "a name": ("Anna <{}>", WRONG),
        "a comment": ("{}(x)", INVALID),
        "a scheme": ("mailto:{}", INVALID),
        "a route": ("@evil.example:{}", INVALID),
        "a port": ("{}:25", INVALID),
        "quotes": ('"{}"', INVALID),
        "percent signs": ("%61{}", WRONG),
        "a soft hyphen": ("\u00ad{}", WRONG),
        "a joiner": ("{}\u200d", INVALID),
        "another direction": ("\u202e{}", WRONG),
        "a lone surrogate": ("{}\ud800", BAD_JSON),
    },
)
def test_an_address_with_additions_is_another_address(
    attack: Attack, victim: Person, spelling: str, expected: Expected
) -> None:
    credentials = {"email": spelling.format(victim.email), "password": PASSWORD}
    attack("POST", LOGIN, expected, json=credentials)


LONG = "p\u00e4ss" * 64  # 256 code points in 320 bytes


@sqlite
@table(
    ("guess", "expected"),
    {
        "all of it": (LONG, 200),
        "its first 72 bytes": (LONG[:58], WRONG),
        "its first 72 bytes and others": (LONG[:58] + "x" * 198, WRONG),
        "a character less": (LONG[:-1], WRONG),
        "a character more": (LONG + "x", INVALID),
        "a space at the end": (LONG[:-1] + " ", WRONG),
        "capitals": (LONG.upper(), WRONG),
        "no accents": (LONG.replace("\u00e4", "a"), WRONG),
        "NUL inside": (LONG[:100] + "\0" + LONG[101:], BAD_JSON),
        "NUL at the end": (LONG[:255] + "\0", BAD_JSON),
        "nothing": ("", INVALID),
        "thousands of characters": ("x" * 9_000, INVALID),
        "a million characters": ("x" * 1_000_000, TOO_LARGE),
        "what is 18 times as long in its normal form": ("\ufdfa" * 256, WRONG),
        "a lone surrogate": (LONG[:-1] + "\ud800", BAD_JSON),
    },
)
def test_a_password_is_compared_to_its_last_byte(
    attack: Attack, keeper: Person, guess: str, expected: Expected
) -> None:
    attack("POST", LOGIN, expected, json={"email": keeper.email, "password": guess})


@pytest.fixture(scope="module")
def keeper(server: Server) -> Person:
    """A user with a long password."""
    return server.sign_up(password=LONG)
