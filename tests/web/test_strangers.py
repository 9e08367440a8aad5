"""Password guessing from many networks is limited too, and does not lock out the owner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest
import sqlalchemy as sa

from service.engine.ids import now, rfc3339
from service.models import AuditEvent, KnownNetwork, SignInGuard, User
from tests.kit.serving import PASSWORD, Server
from tests.kit.statements import noted

HOME, NEIGHBOUR, AWAY = "192.0.2.7", "192.0.2.200", "198.51.100.1"
HOUR, DAY = 3600, 86_400

Guess = Callable[..., httpx.Response]


@pytest.fixture
def guarded(serve: Callable[..., Server], server: Server) -> Server:
    """A server behind a proxy where only the guard of an account is ever in the way."""
    names = ("client", "login", "register", "password", "write")
    ample = dict.fromkeys(names, "100000 per day") | {"mail": "10000 per day;10000 per day"}
    return serve(
        database_url=server.settings.database_url,
        mail_dir=server.settings.mail_dir,
        rate_limit_enabled=True,
        rate_limits=ample,
        trusted_proxies="127.0.0.1",
    )


def sign_in(server: Server, email: str, ip: str, password: str = "wrong") -> httpx.Response:
    with server.client() as client:
        body, headers = {"email": email, "password": password}, {"X-Forwarded-For": ip}
        return client.post("/auth/login", json=body, headers=headers)


def elsewhere() -> Iterator[str]:
    """Addresses, each in a network of its own."""
    return (f"10.{number >> 8}.{number & 255}.1" for number in count())


def guess(server: Server, email: str, number: int, networks: Iterator[str]) -> list[int]:
    """What becomes of so many guesses from as many networks."""
    return [sign_in(server, email, next(networks)).status_code for _ in range(number)]


def pass_time(server: Server, seconds: int) -> None:
    """Make all that the guard has counted so much older."""
    for row in server.execute(sa.select(SignInGuard.account, SignInGuard.history)):
        history = json.loads(row.history)
        history["failures"] = [[at - seconds, *more] for at, *more in history["failures"]]
        history["last"] -= seconds
        history["told"] -= seconds
        text = json.dumps(history)
        its = SignInGuard.account == row.account
        server.execute(sa.update(SignInGuard).where(its).values(history=text))


def refused_until(answer: httpx.Response) -> int:
    assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
    return int(answer.headers["Retry-After"])


def test_thirty_guesses_an_hour_from_many_networks_are_compared(guarded: Server) -> None:
    anna, networks = guarded.sign_up(), elsewhere()
    assert guess(guarded, anna.email, 33, networks) == [401] * 30 + [429] * 3
    refused = sign_in(guarded, anna.email, AWAY, PASSWORD)
    assert HOUR - 60 <= refused_until(refused) <= HOUR
    assert '"strangers";q=30;w=3600' in refused.headers["RateLimit-Policy"]
    pass_time(guarded, HOUR)
    assert sign_in(guarded, anna.email, AWAY, PASSWORD).status_code == 200


def test_strangers_cannot_lock_the_owner_out_of_a_known_network(guarded: Server) -> None:
    anna, networks = guarded.sign_up(), elsewhere()
    assert sign_in(guarded, anna.email, HOME, PASSWORD).status_code == 200
    for _ in range(4):
        assert 429 in guess(guarded, anna.email, 31, networks)
        assert sign_in(guarded, anna.email, NEIGHBOUR).status_code == 401
        pass_time(guarded, HOUR)
    refused = sign_in(guarded, anna.email, AWAY, PASSWORD)
    assert refused_until(refused) > 80 * DAY
    assert sign_in(guarded, anna.email, NEIGHBOUR, PASSWORD).status_code == 200
    assert sign_in(guarded, anna.email, AWAY, PASSWORD).status_code == 200


def test_a_network_is_known_for_90_days_and_for_one_account(guarded: Server) -> None:
    anna, ben, networks = guarded.sign_up(), guarded.sign_up(), elsewhere()
    for person in (anna, ben):
        guess(guarded, person.email, 30, networks)
    assert refused_until(sign_in(guarded, anna.email, HOME, PASSWORD))
    sign_in_known = sa.insert(KnownNetwork).values(
        user_id=anna.id,
        network="192.0.2.0/24",
        failures=0,
        expires_at=rfc3339(datetime.now(UTC) + timedelta(seconds=60)),
    )
    guarded.execute(sign_in_known)
    assert sign_in(guarded, anna.email, HOME).status_code == 401
    assert refused_until(sign_in(guarded, ben.email, HOME, PASSWORD))
    late = sa.update(KnownNetwork).values(expires_at=rfc3339(datetime.now(UTC)))
    guarded.execute(late.where(KnownNetwork.user_id == anna.id))
    assert refused_until(sign_in(guarded, anna.email, HOME, PASSWORD))


def test_a_known_network_with_a_hundred_failures_in_a_row_is_a_stranger(guarded: Server) -> None:
    anna = guarded.sign_up()
    assert sign_in(guarded, anna.email, HOME, PASSWORD).status_code == 200
    looked_at = 0
    for _ in range(30):
        looked_at += [sign_in(guarded, anna.email, HOME).status_code for _ in range(11)].count(401)
        pass_time(guarded, HOUR)
    assert looked_at == 200  # 100 as a known network, and 100 as a stranger
    assert refused_until(sign_in(guarded, anna.email, HOME, PASSWORD))


def test_an_unknown_address_is_refused_in_the_same_way(guarded: Server) -> None:
    networks = elsewhere()
    told = []
    for email in (guarded.sign_up().email, "nobody@example.com"):
        answers = [sign_in(guarded, email, next(networks)) for _ in range(31)]
        answers += [sign_in(guarded, email, AWAY, PASSWORD)]
        told.append(
            [(a.status_code, a.json()["code"], a.json()["detail"], set(a.headers)) for a in answers]
        )
    assert told[0] == told[1]


def test_a_guess_runs_the_same_statements_for_every_address(guarded: Server) -> None:
    """From the network of the owner too: neighbours must not learn who has an account."""
    anna, strange, nobody = guarded.sign_up(), guarded.sign_up(), f"no-{guarded.sign_up().email}"
    assert sign_in(guarded, anna.email, HOME, PASSWORD).status_code == 200
    taken: list[list[list[str]]] = []
    for email in (anna.email, strange.email, nobody):
        taken.append([])
        for _ in range(11):  # the last one is refused
            with noted() as statements:
                sign_in(guarded, email, HOME)
            taken[-1].append(statements)
    assert taken[0] == taken[1] == taken[2]
    assert len(taken[0][0]) > 5
    # The first failure at an account takes the same statements as those that follow.
    assert [len(each) for each in taken[0][:10]] == [len(taken[0][0])] * 10


def test_a_reset_password_lets_the_owner_in(guarded: Server) -> None:
    anna, networks = guarded.sign_up(), elsewhere()
    guess(guarded, anna.email, 30, networks)
    new = "seven purple herons at dawn"
    with guarded.client() as client:
        client.post("/auth/password-resets", json={"email": anna.email})
        token = guarded.mailbox.token(anna.email, "Choose a new password")
        body = {"token": token, "new_password": new}
        headers = {"X-Forwarded-For": AWAY}
        done = client.post("/auth/password-resets/complete", json=body, headers=headers)
        assert done.status_code == 204
    assert guess(guarded, anna.email, 31, networks) == [401] * 30 + [429]
    assert sign_in(guarded, anna.email, AWAY, new).status_code == 200


def test_the_first_refusal_of_a_day_is_an_event_and_a_mail(guarded: Server) -> None:
    anna, networks = guarded.sign_up(), elsewhere()
    guarded.execute(sa.update(User).where(User.id == anna.id).values(email_verified=True))
    for _ in range(3):
        assert 429 in guess(guarded, anna.email, 35, networks)
        pass_time(guarded, HOUR)
    blocked = (AuditEvent.action == "sign-in-blocked", AuditEvent.user_id == anna.id)
    query = sa.select(AuditEvent.id).where(*blocked)
    assert len(guarded.execute(query)) == 1
    guarded.mailbox.wait(anna.email, "Somebody is trying to sign in to your account")
    pass_time(guarded, DAY)
    assert 429 in guess(guarded, anna.email, 35, networks)
    assert len(guarded.execute(query)) == 2


def test_expired_guards_are_removed_as_others_fail(guarded: Server) -> None:
    networks = elsewhere()
    for number in range(15):
        sign_in(guarded, f"nobody{number}@example.com", next(networks))
    guarded.execute(sa.update(SignInGuard).values(expires_at=rfc3339(datetime.now(UTC))))
    expired = sa.select(SignInGuard.account).where(SignInGuard.expires_at <= now())
    while left := len(guarded.execute(expired)):
        sign_in(guarded, f"somebody{left}@example.com", next(networks))
        assert len(guarded.execute(expired)) <= max(0, left - 5)


def test_the_table_of_the_guard_contains_no_address(guarded: Server) -> None:
    anna = guarded.sign_up()
    for email in ("somebody@example.com", anna.email):
        sign_in(guarded, email, AWAY)
    rows = guarded.execute(sa.select(SignInGuard.account, SignInGuard.history))
    assert {len(row.account) for row in rows} == {64}
    for secret in ("somebody", anna.email, anna.id):
        assert secret not in str(rows)
