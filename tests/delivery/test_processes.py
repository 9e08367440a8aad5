"""Processes that are killed, told to end, or share their outbox with another."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from service import migrations
from service.engine.database.transaction import db
from service.engine.tokens.keys import generate_key
from service.flask_app import create_flask
from service.models import Mail
from service.models.mails import EMAIL_CHANGE_NOTICE
from service.settings import Settings
from tests.kit.commands import start
from tests.kit.mailbox import token
from tests.kit.mailer import WAITING, Mailer, fresh
from tests.kit.ports import free_port
from tests.kit.serving import Server
from tests.kit.smtp import MailServer, mail_server, until


@dataclass
class Place:
    """Where processes of `byline serve` share a database and a mail server."""

    folder: Path
    post: MailServer
    settings: Settings

    @contextmanager
    def processes(self, number: int = 1) -> Iterator[list[tuple[subprocess.Popen[bytes], Mailer]]]:
        """Processes that serve, to be ended by the test or by the end of the block."""
        app = create_flask(self.settings)
        with ExitStack() as stack:
            started = [stack.enter_context(self._started(app)) for _ in range(number)]
            for process, mailer in started:
                until(lambda p=process, o=mailer: is_there(o) or p.poll() is not None)
            yield started

    @contextmanager
    def _started(self, app: Any) -> Iterator[tuple[subprocess.Popen[bytes], Mailer]]:
        port = free_port()
        own = {
            "DATABASE_URL": self.settings.database_url,
            "JWT_KEYS_DIR": str(self.settings.jwt_keys_dir),
            "SMTP_URL": str(self.settings.smtp_url),
            "PUBLIC_URL": self.settings.public_url,
            "RATE_LIMIT_ENABLED": "false",
            "LOG_LEVEL": "WARNING",
        }
        process = start(self.folder / f"{port}.log", port, **own)
        server = Server(f"http://127.0.0.1:{port}", app, self.settings)
        try:
            yield process, Mailer(server, self.post)
        finally:
            process.kill()
            process.wait()
            server.transport.end()
            with app.app_context():
                db.engine.dispose()


def is_there(mailer: Mailer) -> bool:
    try:
        return httpx.get(f"{mailer.server.url}/health/live").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def place(tmp_path: Path, database: dict[str, str]) -> Iterator[Place]:
    with mail_server() as post:
        own = {"database_url": f"sqlite:///{tmp_path}/byline.db", "jwt_keys_dir": tmp_path / "keys"}
        url = f"smtp://127.0.0.1:{post.port}"
        settings = Settings(_env_file=None, smtp_url=url, **own | database)
        generate_key(settings.jwt_keys_dir)
        with create_flask(settings).app_context():
            migrations.upgrade(db.engine)
            db.engine.dispose()
        yield Place(tmp_path, post, settings)


def test_a_mail_of_a_process_that_is_killed_is_sent_by_another(place: Place) -> None:
    address = fresh()
    place.post.held.add(address)
    with place.processes() as [(process, mailer)]:
        mailer.register(address)
        until(lambda: place.post.in_hand == [address])
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert mailer.taken_on(address).due_at
    place.post.held.clear()
    with place.processes() as [(_, mailer)]:
        mailer.make_due(address)
        mailer.catch_up()
        [mail] = place.post.wait(address)
        with mailer.server.client() as client:
            known = {"token": token(mail.message)}
            answer = client.post("/auth/email-verifications/complete", json=known)
        assert answer.status_code == 204


def test_a_process_that_shuts_down_finishes_sending_its_mail(place: Place) -> None:
    address = fresh()
    place.post.held.add(address)
    with place.processes() as [(process, mailer)]:
        mailer.register(address)
        until(lambda: place.post.in_hand == [address])
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)  # it waits for what is in hand
        place.post.held.clear()
        assert process.wait(timeout=60) in {0, -signal.SIGTERM}
        assert mailer.taken_on(address).due_at is None
        assert len(place.post.to(address)) == 1


def test_of_two_processes_one_sends_a_mail(place: Place) -> None:
    addresses = [fresh() for _ in range(20)]
    place.post.held |= set(addresses)
    with place.processes(2) as [(_, one), (_, other)]:
        user_id = one.register(fresh())
        with one.server.flask.app_context(), db.transaction() as transaction:
            for address in addresses:
                Mail.queue(EMAIL_CHANGE_NOTICE, address, user_id)
            transaction.commit()
        for mailer in (one, other):
            mailer.register(fresh())  # which wakes it
        until(lambda: len(place.post.in_hand) == 2)
        place.post.held.clear()
        left = select(func.count()).select_from(Mail).where(WAITING)
        until(lambda: one.server.execute(left) == [(0,)])
    assert [len(place.post.to(address)) for address in addresses] == [1] * len(addresses)
