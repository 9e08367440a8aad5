"""Passkeys added, used and removed concurrently: a challenge is used once, and a way in stays."""

from __future__ import annotations

from functools import partial

import httpx
import sqlalchemy as sa

from service.models import AuditEvent, Passkey, Session, User
from service.models.passkeys import MAX_PASSKEYS_PER_USER
from tests.kit.at_once import ROUNDS, at_once, bearer, codes, rows, statuses
from tests.kit.passkeys import add, added, authenticator, login, start, start_login
from tests.kit.serving import Person


def test_one_challenge_answered_twenty_times_at_once_signs_in_once(
    crowd: httpx.Client, anna: Person
) -> None:
    by = authenticator(anna.server)
    added(anna, by)
    begun = start_login(crowd)
    passkey = by.get(begun["passkey_options"])
    answers = at_once(*[partial(login, crowd, begun, passkey)] * 20)
    assert statuses(answers) == {200: 1, 401: 19}
    assert codes(answers) == {"challenge-invalid"}
    assert rows(anna.server, Session.user_id == anna.id) == 2  # and that of the password


def test_one_challenge_adds_one_passkey_of_two_at_once(anna: Person) -> None:
    for _ in range(ROUNDS):
        options, before = start(anna), rows(anna.server, Passkey.user_id == anna.id)
        calls = [partial(add, anna, authenticator(anna.server).create(options)) for _ in range(2)]
        answers = at_once(*calls)
        assert statuses(answers) == {201: 1, 400: 1}
        assert codes(answers) == {"passkey-invalid"}
        assert rows(anna.server, Passkey.user_id == anna.id) == before + 1


def test_of_the_last_two_passkeys_one_stays_when_both_are_removed_at_once(
    crowd: httpx.Client, anna: Person
) -> None:
    server = anna.server
    server.execute(sa.update(User).where(User.id == anna.id).values(password_hash=""))
    mine = bearer(anna.tokens["access_token"])
    kept = added(anna, authenticator(server))
    for _ in range(ROUNDS):
        ids = [kept["id"], added(anna, authenticator(server))["id"]]
        delete = partial(crowd.delete, headers=mine)
        answers = at_once(*[partial(delete, f"/auth/passkeys/{id_}") for id_ in ids])
        assert statuses(answers) == {204: 1, 409: 1}
        assert codes(answers) == {"last-passkey"}
        [kept] = anna.http.get("/auth/passkeys").json()


def test_passkeys_added_at_once_are_not_one_too_many(anna: Person) -> None:
    for _ in range(MAX_PASSKEYS_PER_USER - 1):
        added(anna, authenticator(anna.server))
    credentials = [authenticator(anna.server).create(start(anna)) for _ in range(4)]
    answers = at_once(*[partial(add, anna, credential) for credential in credentials])
    assert statuses(answers) == {201: 1, 409: 3}
    assert codes(answers) == {"too-many-passkeys"}


def test_of_two_copies_of_a_passkey_that_sign_in_at_once_one_is_refused(
    crowd: httpx.Client, anna: Person
) -> None:
    by = authenticator(anna.server, step=1)
    added(anna, by)
    for round_ in range(1, ROUNDS + 1):
        begun = [start_login(crowd) for _ in range(2)]
        by.passkeys[0].counter = round_
        by.step = 0  # both copies have counted as far
        calls = [partial(login, crowd, one, by.get(one["passkey_options"])) for one in begun]
        answers = at_once(*calls)
        assert statuses(answers) == {200: 1, 401: 1}
        assert codes(answers) == {"passkey-wrong"}
        mine = (AuditEvent.user_id == anna.id, AuditEvent.action == "passkey-refused")
        assert rows(anna.server, *mine) == round_


def test_a_passkey_is_registered_once_by_two_users_at_once(anna: Person, ben: Person) -> None:
    for _ in range(ROUNDS):
        by = authenticator(anna.server)
        hers = by.create(start(anna))
        his = by.create(start(ben), by.passkeys[0].id)
        answers = at_once(partial(add, anna, hers), partial(add, ben, his))
        assert statuses(answers) == {201: 1, 409: 1}
        assert codes(answers) == {"passkey-taken"}
