"""A lost device, from the question to an admin to what happens a day later."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from service.engine.ids import now
from service.models import AuditEvent, FactorReset, Mail, RecoveryCode, TotpFactor
from tests.kit.accounts import ANY
from tests.kit.at_once import rows
from tests.kit.personal_tokens import program
from tests.kit.second_factors import add_app, challenged, complete, log_in
from tests.kit.sessions import ago, grow_old, me, told
from tests.kit.smtp import until
from tests.kit.waking import wake

ASKED = "Your second factor is about to be removed"
DONE = "Your second factor was removed"


@pytest.fixture
def app(server, anna):
    return add_app(server.verify(anna))


def ask(admin, person, **body):
    path = f"/api/users/{person.id}/recovery"
    return admin.http.post(path, json={"reset_factors": True} | body)


def come_due(server, person):
    its = update(FactorReset).where(FactorReset.user_id == person.id)
    server.execute(its.values(due_at=now()))
    wake()


def due_at(person):
    return person.http.get("/auth/factors").json().get("reset_due_at")


def events(server, person):
    its = select(AuditEvent.action, AuditEvent.actor_id).where(AuditEvent.user_id == person.id)
    return [tuple(row) for row in server.execute(its.order_by(AuditEvent.id))]


def stop(http, token):
    return http.post("/auth/factor-resets/stop", json={"token": token})


def test_a_day_after_an_admin_was_asked_the_password_is_enough(server, app, admin, anonymous):
    anna = app.person
    script = program(anna, "account:read")
    assert ask(admin, anna).status_code == 202
    assert ago(hours=-23, minutes=-59) < due_at(anna) < ago(hours=-24, minutes=-1)
    assert server.mailbox.wait(anna.email, ASKED)
    assert log_in(anonymous, anna).json()["code"] == "second-factor-required"
    come_due(server, anna)
    until(lambda: log_in(anonymous, anna).status_code == 200)
    assert told(me(anonymous, anna.tokens)) == (401, "session-revoked")
    assert told(script.get("/auth/me")) == (401, "invalid-token")
    assert not rows(server, RecoveryCode.user_id == anna.id)
    assert not rows(server, TotpFactor.user_id == anna.id)
    done = events(server, anna)
    assert ("factor-reset-requested", admin.id) in done
    assert done.count(("factors-reset", admin.id)) == 1
    assert server.mailbox.wait(anna.email, DONE)


def test_the_owner_stops_it_with_the_mail(server, app, admin, anonymous):
    anna = app.person
    ask(admin, anna)
    token = server.mailbox.token(anna.email, ASKED)
    assert stop(anonymous, token).status_code == 204
    assert due_at(anna) is None
    assert events(server, anna)[-1] == ("factor-reset-stopped", anna.id)
    assert told(stop(anonymous, token)) == (400, "token-invalid")
    assert challenged(anonymous, anna)


def test_the_owner_stops_it_when_signed_in(server, app, admin, anonymous):
    anna = app.person
    ask(admin, anna)
    token = server.mailbox.token(anna.email, ASKED)
    assert anna.http.delete("/auth/factors/reset").status_code == 204
    assert due_at(anna) is None
    assert told(anna.http.delete("/auth/factors/reset")) == (404, "not-found")
    assert told(stop(anonymous, token)) == (400, "token-invalid")


def test_asking_again_does_not_begin_anew(server, app, admin):
    anna = app.person
    ask(admin, anna)
    first = due_at(anna)
    ask(admin, anna)
    assert due_at(anna) == first
    assert len(server.mailbox.wait(anna.email, ASKED, 2)) == 2


@pytest.mark.parametrize("change", [{"email": "moved"}, {"role": "admin"}])
def test_no_admin_can_take_the_owners_link_away(server, app, admin, anonymous, change):
    anna = app.person
    ask(admin, anna)
    token = server.mailbox.token(anna.email, ASKED)
    if "email" in change:
        change = {"email": f"moved-{anna.email}"}
    path = f"/api/users/{anna.id}"
    assert admin.http.patch(path, json=change, headers=ANY).status_code == 200
    assert stop(anonymous, token).status_code == 204


def test_a_thief_who_resets_the_password_does_not_take_the_link_away(server, app, admin, anonymous):
    anna = app.person
    ask(admin, anna)
    token = server.mailbox.token(anna.email, ASKED)
    anonymous.post("/auth/password-resets", json={"email": anna.email})
    reset = {"token": server.mailbox.token(anna.email, "Choose a new password")}
    reset["new_password"] = "seven purple herons at dawn"
    assert anonymous.post("/auth/password-resets/complete", json=reset).status_code == 204
    assert stop(anonymous, token).status_code == 204


def test_to_disable_the_account_stops_it(server, app, admin):
    anna = app.person
    ask(admin, anna)
    path = f"/api/users/{anna.id}"
    admin.http.patch(path, json={"disabled": True}, headers=ANY)
    assert not rows(server, FactorReset.user_id == anna.id)
    assert ("factor-reset-stopped", admin.id) in events(server, anna)
    assert told(ask(admin, anna)) == (403, "account-disabled")


@pytest.mark.parametrize("change", [{"role": "user"}, {"disabled": True}, None])
def test_a_reset_that_a_former_admin_asked_for_does_not_happen(server, app, admin, ben, change):
    anna, path = app.person, f"/api/users/{ben.id}"
    former = server.make_admin(ben)
    assert ask(former, anna).status_code == 202
    if change:
        assert admin.http.patch(path, json=change, headers=ANY).status_code == 200
    else:
        assert admin.http.delete(path).status_code == 204
    come_due(server, anna)
    until(lambda: not rows(server, FactorReset.user_id == anna.id))
    assert rows(server, TotpFactor.user_id == anna.id)
    assert events(server, anna)[-1] == ("factor-reset-stopped", None)
    assert me(anna.http, anna.tokens).status_code == 200


def test_a_recovery_code_and_a_new_app_need_no_admin(server, app, anonymous):
    answer = complete(anonymous, challenged(anonymous, app.person), app.recovery_codes[0])
    with server.client(answer.json()["access_token"]) as http:
        assert http.post("/auth/totp").status_code == 201


def test_to_remove_the_app_ends_a_reset(server, app, admin):
    ask(admin, app.person)
    assert app.person.http.delete("/auth/totp").status_code == 204
    assert not rows(server, FactorReset.user_id == app.person.id)


def test_without_a_second_factor_there_is_nothing_to_reset(anna, admin):
    assert told(ask(admin, anna)) == (409, "second-factor-missing")


def test_only_a_fresh_admin_can_ask(app, admin, ben):
    assert told(ask(ben, app.person)) == (403, "admin-required")
    old = grow_old(admin, seconds=301)
    assert told(ask(old, app.person)) == (401, "authentication-too-old")
    assert due_at(app.person) is None


def test_without_a_body_a_recovery_is_a_link_for_a_password(server, app, admin):
    old, anna = grow_old(admin, seconds=301), app.person
    for body in ({}, {"headers": {"Content-Type": "application/json"}}):
        assert old.http.post(f"/api/users/{anna.id}/recovery", **body).status_code == 202
    assert server.mailbox.wait(anna.email, "Choose a new password", 2)
    assert due_at(anna) is None
    kinds = [Mail.user_id == anna.id, Mail.kind == "factor-reset"]
    assert not rows(server, *kinds)


def test_a_body_must_say_something(app, admin):
    path = f"/api/users/{app.person.id}/recovery"
    assert told(admin.http.post(path, json={})) == (400, "invalid-request")
    assert told(admin.http.post(path, content=b"reset_factors")) == (415, "unsupported-media-type")
