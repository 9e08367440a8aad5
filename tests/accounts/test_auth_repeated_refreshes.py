"""A replaced refresh token that comes again: a lost answer, two tabs, or a thief."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from service.domain.mails import SUBJECTS
from service.engine.database.transaction import db
from service.engine.problems import Unavailable
from service.models import Session
from service.models.mails import EMAIL_VERIFICATION, SESSIONS_REUSED
from tests.accounts.test_auth_tokens import authority
from tests.kit.events import forwarded, latest, written
from tests.kit.mailbox import text
from tests.kit.mails import confirm, mailed
from tests.kit.serving import Person, Server, serving
from tests.kit.sessions import ago, generation, me, move, refresh, told
from tests.kit.statements import noted

HERE, NEAR, FAR = "203.0.113.7", "203.0.113.200", "198.51.100.7"
BROWSER, OTHER = "Firefox/145.0", "curl/8.0"


@pytest.fixture(scope="module")
def proxied(server: Server, tmp_path_factory: Any) -> Iterator[Server]:
    """A server behind a proxy, on the database of the shared one."""
    shared = ("database_url", "jwt_keys_dir", "mail_dir")
    settings = {name: getattr(server.settings, name) for name in shared}
    folder = tmp_path_factory.mktemp("proxied")
    with serving(folder, trusted_proxies="127.0.0.1", **settings) as running:
        yield running


def at(server: Server, address: str, agent: str = BROWSER) -> httpx.Client:
    """A client at an address."""
    return server.client(**{"User-Agent": agent, **forwarded(address)})


def events(server: Server, since: str) -> list[tuple[str, str]]:
    return [(action, ip) for action, _, _, ip in written(server, since)]


@pytest.mark.parametrize("minutes", [1, 60 * 24 * 20])
def test_a_client_that_lost_the_answer_gets_the_pair_at_any_later_time(
    minutes: int, proxied: Server, anna: Person
) -> None:
    first = refresh(at(proxied, HERE), anna.tokens).json()
    move(proxied, anna, last_used_at=ago(minutes=minutes))
    since = latest(proxied)
    again = [refresh(at(proxied, FAR, OTHER), anna.tokens) for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 200]
    assert {generation(answer.json()) for answer in again} == {generation(first)}
    assert events(proxied, since) == [("refresh-repeated", FAR)] * 2
    assert me(at(proxied, FAR), again[1].json()).json()["id"] == anna.id


@pytest.mark.parametrize("path", ["/auth/me", "/auth/export", "/auth/sessions"])
def test_using_the_new_access_token_confirms_that_the_pair_arrived(
    path: str, proxied: Server, anna: Person
) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    with proxied.client(pair["access_token"]) as http:
        assert http.get(path).status_code == 200
    move(proxied, anna, last_used_at=ago(seconds=12))
    assert told(refresh(at(proxied, HERE), anna.tokens)) == (401, "token-reused")


def test_a_refused_request_confirms_it_too(proxied: Server, anna: Person) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    with proxied.client(pair["access_token"]) as http:
        assert http.delete(f"/auth/sessions/{anna.id}").status_code == 404
    move(proxied, anna, last_used_at=ago(seconds=12))
    assert told(refresh(at(proxied, HERE), anna.tokens)) == (401, "token-reused")


def test_using_the_previous_access_token_does_not_confirm_the_new_pair(
    proxied: Server, anna: Person
) -> None:
    refresh(at(proxied, HERE), anna.tokens)
    assert anna.http.get("/auth/me").status_code == 200
    move(proxied, anna, last_used_at=ago(seconds=12))
    assert refresh(at(proxied, HERE), anna.tokens).status_code == 200


@pytest.mark.parametrize(
    ("address", "agent", "status"),
    [
        (HERE, BROWSER, 200),
        (NEAR, OTHER, 200),
        (FAR, BROWSER, 200),
        (FAR, OTHER, 401),
        (FAR, "", 401),
    ],
)
def test_within_ten_seconds_the_network_of_the_rotation_decides(
    address: str, agent: str, status: int, proxied: Server, anna: Person
) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    assert me(at(proxied, HERE), pair).status_code == 200
    since = latest(proxied)
    assert refresh(at(proxied, address, agent), anna.tokens).status_code == status
    action = "refresh-repeated" if status == 200 else "token-reused"
    assert events(proxied, since) == [(action, address)]
    assert me(at(proxied, HERE), pair).status_code == status


def test_an_empty_user_agent_does_not_prove_that_two_clients_are_the_same(
    proxied: Server, anna: Person
) -> None:
    pair = refresh(at(proxied, HERE, ""), anna.tokens).json()
    assert me(at(proxied, HERE), pair).status_code == 200
    assert told(refresh(at(proxied, FAR, ""), anna.tokens)) == (401, "token-reused")


def test_a_rotation_does_not_show_in_any_answer_to_the_session(
    proxied: Server, anna: Person
) -> None:
    def seen() -> list[Any]:
        paths = ("/auth/sessions", "/auth/me", "/api/audit-events", f"/api/users/{anna.id}")
        answers = [anna.http.get(path) for path in paths]
        return [(a.status_code, a.json(), a.headers.get("etag")) for a in answers]

    before = seen()
    refresh(at(proxied, HERE), refresh(at(proxied, HERE), anna.tokens).json())
    assert seen() == before


def test_the_first_use_of_a_pair_is_written_once_and_later_uses_are_not(
    proxied: Server, anna: Person
) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    with noted("^UPDATE sessions") as writes:
        for tokens in (anna.tokens, pair, pair, anna.tokens, pair):
            assert me(at(proxied, HERE), tokens).status_code == 200
    assert len(writes) == 1


def test_the_owner_of_a_verified_address_is_told_of_a_reuse(
    proxied: Server, server: Server, anna: Person
) -> None:
    assert confirm(at(proxied, HERE), mailed(EMAIL_VERIFICATION, anna)).status_code == 204
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    assert refresh(at(proxied, HERE), pair).status_code == 200
    assert told(refresh(at(proxied, FAR), anna.tokens)) == (401, "token-reused")
    [mail] = server.mailbox.wait(anna.email, SUBJECTS[SESSIONS_REUSED])
    assert FAR in text(mail)


def test_an_access_token_of_the_previous_release_keeps_working(
    proxied: Server, anna: Person
) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    tokens = authority(proxied)
    claims = jwt.decode(pair["access_token"], options={"verify_signature": False})
    del claims["pair"]
    key = tokens._ring.newest()
    headers = {"typ": "at+jwt", "kid": key.kid}
    old = jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)
    assert me(at(proxied, HERE), {"access_token": old}).json()["id"] == anna.id


def test_reads_succeed_while_the_first_use_of_a_token_cannot_be_recorded(
    proxied: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()

    def fail(_: object) -> None:
        raise Unavailable("The database is busy.")

    monkeypatch.setattr(Session, "see", fail)
    assert me(at(proxied, HERE), pair).status_code == 200
    monkeypatch.undo()
    assert me(at(proxied, HERE), pair).status_code == 200
    move(proxied, anna, last_used_at=ago(seconds=12))
    assert told(refresh(at(proxied, HERE), anna.tokens)) == (401, "token-reused")


def test_a_read_whose_session_is_known_waits_for_no_writer(proxied: Server, anna: Person) -> None:
    pair = refresh(at(proxied, HERE), anna.tokens).json()
    assert me(at(proxied, HERE), pair).status_code == 200
    with proxied.flask.app_context(), db.transaction() as writer:
        writer.execute("UPDATE sessions SET seen = seen", ())
        assert me(at(proxied, HERE), pair).status_code == 200


def test_signing_out_during_the_first_use_of_a_token_ends_the_session(
    proxied: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, see = refresh(at(proxied, HERE), anna.tokens).json(), Session.see

    def see_late(caller: Any) -> None:
        monkeypatch.undo()
        assert anna.http.post("/auth/logout").status_code == 204
        see(caller)

    monkeypatch.setattr(Session, "see", see_late)
    assert told(me(at(proxied, HERE), pair)) == (401, "session-revoked")
