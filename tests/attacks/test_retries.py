"""Idempotency-Key in other hands and at other times than those of who chose it."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import delete, func, select, update

from service.models import IdempotencyKey, RestingUsername, User
from tests.kit.oracle import Attack, Expected, on
from tests.kit.raw import BODY, Answer, post
from tests.kit.serving import PASSWORD, Person, Server

INVALID, BAD_REQUEST = (400, "invalid-request"), (400, "bad-request")
REUSED, ENDED = (422, "idempotency-key-reused"), (401, "session-revoked")
POST = {"title": "Once", "content": "and only once."}

pytestmark = on("sqlite", "postgresql")


def write(
    attack: Attack, who: Person, key: Any, expected: Expected | None = None, **changes: Any
) -> Answer:
    body, headers = {**POST, **changes}, {"Idempotency-Key": key}
    return attack("POST", "/api/posts", expected, token=who, json=body, headers=headers)


def create(
    attack: Attack, who: Person, key: str, email: str, expected: Expected | None = None
) -> Answer:
    body, headers = {"email": email, "password": PASSWORD}, {"Idempotency-Key": key}
    return attack("POST", "/api/users", expected, token=who, json=body, headers=headers)


def kept(server: Server, person: Person) -> int:
    count = select(func.count()).where(IdempotencyKey.user_id == person.id)
    [[number]] = server.execute(count)
    return int(number)


def test_a_kept_answer_for_admins_is_not_replayed_to_a_demoted_one(
    attack: Attack, server: Server, admin: Person
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    create(attack, admin, "k", email, 201)
    server.execute(update(User).where(User.id == admin.id).values(role="user"))
    refused = create(attack, admin, "k", email, (403, "admin-required"))
    assert email not in refused.body.decode()
    server.make_admin(admin)
    assert "idempotency-replayed" in create(attack, admin, "k", email, 201).headers


def test_a_kept_answer_is_not_replayed_to_a_disabled_user(
    attack: Attack, server: Server, anna: Person
) -> None:
    write(attack, anna, "k", 201)
    server.execute(update(User).where(User.id == anna.id).values(disabled=True))
    write(attack, anna, "k", ENDED)


def test_a_new_user_with_the_same_name_gets_no_kept_answer(
    attack: Attack, server: Server, anna: Person
) -> None:
    first = write(attack, anna, "k", 201)
    attack("DELETE", f"/api/users/{anna.id}", 204, token=anna)
    name_rests = RestingUsername.username == anna.username
    server.execute(delete(RestingUsername).where(name_rests))  # as after 90 days
    namesake = server.sign_up(email=anna.email, username=anna.username)
    again = write(attack, namesake, "k", 201)
    assert "idempotency-replayed" not in again.headers
    assert again.json()["id"] != first.json()["id"]


def test_answers_do_not_reveal_which_signing_keys_exist(
    attack: Attack, anna: Person, ben: Person
) -> None:
    # Whether somebody else has used a key shows in nothing.
    write(attack, anna, "k", 201, title="hers")
    for key in ("k", "K", "k2", f"{anna.id}-k"):
        answer = write(attack, ben, key, 201)
        assert answer.json()["author"]["id"] == ben.id
        assert "idempotency-replayed" not in answer.headers


LOOKS: list[dict[str, str]] = [
    *[{"title": "Caf\u00e9"}, {"title": "Cafe\u0301 "}, {"title": "cafe\u0301"}],
    *[
        {"title": '"Cafe\u0301"'},
        {"content": "and only once.\n"},
        {"content": "and only\u200b once."},
    ],
    {"title": "and only once.", "content": "Cafe\u0301"},
]


def test_a_body_that_looks_the_same_is_another(attack: Attack, anna: Person) -> None:
    first = write(attack, anna, "k", 201, title="Cafe\u0301")
    for changes in LOOKS:
        write(attack, anna, "k", REUSED, **{"title": "Cafe\u0301", **changes})
    again = write(attack, anna, "k", 201, title="Cafe\u0301")
    assert again.json() == first.json()


def test_a_refused_body_uses_no_key_up(attack: Attack, server: Server, anna: Person) -> None:
    for wrong in (1, 1.0, True, None, "", [], {}, "x" * 201, "a\nb"):
        write(attack, anna, "k", INVALID, title=wrong)
    assert kept(server, anna) == 0
    write(attack, anna, "k", 201)


def test_a_refused_request_uses_no_key_up(attack: Attack, server: Server, anna: Person) -> None:
    keyed: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}, "json": POST}
    user = {"email": "a@example.com", "password": PASSWORD}
    attack("POST", "/api/posts", 401, **keyed)
    attack("POST", "/api/posts", 401, token=anna.tokens["refresh_token"], **keyed)
    attack("POST", "/api/posts", 415, token=anna, headers=keyed["headers"], content="x")
    attack("POST", "/api/posts", INVALID, token=anna, params={"x": 1}, **keyed)
    attack("POST", "/api/users", 403, token=anna, **{**keyed, "json": user})
    attack("PUT", "/api/posts", 405, token=anna, **keyed)
    assert kept(server, anna) == 0


KEYS: dict[bytes, Expected] = {
    **dict.fromkeys([b"a\0b", b"a\x01b", b"a\nb", b"a\rb", b"a\r\n b", b"a\x7fb"], BAD_REQUEST),
    **dict.fromkeys([b"caf\xe9", "caf\u00e9".encode(), b"\xa0"], INVALID),
    **dict.fromkeys([b"", b"   ", b"a\tb", b"a, b", b"x" * 256, b"x" * 16_000], INVALID),
    b"a\r\nIdempotency-Key: b": BAD_REQUEST,
}


def test_a_key_is_visible_ascii_to_the_last_byte(
    attack: Attack, server: Server, anna: Person
) -> None:
    for key, expected in KEYS.items():
        data = post(BODY, b"Idempotency-Key: " + key)
        attack.raw(data, expected, anna.tokens["access_token"])
    assert kept(server, anna) == 0


def test_spaces_around_a_key_are_not_part_of_it(attack: Attack, anna: Person) -> None:
    answers = [
        attack.raw(post(BODY, line), 201, anna.tokens["access_token"])
        for line in ("Idempotency-Key: k", "Idempotency-Key:   k  ", "idempotency-key:\tk\t")
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_an_idempotency_key_is_an_opaque_text(attack: Attack, anna: Person) -> None:
    for key in ("';DROP/**/TABLE/**/users;--", "..%2f", "%00", "{id}", "*", "null", "0", "$(id)"):
        first, again = write(attack, anna, key, 201), write(attack, anna, key, 201)
        assert again.json() == first.json()
        assert write(attack, anna, f"{key}x", 201).json()["id"] != first.json()["id"]


def test_a_replayed_answer_is_the_original_one(attack: Attack, anna: Person, ben: Person) -> None:
    first = write(attack, anna, "k", 201)
    path = first.headers["location"]
    attack("PATCH", path, 412, token=anna, json={"title": "x"}, headers={"If-Match": '"0"'})
    attack("PATCH", path, 403, token=ben, json={"title": "x"}, headers={"If-Match": "*"})
    attack("DELETE", path, 412, token=anna, headers={"If-Match": '"0"'})
    again = write(attack, anna, "k", 201)
    assert (again.body, again.headers["etag"]) == (first.body, first.headers["etag"])
    headers = {"Idempotency-Key": "k", "If-Match": '"0"', "If-None-Match": "*"}
    third = attack("POST", "/api/posts", 201, token=anna, json=POST, headers=headers)
    assert third.body == first.body
