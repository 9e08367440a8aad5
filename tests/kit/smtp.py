"""A real mail server in this process, with replies set by the tests; it keeps the mails."""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTPUTF8
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

PATIENCE = 60  # seconds


@dataclass
class Taken:
    """A received mail; `login` is the user that signed in."""

    sender: str
    recipients: list[str]
    content: bytes
    is_encrypted: bool
    is_smtputf8: bool
    login: tuple[str, str] | None

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=SMTPUTF8)


class MailServer:
    """A mail server on a port of 127.0.0.1, which can go away and come back.

    `answers` maps a command or a recipient to a reply that replaces the usual one. A mail to an
    address in `held` stays `in_hand`, unanswered, until the address is removed; so does a `QUIT`.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, smtps: bool = False, **options: Any
    ) -> None:
        self.taken: list[Taken] = []
        self.answers: dict[str, str] = {}
        self.held: set[str] = set()
        self.in_hand: list[str] = []
        self.heard = bytearray()  # all bytes received
        self.connections = 0
        self._options = {"enable_SMTPUTF8": True, "auth_require_tls": False, **options}
        self._starttls, self._smtps = (None, tls) if smtps else (tls, None)
        self._open: set[_Conversation] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._socket = _bound(0)
        self.port = self._socket.getsockname()[1]

    def up(self) -> None:
        self._server = self._run(
            self._loop.create_server(self._conversation, sock=self._socket, ssl=self._smtps)
        )

    def down(self) -> None:
        """Close every connection and refuse new ones."""
        self._run(self._break_off())
        self._socket = _bound(self.port)

    def end(self) -> None:
        self._run(self._break_off())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def to(self, address: str) -> list[Taken]:
        """The mails to an address so far, oldest first."""
        return [mail for mail in self.taken if mail.recipients == [address]]

    def wait(self, address: str, number: int = 1) -> list[Taken]:
        """Wait for so many mails to an address."""
        until(lambda: len(self.to(address)) >= number)
        return self.to(address)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _break_off(self) -> None:
        if self._server:
            self._server.close()
        self._socket.close()
        self.held.clear()
        for conversation in list(self._open):
            conversation.hang_up()
        while self._open:
            await asyncio.sleep(0.01)

    def _conversation(self) -> _Conversation:
        self.connections += 1
        return _Conversation(
            self,
            loop=self._loop,
            hostname="mail.example",
            tls_context=self._starttls,
            authenticator=self._sign_in,
            **self._options,
        )

    def _sign_in(self, _: Any, session: Any, __: Any, ___: str, credentials: Any) -> AuthResult:
        session.login = tuple(part.decode() for part in credentials)
        refusal = self.answers.get("AUTH")
        return AuthResult(success=not refusal, handled=False, message=refusal)

    async def handle_MAIL(  # noqa: N802
        self, _: Any, __: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _: Any, __: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        reply = self.answers.get(address, "250 OK")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.in_hand += envelope.rcpt_tos
        while self.held & set(envelope.rcpt_tos):
            await asyncio.sleep(0.01)
        for address in envelope.rcpt_tos:
            self.in_hand.remove(address)
        reply = self.answers.get("DATA", "250 OK")
        if reply.startswith("2"):
            self.taken.append(
                Taken(
                    sender=envelope.mail_from,
                    recipients=envelope.rcpt_tos,
                    content=envelope.content,
                    is_encrypted=bool(session.ssl or self._smtps),
                    is_smtputf8=envelope.smtp_utf8,
                    login=getattr(session, "login", None),
                )
            )
        return reply

    async def handle_QUIT(self, *_: Any) -> str:  # noqa: N802
        while "QUIT" in self.held:
            await asyncio.sleep(0.01)
        return "221 Bye"


class _Conversation(SMTP):
    def data_received(self, data: bytes) -> None:
        if not self.event_handler._smtps and self._tls_protocol is None:
            self.event_handler.heard += data
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.event_handler._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler._open.discard(self)
        super().connection_lost(error)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if reply := self.event_handler.answers.get("STARTTLS"):
            await self.push(reply)
        else:
            await super().smtp_STARTTLS(arg)

    def hang_up(self) -> None:
        if self.transport:
            self.transport.abort()


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """A mail server that runs until the block ends."""
    server = MailServer(**options)
    server.up()
    try:
        yield server
    finally:
        server.end()


def until(holds: Callable[[], Any]) -> None:
    """Wait until a condition holds, for at most `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def _bound(port: int) -> socket.socket:
    """A socket that has a port, and refuses connections until it listens."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
