"""A sign-in with a second factor has two steps, and a code works once."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from service.engine.ids import now
from service.models import AuditEvent, Challenge, RecoveryCode, User
from tests.kit.accounts import ANY
from tests.kit.mailbox import text
from tests.kit.second_factors import add_app, challenged, complete, log_in, signed_in
from tests.kit.serving import PASSWORD
from tests.kit.sessions import claims, grow_old, me, told

NEW_PASSWORD = "seven purple herons at dawn"
USED = "A recovery code of yours was used"
RENEWED = "You have new recovery codes"
FAILED = "Somebody sends wrong codes for your account"
WRONG, OVER = (401, "second-factor-wrong"), (401, "challenge-invalid")


@pytest.fixture
def app(anna):
    return add_app(anna)


def reauthenticate(person, **proof):
    return person.http.post("/auth/reauthenticate", json=proof)


def actions(server, person):
    its = select(AuditEvent.action).where(AuditEvent.user_id == person.id).order_by(AuditEvent.id)
    return [row.action for row in server.execute(its)]


def test_a_right_password_gets_a_challenge_and_no_session(server, app, anonymous):
    answer = log_in(anonymous, app.person)
    assert told(answer) == (401, "second-factor-required")
    assert answer.json()["methods"] == ["totp", "recovery-code"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert len(app.person.http.get("/auth/sessions").json()) == 1
    assert actions(server, app.person)[-1] == "totp-added"


def test_a_wrong_password_does_not_tell_of_the_second_factor(app, ben, anonymous):
    both = [log_in(anonymous, person, "wrong") for person in (app.person, ben)]
    bodies = [answer.json() for answer in both]
    for body in bodies:
        del body["instance"], body["request_id"]
    assert bodies[0] == bodies[1]
    names = [set(answer.headers) for answer in both]
    assert names[0] == names[1]


def test_a_code_completes_the_sign_in(server, app, anonymous):
    answer = complete(anonymous, challenged(anonymous, app.person), app.code())
    assert answer.status_code == 200
    assert answer.json()["user"] == app.person.http.get("/auth/me").json()
    said = claims(answer.json()["access_token"])
    assert (said["amr"], said["acr"]) == (["pwd", "otp", "mfa"], "aal2")
    assert me(anonymous, answer.json()).status_code == 200
    assert actions(server, app.person)[-1] == "login"


@pytest.mark.parametrize("steps", [-1, 1])
def test_a_code_of_the_step_before_or_after_is_good(app, anonymous, steps):
    assert complete(anonymous, challenged(anonymous, app.person), app.code(steps)).is_success


@pytest.mark.parametrize("form", ["{0} {1}", "{0}-{1}", " {0}{1} "])
def test_a_code_may_have_spaces(app, anonymous, form):
    code = app.code()
    typed = form.format(code[:3], code[3:])
    assert complete(anonymous, challenged(anonymous, app.person), typed).status_code == 200


def test_a_code_works_once(app, anonymous):
    code = app.code()
    assert complete(anonymous, challenged(anonymous, app.person), code).status_code == 200
    assert told(complete(anonymous, challenged(anonymous, app.person), code)) == WRONG
    earlier = app.code(-1)  # not used, but older than one that was
    assert told(complete(anonymous, challenged(anonymous, app.person), earlier)) == WRONG


def test_a_challenge_works_once(app, anonymous):
    challenge = challenged(anonymous, app.person)
    assert complete(anonymous, challenge, app.code()).status_code == 200
    app.forget_used()
    assert told(complete(anonymous, challenge, app.code())) == OVER


def test_a_challenge_has_five_tries_and_the_owner_is_told(server, app, anonymous):
    server.verify(app.person)
    challenge = challenged(anonymous, app.person)
    for _ in range(5):
        assert told(complete(anonymous, challenge, app.wrong_code)) == WRONG
    assert told(complete(anonymous, challenge, app.code())) == OVER
    assert actions(server, app.person)[-5:] == ["second-factor-failed"] * 5
    assert len(server.mailbox.wait(app.person.email, FAILED)) == 1


def test_a_challenge_ends_after_five_minutes(server, app, anonymous):
    challenge = challenged(anonymous, app.person)
    mine = Challenge.user_id == app.person.id
    server.execute(update(Challenge).where(mine).values(expires_at=now()))
    assert told(complete(anonymous, challenge, app.code())) == OVER


@pytest.mark.parametrize("challenge", ["x", "0" * 43, "t0DzgyXBLvzoYY4sCrHRzuN"])
def test_a_made_up_challenge_is_refused(app, anonymous, challenge):
    assert told(complete(anonymous, challenge, app.code())) == OVER


def test_a_code_of_another_user_is_wrong(app, ben, anonymous):
    theirs = add_app(ben)
    challenge = challenged(anonymous, app.person)
    assert told(complete(anonymous, challenge, theirs.code())) == WRONG
    assert told(complete(anonymous, challenge, theirs.recovery_codes[0])) == WRONG
    assert complete(anonymous, challenge, app.code()).status_code == 200


def test_a_new_password_ends_challenges(app, anonymous):
    challenge = challenged(anonymous, app.person)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert app.person.http.put("/auth/password", json=body).status_code == 200
    assert told(complete(anonymous, challenge, app.code())) == OVER


def test_signing_out_everywhere_else_ends_challenges(app, anonymous):
    challenge = challenged(anonymous, app.person)
    assert app.person.http.delete("/auth/sessions").status_code == 204
    assert told(complete(anonymous, challenge, app.code())) == OVER


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "admin"}])
def test_disabling_and_another_role_end_challenges(server, app, admin, anonymous, change):
    server.verify(app.person)
    challenge = challenged(anonymous, app.person)
    path = f"/api/users/{app.person.id}"
    assert admin.http.patch(path, json=change, headers=ANY).status_code == 200
    assert told(complete(anonymous, challenge, app.code())) == OVER


def test_a_deleted_account_cannot_be_signed_in_to(app, anonymous):
    challenge = challenged(anonymous, app.person)
    path = f"/api/users/{app.person.id}"
    assert app.person.http.delete(path, headers=ANY).status_code == 204
    assert told(complete(anonymous, challenge, app.code())) == OVER


def test_a_disabled_account_is_refused_in_either_step(server, app, anonymous):
    challenge = challenged(anonymous, app.person)
    # As if it had been disabled by a release that does not know of challenges.
    server.execute(update(User).where(User.id == app.person.id).values(disabled=True))
    assert told(complete(anonymous, challenge, app.code())) == (403, "account-disabled")
    assert told(log_in(anonymous, app.person)) == (403, "account-disabled")


def test_an_unverified_address_is_refused_in_either_step(server, app, serve, anonymous):
    keys, database = server.settings.jwt_keys_dir, server.settings.database_url
    strict = serve(database_url=database, jwt_keys_dir=keys, require_verified_email=True)
    with strict.client() as http:
        assert told(log_in(http, app.person)) == (403, "email-unverified")
        challenge = challenged(anonymous, app.person)
        assert told(complete(http, challenge, app.code())) == (403, "email-unverified")


def test_a_recovery_code_signs_in_once_and_the_owner_is_told(server, app, anonymous):
    server.verify(app.person)
    code = app.recovery_codes[3]
    assert complete(anonymous, challenged(anonymous, app.person), code.upper()).status_code == 200
    assert told(complete(anonymous, challenged(anonymous, app.person), code)) == WRONG
    assert app.person.http.get("/auth/factors").json()["recovery_codes_left"] == 9
    assert actions(server, app.person)[-3:-1] == ["recovery-code-used", "login"]
    [mail] = server.mailbox.wait(app.person.email, USED)
    assert "You have 9 left." in text(mail)
    assert code not in text(mail)


def test_recovery_codes_are_not_stored_in_the_clear(server, app):
    stored = server.execute(
        select(RecoveryCode.__table__).where(RecoveryCode.user_id == app.person.id)
    )
    assert len(stored) == 10
    for code in app.recovery_codes:
        assert code not in str(stored)
        assert code.replace("-", "") not in str(stored)


def test_new_recovery_codes_replace_the_old_ones(server, app, anonymous):
    server.verify(app.person)
    answer = app.person.http.post("/auth/recovery-codes")
    assert answer.status_code == 200
    new = answer.json()["recovery_codes"]
    assert not set(new) & set(app.recovery_codes)
    challenge = challenged(anonymous, app.person)
    assert told(complete(anonymous, challenge, app.recovery_codes[0])) == WRONG
    assert complete(anonymous, challenge, new[0]).status_code == 200
    assert server.mailbox.wait(app.person.email, RENEWED)


def test_without_recovery_codes_only_the_app_is_offered(server, app, anonymous):
    server.execute(RecoveryCode.__table__.delete().where(RecoveryCode.user_id == app.person.id))
    assert log_in(anonymous, app.person).json()["methods"] == ["totp"]


def test_without_a_second_factor_there_is_nothing_to_recover(anna):
    assert told(anna.http.post("/auth/recovery-codes")) == (409, "second-factor-missing")


def test_a_session_becomes_fresh_with_a_code_only(server, app):
    old = grow_old(signed_in(server, app), seconds=301)
    assert told(old.http.delete("/auth/totp")) == (401, "authentication-too-old")
    refused = reauthenticate(old, password=PASSWORD)
    assert told(refused) == (403, "second-factor-required")
    assert refused.json()["methods"] == ["totp", "recovery-code"]
    assert told(reauthenticate(old, code=app.wrong_code)) == (403, "second-factor-wrong")
    app.forget_used()
    code = app.code()
    renewed = reauthenticate(old, code=code)
    assert renewed.status_code == 200
    assert told(reauthenticate(old, code=code)) == (403, "second-factor-wrong")
    with server.client(renewed.json()["access_token"]) as fresh:
        assert fresh.delete("/auth/totp").status_code == 204


def test_a_session_becomes_fresh_with_a_recovery_code(server, app):
    old = grow_old(signed_in(server, app), seconds=301)
    code = app.recovery_codes[0]
    assert reauthenticate(old, code=code).status_code == 200
    assert told(reauthenticate(old, code=code)) == (403, "second-factor-wrong")


def test_without_a_second_factor_a_code_proves_nothing(anna):
    assert told(reauthenticate(anna, code="123456")) == (403, "second-factor-wrong")


def test_a_right_password_does_not_clear_the_wrong_codes_of_a_session(serve):
    server = serve(rate_limit_enabled=True)
    app = add_app(server.sign_up())
    guesses = []
    for _ in range(2):
        guesses += [reauthenticate(app.person, code=app.wrong_code).status_code for _ in range(6)]
        weak = {"current_password": PASSWORD, "new_password": "password"}
        assert told(app.person.http.put("/auth/password", json=weak)) == (400, "weak-password")
    assert guesses == [403] * 10 + [429] * 2


def test_guesses_in_a_session_do_not_stop_a_sign_in(serve):
    server = serve(rate_limit_enabled=True)
    app = add_app(server.sign_up())
    guesses = [reauthenticate(app.person, code=app.wrong_code).status_code for _ in range(11)]
    assert guesses == [403] * 10 + [429]
    with server.client() as http:
        assert complete(http, challenged(http, app.person), app.code()).status_code == 200
