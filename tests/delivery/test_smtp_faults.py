"""Every mail arrives, whatever fails between Byline and a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.mail import delivery
from tests.delivery.conftest import Certify
from tests.kit.mailer import Mailer, fresh, opened
from tests.kit.middlebox import Fault, Middlebox
from tests.kit.smtp import mail_server, until

# What the client says at each step, in the order of a conversation.
STEPS = {
    "connect": b"",
    "EHLO": b"ehlo ",
    "AUTH": b"AUTH ",
    "MAIL": b"mail FROM",
    "RCPT": b"rcpt TO",
    "DATA": b"data\r\n",
    "end of data": b"\r\n.\r\n",
    "QUIT": b"quit",
}
FAULTS = [
    *(("reset", passed_on) for passed_on in (0, 0.5, 1)),
    *(("silence", passed_on) for passed_on in (0, 0.5, 1)),
    ("refusal", 0),
]
CASES = [
    (step, Fault(said, *fault))
    for step, said in STEPS.items()
    for fault in FAULTS
    if fault[1] != 0.5 or step == "end of data"
]
LOGIN = "anna:secret@"


def is_taken(step: str, fault: Fault) -> bool:
    """Whether the mail server has the mail although Byline does not know."""
    return step == "end of data" and fault.passed_on == 1


class Line:
    """An mailer whose mails go by way of a middlebox."""

    def __init__(self, mailer: Mailer, box: Middlebox) -> None:
        self.mailer, self.box = mailer, box

    def suffer(self, step: str, fault: Fault) -> None:
        """Have a fault happen to a mail, and look at what becomes of it and of the next one."""
        first, second, mailer = fresh(), fresh(), self.mailer
        deferred, sent = mailer.count("deferred"), mailer.count("sent")
        self.box.fault = fault
        mailer.register(first)
        until(lambda: self.box.fault is None)
        mailer.register(second)
        mailer.post.wait(second)
        if step == "QUIT":
            until(lambda: mailer.count("sent") == sent + 2)
        else:
            until(lambda: mailer.count("deferred") == deferred + 1)
            assert len(mailer.post.to(first)) == is_taken(step, fault)
            mailer.make_due(first)
        mailer.catch_up()
        assert len(mailer.post.to(first)) == 1 + is_taken(step, fault)
        assert len(mailer.post.to(second)) == 1
        assert [mail.due_at for mail in mailer.outbox(first)] == [None]


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 1.0)
        yield


@pytest.fixture(scope="module")
def line(tmp_path_factory: Any) -> Iterator[Line]:
    with mail_server() as post, Middlebox(post.port) as box:
        url = f"smtp://{LOGIN}127.0.0.1:{box.port}?starttls=false"
        with opened(tmp_path_factory.mktemp("line"), smtp_url=url) as mailer:
            mailer.post = post
            yield Line(mailer, box)


@pytest.mark.parametrize(("step", "fault"), CASES, ids=str)
def test_an_error_at_any_smtp_step_keeps_the_mail_and_delays_no_other(
    step: str, fault: Fault, line: Line
) -> None:
    line.suffer(step, fault)


@pytest.mark.parametrize("said", [b"STARTTLS", b"\x16\x03\x01"], ids=["STARTTLS", "handshake"])
def test_a_fault_while_tls_begins_keeps_the_mail_and_the_password(
    said: bytes, tmp_path: Path, certify: Certify
) -> None:
    with mail_server(tls=certify()) as post, Middlebox(post.port) as box:
        with opened(tmp_path, smtp_url=f"smtp://{LOGIN}127.0.0.1:{box.port}") as mailer:
            mailer.post = post
            for fault in FAULTS:
                Line(mailer, box).suffer("TLS", Fault(said, *fault))
        assert all(mail.is_encrypted for mail in post.taken)
        assert b"AUTH" not in post.heard.upper()
