"""Bodies that cost more than their size suggests, and ambiguous ones."""

from __future__ import annotations

import json

import pytest

from tests.kit.attack import Attack, on, table
from tests.kit.raw import post
from tests.kit.serving import Person, Server

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


def test_a_body_with_more_than_an_operation_needs_is_not_read(attack: Attack) -> None:
    for path in PUBLIC:
        bomb = post(b"[" * MIB, target=path)
        attack.raw(bomb.replace(b"Authorization: Bearer {token}\r\n", b""), TOO_LARGE)


def test_the_body_of_a_forbidden_request_is_not_read(attack: Attack) -> None:
    headers = {"Content-Type": "application/json"}
    for method, token, path in (
        ("POST", "a.b.c", "/api/users"),
        ("PUT", "x" * 3000, "/auth/password"),
    ):
        attack(method, path, 401, token=token, content=b"[" * MIB, headers=headers)


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
    for polluted in ({"__proto__": {"role": "admin"}}, deep, {"bio": {"__proto__": {"x": 1}}}):
        body = {"bio": "x", **polluted}
        match = {"If-Match": "*"}
        attack("PATCH", f"/api/users/{author.id}", INVALID, token=author, json=body, headers=match)
    assert attack("GET", "/auth/me", 200, token=author).json()["role"] == "user"


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
        changes = {"bio": value}
        attack("PATCH", path, INVALID, token=author, json=changes, headers={"If-Match": "*"})
    assert attack("GET", "/auth/me", 200, token=author).json()["disabled"] is False
