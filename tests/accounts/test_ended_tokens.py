"""What ends personal tokens: whoever regains an account leaves a thief nothing."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import update

from service.engine.tokens.personal import PersonalTokens
from service.models import User
from tests.kit.accounts import told
from tests.kit.events import listed
from tests.kit.mailbox import text
from tests.kit.personal_tokens import give, program
from tests.kit.serving import PASSWORD, Person, Server

ANY = {"If-Match": "*"}
NEW = "seven purple herons at dawn"
LEAKED = "/auth/tokens/leaked"


def reset_password(server: Server, anna: Person, _: Person) -> None:
    with server.client() as client:
        client.post("/auth/password-resets", json={"email": anna.email})
        token = server.mailbox.token(anna.email, "Choose a new password")
        body = {"token": token, "new_password": NEW}
        assert client.post("/auth/password-resets/complete", json=body).status_code == 204


def change_password(_: Server, anna: Person, __: Person) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert anna.http.put("/auth/password", json=body).status_code == 200


def undo_email_change(server: Server, anna: Person, _: Person) -> None:
    server.verify(anna)
    moved = f"moved-{anna.email}"
    body = {"email": moved, "current_password": PASSWORD}
    assert anna.http.put("/auth/email", json=body).status_code == 202
    with server.client() as client:
        token = server.mailbox.token(moved, "Confirm your new e-mail address")
        path = "/auth/email-verifications/complete"
        assert client.post(path, json={"token": token}).status_code == 204
        undo = server.mailbox.token(anna.email, "Your e-mail address was changed")
        assert client.post("/auth/email-changes/undo", json={"token": undo}).status_code == 204


def disable(_: Server, anna: Person, admin: Person) -> None:
    place = f"/api/users/{anna.id}"
    for disabled in (True, False):  # enabled again, it has no token from before
        answer = admin.http.patch(place, json={"disabled": disabled}, headers=ANY)
        assert answer.status_code == 200, answer.text


def promote(server: Server, anna: Person, admin: Person) -> None:
    server.verify(anna)
    answer = admin.http.patch(f"/api/users/{anna.id}", json={"role": "admin"}, headers=ANY)
    assert answer.status_code == 200, answer.text


def delete(_: Server, anna: Person, __: Person) -> None:
    assert anna.http.delete(f"/api/users/{anna.id}").status_code == 204


@pytest.mark.parametrize(
    "end", [reset_password, change_password, undo_email_change, disable, promote, delete]
)
def test_all_tokens_of_an_account_end(
    server: Server, anna: Person, admin: Person, end: Callable[[Server, Person, Person], None]
) -> None:
    mine, admins = program(anna, "account:read"), program(admin, "account:read")
    assert mine.get("/auth/me").status_code == 200
    end(server, anna, admin)
    assert told(mine.get("/auth/me")) == (401, "invalid-token")
    assert admins.get("/auth/me").status_code == 200


def test_signing_out_leaves_tokens_alone(server: Server, anna: Person) -> None:
    token = program(anna, "account:read")
    assert anna.http.delete("/auth/sessions").status_code == 204
    assert anna.http.post("/auth/logout").status_code == 204
    assert token.get("/auth/me").status_code == 200


def test_a_demoted_admins_token_is_a_users_from_then_on(server: Server, admin: Person) -> None:
    client = program(admin, "users:read", "audit:read")
    assert client.get("/api/accounts").status_code == 200
    server.execute(update(User).where(User.id == admin.id).values(role="user"))
    assert told(client.get("/api/accounts")) == (403, "admin-required")
    assert {event["user_id"] for event in listed(client)} <= {admin.id}


def test_an_unverified_address_stops_tokens_where_it_stops_signing_in(
    serve: Callable[..., Server],
) -> None:
    server = serve(require_verified_email=True)
    with server.client() as client:
        account = {"email": "anna@example.com", "password": PASSWORD}
        client.post("/auth/register", json=account)
        server.execute(update(User).values(email_verified=True))
        anna = server.sign_in(**account)
        token = program(anna, "account:read")
        assert token.get("/auth/me").status_code == 200
        server.execute(update(User).values(email_verified=False))
        assert told(token.get("/auth/me")) == (403, "email-unverified")


def test_whoever_finds_a_token_can_end_it(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    server.verify(anna)
    token, other = give(anna, "account:read"), program(anna, "account:read")
    assert anonymous.post(LEAKED, json={"token": token}).status_code == 204
    assert told(server.client(token).get("/auth/me")) == (401, "invalid-token")
    assert other.get("/auth/me").status_code == 200
    [mail] = server.mailbox.wait(anna.email, "A personal token of yours was found and ended")
    assert f"{token[:8]}..." in text(mail)
    assert "from the address" not in text(mail)  # the finder may be another person
    assert token[9:] not in text(mail)
    event = listed(anna.http)[0]
    assert event == event | {"action": "personal-token-leaked", "actor_id": None, "ip": ""}


def test_the_answer_does_not_tell_whether_a_found_token_was_valid(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    used = give(anna)
    tokens = [used, used, PersonalTokens("byl_").new()]
    answers = [anonymous.post(LEAKED, json={"token": token}) for token in tokens]
    assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}
    names = [sorted(answer.headers) for answer in answers]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("text", ["byl_", "hunter2", "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"])
def test_a_text_that_is_no_token_is_a_400(anonymous: httpx.Client, text: str) -> None:
    assert told(anonymous.post(LEAKED, json={"token": text})) == (400, "token-invalid")
    wrong = PersonalTokens("byl_").new()
    wrong = wrong[:-1] + ("0" if wrong[-1] != "0" else "1")
    assert told(anonymous.post(LEAKED, json={"token": wrong})) == (400, "token-invalid")


def test_a_finder_cannot_try_without_end(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits={"leak": "2 per hour"})
    with server.client() as client:
        body = {"token": PersonalTokens("byl_").new()}
        answers = [client.post(LEAKED, json=body).status_code for _ in range(3)]
    assert answers == [204, 204, 429]
