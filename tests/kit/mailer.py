"""A Byline that sends mails to its own mail server, and access to its outbox."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import delete, select, update

from service.engine.database.transaction import db
from service.engine.ids import rfc3339
from service.mail import outbox
from service.models import Mail
from tests.kit.serving import PASSWORD, Server, serving
from tests.kit.smtp import MailServer, mail_server, until

LONG_AGO = "2020-01-01T00:00:00.000Z"
WAITING = Mail.due_at.is_not(None)


def fresh() -> str:
    """An unused address."""
    return f"{secrets.token_hex(6)}@example.com"


def from_now(**time: float) -> str:
    return rfc3339(datetime.now(UTC) + timedelta(**time))


@dataclass
class Mailer:
    """A Byline and the mail server that receives its mails."""

    server: Server
    post: MailServer

    def register(self, address: str) -> str:
        """The id of a new user, to whom a verification mail is queued."""
        with self.server.client() as client:
            answer = client.post("/auth/register", json={"email": address, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def request_reset(self, address: str) -> None:
        with self.server.client() as client:
            answer = client.post("/auth/password-resets", json={"email": address})
        assert answer.status_code == 202, answer.text

    def queue(self, kind: str, recipient: str, user_id: str | None) -> None:
        """Put a mail into the outbox, as a handler would."""
        with self.server.flask.app_context(), db.transaction() as transaction:
            outbox.put(kind, recipient, user_id)
            transaction.commit()

    def outbox(self, address: str) -> list[Any]:
        """The outbox rows for an address, oldest first, without those already removed."""
        its = select(*Mail.__table__.columns).where(Mail.recipient == address)
        return self.server.execute(its.order_by(Mail.id))

    def taken_on(self, address: str, attempts: int = 1) -> Any:
        """Wait until the only mail to an address has been tried so many times; its row."""
        until(lambda: [mail.attempts for mail in self.outbox(address)] == [attempts])
        return self.outbox(address)[0]

    def make_due(self, address: str) -> None:
        """Make the waiting mails to an address due now."""
        its = (Mail.recipient == address, WAITING)
        self.server.execute(update(Mail).where(*its).values(due_at=LONG_AGO))
        if own := self.server.flask.extensions.get("delivery"):
            own.wake()

    def catch_up(self) -> None:
        """Wait until every mail that is due now has been tried."""
        last = fresh()
        self.register(last)
        self.post.wait(last)

    def count(self, outcome: str) -> int:
        """How many tries have had this outcome."""
        metrics = httpx.get(f"{self.server.url}/metrics").text
        found = re.findall(rf'byline_mails_total{{outcome="{outcome}"}} (\d+)', metrics)
        return sum(map(int, found))

    def tidy_up(self) -> None:
        """Remove what another test could see."""
        self.post.held.clear()
        self.post.answers.clear()
        self.server.execute(delete(Mail).where(WAITING))


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[Mailer]:
    """A Byline with these settings and its mail server, until the block ends."""
    with mail_server() as post:
        url = {"smtp_url": f"smtp://127.0.0.1:{post.port}"}
        with serving(folder, **url | settings) as server:
            yield Mailer(server, post)
            post.held.clear()
