"""A sign-in from a network that the account has never been used from is told to its owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.engine.ids import now
from service.models import KnownNetwork, User
from tests.kit.accounts import name
from tests.kit.at_once import at_once
from tests.kit.mailbox import subject_of, text
from tests.kit.mails import NEW_PASSWORD, RESET, all_sent, request_reset, reset
from tests.kit.serving import PASSWORD, Person, Server, serving

SUBJECT = "A sign-in from a new network"
HOME, NEIGHBOUR, AWAY = "192.0.2.7", "192.0.2.200", "198.51.100.1"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.fixture(scope="module")
def behind(server: Server, tmp_path_factory: Any) -> Iterator[Server]:
    """A server behind a proxy, with the guard and the limit of mails, on the database of the shared
    one."""
    own = {name: getattr(server.settings, name) for name in ("database_url", "mail_dir")}
    names = ("client", "login", "register", "account", "strangers")
    limits = dict.fromkeys(names, "10000 per day") | {"mail": "3 per hour;10000 per day"}
    folder = tmp_path_factory.mktemp("behind")
    with serving(
        folder,
        rate_limit_enabled=True,
        rate_limits=limits,
        trusted_proxies="127.0.0.1",
        **own,
    ) as running:
        yield running


@pytest.fixture
def anna(behind: Server) -> Person:
    """A verified user of that server, who has signed in once, at home."""
    known = {"email": f"{name()}@example.com", "password": PASSWORD}
    with behind.client(**{"X-Forwarded-For": HOME}) as client:
        assert client.post("/auth/register", json=known).status_code == 201
        answer = client.post("/auth/login", json=known)
    return behind.verify(Person(behind, known["email"], PASSWORD, answer.json()))


def sign_in(person: Person, ip: str, password: str = PASSWORD, agent: str = "") -> httpx.Response:
    headers = {"X-Forwarded-For": ip, "User-Agent": agent}
    with person.server.client(**headers) as client:
        body = {"email": person.email, "password": password}
        return client.post("/auth/login", json=body)


def told(person: Person) -> list[str]:
    """The mails about new networks, once all that was queued has gone out."""
    all_sent(person.server)
    mails = person.server.mailbox.to(person.email)
    return [text(mail) for mail in mails if subject_of(mail) == SUBJECT]


def test_a_mail_says_when_from_where_and_with_what(anna: Person) -> None:
    assert told(anna) == []  # nor of the first sign-in
    assert sign_in(anna, NEIGHBOUR).status_code == 200
    assert told(anna) == []
    assert sign_in(anna, AWAY, agent=FIREFOX).status_code == 200
    [mail] = told(anna)
    words = " ".join(mail.split())
    assert f" UTC, from the address {AWAY}, with Firefox on Linux." in words
    assert "request a new password at once: it ends every session" in words
    for known in (AWAY, HOME):
        assert sign_in(anna, known).status_code == 200
    assert len(told(anna)) == 1


def test_the_first_sign_in_of_a_verified_user_is_not_told(behind: Server) -> None:
    known = {"email": f"{name()}@example.com", "password": PASSWORD}
    with behind.client(**{"X-Forwarded-For": HOME}) as client:
        account = client.post("/auth/register", json=known).json()
        verified = sa.update(User).where(User.id == account["id"]).values(email_verified=True)
        behind.execute(verified)
    with behind.client(**{"X-Forwarded-For": AWAY}) as client:
        answer = client.post("/auth/login", json=known)
    new = Person(behind, known["email"], PASSWORD, answer.json())
    assert told(new) == []
    assert sign_in(new, HOME).status_code == 200
    assert len(told(new)) == 1


def test_the_agent_is_named_in_our_own_words(anna: Person) -> None:
    sign_in(anna, AWAY, agent="Win a prize at http://evil.example")
    [mail] = told(anna)
    assert "evil" not in mail
    assert "an unknown program" in mail


def test_an_unverified_address_is_told_nothing(behind: Server) -> None:
    other = behind.sign_up()
    assert sign_in(other, AWAY).status_code == 200
    assert told(other) == []


def test_a_refused_sign_in_is_none(anna: Person) -> None:
    assert sign_in(anna, AWAY, "wrong").status_code == 401
    assert told(anna) == []
    assert sign_in(anna, AWAY).status_code == 200
    assert len(told(anna)) == 1


def test_the_network_from_which_a_mailed_link_was_used_is_known(anna: Person) -> None:
    with anna.server.client(**{"X-Forwarded-For": AWAY}) as away:
        assert request_reset(away, anna.email).status_code == 202
        token = anna.server.mailbox.token(anna.email, RESET)
        assert reset(away, token).status_code == 204
    assert sign_in(anna, AWAY, NEW_PASSWORD).status_code == 200
    assert told(anna) == []


def test_an_account_that_was_not_used_for_long_is_told_too(anna: Person) -> None:
    networks = KnownNetwork.user_id == anna.id
    anna.server.execute(sa.delete(KnownNetwork).where(networks))
    assert sign_in(anna, AWAY).status_code == 200
    assert len(told(anna)) == 1
    anna.server.execute(sa.update(KnownNetwork).where(networks).values(expires_at=now()))
    for _ in range(2):
        assert sign_in(anna, AWAY).status_code == 200
    assert len(told(anna)) == 2


def test_sign_ins_at_the_same_time_are_told_once(anna: Person) -> None:
    answers = at_once(*[lambda: sign_in(anna, AWAY)] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(told(anna)) == 1


def test_the_mails_count_against_their_recipient(anna: Person) -> None:
    for number in range(5):
        assert sign_in(anna, f"203.0.{number}.9").status_code == 200
    assert len(told(anna)) == 3
