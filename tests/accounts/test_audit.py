"""Reading audit events: who sees them, how they are filtered, and that they remain."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, select

import service
from service.engine.ids import created_at, first_id_from, new_id, rfc3339
from service.models import AuditEvent
from tests.kit.accounts import ANY, patch, told
from tests.kit.events import (
    ADMIN_AT,
    ANNA_AT,
    ELSEWHERE,
    PATH,
    Scene,
    latest,
    listed,
    written,
)
from tests.kit.serving import PASSWORD, Person, Server, serving


def actions(events: list[dict[str, Any]]) -> list[str]:
    return [event["action"] for event in events]


def fail_to_sign_in(server: Server, email: str) -> httpx.Response:
    with server.client() as client:
        return client.post("/auth/login", json={"email": email, "password": "wrong"})


def add(server: Server, *, user_id: str, days_ago: int = 0, **fields: Any) -> str:
    """An event as it might have been written so many days ago; its id."""
    past = first_id_from(datetime.now(UTC) - timedelta(days=days_ago)).int
    id_ = str(UUID(int=past | new_id().int & (1 << 62) - 1)) if days_ago else str(new_id())
    event = {"action": "login", "actor_id": user_id, "ip": "127.0.0.1"} | fields
    server.execute(insert(AuditEvent), {"id": id_, "user_id": user_id, **event})
    return id_


def test_an_event_says_what_was_done_by_whom_to_whom_and_when(anna: Person) -> None:
    login, register = listed(anna.http)
    assert login == {
        "id": login["id"],
        "action": "login",
        "actor_id": anna.id,
        "user_id": anna.id,
        "ip": "127.0.0.1",
        "created_at": created_at(UUID(login["id"])),
    }
    assert register["action"] == "register"
    assert register["created_at"] >= anna.tokens["user"]["created_at"]


def test_a_user_sees_only_the_events_of_their_own_account(
    server: Server, anna: Person, ben: Person, admin: Person
) -> None:
    fail_to_sign_in(server, anna.email)
    patch(admin.http, server.verify(anna), role="admin")
    patch(admin.http, anna, role="user")
    ben.http.delete(f"/api/users/{anna.id}")
    assert actions(listed(anna.http)) == [
        *["role-changed"] * 2,
        "login-failed",
        "login",
        "register",
    ]
    assert actions(listed(ben.http)) == ["login", "register"]
    for person in (anna, ben):
        assert {event["user_id"] for event in listed(person.http)} == {person.id}
        for filters in ({"actor_id": admin.id}, {"action": "user-created"}):
            assert {event["user_id"] for event in listed(person.http, **filters)} <= {person.id}


def test_an_admin_sees_all_events_and_a_former_admin_only_their_own(
    server: Server, anna: Person, ben: Person, admin: Person
) -> None:
    since = {"created_after": rfc3339(datetime.now(UTC) - timedelta(minutes=10))}
    fail_to_sign_in(server, "nobody@example.com")
    everything = listed(admin.http, **since)
    assert {anna.id, ben.id, admin.id, None} <= {event["user_id"] for event in everything}
    table = AuditEvent.__table__
    rows = server.execute(select(table).where(table.c.id >= everything[-1]["id"]))
    shown = {tuple(event[column.name] for column in table.c) for event in everything}
    assert shown == {tuple(row) for row in rows}
    server.make_admin(anna)
    assert patch(anna.http, admin, role="user").is_success
    assert {event["user_id"] for event in listed(admin.http)} == {admin.id}


def test_the_network_address_of_an_admin_is_shown_to_admins_only(
    server: Server, serve: Callable[..., Server]
) -> None:
    settings = {name: getattr(server.settings, name) for name in ("database_url", "mail_dir")}
    proxied = serve(trusted_proxies="127.0.0.1", **settings)
    scene = Scene(proxied, proxied.sign_up(), proxied.make_admin(proxied.sign_up()))
    scene.nobody.post("/auth/login", json={"email": scene.anna.email, "password": "wrong"})
    scene.anna.http.delete("/auth/sessions")
    scene.anna.http.get("/auth/export")
    patch(scene.admin.http, proxied.verify(scene.anna), role="admin")
    patch(scene.admin.http, scene.anna, role="user")

    def places(http: httpx.Client) -> list[tuple[str, str]]:
        found = listed(http, created_after=scene.anna.tokens["user"]["created_at"])
        return [(e["action"], e["ip"]) for e in found if e["user_id"] == scene.anna.id][:4]

    changed, hidden = ("role-changed", ADMIN_AT), ("role-changed", "")
    rest = [("account-exported", ANNA_AT), ("login-failed", ELSEWHERE)]
    assert places(scene.admin.http) == [changed, changed, *rest]
    assert places(scene.anna.http) == [hidden, hidden, *rest]
    exported = scene.anna.http.get("/auth/export").text
    assert ADMIN_AT not in exported
    assert ELSEWHERE in exported


@pytest.fixture
def past(server: Server, anna: Person, ben: Person) -> dict[str, str]:
    """Events about Anna, by name, the oldest first."""
    by_ben = {"actor_id": ben.id}
    return {
        "old": add(server, user_id=anna.id, days_ago=9, action="logout"),
        "role": add(server, user_id=anna.id, days_ago=8, action="role-changed", **by_ben),
        "failed": add(server, user_id=anna.id, days_ago=7, action="login-failed", actor_id=None),
        "new role": add(server, user_id=anna.id, days_ago=5, action="role-changed", **by_ben),
        "new": add(server, user_id=anna.id, days_ago=4, action="logout"),
    }


BY_ANNA, BY_BEN = {"actor_id": "anna"}, {"actor_id": "ben"}
LATE = {"created_after": timedelta(days=6)}
ROLE = {"action": "role-changed"}
FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"old", "role", "failed", "new role", "new"}),
    (BY_ANNA, {"old", "new"}),
    (BY_BEN, {"role", "new role"}),
    (ROLE, {"role", "new role"}),
    ({"action": "login-failed"}, {"failed"}),
    ({"action": "user-deleted"}, set()),
    (LATE, {"new role", "new"}),
    (BY_ANNA | ROLE, set()),
    (BY_ANNA | LATE, {"new"}),
    (ROLE | LATE, {"new role"}),
    (BY_BEN | ROLE | LATE, {"new role"}),
    ({"created_after": timedelta(days=-1)}, set()),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_filters_work_alone_and_combined(
    filters: dict[str, Any],
    expected: set[str],
    past: dict[str, str],
    anna: Person,
    ben: Person,
    admin: Person,
) -> None:
    people = {"anna": anna.id, "ben": ben.id}
    query = {name: people.get(value, value) for name, value in filters.items()}
    if "created_after" in query:
        query["created_after"] = rfc3339(datetime.now(UTC) - query["created_after"])
    for reader in (anna, admin):
        found = [event["id"] for event in listed(reader.http, **query)]
        assert {name for name, id_ in past.items() if id_ in found} == expected
        assert found == sorted(set(found), reverse=True)


def test_created_after_excludes_the_given_moment(anna: Person) -> None:
    login, register = listed(anna.http)
    for moment in (register["created_at"], login["created_at"]):
        later = [event for event in (login, register) if event["created_at"] > moment]
        assert listed(anna.http, created_after=moment) == later


@pytest.mark.parametrize(
    "query",
    [
        {"action": "signup"},
        {"action": ""},
        {"action": "LOGIN"},
        {"action": ["login", "logout"]},
        {"actor_id": "anna"},
        {"created_after": "yesterday"},
        {"user_id": str(uuid4())},
        {"limit": 101},
        {"after": "1"},
    ],
)
def test_an_invalid_filter_is_refused(query: dict[str, Any], anna: Person) -> None:
    assert told(anna.http.get(PATH, params=query)) == (400, "invalid-request")


def test_listing_events_requires_a_token(anonymous: httpx.Client) -> None:
    assert told(anonymous.get(PATH)) == (401, "authentication-required")


@pytest.mark.parametrize(
    ("events", "limit", "pages"), [(240, 100, 3), (240, 40, 6), (241, 40, 7), (7, 1, 7)]
)
def test_links_lead_through_all_events_once(
    events: int, limit: int, pages: int, server: Server, anna: Person, admin: Person
) -> None:
    done = {"action": "login", "actor_id": admin.id, "user_id": anna.id, "ip": ""}
    ids = [str(new_id()) for _ in range(events)]
    server.execute(insert(AuditEvent), [{"id": id_, **done} for id_ in ids])
    asked: list[httpx.Response] = []
    anna.http.event_hooks["response"].append(asked.append)
    found = listed(anna.http, limit=limit, actor_id=admin.id)
    assert [event["id"] for event in found] == ids[::-1]
    assert len(asked) == pages
    assert all(f"actor_id={admin.id}" in str(answer.url) for answer in asked)


def test_events_remain_after_their_user_is_deleted(
    server: Server, anna: Person, admin: Person
) -> None:
    patch(admin.http, anna, disabled=True)
    before = written(server, str(UUID(int=0)))
    assert admin.http.delete(f"/api/users/{anna.id}", headers=ANY).is_success
    assert written(server, str(UUID(int=0)))[:-1] == before
    hers = [e for e in listed(admin.http, limit=100) if e["user_id"] == anna.id]
    assert actions(hers) == ["user-deleted", "user-disabled", "login", "register"]
    assert actions(listed(admin.http, actor_id=anna.id)) == ["login", "register"]


def test_no_statement_of_the_service_changes_an_event() -> None:
    change = re.compile(
        r"(update|delete)\(\s*(AuditEvent|audit_events)|(UPDATE|DELETE FROM)\s+audit_events"
        r"|(delete|merge)\(event\b"
    )
    sources = list(Path(service.__file__).parent.rglob("*.py"))
    assert any("AuditEvent" in source.read_text() for source in sources)
    assert [str(source) for source in sources if change.search(source.read_text())] == []


def test_concurrent_changes_are_all_recorded(
    server: Server, anna: Person, ben: Person, admin: Person
) -> None:
    server.verify(anna)
    sign_in = partial(ben.http.post, "/auth/login", json={"email": ben.email, "password": PASSWORD})
    calls: list[Callable[[], httpx.Response]] = [
        *[partial(fail_to_sign_in, server, anna.email)] * 8,
        *[sign_in] * 8,
        *[partial(patch, admin.http, anna, role=role) for role in ("admin", "user") * 4],
    ]
    barrier = Barrier(len(calls))

    def start(call: Callable[[], httpx.Response]) -> int:
        barrier.wait()
        return call().status_code

    before = latest(server)
    with ThreadPoolExecutor(len(calls)) as threads:
        statuses = Counter(threads.map(start, calls))
    assert statuses == {401: 8, 200: 16}
    counted = Counter(action for action, *_ in written(server, before))
    assert (counted["login-failed"], counted["login"]) == (8, 8)
    # From user to admin and back: an odd number of changes ends with an admin.
    role = anna.http.get("/auth/me").json()["role"]
    assert role == ("admin" if counted["role-changed"] % 2 else "user")
    assert counted["role-changed"] > 0


@pytest.fixture(scope="module")
def guarded(server: Server, tmp_path_factory: Any) -> Iterator[Server]:
    """A server on the shared database whose login guard counts."""
    ample = dict.fromkeys(("client", "login", "register", "write"), "10000 per day")
    url, folder = server.settings.database_url, tmp_path_factory.mktemp("guarded")
    with serving(folder, database_url=url, rate_limit_enabled=True, rate_limits=ample) as running:
        yield running


def test_the_guard_limits_the_events_of_failed_sign_ins_to_ten(guarded: Server) -> None:
    anna = guarded.sign_up()
    before = latest(guarded)
    answers = [fail_to_sign_in(guarded, anna.email).status_code for _ in range(13)]
    assert answers == [401] * 10 + [429] * 3
    failed, blocked = (
        (action, None, anna.id, "127.0.0.1") for action in ("login-failed", "sign-in-blocked")
    )
    assert written(guarded, before) == [*[failed] * 10, blocked]
