"""A change of address that its owner did not make is told to the old address, and undone there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from sqlalchemy import ColumnElement, select, update

from service.engine.ids import first_id_from, rfc3339
from service.models import AuditEvent, Mail, Passkey, RecoveryCode, TotpFactor
from service.models.mails import EMAIL_CHANGED
from tests.kit.accounts import ANY, told
from tests.kit.at_once import at_once, rows, statuses
from tests.kit.mailbox import text
from tests.kit.mails import (
    CHANGE,
    CHANGED,
    INVALID,
    NEW_PASSWORD,
    RESET,
    VERIFICATION,
    all_sent,
    change,
    confirm,
    dispute,
    fresh,
    moved,
    request_reset,
    reset,
    undo,
    verify,
)
from tests.kit.passkeys import added, authenticator, signed_in
from tests.kit.second_factors import add_app
from tests.kit.serving import PASSWORD, Person, Server


@pytest.fixture
def victim(anna: Person) -> Person:
    """A user with a verified address, whose password and session a thief has."""
    verify(anna)
    return anna


def login(http: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return http.post("/auth/login", json={"email": email, "password": password})


def notice(person: Person, address: str, number: int = 1) -> str:
    return person.server.mailbox.token(address, CHANGED, number)


def email_of(person: Person) -> tuple[str, bool]:
    admin = person.server.make_admin(person.server.sign_up())
    [account] = [a for a in admin.http.get("/api/accounts").json() if a["id"] == person.id]
    return account["email"], account["email_verified"]


def test_undoing_a_change_gives_the_account_back_to_the_old_address(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    new = moved(victim)
    token = notice(victim, victim.email)
    assert undo(anonymous, token).status_code == 204
    assert told(victim.http.get("/auth/me")) == (401, "session-revoked")
    assert email_of(victim) == (victim.email, True)
    for address in (new, victim.email):
        assert told(login(anonymous, address)) == (401, "invalid-credentials")
    link = server.mailbox.token(victim.email, RESET)
    assert reset(anonymous, link).status_code == 204
    assert login(anonymous, victim.email, NEW_PASSWORD).status_code == 200
    assert told(undo(anonymous, token)) == INVALID


def test_a_notice_names_no_other_address_and_has_a_link(server: Server, victim: Person) -> None:
    new = moved(victim)
    [mail] = server.mailbox.wait(victim.email, CHANGED)
    assert f"{server.settings.public_url}/#/undo-email?token=" in text(mail)
    assert "from the address 127.0.0.1." in text(mail)
    assert new not in str(mail)


def test_an_unverified_old_address_cannot_undo_a_change(server: Server, anna: Person) -> None:
    moved(anna)
    all_sent(server)
    assert server.mailbox.to(anna.email, CHANGED) == []


def test_undoing_reverts_two_changes_of_address_and_a_changed_password(
    anonymous: httpx.Client, victim: Person
) -> None:
    second = moved(victim)
    answer = victim.http.put(
        "/auth/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    )
    assert answer.status_code == 200
    thief = victim.server.sign_in(second, NEW_PASSWORD)
    third = moved(thief, NEW_PASSWORD)
    theirs = notice(victim, second)
    assert undo(anonymous, notice(victim, victim.email)).status_code == 204
    assert email_of(victim) == (victim.email, True)
    assert told(undo(anonymous, theirs)) == INVALID
    for address in (second, third):
        assert told(login(anonymous, address, NEW_PASSWORD)) == (401, "invalid-credentials")


def test_after_undoing_the_last_change_the_first_can_still_be_undone(
    anonymous: httpx.Client, victim: Person
) -> None:
    second = moved(victim)
    thief = victim.server.sign_in(second)
    moved(thief)
    assert undo(anonymous, notice(victim, second)).status_code == 204
    assert email_of(victim) == (second, True)
    assert undo(anonymous, notice(victim, victim.email)).status_code == 204
    assert email_of(victim) == (victim.email, True)


def test_an_unverified_account_with_the_old_address_does_not_prevent_an_undo(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    moved(victim)
    squatter = server.sign_up(email=victim.email)
    assert undo(anonymous, notice(victim, victim.email)).status_code == 204
    assert told(squatter.http.get("/auth/me")) == (401, "session-revoked")
    assert email_of(victim) == (victim.email, True)


def test_an_old_address_that_another_account_has_verified_stays_there(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    new = moved(victim)
    other = server.sign_up(email=victim.email)
    verify(other)
    token = notice(victim, victim.email)
    assert told(undo(anonymous, token)) == INVALID
    assert other.http.get("/auth/me").json()["email"] == victim.email
    assert victim.http.get("/auth/me").json()["email"] == new


def test_a_change_of_address_requested_meanwhile_ends(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    moved(victim)
    again = fresh()
    change(victim, again)
    pending = server.mailbox.token(again, CHANGE)
    assert undo(anonymous, notice(victim, victim.email)).status_code == 204
    assert told(confirm(anonymous, pending)) == INVALID


def test_a_change_is_undone_for_seven_days_from_the_change_on(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    before = datetime.now(UTC)
    moved(victim)
    token = notice(victim, victim.email)
    its = (Mail.user_id == victim.id, Mail.kind == EMAIL_CHANGED)
    [[expires_at]] = server.execute(select(Mail.expires_at).where(*its))
    earliest, latest = before + timedelta(days=7), datetime.now(UTC) + timedelta(days=7)
    assert rfc3339(earliest) <= expires_at <= rfc3339(latest)
    server.execute(update(Mail).where(*its).values(expires_at=rfc3339(before)))
    assert told(undo(anonymous, token)) == INVALID


def test_the_link_of_a_delayed_notice_expires_seven_days_after_the_change(
    server: Server, victim: Person
) -> None:
    moved(victim)
    notice(victim, victim.email)
    late = first_id_from(datetime.now(UTC) - timedelta(days=2))
    its = (Mail.user_id == victim.id, Mail.kind == EMAIL_CHANGED)
    due = {"id": str(late), "due_at": rfc3339(datetime.now(UTC)), "attempts": 0}
    server.execute(update(Mail).where(*its).values(due))
    server.flask.extensions["delivery"].wake()
    notice(victim, victim.email, 2)
    all_sent(server)
    [[expires_at]] = server.execute(select(Mail.expires_at).where(*its))
    assert expires_at <= rfc3339(datetime.now(UTC) + timedelta(days=5))


def test_a_disabled_or_deleted_account_does_not_come_back(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    moved(victim)
    token = notice(victim, victim.email)
    admin = server.make_admin(server.sign_up())
    path = f"/api/users/{victim.id}"
    assert admin.http.patch(path, json={"disabled": True}, headers=ANY).status_code in (200, 409)
    assert told(undo(anonymous, token)) == INVALID
    assert admin.http.patch(path, json={"disabled": False}, headers=ANY).status_code == 200
    assert admin.http.delete(path).status_code == 204
    assert told(undo(anonymous, token)) == INVALID


def test_a_token_of_another_kind_cannot_undo_a_change(
    server: Server, anonymous: httpx.Client, victim: Person
) -> None:
    verification = server.mailbox.token(server.sign_up().email, VERIFICATION)
    request_reset(anonymous, victim.email)
    for token in ("x", verification, server.mailbox.token(victim.email, RESET)):
        assert told(undo(anonymous, token)) == INVALID
    moved(victim)
    changed = notice(victim, victim.email)
    for use in (confirm, dispute, reset):
        assert told(use(anonymous, changed)) == INVALID


def test_one_of_several_concurrent_undo_requests_succeeds(server: Server, victim: Person) -> None:
    moved(victim)
    token = notice(victim, victim.email)
    with server.client() as crowd:
        answers = at_once(*[partial(undo, crowd, token)] * 8)
    assert statuses(answers) == {204: 1, 400: 7}
    assert email_of(victim) == (victim.email, True)


def test_undoing_removes_the_passkeys_that_a_thief_may_have_added(
    server: Server, victim: Person
) -> None:
    hers, thiefs, later = (authenticator(server) for _ in range(3))
    added(victim, hers)
    long_ago = rfc3339(datetime.now(UTC) - timedelta(days=8))
    mine = Passkey.user_id == victim.id
    server.execute(update(Passkey).where(mine).values(created_at=long_ago))
    added(victim, thiefs)
    moved(victim)
    added(victim, later)
    assert undo(victim.http, notice(victim, victim.email)).status_code == 204
    with server.client() as http:
        assert told(signed_in(http, thiefs)) == (401, "passkey-unknown")
        assert told(signed_in(http, later)) == (401, "passkey-unknown")
        assert signed_in(http, hers).status_code == 200


def has_app(person: Person, days: int) -> ColumnElement[bool]:
    """Give a user an app, added so many days ago; the condition that selects it."""
    add_app(person)
    moment = datetime.now(UTC) - timedelta(days=days)
    its = TotpFactor.user_id == person.id
    event = AuditEvent.user_id == person.id, AuditEvent.action == "totp-added"
    person.server.execute(update(TotpFactor).where(its).values(created_at=rfc3339(moment)))
    person.server.execute(update(AuditEvent).where(*event).values(id=str(first_id_from(moment))))
    return its


def test_undoing_removes_recovery_codes_that_a_thief_may_have_renewed(victim: Person) -> None:
    app = has_app(victim, days=8)
    assert victim.http.post("/auth/recovery-codes").status_code == 200
    moved(victim)
    assert undo(victim.http, notice(victim, victim.email)).status_code == 204
    assert rows(victim.server, app)
    assert not rows(victim.server, RecoveryCode.user_id == victim.id)


@pytest.mark.parametrize(("days", "stays"), [(0, False), (8, True)])
def test_undoing_removes_an_app_that_a_thief_may_have_added(
    victim: Person, days: int, stays: bool
) -> None:
    mine = has_app(victim, days)
    moved(victim)
    assert undo(victim.http, notice(victim, victim.email)).status_code == 204
    assert rows(victim.server, mine) == stays
    assert bool(rows(victim.server, RecoveryCode.user_id == victim.id)) == stays
