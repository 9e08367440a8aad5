"""A deleted account is gone for everybody at once, although its rows are removed later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, func, insert, select, update

from service.accounts import erasure
from service.models import Deletion, IdempotencyKey, KnownNetwork, Mail, Session, User
from tests.kit.accounts import ANY, listed, told
from tests.kit.exports import give_sessions
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until
from tests.kit.waking import until_done

OWNED = (Session.user_id, IdempotencyKey.user_id, KnownNetwork.user_id, Mail.user_id)


@pytest.fixture
def rows_stay(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Nothing is removed, until the test calls this."""
    monkeypatch.setattr(Deletion, "claim", classmethod(lambda _: None))
    return monkeypatch.undo


def delete_account(person: Person) -> None:
    assert person.http.delete(f"/api/users/{person.id}").status_code == 204


def rows(server: Server, person: Person) -> list[int]:
    """How many rows each table has of an account."""
    counts = [select(func.count()).where(owner == person.id) for owner in (User.id, *OWNED)]
    return [server.execute(count)[0][0] for count in counts]


def test_the_profile_of_a_deleted_account_is_a_404_at_once(
    server: Server, anonymous: httpx.Client, anna: Person, ben: Person, rows_stay: Any
) -> None:
    path = f"/api/users/{anna.id}"
    tag = anonymous.get(path).headers["etag"]
    delete_account(anna)
    assert rows(server, anna)[:2] == [1, 1]
    for headers in ({}, {"If-None-Match": tag}):
        assert told(anonymous.get(path, headers=headers)) == (404, "not-found")
    assert anonymous.get("/api/users", params={"username": anna.username}).json() == []
    users = [user["id"] for user in listed(anonymous, "/api/users", limit=100)]
    assert anna.id not in users
    assert ben.id in users


def test_the_tokens_of_a_deleted_account_stop_working_at_once(
    server: Server, anonymous: httpx.Client, anna: Person, rows_stay: Any
) -> None:
    delete_account(anna)
    refresh = server.client(anna.tokens["refresh_token"])
    assert told(refresh.post("/auth/refresh")) == (401, "session-revoked")
    for path in ("/auth/me", "/auth/sessions", "/auth/export", "/api/audit-events"):
        assert told(anna.http.get(path)) == (401, "session-revoked")
    change = {"current_password": PASSWORD, "new_password": "another one, too late"}
    assert told(anna.http.put("/auth/password", json=change)) == (401, "session-revoked")
    credentials = {"email": anna.email, "password": PASSWORD}
    assert told(anonymous.post("/auth/login", json=credentials)) == (401, "invalid-credentials")
    again = server.sign_up(email=anna.email)
    assert again.id != anna.id
    assert len(again.http.get("/auth/sessions").json()) == 1


def test_administrators_do_not_see_a_deleted_account_before_its_rows_are_removed(
    anonymous: httpx.Client, anna: Person, admin: Person, rows_stay: Any
) -> None:
    delete_account(anna)
    assert admin.http.get("/api/accounts", params={"email": anna.email}).json() == []
    for query in ({}, {"disabled": True}):
        accounts = listed(admin.http, "/api/accounts", limit=100, **query)
        assert anna.id not in [account["id"] for account in accounts]
    path = f"/api/users/{anna.id}"
    for changes in ({"disabled": False}, {"bio": "x"}):
        answer = admin.http.patch(path, json=changes, headers=ANY)
        assert told(answer) == (404, "not-found")
    assert told(admin.http.delete(path)) == (404, "not-found")
    assert told(admin.http.delete(path, headers=ANY)) == (404, "not-found")


def test_everything_a_deleted_account_owned_is_removed_in_small_batches(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_sessions(anna, ["A browser"] * 12)
    kept = {
        "user_id": anna.id,
        "operation": "create_user",
        "expires_at": "2999-01-01T00:00:00.000Z",
    }
    kept |= {"fingerprint": "0" * 64, "status": 201, "headers": "{}", "body": b"{}"}
    keys = [{**kept, "key": str(number)} for number in range(12)]
    server.execute(insert(IdempotencyKey), keys)
    assert rows(server, anna)[1:3] == [13, 12]
    sizes: list[int] = []
    remove = erasure.deletions.OwnedRows.remove

    def counted(owned: Any, keys: Any) -> None:
        sizes.append(len(keys))
        remove(owned, keys)

    monkeypatch.setattr(erasure, "MAX_ROWS_PER_BATCH", 5)
    monkeypatch.setattr(erasure.deletions.OwnedRows, "remove", counted)
    delete_account(anna)
    until(lambda: rows(server, anna) == [0] * 5)
    assert max(sizes) <= 5
    assert sum(sizes) >= 13 + 12
    left = server.execute(select(func.count()).where(Deletion.user_id == anna.id))
    assert left == [(0,)]


def test_removal_continues_after_a_failure_in_the_middle(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "MAX_ROWS_PER_BATCH", 3)
    monkeypatch.setattr(erasure.deletions, "LEASE", erasure.deletions.LEASE * 0)
    give_sessions(anna, ["A browser"] * 20)
    remove = erasure.deletions.OwnedRows.remove
    calls: list[int] = []

    def fails(owned: Any, keys: Any) -> None:
        calls.append(len(keys))
        if len(calls) % 2:
            raise RuntimeError
        remove(owned, keys)

    monkeypatch.setattr(erasure.deletions.OwnedRows, "remove", fails)
    delete_account(anna)
    until_done(lambda: rows(server, anna) == [0] * 5)
    assert len(calls) > 10


def test_a_row_written_to_a_hidden_account_is_removed_too(
    server: Server, anna: Person, rows_stay: Callable[[], None]
) -> None:
    delete_account(anna)
    before = rows(server, anna)[1]
    give_sessions(anna, ["Too late"])
    assert rows(server, anna)[1] == before + 1
    rows_stay()
    server.flask.extensions["erasure"].wake()
    until(lambda: rows(server, anna) == [0] * 5)


def test_the_metrics_show_how_many_deletions_wait(
    server: Server, anonymous: httpx.Client, anna: Person, rows_stay: Any
) -> None:
    def waiting() -> float:
        text = anonymous.get("/metrics").text
        [line] = [row for row in text.splitlines() if row.startswith("byline_deletions_waiting ")]
        return float(line.split()[1])

    before = waiting()
    delete_account(anna)
    until(lambda: waiting() == before + 1)
    server.execute(update(Deletion).values(due_at=Deletion.created_at))
    server.execute(delete(User).where(User.id == anna.id))
    until(lambda: waiting() == before)
