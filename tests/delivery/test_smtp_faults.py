"""Every mail arrives, whatever fails between Byline and a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.mail import delivery
from tests.delivery.conftest import Certify
from tests.kit.middlebox import Fault, Middlebox
from tests.kit.office import Office, fresh, opened
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
    """An office whose mails go by way of a middlebox."""

    def __init__(self, office: Office, box: Middlebox) -> None:
        self.office, self.box = office, box

    def suffer(self, step: str, fault: Fault) -> None:
        """Have a fault happen to a mail, and look at what becomes of it and of the next one."""
        first, second, office = fresh(), fresh(), self.office
        deferred, sent = office.count("deferred"), office.count("sent")
        self.box.fault = fault
        office.register(first)
        until(lambda: self.box.fault is None)
        office.register(second)
        office.post.wait(second)
        if step == "QUIT":
            until(lambda: office.count("sent") == sent + 2)
        else:
            until(lambda: office.count("deferred") == deferred + 1)
            assert len(office.post.to(first)) == is_taken(step, fault)
            office.make_due(first)
        office.catch_up()
        assert len(office.post.to(first)) == 1 + is_taken(step, fault)
        assert len(office.post.to(second)) == 1
        assert [mail.due_at for mail in office.outbox(first)] == [None]


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 1.0)
        yield


@pytest.fixture(scope="module")
def line(tmp_path_factory: Any) -> Iterator[Line]:
    with mail_server() as post, Middlebox(post.port) as box:
        url = f"smtp://{LOGIN}127.0.0.1:{box.port}?starttls=false"
        with opened(tmp_path_factory.mktemp("line"), smtp_url=url) as office:
            office.post = post
            yield Line(office, box)


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
        with opened(tmp_path, smtp_url=f"smtp://{LOGIN}127.0.0.1:{box.port}") as office:
            office.post = post
            for fault in FAULTS:
                Line(office, box).suffer("TLS", Fault(said, *fault))
        assert all(mail.is_encrypted for mail in post.taken)
        assert b"AUTH" not in post.heard.upper()
