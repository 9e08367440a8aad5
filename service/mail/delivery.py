"""Sends the mails of the outbox in the background, each at least once."""

from __future__ import annotations

import errno
import logging
import os
import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTPUTF8
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from uuid import UUID

import flask

from service.domain import mails
from service.engine.database.transaction import db
from service.engine.ids import created_at, rfc3339
from service.engine.observe.metrics import Metrics
from service.engine.work.background import Background
from service.models import Mail
from service.models.mails import Sending
from service.settings import Settings

logger = logging.getLogger(__name__)

# Between mails. Without it, mails to known addresses would measurably slow other requests.
PAUSE_SECONDS = 0.05
# For each SMTP step; a mail that takes longer is sent again.
SMTP_TIMEOUT_SECONDS = 30.0
GIVES_UP = timedelta(days=3)

# Unknown mailbox, impossible name, moved, or a domain that accepts no mail (RFC 7505).
GONE = {b"5.1.1", b"5.1.3", b"5.1.6", b"5.1.10"}
_ENHANCED_CODE = re.compile(rb"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\w)")

Send = Callable[[EmailMessage, str], None]


class NoTls(smtplib.SMTPException):
    """The server does not offer STARTTLS, which is required."""


class Delivery(Background):
    """One thread that sends the mails that are due; several processes may each have one."""

    def __init__(self, app: flask.Flask, settings: Settings, metrics: Metrics) -> None:
        super().__init__(
            "mails", lambda: PAUSE_SECONDS if self._deliver_one() else None, pause=PAUSE_SECONDS
        )
        self._app = app
        self._send = transport(settings)
        self._letterhead = mails.letterhead(
            settings.product_name, settings.mail_from, settings.public_url
        )
        self._metrics = metrics
        app.extensions["delivery"] = self

    def _deliver_one(self) -> bool:
        """Process one mail that is due; False if there was none."""
        with self._app.app_context():
            due = Mail.due()
            if due is None:
                return False
            with db.transaction() as transaction:
                mail = Mail.claim(due)
                transaction.commit()
            if mail:
                self._hand_over(mail)
            else:  # otherwise the metrics would reveal which addresses are known
                self._metrics.count("mails_total", "sent")
            return True

    def _hand_over(self, mail: Sending) -> None:
        outcome = self._try(mail)
        self._metrics.count("mails_total", outcome)
        if outcome == "deferred":
            return
        with db.transaction() as transaction:
            if outcome == "sent":
                Mail.sent(mail)
            else:
                Mail.drop(mail.id)
            transaction.commit()

    def _try(self, mail: Sending) -> str:
        """Try to send a mail; returns `sent`, `deferred` or `dropped`."""
        try:
            self._send(
                mails.compose(
                    mail.kind,
                    mail.recipient,
                    mail.token,
                    mail.facts,
                    letterhead=self._letterhead,
                    id_=f"{mail.id}.{mail.attempt}",
                ),
                mail.id,
            )
            return "sent"
        except Exception as error:  # no error may delay the other mails
            too_old = created_at(UUID(mail.id)) < rfc3339(datetime.now(UTC) - GIVES_UP)
            outcome = "dropped" if too_old or _is_final(error) else "deferred"
            logger.warning("mail %s is %s: %s", mail.id, outcome, _why(error))
            return outcome


def transport(settings: Settings) -> Send:
    """The function that sends a message: to the server of SMTP_URL, or into MAIL_DIR as an `.eml`
    file."""
    if settings.smtp_url is None:
        return partial(_write, settings.mail_dir)
    return partial(_submit, urlsplit(settings.smtp_url), ssl.create_default_context())


def _write(folder: Path, message: EmailMessage, name: str) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder / f"{name}.new"  # no reader may see half a mail
    try:
        made = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(message.as_bytes(policy=SMTPUTF8))
        unfinished.replace(folder / f"{name}.eml")
    except OSError:
        with suppress(OSError):
            unfinished.unlink()  # it would use space that a full disk does not have
        raise


def _submit(url: SplitResult, tls: ssl.SSLContext, message: EmailMessage, _name: str) -> None:
    connect = partial(smtplib.SMTP_SSL, context=tls) if url.scheme == "smtps" else smtplib.SMTP
    with closing(
        connect(url.hostname or "", url.port or 0, timeout=SMTP_TIMEOUT_SECONDS)
    ) as server:
        if _wants_starttls(url):
            _start_tls(server, tls)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)
        with suppress(OSError, smtplib.SMTPException):
            server.quit()  # the server has accepted the mail, whatever it answers now


def _wants_starttls(url: SplitResult) -> bool:
    """Whether to require STARTTLS: with `starttls=true`, and whenever a password is sent, unless
    `starttls=false` is set."""
    starttls = dict(parse_qsl(url.query)).get("starttls")
    return starttls == "true" or (url.scheme == "smtp" and bool(url.username) and starttls is None)


def _start_tls(server: smtplib.SMTP, tls: ssl.SSLContext) -> None:
    server.ehlo_or_helo_if_needed()
    # An attacker in between can strip the offer (RFC 3207, section 6), so send nothing then.
    if not server.has_extn("starttls"):
        raise NoTls
    server.starttls(context=tls)


def _is_final(error: Exception) -> bool:
    """Whether this mailbox does not exist, so that another attempt is pointless (RFC 3463, section
    3.2).

    Any other error may concern us or be temporary: a relay that requires a login, a blocked sender
    or network, a full mailbox, greylisting with a 5xx code, or a refusal without an enhanced code,
    such as Barracuda's `550 Blocked`.
    """
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    return all(code >= 500 and _code(reply) in GONE for code, reply in error.recipients.values())


def _code(reply: bytes) -> bytes:
    """The first enhanced status code in a reply, or nothing."""
    found = _ENHANCED_CODE.search(reply)
    return found[0] if found else b""


def _why(error: Exception) -> str:
    """The reason of a failure, without the server's text, which may contain the address."""
    if isinstance(error, NoTls):
        return "the mail server offers no STARTTLS, which SMTP_URL or its password requires"
    if type(error) is OSError and error.errno:  # the code, such as ENOSPC, says more than the class
        return f"OSError {errno.errorcode.get(error.errno, error.errno)}"
    refusals = error.recipients.values() if isinstance(error, smtplib.SMTPRecipientsRefused) else ()
    codes = (f"{code} {_code(reply).decode()}".strip() for code, reply in refusals)
    return " ".join([type(error).__name__, *codes])
