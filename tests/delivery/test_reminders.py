"""Owners are reminded once, a week before a personal token expires, whatever dies meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select

from service.accounts.reminders import Reminders
from service.engine.ids import rfc3339
from service.mail import outbox
from service.models import Mail, PersonalToken
from tests.kit.mailbox import text
from tests.kit.personal_tokens import DAY, change, expire, give
from tests.kit.serving import Person, Server
from tests.kit.smtp import until

SUBJECT = "A personal token is about to expire"


def remind(server: Server) -> None:
    """What the background thread does at its next look."""
    reminders = Reminders(server.flask)
    assert not all(reminders.remind_one() for _ in range(20)), "it does not end"


def soon(server: Server, token: str) -> None:
    """A week before a token expires."""
    past = rfc3339(datetime.now(UTC) - timedelta(minutes=1))
    change(server, token, remind_at=past)


def received(server: Server, person: Person) -> int:
    """The reminders to this user, once none is waiting."""
    waiting = select(func.count()).where(Mail.user_id == person.id, Mail.kind == "token-expiring")
    until(lambda: server.execute(waiting) == [(0,)])
    return len(server.mailbox.to(person.email, SUBJECT))


@pytest.mark.parametrize(("days", "is_reminded"), [(1, False), (7, False), (8, True), (90, True)])
def test_a_token_has_a_reminder_if_it_lasts_more_than_a_week(
    server: Server, anna: Person, days: int, is_reminded: bool
) -> None:
    give(anna, expires_in=days * DAY)
    table = PersonalToken.__table__
    [row] = server.execute(select(table).where(table.c.user_id == anna.id))
    assert (row.remind_at is not None) == is_reminded
    if is_reminded:
        end, at = (one if isinstance(one, str) else rfc3339(one) for one in row[-1:-3:-1])
        assert datetime.fromisoformat(end) - datetime.fromisoformat(at) == timedelta(days=7)


def test_one_mail_is_about_all_tokens_that_expire_soon(server: Server, anna: Person) -> None:
    server.verify(anna)
    first, second, later = (give(anna, expires_in=90 * DAY) for _ in range(3))
    for token in (first, second):
        soon(server, token)
    remind(server)
    remind(server)
    [mail] = server.mailbox.wait(anna.email, SUBJECT)
    for token in (first, second):
        assert f"{token[:8]}..., until 20" in text(mail)
    assert later[:8] not in text(mail)
    assert "from the address" not in text(mail)


def test_nobody_is_reminded_at_an_unverified_address(server: Server, anna: Person) -> None:
    soon(server, give(anna, expires_in=90 * DAY))
    remind(server)
    assert received(server, anna) == 0


def test_nobody_is_reminded_of_a_token_that_has_expired_meanwhile(
    server: Server, anna: Person
) -> None:
    server.verify(anna)
    tokens = [give(anna, expires_in=90 * DAY) for _ in range(2)]
    for token in tokens:
        soon(server, token)
    expire(server, tokens[0])
    remind(server)
    [mail] = server.mailbox.wait(anna.email, SUBJECT)
    assert tokens[0][:8] not in text(mail)
    expire(server, tokens[1])
    soon(server, tokens[1])
    remind(server)
    assert received(server, anna) == 1


def test_several_processes_remind_once(server: Server, anna: Person) -> None:
    server.verify(anna)
    soon(server, give(anna, expires_in=90 * DAY))
    barrier = Barrier(4)

    def look() -> None:
        barrier.wait()
        remind(server)

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert received(server, anna) == 1


def test_a_process_that_dies_before_it_commits_loses_no_reminder(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.verify(anna)
    soon(server, give(anna, expires_in=90 * DAY))

    class Died(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "notify", die)
        with pytest.raises(Died):
            Reminders(server.flask).remind_one()
    remind(server)
    assert received(server, anna) == 1
