"""Changes of an account send a notice to its verified address."""

from __future__ import annotations

import httpx

from tests.kit.mailbox import subject_of, text
from tests.kit.mails import NEW_PASSWORD, RESET, all_sent, request_reset, reset, verify
from tests.kit.serving import PASSWORD, Person

PASSWORD_CHANGED, REUSED = "Your password was changed", "A session of yours was ended"


def subjects(person: Person) -> list[str]:
    """The notices to a user, once all that was queued has gone out."""
    all_sent(person.server)
    sent = map(subject_of, person.server.mailbox.to(person.email))
    return [subject for subject in sent if subject in {PASSWORD_CHANGED, REUSED}]


def change_password(person: Person) -> httpx.Response:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return person.http.put("/auth/password", json=body)


def refresh(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/auth/refresh", headers={"Authorization": f"Bearer {token}"})


def test_a_changed_password_sends_a_notice(anna: Person) -> None:
    verify(anna)
    assert change_password(anna).status_code == 200
    [mail] = anna.server.mailbox.wait(anna.email, PASSWORD_CHANGED)
    assert "from the address 127.0.0.1." in text(mail)


def test_a_reset_password_sends_a_notice(anonymous: httpx.Client, anna: Person) -> None:
    assert request_reset(anonymous, anna.email).status_code == 202
    token = anna.server.mailbox.token(anna.email, RESET)
    assert reset(anonymous, token).status_code == 204  # which verifies the address, too
    assert subjects(anna) == [PASSWORD_CHANGED]


def test_a_session_ended_by_a_reused_token_sends_a_notice(
    anonymous: httpx.Client, anna: Person
) -> None:
    verify(anna)
    first = anna.tokens["refresh_token"]
    token = first
    for _ in range(2):
        token = refresh(anonymous, token).json()["refresh_token"]
    assert refresh(anonymous, first).json()["code"] == "token-reused"
    assert subjects(anna) == [REUSED]


def test_an_unverified_address_gets_no_notice(anna: Person) -> None:
    assert change_password(anna).status_code == 200
    assert subjects(anna) == []


def test_a_refused_change_sends_no_notice(anna: Person) -> None:
    verify(anna)
    body = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    assert anna.http.put("/auth/password", json=body).status_code == 403
    assert subjects(anna) == []
