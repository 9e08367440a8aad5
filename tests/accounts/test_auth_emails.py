"""Addresses: verifying one, and replacing it by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service.models import User
from tests.kit.accounts import patch, told
from tests.kit.mailbox import text
from tests.kit.mails import (
    CHANGE,
    NOTICE,
    VERIFICATION,
    all_sent,
    change,
    confirm,
    fresh,
    mailed,
    request_verification,
)
from tests.kit.serving import PASSWORD, Person, Server


def login(http: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return http.post("/auth/login", json={"email": email, "password": password})


def me(person: Person) -> dict[str, Any]:
    return person.http.get("/auth/me").json()


def verify(person: Person) -> None:
    token = person.server.mailbox.token(person.email, VERIFICATION)
    assert confirm(person.http, token).status_code == 204


# register, create_user


def test_the_mail_of_a_registration_verifies_the_address(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    assert me(anna)["email_verified"] is False
    [mail] = server.mailbox.wait(anna.email, VERIFICATION)
    token = server.mailbox.token(anna.email, VERIFICATION)
    assert f"{server.settings.public_url}/#/verify-email?token={token}" in text(mail)
    answer = confirm(anonymous, token)
    assert (answer.status_code, answer.content) == (204, b"")
    after = me(anna)
    assert after == anna.tokens["user"] | {
        "email_verified": True,
        "updated_at": after["updated_at"],
    }


def test_an_account_created_by_an_admin_is_verified_in_the_same_way(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    body = {"email": fresh(), "password": PASSWORD}
    made = admin.http.post("/api/users", json=body)
    assert (made.status_code, made.json()["email_verified"]) == (201, False)
    assert confirm(anonymous, server.mailbox.token(body["email"], VERIFICATION)).status_code == 204
    assert login(anonymous, body["email"]).json()["user"]["email_verified"] is True


def test_a_refused_registration_sends_nothing(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    unwanted = {"email": fresh(), "password": PASSWORD, "username": anna.username}
    for body in (unwanted, {"email": anna.email, "password": PASSWORD}):
        assert anonymous.post("/auth/register", json=body).status_code == 409
    all_sent(server)
    assert server.mailbox.to(unwanted["email"]) == []
    assert len(server.mailbox.to(anna.email)) == 1


# request_email_verification, complete_email_verification


def test_another_verification_mail_can_be_requested(anonymous: httpx.Client, anna: Person) -> None:
    assert confirm(anonymous, mailed("email-verification", anna)).status_code == 204
    assert me(anna)["email_verified"] is True


def test_nothing_is_sent_for_an_address_that_is_verified(server: Server, anna: Person) -> None:
    verify(anna)
    answer = request_verification(anna)
    assert (answer.status_code, answer.content) == (202, b"")
    all_sent(server)
    assert len(server.mailbox.to(anna.email)) == 1


def test_verifying_changes_the_tag_of_the_account_only(
    anonymous: httpx.Client, anna: Person
) -> None:
    paths = ["/auth/me", f"/api/users/{anna.id}"]
    paths.append(f"/api/posts/{anna.post()['id']}")  # posts
    before = [anna.http.get(path) for path in paths]
    verify(anna)
    for path, old in zip(paths, before, strict=True):
        new = anna.http.get(path)
        same_tag = new.headers["etag"] == old.headers["etag"]
        assert not same_tag or new.json() == old.json()
        asked = anna.http.get(path, headers={"If-None-Match": old.headers["etag"]})
        assert asked.status_code == (304 if same_tag else 200)
    assert anna.http.get("/auth/me").headers["etag"] != before[0].headers["etag"]
    stale = {"If-Match": before[0].headers["etag"]}
    changed = anna.http.patch(f"/api/users/{anna.id}", json={"bio": "x"}, headers=stale)
    assert told(changed) == (412, "precondition-failed")


# change_email


def test_the_new_address_replaces_the_old_one_once_it_is_confirmed(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    again, new = server.sign_in(anna.email), fresh()
    answer = change(anna, new)
    assert (answer.status_code, answer.content) == (202, b"")
    assert me(anna) == anna.tokens["user"]
    assert told(login(anonymous, new)) == (401, "invalid-credentials")
    assert login(anonymous, anna.email).status_code == 200
    tag = anna.http.get("/auth/me").headers["etag"]
    assert confirm(anonymous, server.mailbox.token(new, CHANGE)).status_code == 204
    assert told(login(anonymous, anna.email)) == (401, "invalid-credentials")
    assert login(anonymous, new).status_code == 200
    assert (me(anna)["email"], me(again)["email_verified"]) == (new, True)
    assert anna.http.get("/auth/me").headers["etag"] != tag


def test_an_admins_change_sends_a_notice_without_an_undo_link(server: Server, anna: Person) -> None:
    new = fresh()
    verify(anna)
    change(anna, new)
    [notice] = server.mailbox.wait(anna.email, NOTICE)
    assert "token" not in text(notice)
    assert new not in str(notice)
    [mail] = server.mailbox.wait(new, CHANGE)
    assert anna.email not in str(mail)
    assert anna.username not in str(mail)


def test_an_address_given_up_can_be_taken(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    new = fresh()
    change(anna, new)
    assert confirm(anonymous, server.mailbox.token(new, CHANGE)).status_code == 204
    assert server.sign_up(email=anna.email).id != anna.id
    taken = anonymous.post("/auth/register", json={"email": new, "password": PASSWORD})
    assert told(taken) == (409, "email-taken")


def test_the_new_address_is_kept_as_every_address_is(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    new = f"Anna-{fresh()}".replace(".com", "\uff0ecom")
    assert change(anna, new).status_code == 202
    token = server.mailbox.token(new.replace("\uff0e", "."), CHANGE)
    assert confirm(anonymous, token).status_code == 204
    assert me(anna)["email"] == new


def test_changing_to_a_taken_address_gets_the_usual_answer(
    anonymous: httpx.Client, server: Server, anna: Person, ben: Person
) -> None:
    before = [me(person) for person in (anna, ben)]
    free, taken = change(anna, fresh()), change(anna, ben.email)
    for answer in (free, taken):
        answer.headers.pop("x-request-id")
        answer.headers.pop("date", None)
    assert (free.status_code, free.content) == (taken.status_code, taken.content) == (202, b"")
    assert free.headers == taken.headers
    token = server.mailbox.token(ben.email, CHANGE)
    refused, garbage = confirm(anonymous, token), confirm(anonymous, "x")
    assert told(refused) == told(garbage) == (400, "token-invalid")
    assert refused.json()["detail"] == garbage.json()["detail"]
    assert [me(person) for person in (anna, ben)] == before
    assert [login(anonymous, p.email).json()["user"]["id"] for p in (anna, ben)] == [
        anna.id,
        ben.id,
    ]


def test_an_address_registered_meanwhile_stays_with_its_account(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    new = fresh()
    change(anna, new)
    token = server.mailbox.token(new, CHANGE)
    ben = server.sign_up(email=new)
    assert told(confirm(anonymous, token)) == (400, "token-invalid")
    assert (me(anna)["email"], me(ben)["email"]) == (anna.email, new)


def test_an_unverified_old_address_gets_no_notice(server: Server, anna: Person) -> None:
    assert change(anna, fresh()).status_code == 202
    all_sent(server)
    assert server.mailbox.to(anna.email, NOTICE) == []


def test_a_wrong_current_password_sends_no_mail(server: Server, anna: Person) -> None:
    new = fresh()
    verify(anna)
    older = mailed("email-change", anna)
    assert told(change(anna, new, "wrong")) == (403, "current-password-wrong")
    all_sent(server)
    assert server.mailbox.to(new) == []
    assert len(server.mailbox.to(anna.email, NOTICE)) == 1
    assert confirm(anna.http, older).status_code == 204


def test_wrong_current_passwords_do_not_count_as_failed_sign_ins(
    serve: Callable[..., Server], server: Server, anna: Person
) -> None:
    ample = dict.fromkeys(("client", "login"), "10000 per day")
    guarded = serve(
        database_url=server.settings.database_url,
        mail_dir=server.settings.mail_dir,
        rate_limit_enabled=True,
        rate_limits=ample | {"confirm": "3 per day", "mail": "9 per day;9 per day"},
    )
    anna = guarded.sign_in(anna.email)
    tries = [told(change(anna, fresh(), "wrong")) for _ in range(4)]
    assert tries == [(403, "current-password-wrong")] * 3 + [(429, "rate-limited")]
    assert told(change(anna, fresh())) == (429, "rate-limited")
    assert login(anna.http, anna.email).status_code == 200


@pytest.mark.parametrize("email", ["", "anna", "anna@", " {}", "{}\u200b", "x" * 250 + "@x.de"])
def test_a_malformed_address_is_refused(email: str, anna: Person) -> None:
    answer = change(anna, email.format(fresh()))
    assert told(answer) == (400, "invalid-request")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/email"}


def test_changing_to_ones_own_address_verifies_it(server: Server, anna: Person) -> None:
    for number, verified in ((1, False), (2, True)):
        before = me(anna)
        assert before["email_verified"] is verified
        assert change(anna, anna.email).status_code == 202
        assert confirm(anna.http, server.mailbox.token(anna.email, CHANGE, number)).is_success
        after = me(anna)
        assert after == before | {"email_verified": True, "updated_at": after["updated_at"]}
    assert after["updated_at"] == before["updated_at"]
    events = anna.http.get("/api/audit-events", params={"action": "email-changed"}).json()
    assert len(events) == 1  # the second time nothing has changed


def test_disabling_an_account_cancels_its_change_of_address(
    anonymous: httpx.Client, server: Server, anna: Person, admin: Person
) -> None:
    token = mailed("email-change", anna)
    assert patch(admin.http, anna, disabled=True).status_code == 200
    assert told(confirm(anonymous, token)) == (400, "token-invalid")
    [[email]] = server.execute(select(User.email).where(User.id == anna.id))
    assert email == anna.email
