"""An authenticator app is added in two steps, replaced, and removed."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from service.engine.ids import now
from service.models import PendingTotp, TotpFactor
from tests.kit.accounts import ANY
from tests.kit.at_once import erased, rows
from tests.kit.mailbox import text
from tests.kit.second_factors import add_app, challenged, complete, log_in, signed_in, started
from tests.kit.sessions import claims, grow_old, me, refresh, told

ADDED = "Signing in takes a code from now on"
REMOVED = "Signing in takes no code any more"


def confirm(app, code=None):
    return app.person.http.post("/auth/totp/confirm", json={"code": code or app.code()})


def events(person):
    listed = person.http.get("/api/audit-events").json()
    return [event["action"] for event in listed]


def test_the_secret_comes_as_text_as_an_address_and_as_a_picture(anna):
    answer = anna.http.post("/auth/totp")
    assert answer.status_code == 201
    found = answer.json()
    assert found.keys() == {"secret", "uri", "qr_code"}
    assert f"secret={found['secret']}" in found["uri"]
    assert found["uri"].startswith(f"otpauth://totp/Byline:{anna.email.replace('@', '%40')}?")
    assert found["qr_code"].startswith("data:image/svg+xml")
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_secret_is_not_stored_in_the_clear(server, anna):
    pending = started(anna)
    [row] = server.execute(PendingTotp.__table__.select().where(PendingTotp.user_id == anna.id))
    assert pending.secret not in str(row)
    confirm(pending)
    [row] = server.execute(TotpFactor.__table__.select().where(TotpFactor.user_id == anna.id))
    assert pending.secret not in str(row)


def test_an_app_that_was_not_confirmed_changes_nothing(anna, anonymous):
    started(anna)
    assert anna.http.get("/auth/factors").json() == {"passkeys": 0, "recovery_codes_left": 0}
    assert log_in(anonymous, anna).status_code == 200


def test_a_confirmed_app_is_asked_for_and_told_of(server, anna, anonymous):
    server.verify(anna)
    app = started(anna)
    answer = confirm(app)
    assert answer.status_code == 200
    assert len(set(answer.json()["recovery_codes"])) == 10
    found = anna.http.get("/auth/factors").json()
    assert found["recovery_codes_left"] == 10
    assert found["totp"].keys() == {"created_at"}
    assert events(anna)[0] == "totp-added"
    assert challenged(anonymous, anna)
    [mail] = server.mailbox.wait(anna.email, ADDED)
    assert not any(
        secret in text(mail) for secret in (app.secret, *answer.json()["recovery_codes"])
    )


def test_confirming_ends_every_other_session(server, anna, anonymous):
    other = server.sign_in(anna.email)
    add_app(anna)
    assert told(me(anonymous, other.tokens)) == (401, "session-revoked")
    assert me(anonymous, anna.tokens).status_code == 200


def test_the_session_that_confirmed_has_two_factors_after_its_next_refresh(anna, anonymous):
    before = claims(anna.tokens["access_token"])
    add_app(anna)
    after = claims(refresh(anonymous, anna.tokens).json()["access_token"])
    assert (before["acr"], after["acr"]) == ("aal1", "aal2")
    assert after["amr"] == ["pwd", "otp", "mfa"]
    assert after["auth_time"] == before["auth_time"]


def test_confirming_ends_sign_ins_that_have_begun(anna, anonymous):
    app = add_app(anna)
    challenge = challenged(anonymous, anna)
    new = started(anna)
    assert confirm(new).status_code == 200
    app.forget_used()
    assert told(complete(anonymous, challenge, new.code())) == (401, "challenge-invalid")


def test_a_wrong_code_does_not_confirm(anna):
    app = started(anna)
    assert told(confirm(app, app.wrong_code)) == (403, "second-factor-wrong")
    assert "totp" not in anna.http.get("/auth/factors").json()
    assert confirm(app).status_code == 200


def test_a_code_is_confirmed_once(anna):
    app = started(anna)
    assert confirm(app).status_code == 200
    assert told(confirm(app)) == (404, "not-found")


def test_the_code_that_confirmed_does_not_sign_in(anna, anonymous):
    app = started(anna)
    code = app.code()
    assert confirm(app, code).status_code == 200
    answer = complete(anonymous, challenged(anonymous, anna), code)
    assert told(answer) == (401, "second-factor-wrong")


def test_a_secret_waits_for_ten_minutes(server, anna):
    app = started(anna)
    mine = PendingTotp.user_id == anna.id
    server.execute(update(PendingTotp).where(mine).values(expires_at=now()))
    assert told(confirm(app)) == (404, "not-found")


def test_a_new_secret_replaces_the_one_that_waits(anna):
    first, second = started(anna), started(anna)
    assert told(confirm(first, first.code())) == (403, "second-factor-wrong")
    assert confirm(second).status_code == 200


def test_another_users_secret_does_not_confirm(anna, ben):
    app = started(anna)
    assert told(ben.http.post("/auth/totp/confirm", json={"code": app.code()})) == (
        404,
        "not-found",
    )


def test_an_app_works_until_its_replacement_is_confirmed(server, anna, anonymous):
    old = add_app(anna)
    new = started(anna)
    assert signed_in(server, old)
    confirm(new)
    new.forget_used()
    wrong = complete(anonymous, challenged(anonymous, anna), old.code())
    assert told(wrong) == (401, "second-factor-wrong")
    lost = complete(anonymous, challenged(anonymous, anna), old.recovery_codes[0])
    assert told(lost) == (401, "second-factor-wrong")
    assert signed_in(server, new)


def test_without_its_app_the_password_is_enough(server, anna, anonymous):
    server.verify(anna)
    app = add_app(anna)
    challenge = challenged(anonymous, anna)
    assert anna.http.delete("/auth/totp").status_code == 204
    assert log_in(anonymous, anna).status_code == 200
    assert told(complete(anonymous, challenge, app.recovery_codes[0])) == (
        401,
        "second-factor-wrong",
    )
    assert anna.http.get("/auth/factors").json() == {"passkeys": 0, "recovery_codes_left": 0}
    assert events(anna)[2] == "totp-removed"
    assert server.mailbox.wait(anna.email, REMOVED)


def test_there_is_no_app_to_remove(anna):
    assert told(anna.http.delete("/auth/totp")) == (404, "not-found")


def test_the_export_says_since_when_there_is_an_app_and_has_no_secret(anna):
    app = add_app(anna)
    exported = anna.http.get("/auth/export").text
    [line] = [line for line in exported.splitlines() if line.startswith('{"type":"totp"')]
    assert anna.http.get("/auth/factors").json()["totp"]["created_at"] in line
    assert not any(secret in exported for secret in (app.secret, *app.recovery_codes))


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/auth/totp"), ("DELETE", "/auth/totp"), ("POST", "/auth/recovery-codes")],
)
def test_factors_change_only_soon_after_a_sign_in(anna, method, path):
    answer = grow_old(anna, seconds=301).http.request(method, path)
    assert told(answer) == (401, "authentication-too-old")


def test_a_reset_password_leaves_the_second_factor(server, anna, anonymous):
    server.verify(anna)
    add_app(anna)
    anonymous.post("/auth/password-resets", json={"email": anna.email})
    token = server.mailbox.token(anna.email, "Choose a new password")
    new = "seven purple herons at dawn"
    body = {"token": token, "new_password": new}
    assert anonymous.post("/auth/password-resets/complete", json=body).status_code == 204
    assert challenged(anonymous, anna, new)


def test_an_account_that_is_deleted_takes_its_factors_along(server, anna):

    add_app(anna)
    started(anna)
    path = f"/api/users/{anna.id}"
    assert anna.http.delete(path, headers=ANY).status_code == 204
    erased(anna)
    assert not rows(server, TotpFactor.user_id == anna.id)
    assert not rows(server, PendingTotp.user_id == anna.id)
