"""Personal tokens: making them, listing them, and what is remembered of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service.engine.ids import rfc3339
from service.engine.tokens.personal import hashed
from service.models import PersonalToken
from service.models.personal_tokens import MAX_TOKENS_PER_USER
from tests.kit.accounts import told
from tests.kit.events import listed
from tests.kit.exports import lines
from tests.kit.mailbox import text
from tests.kit.personal_tokens import DAY, SCOPES, change, expire, give
from tests.kit.serving import Person, Server

WANTED = {"name": "Nightly import", "scopes": ["account:read", "users:write"]}
PATH = "/auth/tokens"


def create(person: Person, **fields: Any) -> dict[str, Any]:
    answer = person.http.post(PATH, json=WANTED | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def row(server: Server, token: str) -> Any:
    table = PersonalToken.__table__
    [found] = server.execute(select(table).where(table.c.token_hash == hashed(token)))
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_new_token_is_shown_once_and_acts_for_its_user(server: Server, anna: Person) -> None:
    answer = anna.http.post(PATH, json=WANTED)
    made = answer.json()
    token = made.pop("token")
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"byl_[0-9A-Za-z]{49}", token)
    assert made == {
        **WANTED,
        "id": made["id"],
        "prefix": token[:8],
        "created_at": made["created_at"],
        "expires_at": made["expires_at"],
    }
    lasts = moment(made["expires_at"]) - moment(made["created_at"])
    assert abs(lasts - timedelta(days=90)) < timedelta(seconds=1)
    assert anna.http.get(PATH).json() == [{**made, "last_used_at": None}]
    me = server.client(token).get("/auth/me")
    assert (me.status_code, me.json()["id"]) == (200, anna.id)
    assert me.headers["Cache-Control"] == "no-store, no-transform"


def test_the_token_itself_is_stored_nowhere(server: Server, anna: Person) -> None:
    token = create(anna)["token"]
    stored = row(server, token)
    assert all(token[9:] not in str(value) for value in stored)
    assert str(stored.token_hash) == hashed(token)
    export = anna.http.get("/auth/export").content
    assert token[9:].encode() not in export
    assert hashed(token).encode() not in export
    [exported] = [line for line in lines(export) if line["type"] == "personal_token"]
    assert (exported["prefix"], exported["scopes"]) == (token[:8], WANTED["scopes"])


@pytest.mark.parametrize(("seconds", "status"), [(DAY, 201), (365 * DAY, 201), (30 * DAY, 201)])
def test_a_token_lasts_a_day_to_a_year(anna: Person, seconds: int, status: int) -> None:
    made = create(anna, expires_in=seconds)
    lasts = moment(made["expires_at"]) - moment(made["created_at"])
    assert abs(lasts.total_seconds() - seconds) < 1


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"expires_in": DAY - 1}, "/expires_in", "minimum"),
        ({"expires_in": 365 * DAY + 1}, "/expires_in", "maximum"),
        ({"expires_in": None}, "/expires_in", "type"),
        ({"expires_in": "never"}, "/expires_in", "type"),
        ({"scopes": []}, "/scopes", "min-items"),
        ({"scopes": ["everything"]}, "/scopes/0", "enum"),
        ({"scopes": ["account:read", "*"]}, "/scopes/1", "enum"),
        ({"scopes": "account:read"}, "/scopes", "type"),
        ({"scopes": ["account:read users:write"]}, "/scopes/0", "enum"),
        ({"name": ""}, "/name", "min-length"),
        ({"name": "\u200b"}, "/name", "format"),
        ({"name": "a\nb"}, "/name", "pattern"),
        ({"name": "x" * 101}, "/name", "max-length"),
        ({"user_id": "me"}, "/user_id", "unknown"),
        ({"token": "byl_chosen"}, "/token", "unknown"),
    ],
)
def test_what_does_not_fit_is_a_400(
    anna: Person, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = anna.http.post(PATH, json=WANTED | fields)
    assert told(answer) == (400, "invalid-request")
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in answer.json()["errors"]]


def test_a_scope_given_twice_is_one(anna: Person) -> None:
    assert create(anna, scopes=["users:read", "users:read"])["scopes"] == ["users:read"]


def test_tokens_are_listed_newest_first_page_by_page(
    server: Server, anna: Person, ben: Person
) -> None:
    made = [create(anna, name=f"Program {n}")["id"] for n in range(5)]
    create(ben)
    found, place = [], f"{PATH}?limit=2"
    while place:
        answer = anna.http.get(place)
        found += [one["id"] for one in answer.json()]
        place = answer.links.get("next", {}).get("url", "")
    assert found == made[::-1]


def test_an_expired_token_is_refused_and_not_listed(server: Server, anna: Person) -> None:
    token, other = give(anna), give(anna)
    expire(server, token)
    answer = server.client(token).get("/auth/me")
    assert told(answer) == (401, "token-expired")
    assert [one["prefix"] for one in anna.http.get(PATH).json()] == [other[:8]]


def test_nobody_has_more_valid_tokens_than_allowed(server: Server, anna: Person) -> None:
    tokens = [give(anna, "users:read") for _ in range(MAX_TOKENS_PER_USER)]
    assert told(anna.http.post(PATH, json=WANTED)) == (409, "too-many-tokens")
    assert len(anna.http.get(f"{PATH}?limit=100").json()) == MAX_TOKENS_PER_USER
    expire(server, tokens[0])
    create(anna)


def test_a_revoked_token_stops_working_at_once(server: Server, anna: Person, ben: Person) -> None:
    token, other = create(anna), create(anna)
    client = server.client(token["token"])
    assert client.get("/auth/me").status_code == 200
    assert told(ben.http.delete(f"{PATH}/{token['id']}")) == (404, "not-found")
    assert client.get("/auth/me").status_code == 200
    assert anna.http.delete(f"{PATH}/{token['id']}").status_code == 204
    assert told(client.get("/auth/me")) == (401, "invalid-token")
    assert told(anna.http.delete(f"{PATH}/{token['id']}")) == (404, "not-found")
    assert server.client(other["token"]).get("/auth/me").status_code == 200


def test_the_last_use_is_remembered_to_the_hour(server: Server, anna: Person) -> None:
    token = give(anna, "account:read")
    client = server.client(token)
    for _ in range(2):
        assert client.get("/auth/me").status_code == 200
        [shown] = anna.http.get(PATH).json()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00\.000Z", shown["last_used_at"])
        assert datetime.now(UTC) - moment(shown["last_used_at"]) < timedelta(hours=1, seconds=60)
    change(server, token, last_used_at="2026-01-02T03:00:00.000Z")
    assert client.post(PATH, json=WANTED).status_code == 403  # without a scope there is no use
    assert anna.http.get(PATH).json()[0]["last_used_at"] == "2026-01-02T03:00:00.000Z"
    assert client.patch(f"/api/users/{anna.id}", json={"bio": ""}).status_code in {403, 428}
    assert anna.http.get(PATH).json()[0]["last_used_at"] > "2026-01-02T03:00:00.000Z"


def test_a_use_is_written_once_an_hour(server: Server, anna: Person) -> None:
    token = give(anna, "account:read")
    client = server.client(token)
    client.get("/auth/me")
    noted = row(server, token).last_used_at
    writes: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PersonalToken, "note_use", writes.append)
        for _ in range(3):
            assert client.get("/auth/me").status_code == 200
        assert writes == []
        earlier = datetime.fromisoformat(noted if isinstance(noted, str) else rfc3339(noted))
        change(server, token, last_used_at=rfc3339(earlier - timedelta(hours=1)))
        assert client.get("/auth/me").status_code == 200
    assert len(writes) == 1


def test_a_token_reads_on_while_its_use_cannot_be_written(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.engine.problems import Unavailable

    def refuse(_: str) -> None:
        raise Unavailable

    monkeypatch.setattr(PersonalToken, "note_use", refuse)
    client = server.client(give(anna, "account:read"))
    for _ in range(2):
        assert client.get("/auth/me").status_code == 200
    [shown] = anna.http.get(PATH).json()
    assert shown["last_used_at"] is None


def test_making_and_revoking_are_audit_events_of_the_user(anna: Person) -> None:
    made = create(anna)
    anna.http.delete(f"{PATH}/{made['id']}")
    events = listed(anna.http)
    assert [event["action"] for event in events][:2] == [
        "personal-token-revoked",
        "personal-token-created",
    ]
    assert {event["actor_id"] for event in events[:2]} == {anna.id}


def test_the_owner_is_told_by_mail_and_not_by_the_name_of_the_token(
    server: Server, anna: Person
) -> None:
    server.verify(anna)
    made = create(anna, name="Your account is at risk, see https://evil.example/")
    [mail] = server.mailbox.wait(anna.email, "A personal token was created")
    assert f"{made['prefix']}..." in text(mail)
    assert "from the address 127.0.0.1" in text(mail)
    for part in mail.walk():
        if not part.is_multipart():
            assert "evil" not in part.get_content()
            assert made["token"][9:] not in part.get_content()


def test_conditional_requests_work_with_a_token(server: Server, anna: Person) -> None:
    client = server.client(give(anna, "account:read", "users:write"))
    tag = client.get("/auth/me").headers["ETag"]
    assert client.get("/auth/me", headers={"If-None-Match": tag}).status_code == 304
    place = f"/api/users/{anna.id}"
    changed = client.patch(place, json={"bio": "By a program"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["bio"]) == (200, "By a program")
    stale = client.patch(place, json={"bio": "Again"}, headers={"If-Match": tag})
    assert told(stale) == (412, "precondition-failed")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_is_a_bearer_token_and_nothing_else(
    server: Server, anna: Person, scheme: str
) -> None:
    token = give(anna)
    with server.client(Authorization=f"{scheme} {token}") as client:
        assert client.get("/auth/me").status_code == 200
    for headers in ({"Authorization": f"Token {token}"}, {"X-Api-Key": token}, {"Cookie": token}):
        with server.client(**headers) as client:
            assert told(client.get("/auth/me")) == (401, "authentication-required")
    with server.client() as client:
        assert client.get("/auth/me", params={"access_token": token}).status_code in {400, 401}


def test_public_operations_do_not_look_at_a_token(anonymous: httpx.Client, anna: Person) -> None:
    wrong = {"Authorization": "Bearer byl_nonsense"}
    assert anonymous.get("/api/users", headers=wrong).status_code == 200
    assert set(SCOPES) >= {"account:read", "users:write"}
