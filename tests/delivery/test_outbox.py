"""The outbox: each mail in it is sent once, and nothing else is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from service.domain import passwords
from service.engine.database.transaction import db
from service.engine.observe.metrics import Metrics
from service.engine.work import background
from service.mail import delivery, outbox
from service.models import Mail, Session
from service.models.mails import EMAIL_CHANGE_NOTICE, EMAIL_VERIFICATION, PASSWORD_RESET
from tests.kit import postgres
from tests.kit.mailbox import subject_of, token
from tests.kit.mailer import Mailer, fresh, opened
from tests.kit.serving import PASSWORD, Person, serving
from tests.kit.smtp import mail_server, until
from tests.kit.waking import until_done

LATER = "450 4.2.0 Come back later"


def sign_up(mailer: Mailer) -> Person:
    """A user whose mails cannot be delivered yet; the first of them was tried."""
    address = fresh()
    mailer.post.answers[address] = LATER
    mailer.register(address)
    mailer.taken_on(address)
    mailer.catch_up()  # it is taken on before it is tried
    return mailer.server.sign_in(address)


def deliver(mailer: Mailer, address: str) -> None:
    """Let everything for an address be delivered."""
    mailer.post.answers.pop(address, None)
    mailer.make_due(address)
    mailer.catch_up()


def test_a_mail_of_a_transaction_that_is_rolled_back_never_goes_out(mailer: Mailer) -> None:
    address, user_id = fresh(), mailer.register(fresh())
    with mailer.server.flask.app_context(), db.transaction():
        outbox.put(EMAIL_CHANGE_NOTICE, address, user_id)
    mailer.catch_up()
    assert mailer.post.to(address) == mailer.outbox(address) == []


def test_a_request_that_fails_after_queueing_a_mail_sends_nothing(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, address, hashed = mailer.server.sign_up(), fresh(), passwords.hashed
    mailer.server.make_admin(admin)

    def signed_out_meanwhile(password: str) -> str:
        mailer.server.execute(sa.delete(Session).where(Session.user_id == admin.id))
        return hashed(password)

    monkeypatch.setattr(passwords, "hashed", signed_out_meanwhile)
    answer = admin.http.post("/api/users", json={"email": address, "password": PASSWORD})
    monkeypatch.undo()
    assert answer.status_code == 401
    mailer.catch_up()
    assert mailer.post.to(address) == mailer.outbox(address) == []


def test_an_unknown_address_gets_no_mail(mailer: Mailer) -> None:
    address = fresh()
    mailer.request_reset(address)
    mailer.catch_up()
    assert mailer.post.to(address) == mailer.outbox(address) == []


@pytest.mark.parametrize("kind", [EMAIL_VERIFICATION, PASSWORD_RESET])
def test_an_address_its_user_has_given_up_gets_no_mail(kind: str, mailer: Mailer) -> None:
    address = fresh()
    mailer.queue(kind, address, mailer.register(fresh()))
    mailer.catch_up()
    assert mailer.post.to(address) == mailer.outbox(address) == []


def test_a_deleted_user_gets_no_mail(mailer: Mailer) -> None:
    person = sign_up(mailer)
    assert person.http.delete(f"/api/users/{person.id}").status_code == 204
    until(lambda: mailer.outbox(person.email) == [])
    deliver(mailer, person.email)
    assert mailer.post.to(person.email) == []


def test_a_new_password_removes_queued_mails_with_tokens(mailer: Mailer) -> None:
    person = sign_up(mailer)
    mailer.request_reset(person.email)
    mailer.queue(EMAIL_CHANGE_NOTICE, person.email, person.id)
    until(lambda: [mail.attempts for mail in mailer.outbox(person.email)] == [1, 1, 1])
    change = {"current_password": PASSWORD, "new_password": "seven purple herons at dawn"}
    assert person.http.put("/auth/password", json=change).status_code == 200
    deliver(mailer, person.email)
    [mail] = mailer.post.to(person.email)
    assert subject_of(mail.message) == "Your e-mail address is about to change"


def test_a_mail_that_cannot_be_composed_delays_no_other(
    tmp_path: Path, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "IDLE_SECONDS", 3600)
    with opened(tmp_path, **database) as mailer:
        mailer.catch_up()
        odd, plain, deferred = fresh(), fresh(), mailer.count("deferred")
        user_id = mailer.register(fresh())
        with mailer.server.flask.app_context(), db.transaction() as transaction:
            outbox.put("of-a-newer-release", odd, user_id)
            outbox.put(EMAIL_CHANGE_NOTICE, plain, user_id)
            transaction.commit()
        mailer.post.wait(plain)
        assert mailer.count("deferred") == deferred + 1
        assert mailer.taken_on(odd).due_at


def test_a_mail_of_another_process_is_found(
    tmp_path: Path, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "IDLE_SECONDS", 0.05)
    with opened(tmp_path, **database) as mailer:
        address, user_id = fresh(), mailer.register(fresh())
        with mailer.server.flask.app_context(), db.transaction() as transaction:
            Mail.queue(EMAIL_CHANGE_NOTICE, address, user_id)
            transaction.commit()
        mailer.post.wait(address)


def test_an_overtaken_attempt_changes_nothing(tmp_path: Path, database: dict[str, str]) -> None:
    address = fresh()
    with opened(tmp_path, **database) as quick:
        quick.post.answers[address] = LATER
        with opened(tmp_path, **database) as slow:
            slow.post.held.add(address)
            slow.register(address)
            until(lambda: slow.post.in_hand == [address])
            quick.make_due(address)
            quick.taken_on(address, 2)
        [late] = slow.post.to(address)  # sent after all, with a token that is none by now
        assert quick.taken_on(address, 2).due_at
        deliver(quick, address)
        [mail] = quick.post.to(address)
        good = hashlib.sha256(token(mail.message).encode()).hexdigest()
        assert quick.taken_on(address, 3).token_hash == good
        # Nobody may take the one for a copy of the other.
        assert late.message["Message-ID"] != mail.message["Message-ID"]


def test_several_processes_send_each_mail_once(
    tmp_path: Path, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAUSE_SECONDS", 0)
    with opened(tmp_path, **database) as mailer, ExitStack() as stack:
        app, user_id = mailer.server.flask, mailer.register(fresh())
        addresses = [fresh() for _ in range(100)]
        with app.app_context(), db.transaction() as transaction:
            for address in addresses:
                Mail.queue(EMAIL_CHANGE_NOTICE, address, user_id)
            transaction.commit()
        for _ in range(4):
            another = delivery.Delivery(app, mailer.server.settings, Metrics("byline"))
            another.wake()
            another.start()
            stack.callback(another.stop)
        until(lambda: len(mailer.post.taken) > len(addresses))
        until(lambda: not any(map(mailer.outbox, addresses)))
        assert all(len(mailer.post.to(address)) == 1 for address in addresses)


@pytest.mark.parametrize("broken", ["due", "claim", "sent"])
def test_delivery_recovers_from_errors_of_the_database(
    broken: str, mailer: Mailer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    works: Callable[..., Any] = getattr(Mail, broken)
    failures = iter(range(2))

    def fails(*arguments: Any) -> Any:
        if next(failures, None) is None:
            return works(*arguments)
        raise sa.exc.OperationalError("", {}, Exception("the server is gone"))

    monkeypatch.setattr(Mail, broken, fails)
    address = fresh()
    mailer.register(address)
    until(lambda: "mails are waiting: OperationalError" in caplog.text)
    mailer.make_due(address)
    until_done(lambda: mailer.post.to(address))
    until_done(lambda: mailer.make_due(address) or not mailer.outbox(address)[0].due_at)


def test_mails_go_out_when_the_database_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "IDLE_SECONDS", 0.05)
    url = sa.make_url(postgres.start())
    server = url.set(database="postgres").render_as_string(hide_password=False)
    own = url.render_as_string(hide_password=False)
    with opened(tmp_path, database_url=own) as mailer:
        address = fresh()
        mailer.post.answers[address] = LATER
        mailer.register(address)
        mailer.taken_on(address)
        with psycopg.connect(server, autocommit=True) as other:
            other.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
            ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            other.execute(ending, [url.database])
            until(lambda: caplog.text.count("mails are waiting") > 2)
            other.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")
        mailer.post.answers.clear()
        mailer.make_due(address)
        mailer.post.wait(address)


def test_a_mail_being_sent_does_not_delay_shutdown(
    tmp_path: Path, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 3600)
    monkeypatch.setattr(background, "STOP_TIMEOUT_SECONDS", 0.1)
    address = fresh()
    with mail_server() as post:
        settings = {"smtp_url": f"smtp://127.0.0.1:{post.port}", **database}
        with serving(tmp_path, **settings) as server:
            post.held.add(address)
            Mailer(server, post).register(address)
            until(lambda: post.in_hand == [address])
        post.down()
        post.up()
        with serving(tmp_path, **settings) as server:
            later = Mailer(server, post)
            assert later.taken_on(address).due_at
            later.make_due(address)
            assert len(post.wait(address)) == 1
