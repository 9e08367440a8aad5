"""The outcome of concurrent requests is one that some sequential order could have."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text, update

from service.caller import Caller
from service.engine.database.transaction import db
from service.models import Session, User
from tests.kit.at_once import ANY, ROUNDS, Answering, at_once, codes, rows, signing_in, statuses
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until

pytestmark = pytest.mark.usefixtures("races_hashing_in_full")


def test_one_of_20_concurrent_registrations_gets_an_address(
    server: Server, crowd: httpx.Client
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    body = {"email": email, "password": PASSWORD}
    answers = at_once(*[partial(crowd.post, "/auth/register", json=body)] * 20)
    assert statuses(answers) == {201: 1, 409: 19}
    assert codes(answers) == {"email-taken"}
    assert rows(server, User.email == email) == 1


def test_one_of_20_concurrent_registrations_gets_an_address_in_two_spellings(
    server: Server, crowd: httpx.Client
) -> None:
    name = secrets.token_hex(6)
    spellings = [f"{name}@xn--mller-kva.example", f"{name}@m\xfcller.example"] * 10
    bodies = [{"email": email, "password": PASSWORD} for email in spellings]
    answers = at_once(*[partial(crowd.post, "/auth/register", json=body) for body in bodies])
    assert statuses(answers) == {201: 1, 409: 19}
    assert codes(answers) == {"email-taken"}
    assert rows(server, User.email_key == spellings[0]) == 1


def test_one_of_20_concurrent_registrations_gets_a_username(
    server: Server, crowd: httpx.Client
) -> None:
    name = secrets.token_hex(6)
    body = {"username": f"u-{name}", "password": PASSWORD}
    bodies = [{**body, "email": f"{name}-{n}@example.com"} for n in range(20)]
    answers = at_once(*[partial(crowd.post, "/auth/register", json=body) for body in bodies])
    assert statuses(answers) == {201: 1, 409: 19}
    assert codes(answers) == {"username-taken"}
    assert rows(server, User.email.startswith(name)) == 1


@pytest.mark.parametrize("how", ["rename", "delete"])
def test_a_username_cannot_be_taken_while_it_is_being_given_up(
    how: str, server: Server, crowd: httpx.Client, ben: Person
) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        path, wanted = f"/api/users/{anna.id}", {"username": anna.username}
        new = {"username": f"n-{secrets.token_hex(6)}"}
        giving_up: Answering = {
            "rename": partial(anna.http.patch, path, json=new, headers=ANY),
            "delete": partial(anna.http.delete, path),
        }[how]
        bodies = [
            {**wanted, "email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
            for _ in range(4)
        ]
        renaming = partial(ben.http.patch, f"/api/users/{ben.id}", json=wanted, headers=ANY)
        registering = [partial(crowd.post, "/auth/register", json=body) for body in bodies]
        given_up, *wanting = at_once(giving_up, renaming, *registering)
        assert given_up.is_success
        assert statuses(wanting) == {409: 5}
        assert codes(wanting) == {"username-taken"}
        assert rows(server, User.username == anna.username) == 0


def test_a_registration_waiting_for_a_username_does_not_get_it_when_it_is_given_up(
    server: Server, crowd: httpx.Client, anna: Person
) -> None:
    caller = Caller(anna.id, anna.email, anna.username, "user", "", "")
    body = {"email": f"x{anna.email}", "password": PASSWORD, "username": anna.username}
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    with ThreadPoolExecutor(1) as threads, server.flask.app_context():
        with db.transaction() as transaction:
            User.update(UUID(anna.id), caller, None, {"username": f"{anna.username}-2"})
            registering = threads.submit(crowd.post, "/auth/register", json=body)
            if server.settings.database_url.startswith("postgresql"):  # SQLite has one writer
                until(lambda: server.execute(waiting)[0][0] > 0)
            transaction.commit()
        assert registering.result().json()["code"] == "username-taken"
    assert rows(server, User.username == anna.username) == 0


def test_one_of_20_concurrent_changes_of_an_account_succeeds(anna: Person) -> None:
    tag = anna.http.get("/auth/me").headers["etag"]
    change = partial(anna.http.patch, f"/api/users/{anna.id}", headers={"If-Match": tag})
    answers = at_once(*[partial(change, json={"bio": f"no. {n}"}) for n in range(20)])
    assert statuses(answers) == {200: 1, 412: 19}
    [changed] = [answer for answer in answers if answer.is_success]
    after = anna.http.get("/auth/me")
    assert after.json()["bio"] == changed.json()["bio"]
    assert after.headers["etag"] == changed.headers["etag"]


def test_twenty_concurrent_changes_with_a_star_all_succeed(anna: Person) -> None:
    path = f"/api/users/{anna.id}"
    change = partial(anna.http.patch, path, json={"bio": "x"}, headers=ANY)
    answers = at_once(*[change] * 20)
    assert statuses(answers) == {200: 20}
    assert len({answer.headers["etag"] for answer in answers}) == 20


def test_twenty_requests_with_one_idempotency_key_create_one_user(
    server: Server, admin: Person
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    body = {"email": email, "password": PASSWORD, "role": "admin"}
    made = (User.email == email) & (User.invited_role == "admin")
    key = {"Idempotency-Key": secrets.token_hex(6)}
    creating = partial(admin.http.post, "/api/users", json=body, headers=key)
    answers = at_once(*[creating] * 20)
    assert statuses(answers).keys() <= {201, 409}
    assert codes(answers) <= {"idempotency-key-in-use"}
    created = [answer for answer in answers if answer.is_success]
    assert len({answer.content for answer in created}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in created) == 1
    assert rows(server, made) == 1
    assert creating().content == created[0].content


@pytest.mark.parametrize("how", ["demote", "disable", "delete"])
def test_one_of_the_last_two_admins_remains(how: str, server: Server) -> None:
    def retiring(by: Person, whom: Person) -> Answering:
        path = f"/api/users/{whom.id}"
        if how == "delete":
            return partial(by.http.delete, path)
        changes = {"demote": {"role": "user"}, "disable": {"disabled": True}}[how]
        return partial(by.http.patch, path, json=changes, headers=ANY)

    for _ in range(ROUNDS):
        server.execute(update(User).where(User.role == "admin").values(role="user"))
        one, two = (server.make_admin(server.sign_up()) for _ in range(2))
        answers = at_once(retiring(one, two), retiring(two, one))
        assert [answer.is_success for answer in answers].count(True) == 1
        assert statuses(answers).keys() <= {200, 204, 401, 403, 409}
        assert rows(server, User.role == "admin", User.disabled.is_(False)) == 1


def test_a_user_deleted_while_signing_in_leaves_no_session(server: Server) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        body = {"email": anna.email, "password": PASSWORD}
        deleting, *logins = at_once(
            partial(anna.http.delete, f"/api/users/{anna.id}"),
            *[partial(anna.http.post, "/auth/login", json=body)] * 12,
        )
        assert deleting.status_code == 204
        assert statuses(logins).keys() <= {200, 401}
        assert codes(logins) <= {"invalid-credentials"}
        until(lambda user=anna.id: rows(server, Session.user_id == user) == 0)


def test_of_60_concurrent_guesses_10_are_compared_over_all_processes(
    serve: Callable[..., Server], server: Server, anna: Person
) -> None:
    limited = [
        serve(
            database_url=server.settings.database_url,
            rate_limit_enabled=True,
            rate_limit_client="1000 per minute",
            rate_limits={"login": "1000 per minute"},
        )
        for _ in range(2)
    ]
    with limited[0].client() as one, limited[1].client() as two:
        for email in (anna.email, f"{secrets.token_hex(6)}@example.com"):
            guesses = [signing_in(crowd, email, "wrong") for crowd in (one, two)]
            answers = at_once(*guesses * 30)
            assert statuses(answers) == {401: 10, 429: 50}
            assert codes(answers) == {"invalid-credentials", "rate-limited"}
        assert signing_in(one, anna.email, PASSWORD)().status_code == 429
