"""Mailed tokens: which account they open, how often, and which sessions they end."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import func, select

from service.models import Mail, User
from tests.kit.attack import Attack, Expected, at_once, on, told
from tests.kit.mailbox import token
from tests.kit.mails import CHANGE, RESET, VERIFICATION, fresh, held
from tests.kit.serving import PASSWORD, Person, Server

RESETS, CHANGES = "/auth/password-resets", "/auth/email"
RESETTING, CONFIRMING = f"{RESETS}/complete", "/auth/email-verifications/complete"
INVALID, BAD_TOKEN = (400, "invalid-request"), (400, "token-invalid")
WRONG, ENDED = (401, "invalid-credentials"), (401, "session-revoked")
NEW = "seven purple herons at dawn"

sqlite = on("sqlite")
both = on("sqlite", "postgresql")


def enter(attack: Attack, email: str, password: str, expected: Expected) -> None:
    attack("POST", "/auth/login", expected, json={"email": email, "password": password})


@both
def test_an_address_that_is_taken_stays_where_it_is(
    attack: Attack, server: Server, anna: Person, ben: Person
) -> None:
    change = {"email": ben.email, "current_password": PASSWORD}
    attack("PUT", CHANGES, 202, token=anna, json=change)
    hers = server.mailbox.token(ben.email, CHANGE)
    attack("POST", CONFIRMING, BAD_TOKEN, json={"token": hers})
    assert attack("GET", "/auth/me", 200, token=anna).json() == anna.tokens["user"]
    assert attack("GET", "/auth/me", 200, token=ben).json() == ben.tokens["user"]


@both
def test_of_two_links_for_one_address_one_succeeds(
    attack: Attack, server: Server, anna: Person, ben: Person
) -> None:
    wanted = fresh()
    for person in (anna, ben):
        change = {"email": wanted, "current_password": PASSWORD}
        attack("PUT", CHANGES, 202, token=person, json=change)
    tokens = [token(mail) for mail in server.mailbox.wait(wanted, CHANGE, 2)]
    answers = at_once(*[partial(attack, "POST", CONFIRMING, json={"token": t}) for t in tokens])
    assert told(answers) == {(204, None): 1, BAD_TOKEN: 1}
    [[there]] = server.execute(select(func.count()).where(User.email == wanted))
    assert there == 1


@both
@pytest.mark.parametrize("path", [RESETTING, CONFIRMING])
def test_one_of_many_concurrent_uses_of_a_link_succeeds(
    attack: Attack, server: Server, anna: Person, path: str
) -> None:
    if path == RESETTING:
        attack("POST", RESETS, 202, json={"email": anna.email})
    given = server.mailbox.token(anna.email, RESET if path == RESETTING else VERIFICATION)
    bodies = [
        {"token": given, **({"new_password": f"{NEW} no. {n}"} if path == RESETTING else {})}
        for n in range(8)
    ]
    answers = at_once(*[partial(attack, "POST", path, json=body) for body in bodies])
    assert told(answers) == {(204, None): 1, BAD_TOKEN: 7}


@both
def test_sessions_from_before_a_reset_do_not_survive_it(
    attack: Attack, server: Server, anna: Person
) -> None:
    # Pre-hijacking: an account under the victim's address, with every back door left open.
    mine = fresh()
    attack("PUT", CHANGES, 202, token=anna, json={"email": mine, "current_password": PASSWORD})
    change = server.mailbox.token(mine, CHANGE)
    other = server.sign_in(anna.email)
    attack("POST", RESETS, 202, json={"email": anna.email})
    link = server.mailbox.token(anna.email, RESET)
    attack("POST", RESETTING, 204, json={"token": link, "new_password": NEW})
    for left in (change, link, server.mailbox.token(anna.email, VERIFICATION)):
        attack("POST", CONFIRMING, BAD_TOKEN, json={"token": left})
        attack("POST", RESETTING, BAD_TOKEN, json={"token": left, "new_password": PASSWORD})
    for pair in (anna.tokens, other.tokens):
        attack("GET", "/auth/me", ENDED, token=pair["access_token"])
        attack("POST", "/auth/refresh", ENDED, token=pair["refresh_token"])
    enter(attack, anna.email, PASSWORD, WRONG)
    enter(attack, mine, NEW, WRONG)
    enter(attack, anna.email, NEW, 200)


@sqlite
def test_a_link_opens_its_own_account_and_no_other(
    attack: Attack, server: Server, anna: Person, ben: Person
) -> None:
    attack("POST", RESETS, 202, json={"email": anna.email})
    link = server.mailbox.token(anna.email, RESET)
    for name, value in (
        ("email", ben.email),
        ("user_id", ben.id),
        ("id", ben.id),
        ("role", "admin"),
    ):
        body = {"token": link, "new_password": NEW, name: value}
        attack("POST", RESETTING, INVALID, json=body)
        attack(
            "POST",
            f"{RESETTING}?{name}={value}",
            INVALID,
            json={"token": link, "new_password": NEW},
        )
    for weak in ("password1", anna.email, anna.username, "short", "x" * 257):
        attack("POST", RESETTING, 400, json={"token": link, "new_password": weak})
    attack("POST", RESETTING, 204, json={"token": link, "new_password": NEW}, token=ben)
    assert attack("GET", "/auth/me", 200, token=ben).json() == ben.tokens["user"]
    enter(attack, ben.email, NEW, WRONG)
    enter(attack, anna.email, NEW, 200)


@sqlite
def test_a_mailed_token_is_not_a_bearer_token(attack: Attack, server: Server, anna: Person) -> None:
    mailed = server.mailbox.token(anna.email, VERIFICATION)
    for path in ("/auth/me", "/auth/sessions", "/api/accounts"):
        attack("GET", path, (401, "invalid-token"), token=mailed)
    attack("POST", "/auth/refresh", (401, "invalid-token"), token=mailed)
    for name in ("access_token", "refresh_token"):
        attack("POST", CONFIRMING, INVALID, json={"token": anna.tokens[name]})
    for method in ("GET", "HEAD"):
        attack(method, f"{CONFIRMING}?token={mailed}", 405)
    attack("POST", f"{CONFIRMING}?token={mailed}", INVALID, json={"token": mailed})
    attack("POST", CONFIRMING, 204, json={"token": mailed})


@sqlite
def test_a_queued_link_cannot_be_used_or_seen(attack: Attack, server: Server, anna: Person) -> None:
    with held(server):
        attack("POST", RESETS, 202, json={"email": anna.email})
        waiting = select(Mail.id, Mail.user_id, Mail.token_hash).where(
            Mail.user_id == anna.id, Mail.kind == "password-reset"
        )
        [row] = server.execute(waiting)
        for guess in (row.id, anna.id, str(row.token_hash), "None", "null", ""):
            body = {"token": guess, "new_password": NEW}
            assert attack("POST", RESETTING, 400, json=body).code in {
                "token-invalid",
                "invalid-request",
            }
    enter(attack, anna.email, PASSWORD, 200)
