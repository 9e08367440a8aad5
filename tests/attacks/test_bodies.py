"""Bodies that cost more than they weigh, and those that two readers read in two ways."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from tests.kit.oracle import Attack, on, table
from tests.kit.raw import post
from tests.kit.serving import PASSWORD, Person, Server

BAD_JSON, INVALID, TOO_LARGE = (
    (400, "malformed-body"),
    (400, "invalid-request"),
    (413, "body-too-large"),
)
MIB = 1024 * 1024
PUBLIC = [
    "/auth/login",
    "/auth/register",
    "/auth/password-resets",
    "/auth/email-changes/undo",
    "/auth/email-verifications/complete",
    "/auth/email-verifications/dispute",
]

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Server) -> Person:
    return server.sign_up()


def full(piece: bytes, head: bytes = b"", tail: bytes = b"") -> bytes:
    """As many pieces as there is room for in a body."""
    return head + piece * ((MIB - len(head) - len(tail)) // len(piece)) + tail


BOMBS = {
    "open lists": (full(b"["), BAD_JSON),
    "open objects": (full(b'{"a":'), BAD_JSON),
    "lists and objects": (full(b'[{"a":'), BAD_JSON),
    "closed lists": (b"[" * 500_000 + b"]" * 500_000, BAD_JSON),
    "a wide list": (full(b"0,", b"[", b"0]"), INVALID),
    "a list of lists": (full(b"[],", b"[", b"[]]"), INVALID),
    "a list of objects": (full(b"{},", b"[", b"{}]"), INVALID),
    "many names": (b"{" + b",".join(b'"%x":0' % n for n in range(90_000)) + b"}", INVALID),
    "many names at depth": (
        b'{"a":{' + b",".join(b'"%x":[]' % n for n in range(80_000)) + b"}}",
        INVALID,
    ),
    "one name again and again": (b"{" + b'"email":"a",' * 9000 + b'"email":"a"}', BAD_JSON),
    "one name as often as it fits": (full(b'"email":"a",', b"{", b'"email":"a"}'), INVALID),
    "digits": (full(b"9"), BAD_JSON),
    "a fraction": (full(b"9", b"0."), INVALID),
    "an exponent": (full(b"9", b"1e"), BAD_JSON),
    "a negative exponent": (full(b"9", b"1e-"), INVALID),
    "many numbers": (full(b"1e308,", b"[", b"1]"), INVALID),
    "backslashes": (full(b"\\\\", b'"', b'"'), INVALID),
    "escapes": (full(b"\\u0061", b'"', b'"'), INVALID),
    "pairs of surrogates": (full(b"\\ud83e\\uddad", b'"', b'"'), INVALID),
    "half surrogates": (full(b"\\ud83e", b'"', b'"'), BAD_JSON),
    "spaces": (full(b" "), BAD_JSON),
    "a long name": (full(b"a", b'{"', b'":1}'), INVALID),
    "half a literal": (full(b"tru"), BAD_JSON),
}


@table(("bomb", "expected"), BOMBS)
def test_a_body_costs_no_more_than_it_weighs(
    attack: Attack, author: Person, bomb: bytes, expected: Any
) -> None:
    assert len(bomb) <= MIB
    attack.raw(posted(author, bomb), expected)
    for path in PUBLIC:  # of which none takes as much
        attack.raw(
            post(bomb, target=path).replace(b"Authorization: Bearer {token}\r\n", b""), TOO_LARGE
        )


def posted(author: Person, body: bytes) -> bytes:
    """A post of this body, for which there is more room than with any public operation."""
    token = author.tokens["access_token"].encode()
    return post(body, target="/api/posts").replace(b"{token}", token)


@pytest.mark.parametrize(("commas", "code"), [(9_999, "type"), (10_000, "max-values")])
def test_a_body_with_more_values_than_any_schema_allows_is_refused_at_once(
    attack: Attack, author: Person, commas: int, code: str
) -> None:
    for text in (b"[" + b"0," * commas + b"0]", b"[" + rb'"\\\",,",' * commas + b"0]"):
        [error] = attack.raw(posted(author, text), INVALID).json()["errors"]
        assert (error["pointer"], error["code"]) == ("", code)


def test_the_body_of_a_forbidden_request_is_not_read(attack: Attack) -> None:
    headers = {"Content-Type": "application/json"}
    for token, path in (
        (None, "/api/posts"),
        ("a.b.c", "/api/users"),
        ("x" * 3000, "/auth/password"),
    ):
        method = "PUT" if path == "/auth/password" else "POST"
        attack(method, path, 401, token=token, content=b"[" * MIB, headers=headers)
    attack("POST", "/nowhere", 404, content=b"[" * MIB, headers=headers)
    attack("POST", "/nowhere", TOO_LARGE, content=b"[" * (MIB + 1), headers=headers)


NAMES = [
    *[
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "hasOwnProperty",
        "__class__",
        "__dict__",
    ],
    *["__init__", "self", "cls", "body", "caller", "client", "if_match", "db", "kwargs", "limit"],
    *[
        "$ref",
        "$schema",
        "#",
        "/",
        "~",
        "~1",
        "a/b",
        "",
        " ",
        "\n",
        "\u2028",
        "\u202e",
        "\U0001f9f6",
    ],
    *[
        "email ",
        " email",
        "e\u200bmail",
        "Email",
        "EMAIL",
        "\uff45mail",
        "email.x",
        "email[0]",
        "x" * 999,
    ],
]


@pytest.mark.parametrize("path", PUBLIC)
def test_no_field_name_has_a_special_meaning(attack: Attack, path: str) -> None:
    for name in NAMES:
        for value in ("x", {"email": "x"}, None):
            answer = attack("POST", path, INVALID, json={name: value})
            assert "unknown" in {error["code"] for error in answer.json()["errors"]}


def test_payloads_for_other_languages_have_no_effect(attack: Attack, author: Person) -> None:
    deep = {"constructor": {"prototype": {"role": "admin", "disabled": True}}}
    for polluted in ({"__proto__": {"role": "admin"}}, deep, {"title": {"__proto__": {"x": 1}}}):
        body = {"title": "x", "content": "x", **polluted}
        attack("POST", "/api/posts", INVALID, token=author, json=body)
    assert attack("GET", "/auth/me", 200, token=author).json()["role"] == "user"
    post_ = attack("POST", "/api/posts", 201, token=author, json={"title": "x", "content": "x"})
    assert post_.json().keys() == {"id", "title", "content", "author", "created_at", "updated_at"}


@table(
    "text",
    {
        "twice, the same": '{"email": "{0}", "email": "{0}", "password": "{1}"}',
        "twice, another": '{"email": "m@example.com", "email": "{0}", "password": "{1}"}',
        "twice, another behind": '{"email": "{0}", "password": "{1}", "email": "m@example.com"}',
        "twice, escaped": '{"email": "{0}", "password": "{1}", "\\u0065mail": "m@example.com"}',
        "the password twice": '{"email": "{0}", "password": "x", "password": "{1}"}',
        "something behind": '{"email": "{0}", "password": "{1}"} {"role": "admin"}',
        "a comment": '{"email": "{0}", /* "password": "x", */ "password": "{1}"}',
        "single quotes": "{{'email': '{0}', 'password': '{1}'}}",
        "no quotes": '{{email: "{0}", password: "{1}"}}',
        "a comma too many": '{"email": "{0}", "password": "{1}",}',
        "a callback": 'x({"email": "{0}", "password": "{1}"})',
        "a prefix": ')]}\',\n{"email": "{0}", "password": "{1}"}',
        "a line of its own": '{"email": "{0}",\x0b"password": "{1}"}',
        "a NUL behind": '{"email": "{0}", "password": "{1}"}\x00',
        "a byte order mark": '\ufeff{"email": "{0}", "password": "{1}"}',
    },
)
def test_an_ambiguous_body_is_refused(attack: Attack, author: Person, text: str) -> None:
    filled = text.replace("{0}", author.email).replace("{1}", author.password)
    headers = {"Content-Type": "application/json"}
    attack("POST", "/auth/login", BAD_JSON, content=filled.encode(), headers=headers)


def test_a_character_is_the_same_in_every_spelling(attack: Attack, author: Person) -> None:
    right = {"email": author.email, "password": author.password}
    spelled = "".join(f"\\u{ord(c):04X}" if c.isalnum() else c for c in json.dumps(right))
    headers = {"Content-Type": "application/json"}
    answer = attack("POST", "/auth/login", 200, content=spelled, headers=headers)
    assert answer.json()["user"]["id"] == author.id


def test_a_number_is_not_accepted_as_a_string_or_boolean(
    attack: Attack, author: Person, admin: Person
) -> None:
    path = f"/api/users/{author.id}"
    for value in (0, 1, "true", "1", None, [], 0.0, -0.0, 10**18):
        changes = {"disabled": value}
        attack("PATCH", path, INVALID, token=admin, json=changes, headers={"If-Match": "*"})
    for value in (1, 1.0, True, None, ["x"], {"text": "x"}, 2**63):
        body = {"title": value, "content": "x"}
        attack("POST", "/api/posts", INVALID, token=author, json=body)
    assert attack("GET", "/auth/me", 200, token=author).json()["disabled"] is False


def test_a_field_of_the_maximum_length_is_accepted(attack: Attack, author: Person) -> None:
    # 100 000 characters of each kind: kept, listed, searched, changed.
    word = f"w{secrets.token_hex(8)}"
    for filler in ("\U0001f9f6", "\ufdfa", "a ", "-\u0301", "<", "\\", "\u202e"):
        # In front, for what folds to more than 200 000 characters is not indexed to its end.
        content = f"{word} " + (filler * 100_000)[: 100_000 - len(word) - 1]
        made = attack(
            "POST", "/api/posts", 201, token=author, json={"title": "x", "content": content}
        )
        assert made.json()["content"] == content
    found: list[Any] = []  # by several answers, for each ends at about 1 MiB
    while len(found) < 7:
        params = {"q": word, "offset": len(found)}
        results = attack("GET", "/api/search", 200, params=params).json()["results"]
        assert results
        found += results
    assert len({result["post"]["id"] for result in found}) == len(found) == 7
    assert PASSWORD not in str(found)
