"""Codes, challenges and recovery codes used by several requests at once: one of them gets in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import httpx

from service.accounts.factor_resets import FactorResets
from service.engine.database.transaction import db
from service.engine.ids import now
from service.models import AuditEvent, FactorReset, Session, TotpFactor
from tests.kit.accounts import ANY
from tests.kit.at_once import ROUNDS, at_once, codes, rows, statuses
from tests.kit.second_factors import App, add_app, challenged, complete, log_in, started
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until


def test_of_two_sign_ins_with_one_code_one_succeeds(crowd: httpx.Client, anna: Person) -> None:
    app = add_app(anna)
    for _ in range(ROUNDS):
        app.forget_used()
        code = app.code()
        calls = [partial(complete, crowd, challenged(crowd, anna), code) for _ in range(2)]
        answers = at_once(*calls)
        assert statuses(answers) == {200: 1, 401: 1}
        assert codes(answers) == {"second-factor-wrong"}


def test_of_two_answers_to_one_challenge_one_succeeds(crowd: httpx.Client, anna: Person) -> None:
    app = add_app(anna)
    for number in range(ROUNDS):
        app.forget_used()
        challenge = challenged(crowd, anna)
        calls = [
            partial(complete, crowd, challenge, c) for c in (app.code(), app.recovery_codes[number])
        ]
        assert statuses(at_once(*calls)) == {200: 1, 401: 1}


def test_the_code_of_a_step_is_used_once_and_none_of_an_earlier_step(
    server: Server, anna: Person
) -> None:
    add_app(anna)

    def _used(step: int) -> bool:
        with server.flask.app_context(), db.transaction() as transaction:
            is_used = TotpFactor.use(anna.id, step, "sealed")
            transaction.commit()
        return is_used

    assert [_used(step) for step in (7, 7, 6, 8)] == [True, False, False, True]


def test_of_two_sign_ins_with_one_recovery_code_one_succeeds(
    crowd: httpx.Client, anna: Person
) -> None:
    app = add_app(anna)
    for code in app.recovery_codes[:ROUNDS]:
        calls = [partial(complete, crowd, challenged(crowd, anna), code) for _ in range(2)]
        assert statuses(at_once(*calls)) == {200: 1, 401: 1}


def test_a_code_makes_one_of_two_sessions_fresh(crowd: httpx.Client, anna: Person) -> None:
    app = add_app(anna)
    call = partial(anna.http.post, "/auth/reauthenticate", json={"code": app.code()})
    assert statuses(at_once(call, call)) == {200: 1, 403: 1}


def test_an_app_is_confirmed_once(crowd: httpx.Client, anna: Person) -> None:
    app = started(anna)
    call = partial(anna.http.post, "/auth/totp/confirm", json={"code": app.code()})
    answers = at_once(call, call)
    assert statuses(answers) == {200: 1, 404: 1}


def test_no_sign_in_without_a_code_outlives_a_new_app(crowd: httpx.Client, anna: Person) -> None:
    for _ in range(ROUNDS):
        app: App = started(anna)
        confirm = partial(anna.http.post, "/auth/totp/confirm", json={"code": app.code()})
        confirmed, signed_in = at_once(confirm, partial(log_in, crowd, anna))
        assert confirmed.status_code == 200
        assert rows(anna.server, Session.user_id == anna.id) == 1
        if signed_in.status_code == 200:
            token = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
            assert crowd.get("/auth/me", headers=token).status_code == 401
        assert anna.http.delete("/auth/totp").status_code == 204


def test_a_new_password_ends_a_sign_in_between_its_steps(
    server: Server, crowd: httpx.Client
) -> None:
    new = {"current_password": PASSWORD, "new_password": f"{PASSWORD}!"}
    for _ in range(ROUNDS):
        anna = server.sign_up()
        app = add_app(anna)
        completing = partial(complete, crowd, challenged(crowd, anna), app.code())
        changed, completed = at_once(partial(anna.http.put, "/auth/password", json=new), completing)
        assert changed.status_code == 200
        assert rows(server, Session.user_id == anna.id) == 1
        assert completed.status_code in {200, 401}


def test_a_reset_is_done_once_by_several_processes(
    server: Server, serve: Callable[..., Server], anna: Person, admin: Person
) -> None:
    add_app(server.verify(anna))
    serve(database_url=server.settings.database_url, jwt_keys_dir=server.settings.jwt_keys_dir)
    path = f"/api/users/{anna.id}/recovery"
    assert admin.http.post(path, json={"reset_factors": True}).status_code == 202
    its = FactorReset.__table__.update().where(FactorReset.user_id == anna.id)
    server.execute(its.values(due_at=now()))
    workers = [FactorResets(server.flask) for _ in range(4)]
    at_once(*[lambda worker=worker: _answered(worker) for worker in workers])
    until(lambda: not rows(server, FactorReset.user_id == anna.id))
    done = (AuditEvent.user_id == anna.id, AuditEvent.action == "factors-reset")
    assert rows(server, *done) == 1


def test_a_stop_and_its_reset_do_not_both_happen(
    server: Server, anna: Person, admin: Person
) -> None:
    for _ in range(ROUNDS):
        person = server.sign_up()
        add_app(person)
        path = f"/api/users/{person.id}/recovery"
        assert admin.http.post(path, json={"reset_factors": True}).status_code == 202
        its = FactorReset.__table__.update().where(FactorReset.user_id == person.id)
        server.execute(its.values(due_at=now()))
        person.http.delete("/auth/factors/reset", headers=ANY)
        until(lambda p=person: not rows(server, FactorReset.user_id == p.id))
        ends = [
            rows(server, AuditEvent.user_id == person.id, AuditEvent.action == action)
            for action in ("factors-reset", "factor-reset-stopped")
        ]
        assert sum(ends) == 1


def _answered(worker: FactorResets) -> httpx.Response:
    while worker._step() is not None:
        pass
    return httpx.Response(200)
