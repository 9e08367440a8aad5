"""The content of mails, and the addresses in their headers."""

from __future__ import annotations

import email
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import getaddresses
from html.parser import HTMLParser

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from service.domain.addresses import checked, deliverable
from service.domain.mails import DISPUTES, PAGES, SUBJECTS, compose, letterhead
from service.engine.problems import InvalidRequest
from service.models.mails import LIFETIMES

TOKEN = "t0DzgyXBLvzoYY4sCrHRzuNbZ4ERlBDg3DrUrSmN6Qc"
SITE = "https://byline.example"
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}

FACTS = {"at": "2026-11-29T17:42:05.123Z", "ip": "192.0.2.7"}

each_kind = pytest.mark.parametrize("kind", SUBJECTS)
# Nobody asks for a reminder.
each_kind_asked_for = pytest.mark.parametrize("kind", sorted(SUBJECTS.keys() - {"token-expiring"}))
each_kind_with_a_token = pytest.mark.parametrize("kind", PAGES)
each_notice = pytest.mark.parametrize("kind", sorted(SUBJECTS.keys() - PAGES.keys()))


class _Page(HTMLParser):
    """The links of an HTML page, and its text without the title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def composed(
    kind: str = "password-reset",
    recipient: str = "anna@example.com",
    *,
    sender: str | None = None,
    site: str = SITE,
    product: str = "Byline",
    facts: dict[str, str] = FACTS,
) -> EmailMessage:
    token = TOKEN if kind in PAGES else None
    head = letterhead(product, sender, site)
    return compose(kind, recipient, token, facts, letterhead=head, id_="4711.1")


def part(message: EmailMessage, subtype: str) -> str:
    return message.get_body((subtype,)).get_content()


def as_sent(message: EmailMessage) -> EmailMessage:
    """A message that has been to the wire and back, by the protocol that its address asks for."""
    policy = SMTP if str(message["To"]).isascii() else SMTPUTF8
    return email.message_from_bytes(message.as_bytes(policy=policy), policy=SMTPUTF8)


def test_the_kinds_with_a_token_are_those_with_a_lifetime() -> None:
    assert set(PAGES) == set(LIFETIMES)


@each_kind
def test_the_headers_are_complete(kind: str) -> None:
    message = as_sent(composed(kind))
    assert set(message) == HEADERS | {"Content-Type"}
    assert message["From"] == "Byline <no-reply@byline.example>"
    assert message["To"] == "anna@example.com"
    assert message["Subject"] == f"[Byline] {SUBJECTS[kind]}"
    assert message["Message-ID"] == "<4711.1@byline.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert abs(message["Date"].datetime - datetime.now(UTC)) < timedelta(hours=1)


@each_kind_with_a_token
def test_link_and_token_are_in_the_text_and_in_the_html(kind: str) -> None:
    link = f"{SITE}/#/{PAGES[kind]}?token={TOKEN}"
    second = [f"{SITE}/#/{DISPUTES[kind]}?token={TOKEN}"] if kind in DISPUTES else []
    message = as_sent(composed(kind))
    assert message.get_content_type() == "multipart/alternative"
    lines = part(message, "plain").splitlines()
    assert [line for line in lines if TOKEN in line] == [link, TOKEN, *second]
    page = _Page(part(message, "html"))
    assert page.links == [link, link.partition("?")[0], *second]
    assert TOKEN in page.words


@each_kind_with_a_token
def test_a_mail_says_where_to_paste_the_token_when_the_link_does_not_work(kind: str) -> None:
    message = as_sent(composed(kind))
    place = f"{SITE}/#/{PAGES[kind]}"
    text = "\n".join(part(message, "plain").splitlines())
    assert f"open {place}\nand paste this token there:\n\n{TOKEN}\n" in text
    assert f"open {place} and paste this token there: {TOKEN}" in _Page(part(message, "html")).words


@each_notice
def test_a_notice_has_neither_link_nor_token(kind: str) -> None:
    message = as_sent(composed(kind))
    assert "token=" not in part(message, "plain") + part(message, "html")
    assert _Page(part(message, "html")).links == []


@each_kind_asked_for
def test_a_mail_says_when_and_from_where_it_was_asked_for(kind: str) -> None:
    words = "on 2026-11-29 at 17:42 UTC, from the address 192.0.2.7."
    message = as_sent(composed(kind))
    assert words in part(message, "plain")
    assert words in _Page(part(message, "html")).words


@each_kind_asked_for
@pytest.mark.parametrize("facts", [{}, {"at": FACTS["at"], "ip": ""}])
def test_a_mail_leaves_out_unknown_circumstances(kind: str, facts: dict[str, str]) -> None:
    text = part(composed(kind, facts=facts), "plain")
    assert "from the address" not in text
    assert ("on 2026-11-29 at 17:42 UTC." in text) is bool(facts)


@each_kind
def test_a_mail_names_the_product(kind: str) -> None:
    message = as_sent(composed(kind, product="Bücher & Büro"))
    assert message["Subject"] == f"[Bücher & Büro] {SUBJECTS[kind]}"
    assert message["From"].addresses[0].display_name == "Bücher & Büro"
    assert "Bücher & Büro" in part(message, "plain")
    assert "Bücher & Büro" in _Page(part(message, "html")).words
    assert message.as_bytes().isascii()
    if kind in PAGES:
        link = f"{SITE}/#/{PAGES[kind]}?token={TOKEN}"
        assert link in part(message, "plain").splitlines()


@each_kind
def test_a_mail_is_short_lines_of_ascii(kind: str) -> None:
    lines = composed(kind).as_bytes(policy=SMTP).split(b"\r\n")
    assert all(line.isascii() for line in lines)
    assert max(map(len, lines)) <= 998  # RFC 5322, section 2.1.1
    assert max(map(len, part(composed(kind), "plain").splitlines())) <= 100


@each_kind
def test_a_mail_contains_no_address_but_those_of_sender_and_recipient(kind: str) -> None:
    text = composed(kind).as_string()
    assert text.count("@") == text.count("anna@example.com") + 2  # From and Message-ID
    assert text.count("anna@example.com") == 1


@each_kind
def test_the_site_is_escaped_in_the_html(kind: str) -> None:
    site = """https://byline.example/a&lt;'"<script>/b"""
    message = composed(kind, site=site)
    assert "<script>" not in part(message, "html")
    page = _Page(part(message, "html"))
    assert site in page.words
    assert all(link.startswith(f"{site}/#/") for link in page.links)
    assert site in part(message, "plain")


@pytest.mark.parametrize(
    ("address", "delivered"),
    [
        ("anna@example.com", "anna@example.com"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("zoë@bücher.example", "zoë@xn--bcher-kva.example"),
        ("संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ("root@localhost", "root@localhost"),
        ("anna@" + "ü" * 60 + ".example", "anna@" + "ü" * 60 + ".example"),  # there is no A-label
    ],
)
def test_a_domain_goes_out_in_a_labels(address: str, delivered: str) -> None:
    assert deliverable(address) == delivered
    assert as_sent(composed(recipient=address))["To"] == delivered


def test_a_sender_may_have_any_name() -> None:
    message = as_sent(composed(sender='"Bÿline, Büro" <byline@example.com>'))
    assert message["From"].addresses[0].addr_spec == "byline@example.com"
    assert message["Message-ID"] == "<4711.1@example.com>"


@pytest.mark.parametrize(
    "local",
    [
        "=?utf-8?q?bob?=",
        "=?utf-8?q?bob=40elsewhere.example=2c?=",
        "=?utf-8?q?bob=0abcc=3aeve?=",
        "ann.=?us-ascii?q?=22?=",
    ],
)
def test_an_encoded_word_is_no_address(local: str) -> None:
    with pytest.raises(InvalidRequest):
        checked(f"{local}@example.com")


# What an encoded word is made of (RFC 2047), and everything else.
pieces = st.one_of(
    st.sampled_from(["=?", "?=", "?q?", "?b?", "utf-8", "=0a", "=40", "=2c", ".", "ü"]),
    st.text(min_size=1, max_size=5),
)
locals_ = st.lists(pieces, min_size=1, max_size=8).map("".join)
domains = st.sampled_from(["example.com", "bücher.example", "xn--a.example", "a--b.example"])


@settings(deadline=None)
@given(local=locals_, domain=domains)
@example(local="=?utf-8?q?bob=40elsewhere.example?=", domain="example.com")
@example(local="o'brien!#$%&*/=?^_`{|}~-", domain="example.com")
@example(local="a" * 64, domain=".".join(["b" * 60] * 3) + ".de")
def test_any_accepted_address_is_the_only_recipient(local: str, domain: str) -> None:
    try:
        address = checked(f"{local}@{domain}")
    except InvalidRequest:
        assume(False)
    message = composed(recipient=address)
    assert getaddresses([str(message["To"])]) == [("", deliverable(address))]
    received = as_sent(message)
    assert received["To"] == deliverable(address)
    assert set(received) == HEADERS | {"Content-Type"}
