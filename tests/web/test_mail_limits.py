"""Limits of mails: no mailbox is flooded, and no answer reveals whether it has an account."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.kit import valkey
from tests.kit.accounts import told
from tests.kit.mailbox import subject_of
from tests.kit.mails import (
    CHANGE,
    KINDS,
    RESET,
    VERIFICATION,
    all_sent,
    ask,
    change,
    fresh,
    mailed,
    request_reset,
    request_verification,
    use,
)
from tests.kit.serving import Person, Server

HOUR = 3600
AMPLE = dict.fromkeys(
    ("client", "login", "register", "write", "account", "confirm"), "10000 per day"
)

Serve = Callable[..., Server]


@pytest.fixture
def limited(serve: Serve, server: Server) -> Serve:
    """Starts servers with the limits of mails, on the database and the mailbox that all share."""

    def _serve(trusted_proxies: str = "", store: str = "memory://", **limits: str) -> Server:
        return serve(
            database_url=server.settings.database_url,
            jwt_keys_dir=server.settings.jwt_keys_dir,
            mail_dir=server.settings.mail_dir,
            rate_limit_enabled=True,
            rate_limit_storage_url=store,
            rate_limits=AMPLE | limits,
            trusted_proxies=trusted_proxies,
        )

    return _serve


def at(server: Server, person: Person) -> Person:
    """Somebody's session, used at another server."""
    return Person(server, person.email, person.password, person.tokens)


def received(server: Server, address: str) -> list[str]:
    """The subjects of what came for an address, once all that was asked for has gone out."""
    all_sent(server)
    return sorted(subject_of(mail) for mail in server.mailbox.to(address))


def test_all_spellings_of_an_address_share_a_limit_of_mails(
    limited: Serve, anna: Person, ben: Person
) -> None:
    server = limited(mail="1 per day;100 per day")
    anna, ben = at(server, anna), at(server, ben)
    answers = [
        request_verification(anna),
        request_verification(anna),
        request_reset(anna.http, anna.email),
        request_reset(anna.http, anna.email.upper()),
        change(ben, anna.email),
        change(anna, anna.email),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    # The first verification is of the registration, at a server without limits.
    assert received(server, anna.email) == sorted([VERIFICATION, VERIFICATION, RESET, CHANGE])


def test_an_address_gets_three_an_hour_by_default(limited: Serve, anna: Person) -> None:
    anna = at(limited(), anna)
    for time in (1, 2, 3):
        mailed("password-reset", anna, time)
    assert request_reset(anna.http, anna.email).status_code == 202
    assert received(anna.server, anna.email) == sorted([VERIFICATION, *[RESET] * 3])


def test_mails_requested_for_an_unknown_address_count_too(limited: Serve) -> None:
    server, email = limited(mail="2 per day;100 per day"), fresh()
    with server.client() as client:
        assert [request_reset(client, email).status_code for _ in range(2)] == [202, 202]
    person = server.sign_up(email=email)
    assert request_reset(person.http, email).status_code == 202
    assert received(server, email) == [VERIFICATION]


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_over_the_limit_leaves_the_last_token_valid(
    kind: str, limited: Serve, anonymous: httpx.Client, anna: Person
) -> None:
    anna = at(limited(mail="2 per day;100 per day"), anna)
    mailed(kind, anna)
    token = mailed(kind, anna, time=2)
    ask(kind, anna)
    all_sent(anna.server)
    assert use(kind, anonymous, token).status_code == 204


def test_the_mails_of_one_address_are_not_those_of_another(
    limited: Serve, anna: Person, ben: Person
) -> None:
    server = limited(mail="1 per day;100 per day")
    with server.client() as client:
        for email in (anna.email, anna.email, ben.email):
            request_reset(client, email)
    assert received(server, anna.email) == sorted([VERIFICATION, RESET])
    assert received(server, ben.email) == sorted([VERIFICATION, RESET])


def test_no_answer_reveals_how_many_mails_an_address_has_left(limited: Serve, anna: Person) -> None:
    server = limited(mail="2 per day;100 per day")
    with server.client() as client:
        seen = [[request_reset(client, email) for _ in range(4)] for email in (anna.email, fresh())]
    left = [answer.headers["RateLimit"].split('"mail";r=')[1] for row in seen for answer in row]
    assert [int(item.split(";")[0]) for item in left] == list(range(99, 91, -1))
    known, unknown = (
        {(a.status_code, a.content, tuple(a.headers), a.headers["RateLimit-Policy"]) for a in row}
        for row in seen
    )
    assert known == unknown
    assert len(known) == 1
    assert '"mail";q=2' not in str(known)


def test_a_change_of_address_reveals_no_more(limited: Serve, anna: Person) -> None:
    anna, new = at(limited(mail="1 per day;100 per day"), anna), fresh()
    first, second = change(anna, new), change(anna, new)
    for name in ("RateLimit-Policy", "Content-Length"):
        assert first.headers.get(name) == second.headers.get(name)
    assert [answer.status_code for answer in (first, second)] == [202, 202]
    assert received(anna.server, new) == [CHANGE]


def _reset(person: Person) -> httpx.Response:
    return request_reset(person.http, fresh())


def _change(person: Person) -> httpx.Response:
    return change(person, fresh())


def _change_in_vain(person: Person) -> httpx.Response:
    return change(person, fresh(), "wrong")


OPERATIONS = [_reset, _change, _change_in_vain, request_verification]


@pytest.mark.parametrize("last", OPERATIONS)
def test_a_client_may_request_ten_mails_an_hour(
    last: Callable[[Person], httpx.Response], limited: Serve, anna: Person
) -> None:
    anna = at(limited(), anna)
    first = [_reset, _change, request_verification, _change_in_vain, _reset] * 2
    assert {ask(anna).status_code for ask in first} == {202, 403}
    answer = last(anna)
    assert told(answer) == (429, "rate-limited")
    wait = int(answer.headers["Retry-After"])
    assert 1 <= wait <= HOUR
    assert f'"mail";r=0;t={wait}' in answer.headers["RateLimit"]
    assert '"mail";q=10;w=3600' in answer.headers["RateLimit-Policy"]


def test_a_refused_mail_request_sends_nothing(limited: Serve, anna: Person) -> None:
    anna, new = at(limited(mail="100 per day;1 per day"), anna), fresh()
    older = mailed("password-reset", anna)
    for answer in (request_reset(anna.http, anna.email), change(anna, new)):
        assert told(answer) == (429, "rate-limited")
    assert received(anna.server, new) == []
    assert received(anna.server, anna.email) == sorted([VERIFICATION, RESET])
    assert use("password-reset", anna.http, older).status_code == 204


def test_a_refused_client_does_not_use_up_the_recipients_limit(
    limited: Serve, anna: Person
) -> None:
    server = limited(trusted_proxies="127.0.0.1", mail="1 per day;1 per day")
    with server.client() as client:

        def asked(ip: str, email: str) -> int:
            body = {"email": email}
            from_there = {"X-Forwarded-For": ip}
            answer = client.post("/auth/password-resets", json=body, headers=from_there)
            return answer.status_code

        assert [asked("192.0.2.1", fresh()), asked("192.0.2.1", anna.email)] == [202, 429]
        assert asked("192.0.2.2", anna.email) == 202
    assert received(server, anna.email) == sorted([VERIFICATION, RESET])


def test_registering_has_a_limit_of_its_own_for_each_client(limited: Serve) -> None:
    server = limited(mail="1 per day;2 per day")
    people = [server.sign_up() for _ in range(3)]
    assert [ask("password-reset", person) for person in people[:2]]
    for person in people[:2]:
        server.mailbox.wait(person.email, RESET)
    assert told(request_reset(people[2].http, people[2].email)) == (429, "rate-limited")


def test_using_a_mailed_token_does_not_count(
    limited: Serve, anonymous: httpx.Client, anna: Person
) -> None:
    anna = at(limited(mail="3 per day;3 per day"), anna)
    tokens = {kind: mailed(kind, anna) for kind in ("email-verification", "password-reset")}
    for kind, token in tokens.items():
        for answer in (use(kind, anna.http, "x"), use(kind, anna.http, token)):
            assert '"mail"' not in answer.headers["RateLimit"]
    assert request_reset(anna.http, anna.email).status_code == 202


def test_settings_override_the_limits_of_mails(limited: Serve, anna: Person) -> None:
    anna = at(limited(mail="5 per hour;20 per hour"), anna)
    for time in range(1, 6):
        mailed("password-reset", anna, time)
    answers = [request_reset(anna.http, anna.email) for _ in range(16)]
    assert [answer.status_code for answer in answers] == [202] * 15 + [429]
    assert {'"mail";q=20;w=3600' in a.headers["RateLimit-Policy"] for a in answers} == {True}
    assert received(anna.server, anna.email) == sorted([VERIFICATION, *[RESET] * 5])


def test_limits_that_are_switched_off_are_off(serve: Serve, server: Server, anna: Person) -> None:
    off = serve(
        database_url=server.settings.database_url,
        jwt_keys_dir=server.settings.jwt_keys_dir,
        mail_dir=server.settings.mail_dir,
        rate_limit_enabled=False,
        rate_limits={"mail": "1 per day;1 per day"},
    )
    for time in (1, 2, 3):
        mailed("password-reset", at(off, anna), time)
    answer = request_reset(at(off, anna).http, anna.email)
    assert {"RateLimit", "RateLimit-Policy"}.isdisjoint(answer.headers)


def test_servers_with_one_store_share_the_limits(limited: Serve, anna: Person) -> None:
    url = valkey.start()
    here, there = (limited(store=url, mail="2 per day;1000 per day") for _ in range(2))
    for number, server in enumerate((here, there, here, there), 1):
        with server.client() as client:
            assert request_reset(client, anna.email).status_code == 202
        server.mailbox.wait(anna.email, RESET, min(number, 2))
    assert received(here, anna.email) == sorted([VERIFICATION, RESET, RESET])
