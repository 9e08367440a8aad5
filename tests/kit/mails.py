"""What the tests of mailed tokens ask for again and again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from sqlalchemy import update

from service.domain.mails import SUBJECTS
from service.models import User
from service.models.mails import (
    EMAIL_CHANGE,
    EMAIL_CHANGE_NOTICE,
    EMAIL_CHANGED,
    EMAIL_VERIFICATION,
    INVITATION,
    PASSWORD_RESET,
)
from tests.kit.serving import PASSWORD, Person, Server

INVALID = (400, "token-invalid")  # of a mailed token
NEW_PASSWORD = "seven purple herons at dawn"
KINDS = [EMAIL_CHANGE, EMAIL_VERIFICATION, PASSWORD_RESET]  # those that users ask for
CHANGE, NOTICE = SUBJECTS[EMAIL_CHANGE], SUBJECTS[EMAIL_CHANGE_NOTICE]
CHANGED, INVITED = SUBJECTS[EMAIL_CHANGED], SUBJECTS[INVITATION]
VERIFICATION, RESET = SUBJECTS[EMAIL_VERIFICATION], SUBJECTS[PASSWORD_RESET]
# The first mail of a kind that anybody asks for: registering has asked for one already.
ASKED = {EMAIL_CHANGE: 1, EMAIL_VERIFICATION: 2, PASSWORD_RESET: 1}


def fresh() -> str:
    """An address that nobody has."""
    return f"{secrets.token_hex(6)}@example.com"


def hashed(token: str) -> str:
    """All that the database may know of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def request_reset(http: httpx.Client, email: str) -> httpx.Response:
    return http.post("/auth/password-resets", json={"email": email})


def reset(http: httpx.Client, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    body = {"token": token, "new_password": password}
    return http.post("/auth/password-resets/complete", json=body)


def request_verification(person: Person) -> httpx.Response:
    return person.http.post("/auth/email-verifications", json={"email": person.email})


def confirm(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/auth/email-verifications/complete", json={"token": token})


def dispute(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/auth/email-verifications/dispute", json={"token": token})


def undo(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/auth/email-changes/undo", json={"token": token})


def change(person: Person, email: str, password: str = PASSWORD) -> httpx.Response:
    return person.http.put("/auth/email", json={"email": email, "current_password": password})


def moved(person: Person, password: str = PASSWORD) -> str:
    """The new address of a user, after the change is confirmed."""
    new = fresh()
    assert change(person, new, password).status_code == 202
    assert confirm(person.http, person.server.mailbox.token(new, CHANGE)).status_code == 204
    return new


def ask(kind: str, person: Person) -> str:
    """Ask for a mail of a kind; the address that it goes to, which is one at every asking."""
    to = f"new-{person.email}" if kind == EMAIL_CHANGE else person.email
    answer = {
        EMAIL_CHANGE: lambda: change(person, to),
        EMAIL_VERIFICATION: lambda: request_verification(person),
        PASSWORD_RESET: lambda: request_reset(person.http, to),
    }[kind]()
    assert answer.status_code == 202, answer.text
    return to


def mailed(kind: str, person: Person, time: int = 1) -> str:
    """The token that comes when a mail of a kind is asked for, for so many a time."""
    to, number = ask(kind, person), ASKED[kind] + time - 1
    return person.server.mailbox.token(to, SUBJECTS[kind], number)


def use(kind: str, http: httpx.Client, token: str) -> httpx.Response:
    """Use a token where those of a kind are good."""
    return reset(http, token) if kind == PASSWORD_RESET else confirm(http, token)


@contextmanager
def held(server: Server) -> Iterator[None]:
    """Meanwhile mails stay in the outbox."""
    delivery = server.flask.extensions["delivery"]
    delivery.stop()
    try:
        yield
    finally:
        delivery._stopped.clear()
        delivery.start()
        delivery.wake()


def verify(person: Person) -> None:
    """Have the user's address count as verified, as if a mail had been answered."""
    person.server.execute(update(User).where(User.id == person.id).values(email_verified=True))


def all_sent(server: Server) -> None:
    """Wait until everything that was queued before now has gone out: the outbox is a queue."""
    server.mailbox.wait(server.sign_up().email, VERIFICATION)
