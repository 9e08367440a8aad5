"""The fate of a mail for each answer of the mail server."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from service.engine.ids import first_id_from, new_id
from service.mail import delivery
from service.models import Mail
from service.models.mails import EMAIL_CHANGE_NOTICE
from tests.kit.mailbox import subject_of, token
from tests.kit.mailer import Mailer, fresh, from_now, opened
from tests.kit.smtp import until

# What a mail server says, and to what: a command, or (as None) the recipient.
FOR_LATER = [
    (None, "450 4.2.0 Come back later"),
    (None, "421 4.3.2 Shutting down"),
    (None, "554 5.7.1 Relay access denied"),
    (None, "550 Blocked"),
    (None, "551 User not local, relay denied"),
    (None, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (None, "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
    (None, "550 5.1.8 Sender address rejected: Domain not found"),
    (None, "550 5.1.0 Address rejected"),
    (None, "550 5.1.2 Host unknown"),
    (None, "550 5.2.1 This mailbox is inactive"),
    (None, "552 5.2.2 Mailbox full"),
    (None, "550 5.4.1 Recipient address rejected: Access denied"),
    (None, "550 5.7.1 see 5.1.1 for details"),
    (None, "550 Your network 5.1.1.7 is blocked"),
    (None, "530 5.7.0 Must issue a STARTTLS command first"),
    (None, "450 4.1.1 User unknown in local recipient table"),
    (None, "421 5.1.1 Goodbye"),
    ("MAIL", "451 4.3.0 Out of order"),
    ("MAIL", "550 5.7.1 Not a sender of ours"),
    ("MAIL", "530 5.7.0 Authentication required"),
    ("DATA", "452 4.3.1 The disk is full"),
    ("DATA", "554 5.6.0 This looks like advertising"),
]
FOR_EVER = [
    "550 5.1.1 No such user",
    "501 5.1.3 Bad address",
    "550 5.1.6 The mailbox has moved",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
    "550-5.1.1 The account does not exist.\r\n550 5.1.1 Try another one.",
    "550 cuda_nsu 5.1.1 Recipient address rejected: User unknown",
]


@contextmanager
def silence() -> Iterator[tuple[socket.socket, str]]:
    """Where connections are taken and nothing is ever said, and the URL of it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener, f"smtp://127.0.0.1:{listener.getsockname()[1]}"


def make_old(mailer: Mailer, address: str, age: timedelta) -> None:
    """Let the mail for an address have been queued so long ago."""
    earlier = first_id_from(datetime.now(UTC) - age).int | new_id().int & (1 << 62) - 1
    mailer.server.execute(
        update(Mail).where(Mail.recipient == address).values(id=str(UUID(int=earlier)))
    )


def test_a_mail_is_sent_once_and_its_row_is_kept_for_the_token(mailer: Mailer) -> None:
    address = fresh()
    mailer.register(address)
    [mail] = mailer.post.wait(address)
    until(lambda: mailer.outbox(address)[0].due_at is None)
    [row] = mailer.outbox(address)
    assert row.attempts == 1
    assert row.token_hash == hashlib.sha256(token(mail.message).encode()).hexdigest()
    mailer.catch_up()
    assert len(mailer.post.to(address)) == 1


def test_a_mail_without_a_token_is_removed_once_it_is_sent(mailer: Mailer) -> None:
    address = fresh()
    mailer.queue(EMAIL_CHANGE_NOTICE, address, mailer.register(fresh()))
    mailer.post.wait(address)
    until(lambda: mailer.outbox(address) == [])


def test_requests_do_not_notice_a_mail_server_that_is_down(mailer: Mailer) -> None:
    address = fresh()
    mailer.post.down()
    try:
        mailer.register(address)
        mailer.request_reset(address)
        until(lambda: [mail.attempts for mail in mailer.outbox(address)] == [1, 1])
    finally:
        mailer.post.up()
    mailer.make_due(address)
    subjects = {subject_of(mail.message) for mail in mailer.post.wait(address, 2)}
    assert subjects == {"Confirm your e-mail address", "Choose a new password"}


def test_requests_do_not_notice_a_mail_server_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 3600)
    with silence() as (listener, url), opened(tmp_path, smtp_url=url) as mailer:
        first, second = fresh(), fresh()
        mailer.register(first)
        with closing(listener.accept()[0]):
            mailer.register(second)
            mailer.request_reset(second)
            assert [mail.attempts for mail in mailer.outbox(second)] == [0, 0]
            listener.close()
        assert mailer.taken_on(first).due_at > from_now()


def test_a_hanging_mail_server_is_given_up_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 0.1)
    with silence() as (_, url), opened(tmp_path, smtp_url=url) as mailer:
        for address in (first := fresh(), fresh()):
            mailer.register(address)
        until(lambda: mailer.count("deferred") == 2)
        assert mailer.taken_on(first).due_at > from_now()


def test_a_mail_is_tried_again_after_longer_and_longer(mailer: Mailer) -> None:
    address = fresh()
    mailer.post.answers[address] = "450 4.2.0 Come back later"
    tries = [(mailer.register, 1), *((mailer.make_due, wait) for wait in (2, 4, 8, 15, 15))]
    for attempts, (begin, minutes) in enumerate(tries, start=1):
        earliest = from_now(minutes=minutes)
        begin(address)
        due_at = mailer.taken_on(address, attempts).due_at
        assert earliest <= due_at <= from_now(minutes=minutes)
    del mailer.post.answers[address]
    mailer.make_due(address)
    mailer.post.wait(address)


@pytest.mark.parametrize(("to", "reply"), FOR_LATER)
def test_a_temporarily_refused_mail_is_kept(to: str | None, reply: str, mailer: Mailer) -> None:
    address, deferred = fresh(), mailer.count("deferred")
    mailer.post.answers[to or address] = reply
    mailer.register(address)
    until(lambda: mailer.count("deferred") == deferred + 1)
    assert mailer.taken_on(address).due_at > from_now()
    mailer.post.answers.clear()
    mailer.make_due(address)
    mailer.post.wait(address)


@pytest.mark.parametrize("reply", FOR_EVER)
def test_a_mail_to_an_unknown_mailbox_is_dropped(
    reply: str, mailer: Mailer, caplog: pytest.LogCaptureFixture
) -> None:
    address, dropped = fresh(), mailer.count("dropped")
    mailer.post.answers[address] = reply
    mailer.register(address)
    until(lambda: mailer.count("dropped") == dropped + 1)
    until(lambda: mailer.outbox(address) == [])
    [line] = [line for name, level, line in caplog.record_tuples if "is dropped" in line]
    assert re.search(r" is dropped: SMTPRecipientsRefused 5\d\d 5\.1\.\d+$", line)
    assert address not in caplog.text


def deferred(mailer: Mailer) -> str:
    """The address of a mail that was tried once, in vain."""
    address, before = fresh(), mailer.count("deferred")
    mailer.post.answers[address] = "450 4.2.0 Come back later"
    mailer.register(address)
    until(lambda: mailer.count("deferred") == before + 1)
    return address


@pytest.mark.parametrize(("hours", "outcome"), [(71, "deferred"), (73, "dropped")])
def test_after_three_days_a_mail_is_given_up(hours: int, outcome: str, mailer: Mailer) -> None:
    address = deferred(mailer)
    make_old(mailer, address, timedelta(hours=hours))
    before = mailer.count(outcome)
    mailer.make_due(address)
    until(lambda: mailer.count(outcome) == before + 1)
    until(lambda: len(mailer.outbox(address)) == (outcome == "deferred"))


def test_an_old_mail_is_still_tried_once(mailer: Mailer) -> None:
    address = deferred(mailer)
    make_old(mailer, address, timedelta(days=30))
    mailer.post.answers.clear()
    mailer.make_due(address)
    mailer.post.wait(address)
