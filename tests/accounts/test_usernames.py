"""Reserved user names, and names that rest after being given up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from service.domain.accounts import random_username
from service.domain.usernames import RESERVED
from service.engine.ids import rfc3339
from service.models import RestingUsername, User
from service.models.mails import EMAIL_VERIFICATION
from service.models.resting_usernames import MAX_RESTING_PER_USER
from tests.kit.accounts import etag, name, patch, told
from tests.kit.mails import dispute, fresh, mailed
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until

TAKEN = (409, "username-taken")
INVALID = (400, "invalid-request")


def register(http: httpx.Client, username: str) -> httpx.Response:
    body = {"email": fresh(), "password": PASSWORD, "username": username}
    return http.post("/auth/register", json=body)


def delete(person: Person, by: Person | None = None) -> None:
    assert (by or person).http.delete(f"/api/users/{person.id}").status_code == 204


def renamed(person: Person, by: Person | None = None) -> str:
    """The user name that a person has now, after giving up another."""
    new = f"u-{name()}"
    assert patch((by or person).http, person, username=new).status_code == 200
    return new


def resting(server: Server, username: str) -> list[Any]:
    columns = (RestingUsername.user_id, RestingUsername.expires_at)
    return server.execute(select(*columns).where(RestingUsername.username == username))


def expire(server: Server, username: str) -> None:
    of = RestingUsername.username == username
    past = rfc3339(datetime.now(UTC))
    server.execute(update(RestingUsername).where(of).values(expires_at=past))


# Reserved names


@pytest.mark.parametrize(
    "username",
    [
        *["admin", "administrator", "root", "support", "help", "security", "system", "api", "www"],
        *["mail", "postmaster", "hostmaster", "webmaster", "abuse", "noreply", "no-reply", "null"],
        *["undefined", "anonymous", "moderator", "staff", "official", "billing", "byline"],
        *["a-d-m-i-n", "no_reply", "root-", "by_line", "m-e"],
    ],
)
def test_a_reserved_name_is_refused(
    username: str, anonymous: httpx.Client, anna: Person, admin: Person
) -> None:
    before = etag(anna)
    new = {"email": fresh(), "password": PASSWORD, "username": username}
    for answer in (
        anonymous.post("/auth/register", json=new),
        admin.http.post("/api/users", json=new),
        patch(anna.http, anna, username=username),
    ):
        assert told(answer) == INVALID
        [error] = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == ("/username", "reserved")
        assert "reserved" in error["detail"]
        assert "reserved" in answer.json()["detail"]
    assert etag(anna) == before


@pytest.mark.parametrize("username", ["administrate", "admin1", "rooted", "annaroot", "by-lines"])
def test_a_name_that_contains_a_reserved_name_is_accepted(
    username: str, anonymous: httpx.Client
) -> None:
    assert register(anonymous, f"{username}-{name()}").status_code == 201


@pytest.mark.parametrize(
    ("product", "username"),
    [("Acme Notes", "acme-notes"), ("TEA_2", "tea2"), ("Bücher", "buecher")],
)
def test_the_name_of_the_product_is_reserved_as_far_as_it_is_a_user_name(
    product: str, username: str, serve: Callable[..., Server]
) -> None:
    with serve(product_name=product).client() as http:
        expected = 201 if product == "Bücher" else 400
        assert register(http, username).status_code == expected
        assert register(http, "byline").status_code == 201


def test_an_admin_may_give_a_reserved_name_to_an_account(admin: Person, anna: Person) -> None:
    assert patch(admin.http, anna, username="hostmaster").status_code == 200
    assert anna.http.get("/auth/me").json()["username"] == "hostmaster"


def test_an_account_keeps_a_reserved_name_that_it_has(server: Server, ben: Person) -> None:
    server.execute(update(User).where(User.id == ben.id).values(username="abuse"))
    for changes in ({"bio": "x"}, {"bio": "y", "username": "abuse"}):
        assert patch(ben.http, ben, **changes).json()["username"] == "abuse"
    renamed(ben)
    assert told(patch(ben.http, ben, username="abuse")) == INVALID


def test_a_random_name_is_never_reserved() -> None:
    assert not {random_username().replace("-", "") for _ in range(1000)} & RESERVED
    assert max(map(len, RESERVED)) < len(random_username()) - 1


# Names that rest


def test_a_name_given_up_for_another_cannot_be_taken_by_others(
    server: Server, anonymous: httpx.Client, admin: Person, anna: Person, ben: Person
) -> None:
    new = renamed(anna)
    body = {"email": fresh(), "password": PASSWORD, "username": anna.username}
    for answer in (
        anonymous.post("/auth/register", json=body),
        admin.http.post("/api/users", json=body),
        patch(ben.http, ben, username=anna.username),
        patch(admin.http, ben, username=anna.username),
    ):
        assert told(answer) == TAKEN
    assert server.execute(select(User.id).where(User.email == body["email"])) == []
    assert patch(anna.http, anna, username=anna.username).status_code == 200
    assert told(register(anonymous, new)) == TAKEN
    expire(server, new)
    assert register(anonymous, new).status_code == 201


def test_a_given_up_name_is_reserved_for_ninety_days(server: Server, anna: Person) -> None:
    renamed(anna)
    [[user_id, expiry]] = resting(server, anna.username)
    left = datetime.fromisoformat(expiry) - datetime.now(UTC)
    assert timedelta(days=90) - timedelta(minutes=5) < left <= timedelta(days=90)
    assert user_id == anna.id


@pytest.mark.parametrize("by_admin", [False, True])
def test_the_names_of_a_deleted_account_rest_without_a_trace_of_their_owner(
    by_admin: bool, server: Server, anonymous: httpx.Client, admin: Person, anna: Person
) -> None:
    last = renamed(anna)
    delete(anna, admin if by_admin else None)
    again = server.sign_up(email=anna.email)
    for username in (anna.username, last):
        assert told(register(anonymous, username)) == TAKEN
        assert told(patch(again.http, again, username=username)) == TAKEN
        until(lambda of=username: [row[0] for row in resting(server, of)] == [None])
    expire(server, last)
    assert patch(again.http, again, username=last).status_code == 200


def test_a_name_taken_and_given_up_again_rests_again(
    server: Server, anonymous: httpx.Client, anna: Person, ben: Person
) -> None:
    renamed(anna)
    expire(server, anna.username)
    assert patch(ben.http, ben, username=anna.username).status_code == 200
    renamed(ben)
    assert told(patch(anna.http, anna, username=anna.username)) == TAKEN
    assert patch(ben.http, ben, username=anna.username).status_code == 200
    delete(ben)
    assert told(register(anonymous, anna.username)) == TAKEN


def test_an_admin_who_renames_an_account_can_take_that_back(admin: Person, anna: Person) -> None:
    renamed(anna, by=admin)
    assert patch(admin.http, anna, username=anna.username).status_code == 200


def test_a_refused_change_keeps_the_old_name_taken(
    server: Server, anna: Person, ben: Person
) -> None:
    new = {"username": f"u-{name()}"}
    stale = {"If-Match": '"0"'}
    refused = anna.http.patch(f"/api/users/{anna.id}", json=new, headers=stale)
    assert told(refused) == (412, "precondition-failed")
    assert told(patch(ben.http, anna, **new)) == (403, "forbidden")
    assert told(patch(anna.http, anna, username=ben.username)) == TAKEN
    assert told(ben.http.delete(f"/api/users/{anna.id}")) == (403, "forbidden")
    assert patch(anna.http, anna, bio="x", username=anna.username).status_code == 200
    assert resting(server, anna.username) == []


def test_a_user_has_only_the_newest_names_resting(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    given_up = [anna.username, *(renamed(anna) for _ in range(MAX_RESTING_PER_USER))]
    renamed(anna)
    assert [name for name in given_up if not resting(server, name)] == given_up[:1]
    assert register(anonymous, given_up[0]).status_code == 201
    assert told(register(anonymous, given_up[1])) == TAKEN


def test_no_name_of_a_disputed_account_rests(anonymous: httpx.Client, anna: Person) -> None:
    names = [anna.username, renamed(anna), renamed(anna)]
    assert patch(anna.http, anna, username=anna.username).status_code == 200
    assert dispute(anonymous, mailed(EMAIL_VERIFICATION, anna)).status_code == 204
    for one in names:
        assert register(anonymous, one).status_code == 201


def test_a_name_that_was_taken_back_no_longer_rests(server: Server, anna: Person) -> None:
    renamed(anna)
    assert resting(server, anna.username) != []
    assert patch(anna.http, anna, username=anna.username).status_code == 200
    assert resting(server, anna.username) == []


def test_only_the_refusal_is_kept_for_an_idempotency_key(
    server: Server, admin: Person, anna: Person
) -> None:
    delete(anna)
    body = {"email": fresh(), "username": anna.username}
    headers = {"Idempotency-Key": name()}
    for _ in range(2):
        answer = admin.http.post("/api/users", json=body, headers=headers)
        assert told(answer) == TAKEN
    assert answer.headers["idempotency-replayed"] == "true"
    assert server.execute(select(User.id).where(User.email == body["email"])) == []
