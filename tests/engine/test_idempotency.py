"""Idempotency-Key: a repeated request gets the first answer, and the work is not repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.engine.planner.models import KeptAnswer
from tests.kit.planning import Owner, Planner

PROJECT = {"name": "Once", "notes": "and only once."}
OWN = {"x-request-id", "date", "idempotency-replayed"}


def write(person: Owner, key: str | bytes, **changes: Any) -> httpx.Response:
    """A project, begun under a key."""
    return person.http.post("/projects", json=PROJECT | changes, headers={"Idempotency-Key": key})


def count(person: Owner) -> int:
    """How many projects somebody has."""
    return len(person.http.get("/projects", params={"owner_id": person.id}).json())


def kept(server: Planner, person: Owner) -> list[Any]:
    """What is kept of somebody's requests."""
    table = KeptAnswer
    return server.execute(
        sa.select(table.operation, table.key, table.status).where(table.user_id == person.id)
    )


def is_replay(answer: httpx.Response, of: httpx.Response) -> bool:
    """Whether an answer is an earlier one given again, but for what belongs to the request."""
    again, first = (
        (given.status_code, given.content, {k: v for k, v in given.headers.items() if k not in OWN})
        for given in (answer, of)
    )
    return again == first and answer.headers["Idempotency-Replayed"] == "true"


def test_a_request_sent_again_is_answered_again_and_not_done_again(anna: Owner) -> None:
    first = write(anna, "k")
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    for _ in range(2):
        again = write(anna, "k")
        assert is_replay(again, of=first)
        assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert count(anna) == 1


def test_without_a_key_each_request_is_executed(anna: Owner) -> None:
    assert anna.project()["id"] != anna.project()["id"]
    assert count(anna) == 2


def test_another_key_is_another_request(anna: Owner) -> None:
    assert write(anna, "k").json()["id"] != write(anna, "K").json()["id"]


def test_a_key_used_with_another_body_is_refused(anna: Owner) -> None:
    first = write(anna, "k")
    answer = write(anna, "k", name="Twice")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert "Idempotency-Replayed" not in answer.headers
    assert is_replay(write(anna, "k"), of=first)
    assert count(anna) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "Once", "notes": "and only once."}',
        '{"notes":"and only once.","name":"Once"}',
        '\n{\t"name" : "Once" ,\r\n "notes" : "and only once." }\n',
        r'{"\u006eame": "\u004fnce", "notes": "and \u006fnly once\u002E"}',
    ],
)
def test_bodies_are_compared_as_values_and_not_as_bytes(anna: Owner, body: str) -> None:
    first = write(anna, "k")
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json; charset=utf-8"}
    assert is_replay(anna.http.post("/projects", content=body, headers=headers), of=first)


def test_a_key_belongs_to_one_user(anna: Owner, ben: Owner) -> None:
    hers, his = write(anna, "k"), write(ben, "k")
    assert (hers.status_code, his.status_code) == (201, 201)
    assert his.json()["owner_id"] == ben.id
    assert is_replay(write(anna, "k"), of=hers)


def test_a_replayed_answer_is_unchanged(anna: Owner) -> None:
    first = write(anna, "k")
    path = first.headers["Location"]
    assert anna.http.patch(path, json={"name": "New"}, headers={"If-Match": "*"}).is_success
    assert is_replay(write(anna, "k"), of=first)
    assert anna.http.delete(path).status_code == 204
    assert is_replay(write(anna, "k"), of=first)
    assert count(anna) == 0


def test_a_refusal_of_the_input_is_not_kept(server: Planner, anna: Owner) -> None:
    assert write(anna, "k", name="").status_code == 400
    assert kept(server, anna) == []
    assert write(anna, "k").status_code == 201


def test_a_refusal_of_the_caller_is_not_kept(server: Planner, anna: Owner) -> None:
    with server.client("x") as nobody:
        refused = nobody.post("/projects", json=PROJECT, headers={"Idempotency-Key": "k"})
    assert refused.status_code == 401
    assert kept(server, anna) == []
    assert write(anna, "k").status_code == 201


def test_a_refusal_for_too_many_requests_is_not_kept(serve: Callable[..., Planner]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits="write=1 per hour")
    anna = server.sign_up()
    anna.project()
    assert write(anna, "k").status_code == 429
    assert kept(server, anna) == []


@pytest.mark.parametrize("key", ["!", "~" * 255, '"a,b;c=d"', "{{7*7}}%s:id", "%F0%9F", "null"])
def test_any_visible_ascii_makes_a_key(anna: Owner, key: str) -> None:
    first = write(anna, key)
    assert is_replay(write(anna, key), of=first)


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "x" * 256, "caf\u00e9"])
def test_other_characters_are_refused_in_a_key(anna: Owner, key: str) -> None:
    answer = write(anna, key.encode("latin-1"))
    assert answer.status_code == 400
    assert {error["pointer"] for error in answer.json()["errors"]} == {"Idempotency-Key"}
    assert count(anna) == 0


def test_two_keys_are_refused(anna: Owner) -> None:
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert anna.http.post("/projects", json=PROJECT, headers=twice).status_code == 400
    assert count(anna) == 0


def test_other_operations_ignore_the_key(server: Planner, anna: Owner) -> None:
    place = f"/projects/{anna.project()['id']}/tasks"
    headers = {"Idempotency-Key": "a key with spaces"}
    first, again = (anna.http.post(place, json={"name": "x"}, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] != again.json()["id"]
    assert "Idempotency-Replayed" not in again.headers
    assert kept(server, anna) == []
