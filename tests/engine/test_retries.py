"""Idempotency keys that are misused, guessed, or sent with requests that are refused."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from tests.engine.planner.models import KeptAnswer
from tests.kit.attack import Attack, Expected, on
from tests.kit.planning import Owner, Planner
from tests.kit.raw import BODY, Answer, post

INVALID, BAD_REQUEST = (400, "invalid-request"), (400, "bad-request")
REUSED, ENDED = (422, "idempotency-key-reused"), (401, "session-revoked")
PROJECT = {"name": "Once", "notes": "and only once."}

pytestmark = on("sqlite", "postgresql")


def write(
    attack: Attack, who: Owner, key: Any, expected: Expected | None = None, **changes: Any
) -> Answer:
    body, headers = {**PROJECT, **changes}, {"Idempotency-Key": key}
    return attack("POST", "/projects", expected, token=who, json=body, headers=headers)


def kept(server: Planner, person: Owner) -> int:
    count = select(func.count()).where(KeptAnswer.user_id == person.id)
    [[number]] = server.execute(count)
    return int(number)


def test_answers_do_not_reveal_which_keys_others_have_used(
    attack: Attack, anna: Owner, ben: Owner
) -> None:
    # Whether somebody else has used a key shows in nothing.
    write(attack, anna, "k", 201, name="hers")
    for key in ("k", "K", "k2", f"{anna.id}-k"):
        answer = write(attack, ben, key, 201)
        assert answer.json()["owner_id"] == ben.id
        assert "idempotency-replayed" not in answer.headers


LOOKS: list[dict[str, str]] = [
    *[{"name": "Caf\u00e9"}, {"name": "Cafe\u0301 "}, {"name": "cafe\u0301"}],
    *[
        {"name": '"Cafe\u0301"'},
        {"notes": "and only once.\n"},
        {"notes": "and only\u200b once."},
    ],
    {"name": "and only once.", "notes": "Cafe\u0301"},
]


def test_a_body_that_looks_the_same_is_another(attack: Attack, anna: Owner) -> None:
    first = write(attack, anna, "k", 201, name="Cafe\u0301")
    for changes in LOOKS:
        write(attack, anna, "k", REUSED, **{"name": "Cafe\u0301", **changes})
    again = write(attack, anna, "k", 201, name="Cafe\u0301")
    assert again.json() == first.json()


def test_a_refused_body_uses_no_key_up(attack: Attack, server: Planner, anna: Owner) -> None:
    for wrong in (1, 1.0, True, None, "", [], {}, "x" * 201, "a\nb"):
        write(attack, anna, "k", INVALID, name=wrong)
    assert kept(server, anna) == 0
    write(attack, anna, "k", 201)


def test_a_refused_request_uses_no_key_up(attack: Attack, server: Planner, anna: Owner) -> None:
    keyed: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}, "json": PROJECT}
    attack("POST", "/projects", 401, **keyed)
    attack("POST", "/projects", 401, token="a.b.c", **keyed)
    attack("POST", "/projects", 415, token=anna, headers=keyed["headers"], content="x")
    attack("POST", "/projects", INVALID, token=anna, params={"x": 1}, **keyed)
    attack("PUT", "/projects", 405, token=anna, **keyed)
    assert kept(server, anna) == 0


KEYS: dict[bytes, Expected] = {
    **dict.fromkeys([b"a\0b", b"a\x01b", b"a\nb", b"a\rb", b"a\r\n b", b"a\x7fb"], BAD_REQUEST),
    **dict.fromkeys([b"caf\xe9", "caf\u00e9".encode(), b"\xa0"], INVALID),
    **dict.fromkeys([b"", b"   ", b"a\tb", b"a, b", b"x" * 256, b"x" * 16_000], INVALID),
    b"a\r\nIdempotency-Key: b": BAD_REQUEST,
}


def test_a_key_is_visible_ascii_to_the_last_byte(
    attack: Attack, server: Planner, anna: Owner
) -> None:
    for key, expected in KEYS.items():
        data = post(BODY, b"Idempotency-Key: " + key)
        attack.raw(data, expected, anna.tokens["access_token"])
    assert kept(server, anna) == 0


def test_spaces_around_a_key_are_not_part_of_it(attack: Attack, anna: Owner) -> None:
    answers = [
        attack.raw(post(BODY, line), 201, anna.tokens["access_token"])
        for line in ("Idempotency-Key: k", "Idempotency-Key:   k  ", "idempotency-key:\tk\t")
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_an_idempotency_key_is_an_opaque_text(attack: Attack, anna: Owner) -> None:
    for key in (
        "';DROP/**/TABLE/**/projects;--",
        "..%2f",
        "%00",
        "{id}",
        "*",
        "null",
        "0",
        "$(id)",
    ):
        first, again = write(attack, anna, key, 201), write(attack, anna, key, 201)
        assert again.json() == first.json()
        assert write(attack, anna, f"{key}x", 201).json()["id"] != first.json()["id"]


def test_a_replayed_answer_is_the_original_one(attack: Attack, anna: Owner, ben: Owner) -> None:
    first = write(attack, anna, "k", 201)
    path = first.headers["location"]
    attack("PATCH", path, 412, token=anna, json={"name": "x"}, headers={"If-Match": '"0"'})
    attack("PATCH", path, 403, token=ben, json={"name": "x"}, headers={"If-Match": "*"})
    attack("DELETE", path, 412, token=anna, headers={"If-Match": '"0"'})
    again = write(attack, anna, "k", 201)
    assert (again.body, again.headers["etag"]) == (first.body, first.headers["etag"])
    headers = {"Idempotency-Key": "k", "If-Match": '"0"', "If-None-Match": "*"}
    third = attack("POST", "/projects", 201, token=anna, json=PROJECT, headers=headers)
    assert third.body == first.body
