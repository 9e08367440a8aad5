"""Three processes behind nginx, with one PostgreSQL and one Valkey, act as one service."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.commands import PASSWORD
from tests.kit.load import Load
from tests.kit.processes import Account, Byline, Place, sign_up
from tests.kit.proxy import nginx

POST = {"title": "A title", "content": "Some words."}
LOGINS = 10  # a minute, for one address


@pytest.fixture
def place(tmp_path: Path, database: str, store: Any) -> Place:
    return Place(
        tmp_path / "place",
        DATABASE_URL=database,
        RATE_LIMIT_ENABLED="true",
        RATE_LIMIT_STORAGE_URL=store.connection_url,
        RATE_LIMIT_CLIENT="100000 per minute",
        RATE_LIMITS="register=1000 per hour,write=100000 per minute",
        TRUSTED_PROXIES="127.0.0.1",
    )


@pytest.fixture
def three(place: Place) -> Iterator[list[Byline]]:
    with ExitStack() as stack:
        started = [stack.enter_context(place.serving(wait=False)) for _ in range(3)]
        for byline in started:
            byline.wait()
        yield started


def test_a_session_is_the_same_everywhere(three: list[Byline], report: Any) -> None:
    report("three processes: sessions, retries and limits")
    one, two, other = three
    account = sign_up(one.url)
    assert two.get("/auth/me", headers=account.bearer).json()["email"] == account.email

    _retries_are_one(three, account)
    _refreshing_is_one(three)
    _limits_are_one(three)

    ended = other.request("POST", "/auth/logout", headers=account.bearer)
    statuses = [byline.get("/auth/me", headers=account.bearer).status_code for byline in three]
    report(
        requests=30,
        lost=0,
        more=f"after logging out on one: {statuses}; {LOGINS} logins a minute in all",
    )
    assert ended.status_code == 204
    assert statuses == [401] * 3


def _retries_are_one(three: list[Byline], account: Account) -> None:
    headers = {**account.bearer, "Idempotency-Key": secrets.token_hex()}
    answers = [byline.request("POST", "/api/posts", json=POST, headers=headers) for byline in three]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.text for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert replayed == [None, "true", "true"]


def _refreshing_is_one(three: list[Byline]) -> None:
    account = sign_up(three[0].url)
    old = {"Authorization": f"Bearer {account.tokens['refresh_token']}"}
    new = [byline.request("POST", "/auth/refresh", headers=old) for byline in three]
    assert [answer.status_code for answer in new] == [200] * 3  # two tabs, a lost response
    newest = {"Authorization": f"Bearer {new[-1].json()['refresh_token']}"}
    assert three[1].request("POST", "/auth/refresh", headers=newest).status_code == 200
    assert three[2].request("POST", "/auth/refresh", headers=old).status_code == 401  # reused
    assert three[0].request("POST", "/auth/refresh", headers=newest).status_code == 401


def _limits_are_one(three: list[Byline]) -> None:
    """However they are spread, one address has its logins only once."""
    # One that nobody else has, as if they came by way of a proxy.
    headers = {"X-Forwarded-For": "203.0.113.7"}
    known = {"email": "nobody@example.com", "password": PASSWORD}
    statuses = [
        three[number % 3].request("POST", "/auth/login", json=known, headers=headers).status_code
        for number in range(LOGINS + 3)
    ]
    assert statuses == [401] * LOGINS + [429] * 3


def test_two_replicas_behind_nginx_act_as_one(
    three: list[Byline], tmp_path: Path, database: str, report: Any
) -> None:
    report("three processes behind nginx, under load")
    with nginx(tmp_path, *(byline.port for byline in three)) as proxy:
        load = Load(proxy.url, [sign_up(proxy.url) for _ in range(3)])
        with load.running():
            load.go_on(100)
        report.settle(load, database)
        with httpx.Client(base_url=proxy.url, verify=False) as client:
            _is_one(client)
        used = {line["server"] for line in proxy.requests()}
    report(more=f"{len(used)} processes have answered")
    assert len(used) == 3


def _is_one(client: httpx.Client) -> None:
    """A user's whole story, each step of it somewhere else."""
    known = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    assert client.post("/auth/register", json=known).status_code == 201
    signed_in = client.post("/auth/login", json=known)
    assert signed_in.status_code == 200
    bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    made = client.post("/api/posts", json=POST, headers=bearer)
    assert made.status_code == 201
    assert client.get(made.headers["location"]).json() == made.json()
    found = client.get("/api/posts", params={"author_id": signed_in.json()["user"]["id"]})
    assert found.json() == [made.json()]
    assert client.post("/auth/logout", headers=bearer).status_code == 204
    assert client.get("/auth/me", headers=bearer).status_code == 401
