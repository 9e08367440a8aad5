"""Operations that cannot be undone ask for a recent sign-in, or a new proof (RFC 9470)."""

from __future__ import annotations

import re
import time
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from service.engine.spec import freshness, refusals
from service.engine.tokens.tokens import Authentication
from service.specification import specification
from tests.accounts.test_auth_tokens import authority
from tests.kit.accounts import ANY, name
from tests.kit.references import resolved
from tests.kit.serving import Person, Server
from tests.kit.sessions import ago, call, grow_old, move, session_id, told

TOO_OLD = (401, "authentication-too-old")
KEY = "x-fresh-authentication"
OPERATIONS = {
    operation["operationId"]: (method, path, resolved(operation))
    for path, item in specification.document["paths"].items()
    for method, operation in item.items()
}
FRESH = {name: found for name, found in OPERATIONS.items() if KEY in found[2]}
each_operation = pytest.mark.parametrize("operation", OPERATIONS)


def request(operation: str, person: Person) -> httpx.Response:
    """The answer to the example of an operation, with every member of the body that matters."""
    method, path, declared = OPERATIONS[operation]
    [*content] = declared.get("requestBody", {}).get("content", {}).values()
    body = dict(content[0]["example"]) if content else None
    for member in freshness.read(declared[KEY]).when:
        schema = content[0]["schema"]["properties"][member]
        body = {**(body or {}), member: schema.get("example", True)}
    for parameter in re.findall(r"\{\w+\}", path):
        path = path.replace(parameter, str(uuid4()))
    return person.http.request(method, path, json=body, headers=ANY)


def reauthenticate(person: Person, **proof: Any) -> httpx.Response:
    return person.http.post("/auth/reauthenticate", json=proof or {"password": person.password})


@each_operation
def test_an_operation_documents_that_it_requires_fresh_authentication(operation: str) -> None:
    method, path, declared = OPERATIONS[operation]
    response = declared["responses"].get("401", {})
    codes = refusals.codes(declared, specification.document).get(401, [])
    assert (TOO_OLD[1] in codes) == (operation in FRESH)
    public = orjson.loads(specification.public_json())["paths"][path][method]
    note = public.get("description", "").replace("\n", " ").strip()
    if operation in FRESH:
        assert freshness.note(declared[KEY]) in note
        assert "max_age" in response["headers"]["WWW-Authenticate"]["example"]
    else:
        assert "Requires fresh authentication" not in note


@pytest.mark.parametrize("operation", FRESH)
def test_an_older_sign_in_is_refused_until_the_user_proves_who_they_are(
    operation: str, admin: Person
) -> None:
    old = grow_old(admin)
    answer = request(operation, old)
    assert told(answer) == TOO_OLD
    max_age = freshness.read(FRESH[operation][2][KEY]).max_age
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="byline", error="insufficient_user_authentication",'
        f' error_description="More recent authentication is required", max_age={max_age}'
    )
    pair = reauthenticate(old).json()
    fresh = Person(admin.server, admin.email, admin.password, admin.tokens | pair)
    assert told_if_refused(request(operation, fresh)) != TOO_OLD


def told_if_refused(answer: httpx.Response) -> tuple[int, str] | None:
    return told(answer) if answer.is_error else None


def test_nothing_is_done_for_an_older_sign_in(server: Server, anna: Person) -> None:
    again = server.sign_in(anna.email)
    old = grow_old(anna)
    assert told(old.http.delete("/auth/sessions")) == TOO_OLD
    assert told(old.http.delete(f"/api/users/{anna.id}")) == TOO_OLD
    assert again.http.get("/auth/me").status_code == 200
    assert old.http.get("/auth/me").status_code == 200
    pair = reauthenticate(old).json()
    deleted = call(old.http, "DELETE", f"/api/users/{anna.id}", pair["access_token"])
    assert deleted.status_code == 204


def test_a_sign_in_is_fresh(server: Server) -> None:
    anna = server.sign_up()
    assert anna.http.delete("/auth/sessions").status_code == 204
    assert anna.http.delete(f"/api/users/{anna.id}").status_code == 204


def test_only_the_members_that_the_key_names_ask_for_it(admin: Person, anna: Person) -> None:
    old = grow_old(admin)
    path = f"/api/users/{anna.id}"
    assert old.http.patch(path, json={"bio": "Tea."}, headers=ANY).status_code == 200
    for member in ({"disabled": True}, {"role": "user"}, {"role": "user", "bio": "Coffee."}):
        assert told(old.http.patch(path, json=member, headers=ANY)) == TOO_OLD
    assert anna.http.get("/auth/me").json()["bio"] == "Tea."
    new = {"email": f"{name()}@example.com"}
    assert told(old.http.post("/api/users", json=new | {"role": "admin"})) == TOO_OLD
    assert old.http.post("/api/users", json=new).status_code == 201


def test_a_refusal_is_not_kept_for_retries(admin: Person) -> None:
    old = grow_old(admin)
    new = {"email": f"{name()}@example.com", "role": "user"}
    key = {"Idempotency-Key": name()}
    assert told(old.http.post("/api/users", json=new, headers=key)) == TOO_OLD
    bearer = {"Authorization": f"Bearer {reauthenticate(old).json()['access_token']}"}
    answer = old.http.post("/api/users", json=new, headers=key | bearer)
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


def test_a_body_that_does_not_fit_is_told_before_the_age(admin: Person, anna: Person) -> None:
    wrong = {"role": "owner"}
    answer = grow_old(admin).http.patch(f"/api/users/{anna.id}", json=wrong, headers=ANY)
    assert told(answer) == (400, "invalid-request")


@pytest.mark.parametrize(
    ("age", "status"), [(None, 401), (301, 401), (290, 204), (-1, 204), (-30, 204)]
)
def test_the_age_is_that_of_the_token(
    age: int | None, status: int, server: Server, anna: Person
) -> None:
    """`None` is a token of a release that did not know; below zero, another clock is ahead."""
    said = None if age is None else Authentication(int(time.time()) - age, ("pwd",), "aal1")
    token = authority(server).access(anna.id, session_id(anna), 0, 60, said)
    answer = call(anna.http, "DELETE", "/auth/sessions", token)
    assert answer.status_code == status
    assert status == 204 or told(answer) == TOO_OLD


def test_the_session_is_fresh_for_the_token_alone(server: Server, anna: Person) -> None:
    move(server, anna, authenticated_at=ago(hours=1))
    assert anna.http.delete("/auth/sessions").status_code == 204
