"""How a mail gets to a mail server: in the clear, over TLS, signed in, and to which addresses."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme

from service.domain.mails import Letterhead, compose
from service.mail import delivery
from service.settings import Settings
from tests.delivery.conftest import Certify
from tests.kit.mailbox import token
from tests.kit.mailer import fresh, opened
from tests.kit.smtp import MailServer, mail_server, until

USER, SECRET = "anna@example.com", "p@ss:w/rd%?#&="
LOGIN = f"{quote(USER)}:{quote(SECRET, safe='')}@"
STARTTLS, IN_CLEAR = "?starttls=true", "?starttls=false"


def send(url: str, recipient: str = "ben@example.com") -> None:
    """Hand a mail over to the mail server of an SMTP_URL."""
    letterhead = Letterhead("Byline", "Byline <no-reply@byline.example>", "https://byline.example")
    message = compose("password-reset", recipient, "t0k", {}, letterhead=letterhead, id_="1")
    delivery.transport(Settings(_env_file=None, smtp_url=url))(message, "1")


def heard_in_the_clear(server: MailServer) -> set[bytes]:
    """What came unencrypted that matters."""
    return {word for word in (b"AUTH", b"MAIL", b"RCPT") if word in server.heard.upper()}


@pytest.mark.parametrize(
    ("scheme", "login", "query", "is_encrypted"),
    [
        ("smtp", "", "", False),
        ("smtp", "", "?starttls=false", False),
        ("smtp", LOGIN, "", True),
        ("smtp", LOGIN, "?starttls=false", False),
        ("smtp", "", STARTTLS, True),
        ("smtp", LOGIN, STARTTLS, True),
        ("smtp", LOGIN, "?starttls=true&", True),
        ("smtp", LOGIN, "?starttls=%74rue", True),
        ("smtps", "", "", True),
        ("smtps", LOGIN, "", True),
    ],
)
def test_a_mail_arrives_at_the_mail_server(
    scheme: str, login: str, query: str, is_encrypted: bool, certify: Certify
) -> None:
    tls = certify() if is_encrypted else None
    with mail_server(tls=tls, smtps=scheme == "smtps") as server:
        send(f"{scheme}://{login}127.0.0.1:{server.port}{query}")
        [mail] = server.taken
        assert mail.recipients == ["ben@example.com"]
        assert mail.sender == "no-reply@byline.example"
        assert mail.login == ((USER, SECRET) if login else None)
        assert mail.is_encrypted is is_encrypted
        assert bool(heard_in_the_clear(server)) is not is_encrypted
        assert token(mail.message) == "t0k"


def a_stranger(certify: Certify) -> dict[str, Any]:
    return {"tls": certify(authority=trustme.CA())}


def somebody_else(certify: Certify) -> dict[str, Any]:
    return {"tls": certify("mail.example")}


def nobody(_: Certify) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("scheme", "query", "who", "error"),
    [
        ("smtp", STARTTLS, a_stranger, ssl.SSLCertVerificationError),
        ("smtp", STARTTLS, somebody_else, ssl.SSLCertVerificationError),
        ("smtp", STARTTLS, nobody, delivery.NoTls),
        ("smtp", "", nobody, delivery.NoTls),
        ("smtp", "", a_stranger, ssl.SSLCertVerificationError),
        ("smtps", "", a_stranger, ssl.SSLCertVerificationError),
        ("smtps", "", somebody_else, ssl.SSLCertVerificationError),
        ("smtps", "", nobody, ssl.SSLError),
    ],
)
def test_a_mail_server_without_a_valid_certificate_gets_nothing(
    scheme: str,
    query: str,
    who: Callable[[Certify], dict[str, Any]],
    error: type[Exception],
    certify: Certify,
) -> None:
    options = who(certify)
    with mail_server(smtps=scheme == "smtps", **options) as server:
        with pytest.raises(error):
            send(f"{scheme}://{LOGIN}127.0.0.1:{server.port}{query}")
        assert server.connections == 1
        assert heard_in_the_clear(server) == set()
        assert server.taken == []


@pytest.mark.parametrize("reply", ["454 4.7.0 Not now", "220 Go ahead"])
def test_a_failed_starttls_ends_the_attempt(
    reply: str, certify: Certify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 0.5)
    with mail_server(tls=certify()) as server:
        server.answers["STARTTLS"] = reply
        with pytest.raises((smtplib.SMTPResponseException, OSError)):
            send(f"smtp://{LOGIN}127.0.0.1:{server.port}{STARTTLS}")
        assert heard_in_the_clear(server) == set()
        assert server.taken == []


def test_a_mail_waits_for_a_valid_certificate(
    tmp_path: Path, certify: Certify, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server(tls=certify()) as right, mail_server(tls=certify("mail.example")) as wrong:
        address = fresh()
        url = f"smtp://{LOGIN}127.0.0.1:{{}}{STARTTLS}"
        with opened(tmp_path, smtp_url=url.format(wrong.port)) as mailer:
            mailer.register(address)
            until(lambda: mailer.count("deferred") == 1)
        assert SECRET not in caplog.text
        assert heard_in_the_clear(wrong) == set()
        with opened(tmp_path, smtp_url=url.format(right.port)) as mailer:
            mailer.make_due(address)
            [mail] = right.wait(address)
        assert mail.is_encrypted
        assert mail.login == (USER, SECRET)


def test_a_mail_waits_while_starttls_is_stripped(
    tmp_path: Path, certify: Certify, caplog: pytest.LogCaptureFixture
) -> None:
    address, url = fresh(), f"smtp://{LOGIN}127.0.0.1:{{}}"
    with mail_server() as stripped, opened(tmp_path, smtp_url=url.format(stripped.port)) as mailer:
        mailer.register(address)
        until(lambda: mailer.count("deferred") == 1)
        assert heard_in_the_clear(stripped) == set()
    [line] = [line for *_, line in caplog.record_tuples if "is deferred" in line]
    assert "the mail server offers no STARTTLS" in line
    assert SECRET not in line
    with (
        mail_server(tls=certify()) as right,
        opened(tmp_path, smtp_url=url.format(right.port)) as mailer,
    ):
        mailer.make_due(address)
        [mail] = right.wait(address)
    assert mail.login == (USER, SECRET)


def test_a_wrong_password_keeps_the_mail(tmp_path: Path) -> None:
    with mail_server() as server:
        server.answers["AUTH"] = "535 5.7.8 Authentication credentials invalid"
        with opened(
            tmp_path, smtp_url=f"smtp://{LOGIN}127.0.0.1:{server.port}{IN_CLEAR}"
        ) as mailer:
            address = fresh()
            mailer.register(address)
            until(lambda: mailer.count("deferred") == 1)
            del server.answers["AUTH"]
            mailer.make_due(address)
            server.wait(address)


def test_a_mail_counts_as_sent_once_the_server_accepts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 0.5)
    with opened(tmp_path) as mailer:
        mailer.post.held.add("QUIT")
        address = fresh()
        mailer.register(address)
        until(lambda: mailer.count("sent") == 1)
        assert len(mailer.post.to(address)) == 1


@pytest.mark.parametrize(
    ("address", "envelope", "is_smtputf8"),
    [
        ("ben@bücher.example", "ben@xn--bcher-kva.example", False),
        ("zoë@bücher.example", "zoë@xn--bcher-kva.example", True),
    ],
)
def test_an_international_address_is_accepted_by_the_mail_server(
    address: str, envelope: str, is_smtputf8: bool
) -> None:
    with mail_server(enable_SMTPUTF8=is_smtputf8) as server:
        send(f"smtp://127.0.0.1:{server.port}", address)
        [mail] = server.taken
        assert mail.recipients == [envelope]
        assert mail.message["To"] == envelope
        assert mail.is_smtputf8 is is_smtputf8


def test_a_non_ascii_name_needs_a_mail_server_with_smtputf8() -> None:
    with mail_server(enable_SMTPUTF8=False) as server:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            send(f"smtp://127.0.0.1:{server.port}", "zoë@example.com")
        assert server.taken == []


@pytest.mark.parametrize(
    ("settings", "sender", "name"),
    [
        ({}, "no-reply@localhost", "Byline"),
        ({"public_url": "http://[::1]:9000"}, "no-reply@localhost", "Byline"),
        ({"public_url": "https://b.example/app"}, "no-reply@b.example", "Byline"),
        ({"mail_from": "Tëam <hi@b.example>"}, "hi@b.example", "Tëam"),
        ({"mail_from": "hi@b.example"}, "hi@b.example", "Byline"),
        ({"product_name": "Bücher, Büro"}, "no-reply@localhost", "Bücher, Büro"),
    ],
)
def test_a_mail_says_who_sends_it(
    settings: dict[str, str], sender: str, name: str, tmp_path: Path
) -> None:
    with opened(tmp_path, **settings) as mailer:
        address = fresh()
        mailer.register(address)
        [mail] = mailer.post.wait(address)
    [author] = mail.message["From"].addresses
    assert (author.addr_spec, author.display_name) == (sender, name)
    assert mail.sender == sender
    assert mail.message["Message-ID"].endswith(f"@{sender.partition('@')[2]}>")
