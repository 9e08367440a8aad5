"""Bodies that would cost more than their size suggests, and ambiguous bodies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.attack import Attack, on, table
from tests.kit.planning import Owner, Planner
from tests.kit.raw import post

BAD_JSON, INVALID, TOO_LARGE = (
    (400, "malformed-body"),
    (400, "invalid-request"),
    (413, "body-too-large"),
)
MIB = 1024 * 1024

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Planner) -> Owner:
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
    attack: Attack, author: Owner, bomb: bytes, expected: Any
) -> None:
    assert len(bomb) <= MIB
    attack.raw(posted(author, bomb), expected)
    # A name needs less room.
    public = post(bomb, target="/tokens").replace(b"Authorization: Bearer {token}\r\n", b"")
    attack.raw(public, TOO_LARGE)


def posted(author: Owner, body: bytes) -> bytes:
    """A project of this body, for which there is more room than for a token."""
    token = author.tokens["access_token"].encode()
    return post(body, target="/projects").replace(b"{token}", token)


@pytest.mark.parametrize(("commas", "code"), [(9_999, "type"), (10_000, "max-values")])
def test_a_body_with_more_values_than_any_schema_allows_is_refused_at_once(
    attack: Attack, author: Owner, commas: int, code: str
) -> None:
    for text in (b"[" + b"0," * commas + b"0]", b"[" + rb'"\\\",,",' * commas + b"0]"):
        [error] = attack.raw(posted(author, text), INVALID).json()["errors"]
        assert (error["pointer"], error["code"]) == ("", code)


def test_the_body_of_a_forbidden_request_is_not_read(attack: Attack) -> None:
    headers = {"Content-Type": "application/json"}
    for token in (None, "a.b.c", "x" * 3000):
        attack("POST", "/projects", 401, token=token, content=b"[" * MIB, headers=headers)
    attack("POST", "/nowhere", 404, content=b"[" * MIB, headers=headers)
    attack("POST", "/nowhere", TOO_LARGE, content=b"[" * (MIB + 1), headers=headers)


def test_payloads_for_other_languages_have_no_effect(attack: Attack, author: Owner) -> None:
    deep = {"constructor": {"prototype": {"role": "admin", "disabled": True}}}
    for polluted in ({"__proto__": {"role": "admin"}}, deep, {"name": {"__proto__": {"x": 1}}}):
        body = {"name": "x", "notes": "x", **polluted}
        attack("POST", "/projects", INVALID, token=author, json=body)
    made = attack("POST", "/projects", 201, token=author, json={"name": "x"})
    assert made.json().keys() == {"id", "owner_id", "name", "notes", "created_at"}


def test_a_number_is_no_text(attack: Attack, author: Owner) -> None:
    for value in (1, 1.0, True, None, ["x"], {"text": "x"}, 2**63):
        attack("POST", "/projects", INVALID, token=author, json={"name": value})


def test_a_field_of_the_maximum_length_is_accepted(attack: Attack, author: Owner) -> None:
    for filler in ("\U0001f9f6", "\ufdfa", "a ", "-\u0301", "<", "\\", "\u202e"):
        notes = (filler * 100_000)[:100_000]
        made = attack("POST", "/projects", 201, token=author, json={"name": "x", "notes": notes})
        assert made.json()["notes"] == notes


MALFORMED = {
    b'{\n  "name": "secret",\n}': "The body is not valid JSON: see line 3, column 1.",
    b"": "The body is not valid JSON: see line 1, column 1.",
    b'{"name": "secret\xff"}': "The body is not UTF-8: see byte 17.",
    b'{"name": 1, "name": 2}': "An object in the body has the same name twice.",
    b'{"name": -Infinity}': "-Infinity is not JSON.",
    b'{"name": 1e999}': "A number in the body is too large.",
    b'{"name": 99999999999999999999}': "A number in the body is too large.",
    b"[" * 100 + b"]" * 100: "The body is nested more than 64 levels deep.",
    b"[" * 100_000: "The body is nested more than 64 levels deep.",
}


def test_a_malformed_body_is_told_where_it_is_malformed(attack: Attack, author: Owner) -> None:
    for body, detail in MALFORMED.items():
        assert attack.raw(posted(author, body), BAD_JSON).json()["detail"] == detail
