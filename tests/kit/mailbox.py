"""Reads the mails that a server without an SMTP_URL writes to files, as recipients see them."""

from __future__ import annotations

import email
import os
import re
import time
from collections import defaultdict
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

PATIENCE = 60  # seconds: the outbox may be long when many tests have signed up
# An address that no header has to encode, fold or quote.
_PLAIN_RECIPIENT = re.compile(rb"(?:[^\r\n]+\r?\n)*?To: ([\w.+-]+@[\w.-]+)\r?\n(?![ \t])")


class Mailbox:
    """A folder of `.eml` files; each is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        # By recipient. Parsing is slow, and most mails are never looked at.
        self._unparsed: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._mails: defaultdict[str, dict[str, EmailMessage]] = defaultdict(dict)

    def to(self, address: str, subject: str | None = None) -> list[EmailMessage]:
        """The mails to an address so far, oldest first."""
        # As strings: there are thousands, and a test that waits looks often.
        names = os.listdir(self._folder) if self._folder.exists() else ()  # noqa: PTH208
        for name in {name for name in names if name.endswith(".eml")} - self._read:
            content = (self._folder / name).read_bytes()
            self._unparsed[recipient(content)][name] = content
            self._read.add(name)
        for name, content in self._unparsed.pop(address, {}).items():
            self._mails[address][name] = _parsed(content)
        its = sorted(self._mails[address].items())
        return [message for _, message in its if subject in (None, subject_of(message))]

    def wait(self, address: str, subject: str, number: int = 1) -> list[EmailMessage]:
        """Wait for so many mails with this subject to an address."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.to(address, subject)) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} mails to {address}"
            time.sleep(0.02)
        return found

    def token(self, address: str, subject: str, number: int = 1) -> str:
        """Wait for the mail of this number; its token."""
        return token(self.wait(address, subject, number)[number - 1])


def recipient(content: bytes) -> str:
    """The address that a mail is to."""
    plain = _PLAIN_RECIPIENT.match(content)
    return plain[1].decode() if plain else str(_parsed(content)["To"])


def _parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=default)


def subject_of(message: EmailMessage) -> str:
    """The subject of a mail without the product's name in front."""
    return str(message["Subject"]).removeprefix("[Byline] ")


def text(message: EmailMessage) -> str:
    """The plain text of a mail."""
    return str(message.get_body(("plain",)).get_content())


def token(message: EmailMessage) -> str:
    """The token in the links of a mail."""
    [found] = set(re.findall(r"\?token=([\w-]+)", text(message)))
    return str(found)
