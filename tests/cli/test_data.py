"""Administrators, demo data and purging."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from service import maintenance
from service.domain import passwords
from service.engine.ids import created_at, new_id, now, rfc3339
from service.models import (
    Challenge,
    Deletion,
    IdempotencyKey,
    KnownNetwork,
    Mail,
    MailCount,
    PendingTotp,
    PersonalToken,
    RestingUsername,
    Session,
    SignInGuard,
    User,
)
from tests.kit import postgres
from tests.kit.commands import NO_POSTS, PASSWORD, execute, rows


def test_create_admin_takes_the_password_from_standard_input(anywhere):
    ended = anywhere("create-admin --email Ada@Example.com", input=f"{PASSWORD}\n")

    assert ended.exit_code == 0, ended.output
    [ada] = rows(sa.select(User))
    assert (ada.email, ada.role, ada.email_verified) == ("Ada@Example.com", "admin", True)
    assert passwords.matches(ada.password_hash, PASSWORD)


@pytest.mark.parametrize(
    ("options", "password", "why"),
    [
        ("--email ada@example.com", "short", "at least 8 characters"),
        ("--email ada@example.com", "", "at least 8 characters"),
        ("--email ada", PASSWORD, "not an e-mail address"),
        ("--email ada@example.com --username Ada!", PASSWORD, "3 to 30"),
    ],
)
def test_create_admin_refuses_what_the_api_would(upgraded, options, password, why):
    ended = upgraded(f"create-admin {options}", input=f"{password}\n")

    assert ended.exit_code != 0
    assert why in ended.output
    assert rows(sa.select(User)) == []


@pytest.mark.parametrize("name", ["admin", "root", "byline"])
def test_create_admin_gives_a_reserved_name(anywhere, name):
    command = f"create-admin --email ada@example.com --username {name}"
    ended = anywhere(command, input=f"{PASSWORD}\n")

    assert ended.exit_code == 0, ended.output
    [ada] = rows(sa.select(User))
    assert (ada.username, ada.role) == (name, "admin")


def test_create_admin_names_the_upgrade_that_is_missing(byline):
    ended = byline("create-admin --email ada@example.com", input=f"{PASSWORD}\n")

    assert ended.output == "Error: The schema is empty: run `byline db upgrade` first.\n"


def test_demo_adds_what_is_asked_for_and_numbers_on(anywhere):
    for users in (3, 2, 0):
        ended = anywhere(f"demo --yes --users {users}{NO_POSTS}")
        assert ended.output.startswith(f"Added {users} users")

    people = rows(sa.select(User))
    assert {user.email for user in people} == {f"user{n}@example.com" for n in range(1, 6)}
    assert passwords.matches(people[0].password_hash, "demo-password")


def test_demo_users_agree_with_themselves(anywhere):
    anywhere(f"demo --yes --users 5{NO_POSTS}")

    year = rfc3339(datetime.now(UTC) - timedelta(days=366))
    for user in rows(sa.select(User)):
        assert year < user.created_at == user.updated_at <= now()
        assert created_at(UUID(user.id)) == user.created_at


def test_purge_removes_what_deleted_users_owned(anywhere):
    anywhere(f"demo --yes --users 2{NO_POSTS}")
    [kept, deleted] = [user.id for user in rows(sa.select(User.id).order_by(User.id))]
    until = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    execute(
        sa.insert(Session).values([_session(user, until) for user in [kept, deleted] * 20]),
        sa.update(User).where(User.id == deleted).values(deleted=True),
        sa.insert(Deletion).values(user_id=deleted, created_at=now(), due_at=now()),
    )

    ended = anywhere("purge")

    assert ("users", "1") in re.findall(r"(\w+) +(\d+) deleted", ended.output)
    assert [user.id for user in rows(sa.select(User.id))] == [kept]
    assert [session.user_id for session in rows(sa.select(Session))] == [kept] * 20


def test_purge_deletes_what_has_expired_and_nothing_else(anywhere, monkeypatch):
    monkeypatch.setattr(maintenance, "ROWS_PER_TRANSACTION", 2)
    anywhere(f"demo --yes --users 1{NO_POSTS}")
    [user] = rows(sa.select(User.id))
    past, future = (rfc3339(datetime.now(UTC) + timedelta(hours=h)) for h in (-1, 1))
    counted = {"a" * 64: past, "b" * 64: future}
    execute(
        sa.insert(Session).values([_session(user.id, moment) for moment in [past] * 5 + [future]]),
        sa.insert(IdempotencyKey).values(
            [_kept(user.id, f"key{n}", past if n else future) for n in range(4)]
        ),
        sa.insert(Mail).values([_mail(user.id, n, past) for n in range(3)]),
        sa.insert(MailCount).values(
            [{"recipient": name, "sent": "[]", "expires_at": at} for name, at in counted.items()]
        ),
        sa.insert(SignInGuard).values(
            [{"account": name, "history": "{}", "expires_at": at} for name, at in counted.items()]
        ),
        sa.insert(KnownNetwork).values(
            [
                {"user_id": user.id, "network": name[:9], "failures": 0, "expires_at": at}
                for name, at in counted.items()
            ]
        ),
        sa.insert(RestingUsername).values(
            [{"username": name[:9], "expires_at": at} for name, at in counted.items()]
        ),
        sa.insert(Challenge).values(
            [
                {"value_hash": name, "purpose": "a", "data": "", "tries": 0, "expires_at": at}
                for name, at in counted.items()
            ]
        ),
        sa.insert(PersonalToken).values(
            [_token(user.id, name, at) for name, at in counted.items()]
        ),
        sa.insert(PendingTotp).values(user_id=user.id, secret="", expires_at=past),
        sa.insert(Mail).values(
            [
                _mail(user.id, 3, past, due_at=past),
                _mail(user.id, 4, future),
                _mail(user.id, 5, None),
            ]
        ),
    )

    ended = anywhere("purge")

    assert re.findall(r"(\w+) +(\d+) deleted", ended.output) == [
        ("sessions", "5"),
        ("mails", "3"),
        ("mail_counts", "1"),
        ("idempotency_keys", "3"),
        ("sign_in_guards", "1"),
        ("known_networks", "1"),
        ("resting_usernames", "1"),
        ("challenges", "1"),
        ("personal_tokens", "1"),
        ("pending_totps", "1"),
        ("users", "0"),
    ]
    assert [row.expires_at for row in rows(sa.select(Session))] == [future]
    assert [row.key for row in rows(sa.select(IdempotencyKey))] == ["key0"]
    assert [row.recipient for row in rows(sa.select(MailCount))] == ["b" * 64]
    assert [row.account for row in rows(sa.select(SignInGuard))] == ["b" * 64]
    assert [row.network for row in rows(sa.select(KnownNetwork))] == ["b" * 9]
    assert [row.username for row in rows(sa.select(RestingUsername))] == ["b" * 9]
    assert not rows(sa.select(PendingTotp))
    assert [row.value_hash for row in rows(sa.select(Challenge))] == ["b" * 64]
    # Due once more, still good, or never sent: those are kept.
    left = {row.token_hash[-1] for row in rows(sa.select(Mail))}
    assert left == {"3", "4", "5"}


def _session(user_id, expires_at):
    moments = dict.fromkeys(("created_at", "last_used_at"), now())
    known = {"id": new_id(), "user_id": user_id, "generation": 0, "ip": "::1", "user_agent": ""}
    return {**known, **moments, "expires_at": expires_at}


def _kept(user_id, key, expires_at):
    named = {"user_id": user_id, "operation": "create_user", "key": key, "fingerprint": "f" * 64}
    return {**named, "status": 201, "headers": "{}", "body": b"{}", "expires_at": expires_at}


def _mail(user_id, number, expires_at, due_at=None):
    to = {"user_id": user_id, "kind": "password-reset", "recipient": "user1@example.com"}
    token = {"token_hash": f"{number:064}", "expires_at": expires_at}
    return {"id": new_id(), **to, "attempts": 1, "due_at": due_at, **token}


@pytest.mark.parametrize("command", [f"demo --users 1{NO_POSTS}", "db downgrade base"])
def test_changes_to_a_database_other_than_the_embedded_one_need_a_yes(byline, monkeypatch, command):
    monkeypatch.setenv("DATABASE_URL", postgres.start())
    byline("db upgrade")

    refused = byline(command)

    assert refused.exit_code == 2
    assert "Add --yes" in refused.output
    assert len(refused.output.splitlines()) == 1
    assert rows(sa.select(User)) == []
    assert byline(f"{command} --yes").exit_code == 0


@pytest.mark.parametrize(("answer", "users"), [("y", 1), ("n", 0), ("", 0)])
def test_a_terminal_gets_a_password_prompt(byline, monkeypatch, answer, users):
    monkeypatch.setenv("DATABASE_URL", postgres.start())
    byline("db upgrade")
    monkeypatch.setattr("service.cli._is_terminal", lambda: True)

    ended = byline(f"demo --users 1{NO_POSTS}", input=f"{answer}\n")

    assert ended.exit_code == (0 if users else 1)
    assert len(rows(sa.select(User))) == users


def _token(user_id: str, hash_: str, expires_at: str) -> dict[str, object]:
    words = {"prefix": "byl_", "name": "A program", "scopes": "users:read"}
    times = {"created_at": expires_at, "expires_at": expires_at}
    return {"id": str(new_id()), "user_id": user_id, "token_hash": hash_, **words, **times}
