"""The sign-in guard: it ends password guessing, and does not reveal which accounts exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.kit.serving import PASSWORD, Person, Server

FAILURES = 10


@pytest.fixture
def guarded(serve: Callable[..., Server]) -> Server:
    """A server where only the guard of an account is ever in the way, with its default."""
    names = ("client", "login", "register", "password", "write")
    ample = dict.fromkeys(names, "10000 per day") | {"mail": "10000 per day;10000 per day"}
    return serve(rate_limit_enabled=True, rate_limits=ample)


def try_to_sign_in(server: Server, email: str, password: str = "wrong") -> httpx.Response:
    with server.client() as client:
        return client.post("/auth/login", json={"email": email, "password": password})


def change_password(person: Person, current: str) -> httpx.Response:
    body = {"current_password": current, "new_password": f"{PASSWORD}!"}
    return person.http.put("/auth/password", json=body)


def change_email(person: Person, current: str) -> httpx.Response:
    body = {"current_password": current, "email": f"new-{person.email}"}
    return person.http.put("/auth/email", json=body)


def fail(server: Server, email: str, times: int = FAILURES) -> list[httpx.Response]:
    """Wrong passwords for an address, as many as there may be."""
    answers = [try_to_sign_in(server, email) for _ in range(times)]
    assert [answer.status_code for answer in answers] == [401] * times
    return answers


def check_refused(answer: httpx.Response, policy: str = "account") -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
    wait = int(answer.headers["Retry-After"])
    assert 1 <= wait <= 15 * 60
    assert f'"{policy}";q=10;w=900' in answer.headers["RateLimit-Policy"]
    assert f'"{policy}";r=0;t={wait}' in answer.headers["RateLimit"]


def test_after_ten_failures_even_the_correct_password_is_refused(guarded: Server) -> None:
    anna = guarded.sign_up()
    for left, answer in zip(reversed(range(FAILURES)), fail(guarded, anna.email), strict=True):
        assert f'"account";r={left};' in answer.headers["RateLimit"]
    check_refused(try_to_sign_in(guarded, anna.email))
    check_refused(try_to_sign_in(guarded, anna.email, PASSWORD))


def test_active_sessions_keep_working(guarded: Server) -> None:
    anna = guarded.sign_up()
    fail(guarded, anna.email)
    check_refused(try_to_sign_in(guarded, anna.email, PASSWORD))
    assert anna.http.get("/auth/me").status_code == 200
    assert anna.http.delete("/auth/sessions").status_code == 204
    with guarded.client(anna.tokens["refresh_token"]) as client:
        assert client.post("/auth/refresh").status_code == 200


def test_a_success_forgets_the_failures(guarded: Server) -> None:
    anna = guarded.sign_up()
    for _ in range(3):
        fail(guarded, anna.email, FAILURES - 1)
        assert try_to_sign_in(guarded, anna.email, PASSWORD).status_code == 200
    for _ in range(FAILURES + 1):
        assert try_to_sign_in(guarded, anna.email, PASSWORD).status_code == 200


def test_the_failures_of_one_account_are_not_those_of_another(guarded: Server) -> None:
    anna, ben = guarded.sign_up(), guarded.sign_up()
    fail(guarded, anna.email)
    assert try_to_sign_in(guarded, ben.email, PASSWORD).status_code == 200
    fail(guarded, ben.email)


def test_an_unknown_address_is_treated_like_a_known_one(guarded: Server) -> None:
    anna = guarded.sign_up()

    def told(email: str) -> list[Any]:
        answers = [try_to_sign_in(guarded, email) for _ in range(FAILURES + 2)]
        return [
            (a.status_code, a.json()["code"], a.json()["detail"], set(a.headers)) for a in answers
        ]

    known = told(anna.email)
    assert told("nobody@example.com") == known
    assert [status for status, *_ in known] == [401] * FAILURES + [429] * 2


def test_however_an_address_is_written_it_is_one_account(guarded: Server) -> None:
    anna = guarded.sign_up()
    written = [anna.email.upper(), anna.email.title(), anna.email.replace("e", "\uff45")]
    for number in range(FAILURES):
        assert try_to_sign_in(guarded, written[number % 3]).status_code == 401
    for email in (*written, anna.email):
        check_refused(try_to_sign_in(guarded, email, PASSWORD))


def test_a_wrong_current_password_counts_for_its_session_alone(guarded: Server) -> None:
    anna = guarded.sign_up()
    thief = guarded.sign_in(anna.email)
    for number in range(FAILURES):
        ask = change_password if number % 2 else change_email
        answer = ask(thief, "wrong")
        assert (answer.status_code, answer.json()["code"]) == (403, "current-password-wrong")
    for ask in (change_password, change_email):
        check_refused(ask(thief, PASSWORD), "confirm")
    assert change_email(anna, PASSWORD).status_code == 202
    assert try_to_sign_in(guarded, anna.email, PASSWORD).status_code == 200
    assert change_password(anna, PASSWORD).status_code == 200


def test_failed_sign_ins_do_not_prevent_a_change_of_password(guarded: Server) -> None:
    anna = guarded.sign_up()
    fail(guarded, anna.email)
    check_refused(try_to_sign_in(guarded, anna.email, PASSWORD))
    assert change_email(anna, PASSWORD).status_code == 202
    assert change_password(anna, PASSWORD).status_code == 200


def test_a_correct_current_password_clears_the_wrong_ones(guarded: Server) -> None:
    anna = guarded.sign_up()
    for _ in range(2):
        for _ in range(FAILURES - 1):
            assert change_email(anna, "wrong").status_code == 403
        assert change_email(anna, PASSWORD).status_code == 202


def test_a_correct_current_password_is_not_a_failure_whatever_follows(guarded: Server) -> None:
    anna = guarded.sign_up()
    body = {"current_password": PASSWORD, "new_password": "password"}
    for _ in range(FAILURES + 1):
        assert anna.http.put("/auth/password", json=body).status_code == 400
    assert change_password(anna, PASSWORD).status_code == 200


def test_the_correct_password_of_a_disabled_account_is_not_a_failure(guarded: Server) -> None:
    admin, anna = guarded.make_admin(guarded.sign_up()), guarded.sign_up()
    path = f"/api/users/{anna.id}"
    disabled = admin.http.patch(path, json={"disabled": True}, headers={"If-Match": "*"})
    assert disabled.status_code == 200
    for _ in range(FAILURES + 1):
        assert try_to_sign_in(guarded, anna.email, PASSWORD).status_code == 403


def test_an_invalid_login_request_does_not_count(guarded: Server) -> None:
    anna = guarded.sign_up()
    for body in ({"email": anna.email}, {"email": anna.email, "password": "x" * 257}):
        for _ in range(FAILURES):
            with guarded.client() as client:
                assert client.post("/auth/login", json=body).status_code == 400
    fail(guarded, anna.email)


def test_an_attempt_without_a_database_does_not_count(guarded: Server) -> None:
    anna = guarded.sign_up()
    fail(guarded, anna.email, FAILURES - 1)
    guarded.execute(text("ALTER TABLE users RENAME TO lost"))
    answers = [try_to_sign_in(guarded, anna.email) for _ in range(3)]
    guarded.execute(text("ALTER TABLE lost RENAME TO users"))
    assert {answer.status_code for answer in answers} <= {500, 503}
    fail(guarded, anna.email, 1)
    check_refused(try_to_sign_in(guarded, anna.email, PASSWORD))
