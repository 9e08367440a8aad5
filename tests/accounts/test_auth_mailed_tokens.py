"""Mailed tokens: good once, for a while, for one thing, and until something ends them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import inspect, select, text, update

from service.domain.mails import SUBJECTS
from service.engine.database.transaction import db
from service.engine.ids import now, rfc3339
from service.models import Mail
from service.models.mails import EMAIL_CHANGE, EMAIL_VERIFICATION, PASSWORD_RESET
from tests.kit.accounts import patch as update_user
from tests.kit.accounts import told
from tests.kit.mails import (
    INVALID,
    KINDS,
    NEW_PASSWORD,
    VERIFICATION,
    all_sent,
    ask,
    confirm,
    hashed,
    held,
    mailed,
    reset,
    use,
)
from tests.kit.serving import PASSWORD, Person, Server

MINUTES = [(EMAIL_CHANGE, 24 * 60), (EMAIL_VERIFICATION, 24 * 60), (PASSWORD_RESET, 30)]
PATHS = {
    "/auth/password-resets": "POST",
    "/auth/password-resets/complete": "POST",
    "/auth/email": "PUT",
    "/auth/email-changes/undo": "POST",
    "/auth/email-verifications": "POST",
    "/auth/email-verifications/complete": "POST",
    "/auth/email-verifications/dispute": "POST",
}

each_kind = pytest.mark.parametrize("kind", KINDS)


def age(server: Server, token: str, **time: float) -> None:
    """Let a token have been sent so much earlier."""
    its = Mail.token_hash == hashed(token)
    [[expiry]] = server.execute(select(Mail.expires_at).where(its))
    earlier = rfc3339(datetime.fromisoformat(expiry) - timedelta(**time))
    server.execute(update(Mail).where(its).values(expires_at=earlier))


@each_kind
def test_a_mailed_token_can_be_used_once(kind: str, anonymous: httpx.Client, anna: Person) -> None:
    token = mailed(kind, anna)
    answer = use(kind, anonymous, token)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert told(use(kind, anonymous, token)) == INVALID


@pytest.mark.parametrize(("kind", "minutes"), MINUTES)
def test_a_mailed_token_expires(
    kind: str, minutes: int, anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    token = mailed(kind, anna)
    age(server, token, minutes=minutes - 1)
    assert use(kind, anonymous, token).status_code == 204


@pytest.mark.parametrize(("kind", "minutes"), MINUTES)
def test_an_expired_mailed_token_is_refused(
    kind: str, minutes: int, anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    token = mailed(kind, anna)
    age(server, token, minutes=minutes)
    assert told(use(kind, anonymous, token)) == INVALID
    assert anna.http.get("/auth/me").json() == anna.tokens["user"]
    server.sign_in(anna.email)


@each_kind
def test_a_mailed_token_of_one_kind_is_refused_for_another(
    kind: str, anonymous: httpx.Client, anna: Person
) -> None:
    token = mailed(kind, anna)
    other = confirm if kind == PASSWORD_RESET else reset
    assert told(other(anonymous, token)) == INVALID
    assert anna.http.get("/auth/me").json() == anna.tokens["user"]
    assert use(kind, anonymous, token).status_code == 204


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        ("x", "token-invalid"),
        (" ", "token-invalid"),
        ("x" * 100, "token-invalid"),
        ("t\u00f6ken", "token-invalid"),
        ("\U0001d4b3" * 100, "token-invalid"),
        ("' OR 1=1 --", "token-invalid"),
        ("%", "token-invalid"),
        ("", "invalid-request"),
        ("x" * 101, "invalid-request"),
        (None, "invalid-request"),
        (1, "invalid-request"),
        (["x"], "invalid-request"),
        ("\x00", "malformed-body"),
    ],
)
def test_a_malformed_mailed_token_is_refused(
    garbage: Any, code: str, anonymous: httpx.Client
) -> None:
    for answer in (confirm(anonymous, garbage), reset(anonymous, garbage)):
        assert told(answer) == (400, code)
        pointers = [error["pointer"] for error in answer.json().get("errors", [])]
        assert pointers == (["/token"] if code == "invalid-request" else [])


@each_kind
def test_a_nearly_correct_mailed_token_is_refused(
    kind: str, anonymous: httpx.Client, anna: Person
) -> None:
    token = mailed(kind, anna)
    changed = "A" if token[0] != "A" else "B"
    near = [token[:-1], f"{token}=", f" {token}", f"{token}\n", token.swapcase()]
    for almost in (*near, changed + token[1:], hashed(token)):
        answer = use(kind, anonymous, almost)
        assert told(answer) == INVALID
        assert almost not in answer.text
    assert use(kind, anonymous, token).status_code == 204


def test_the_database_contains_no_usable_token(server: Server, anna: Person) -> None:
    tokens = [mailed(kind, anna) for kind in KINDS]
    with server.flask.app_context():
        tables = inspect(db.engine).get_table_names()
    assert {"mails", "users", "audit_events"} <= set(tables)
    values = {
        table: [
            value if isinstance(value, bytes) else value.encode()
            for row in server.execute(text(f'SELECT * FROM "{table}"'))
            for value in row
            if isinstance(value, str | bytes)
        ]
        for table in tables
    }
    # Searched as one text each, because other tests leave thousands of rows.
    stored = {table: b"\0".join(found) for table, found in values.items()}
    for token in tokens:
        raw = base64.urlsafe_b64decode(f"{token}=")
        pieces = [token[start : start + 8] for start in range(len(token) - 7)]
        pieces += [raw.hex()[start : start + 12] for start in range(len(raw.hex()) - 11)]
        secrets = [raw, *(piece.encode() for piece in pieces)]
        told = [table for table, all_ in stored.items() if any(one in all_ for one in secrets)]
        assert told == []
        holders = [table for table, found in values.items() if hashed(token).encode() in found]
        assert holders == ["mails"]


@each_kind
def test_a_newer_token_replaces_the_older_one(
    kind: str, anonymous: httpx.Client, anna: Person
) -> None:
    older, newer = mailed(kind, anna), mailed(kind, anna, time=2)
    assert told(use(kind, anonymous, older)) == INVALID
    assert use(kind, anonymous, newer).status_code == 204


@pytest.mark.parametrize("kind", [EMAIL_CHANGE, PASSWORD_RESET])
def test_a_new_request_invalidates_the_older_token_at_once(
    kind: str, anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    older = mailed(kind, anna)
    with held(server):
        to = ask(kind, anna)
        assert told(use(kind, anonymous, older)) == INVALID
    newer = server.mailbox.token(to, SUBJECTS[kind], 2)
    assert use(kind, anonymous, newer).status_code == 204


@each_kind
def test_a_delayed_mail_does_not_invalidate_a_newer_token(
    kind: str, anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    server.mailbox.wait(anna.email, VERIFICATION)
    delivery = server.flask.extensions["delivery"]
    with held(server), patch.object(delivery, "_send", side_effect=OSError):
        ask(kind, anna)
        while delivery._deliver_one():  # in vain
            pass
    newer = mailed(kind, anna)
    with held(server):
        of_anna = (Mail.user_id == anna.id, Mail.due_at.is_not(None))
        server.execute(update(Mail).where(*of_anna).values(due_at=now()))
    all_sent(server)
    assert use(kind, anonymous, newer).status_code == 204


Ending = tuple[list[str], Callable[[], httpx.Response]]


@pytest.fixture(params=["new password", "reset", "new address", "disabling", "deletion"])
def ending(
    request: pytest.FixtureRequest, anonymous: httpx.Client, anna: Person, admin: Person
) -> Ending:
    """The kinds of Anna's tokens that something ends, and the call that does it."""
    if request.param == "reset":
        kinds = [kind for kind in KINDS if kind != PASSWORD_RESET]
        return kinds, partial(reset, anonymous, mailed(PASSWORD_RESET, anna))
    if request.param == "new address":
        kinds = [kind for kind in KINDS if kind != EMAIL_CHANGE]
        return kinds, partial(confirm, anonymous, mailed(EMAIL_CHANGE, anna))
    if request.param == "new password":
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        return KINDS, partial(anna.http.put, "/auth/password", json=body)
    if request.param == "disabling":
        return KINDS, partial(update_user, admin.http, anna, disabled=True)
    return KINDS, partial(anna.http.delete, f"/api/users/{anna.id}")


def test_ending_the_tokens_of_an_account_invalidates_sent_ones(
    ending: Ending, anonymous: httpx.Client, anna: Person
) -> None:
    kinds, end = ending
    tokens = {kind: mailed(kind, anna) for kind in kinds}
    assert end().is_success
    for kind, token in tokens.items():
        assert told(use(kind, anonymous, token)) == INVALID


def test_ending_the_tokens_of_an_account_cancels_queued_ones(
    ending: Ending, server: Server, anna: Person
) -> None:
    kinds, end = ending
    server.mailbox.wait(anna.email, VERIFICATION)
    with held(server):
        asked = [(ask(kind, anna), SUBJECTS[kind]) for kind in kinds]
        assert end().is_success
    all_sent(server)
    came = [subject for to, subject in asked for _ in server.mailbox.to(to, subject)]
    assert came == [VERIFICATION]  # of the registration


def test_disabling_ends_tokens_for_good(
    anonymous: httpx.Client, anna: Person, admin: Person
) -> None:
    tokens = {kind: mailed(kind, anna) for kind in KINDS}
    for disabled in (True, False):
        assert update_user(admin.http, anna, disabled=disabled).status_code == 200
    for kind, token in tokens.items():
        assert told(use(kind, anonymous, token)) == INVALID


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_not_allowed(path: str, anonymous: httpx.Client) -> None:
    for method in ("GET", "HEAD", "DELETE", "PATCH"):
        answer = anonymous.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == f"OPTIONS, {PATHS[path]}"


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_field_is_refused(path: str, anna: Person) -> None:
    known = {
        "/auth/password-resets": {"email": anna.email},
        "/auth/password-resets/complete": {"token": "x", "new_password": NEW_PASSWORD},
        "/auth/email": {"email": anna.email, "current_password": PASSWORD},
        "/auth/email-changes/undo": {"token": "x"},
        "/auth/email-verifications": {"email": anna.email},
        "/auth/email-verifications/complete": {"token": "x"},
        "/auth/email-verifications/dispute": {"token": "x"},
    }[path]
    answer = anna.http.request(PATHS[path], path, json=known | {"role": "admin"})
    assert told(answer) == (400, "invalid-request")
