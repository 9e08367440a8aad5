"""Mailed links: their targets, recipients and number, and what requesting one reveals."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service.models import Mail, User
from tests.kit.attack import Attack, Expected, on, table
from tests.kit.mailbox import text
from tests.kit.mails import CHANGE, NOTICE, RESET, VERIFICATION, all_sent, fresh, verify
from tests.kit.raw import post
from tests.kit.serving import PASSWORD, Person, Server, serving

RESETS, CHANGES = "/auth/password-resets", "/auth/email"
RESETTING, CONFIRMING = f"{RESETS}/complete", "/auth/email-verifications/complete"
INVALID, BAD_JSON = (400, "invalid-request"), (400, "malformed-body")
BAD_TOKEN, WRONG = (400, "token-invalid"), (401, "invalid-credentials")
NEW = "seven purple herons at dawn"

sqlite = on("sqlite")

EVIL = {
    **dict.fromkeys(
        ("X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Forwarded-Server"), "evil.example"
    ),
    **dict.fromkeys(
        ("Origin", "Referer", "X-Original-URL", "X-Forwarded-Prefix"), "https://evil.example/"
    ),
    "Forwarded": "host=evil.example;proto=https",
    "X-Forwarded-Proto": "javascript",
    "X-Forwarded-Port": "1337",
}


def enter(attack: Attack, email: str, password: str, expected: Expected) -> None:
    attack("POST", "/auth/login", expected, json={"email": email, "password": password})


@pytest.fixture(scope="module")
def victim(server: Server) -> Person:
    return server.sign_up()


@sqlite
def test_no_header_chooses_where_a_link_leads(attack: Attack, server: Server, anna: Person) -> None:
    to, new = anna.email, fresh()
    attack("POST", RESETS, 202, json={"email": to}, headers=EVIL)
    attack("POST", "/auth/email-verifications", 202, json={"email": to}, headers=EVIL)
    mails = [*server.mailbox.wait(to, RESET), *server.mailbox.wait(to, VERIFICATION, 2)]
    verify(anna)
    change = {"email": new, "current_password": PASSWORD}
    attack("PUT", CHANGES, 202, token=anna, json=change, headers=EVIL)
    mails += [*server.mailbox.wait(to, NOTICE), *server.mailbox.wait(new, CHANGE)]
    assert len(mails) == 5
    for mail in mails:
        assert server.settings.public_url in text(mail)
        assert not {"evil", "1337", "javascript"} & set(mail.as_string().replace(".", " ").split())
        assert "evil" not in mail.as_string()


@sqlite
@pytest.mark.parametrize("host", ["evil.example", "localhost@evil.example", "localhost:evil"])
def test_a_foreign_host_header_causes_no_mail(
    attack: Attack, server: Server, victim: Person, host: str
) -> None:
    data = post(b'{"email": "%b"}' % victim.email.encode(), target=RESETS)
    attack.raw(
        data.replace(b"Host: localhost", f"Host: {host}".encode()), (400, "host-not-allowed")
    )
    all_sent(server)
    assert server.mailbox.to(victim.email, RESET) == []


@sqlite
@table(
    "spell",
    {
        "in capitals": str.upper,
        "in wide letters": lambda email: email.replace("e", "\uff45"),
        "with a Kelvin sign": lambda email: email.replace("k", "\u212a"),
        "with a long s": lambda email: email.replace("s", "\u017f"),
        "with a ligature": lambda email: email.replace("fi", "\ufb01"),
        "with a wide dot": lambda email: email.replace(".com", "\uff0ecom"),
    },
)
def test_a_link_goes_to_the_address_that_is_known_and_not_to_the_one_that_is_sent(
    attack: Attack, server: Server, spell: Any
) -> None:
    # CVE-2019-19844: two addresses that fold to one, of which the attacker owns the other.
    email = f"fi-ks-{secrets.token_hex(6)}@example.com"
    anna = server.sign_up(email=email)
    assert spell(email) != email
    attack("POST", RESETS, 202, json={"email": spell(email)})
    [mail] = server.mailbox.wait(email, RESET)
    assert mail["To"] == anna.email
    assert mail.get_all("To") == [email]
    assert mail["Cc"] is mail["Bcc"] is None


@sqlite
@table(
    ("body", "expected"),
    {
        "in a list": ('{"email": ["{0}", "mallory@example.com"]}', INVALID),
        "behind a comma": ('{"email": "{0},mallory@example.com"}', INVALID),
        "behind a semicolon": ('{"email": "{0};mallory@example.com"}', INVALID),
        "behind a space": ('{"email": "{0} mallory@example.com"}', INVALID),
        "behind a line break": ('{"email": "{0}\\r\\nBcc: mallory@example.com"}', INVALID),
        "behind a line feed in percent signs": (
            '{"email": "{0}%0aCc:mallory@example.com"}',
            INVALID,
        ),
        "behind NUL": ('{"email": "{0}\\u0000mallory@example.com"}', BAD_JSON),
        "behind a name": ('{"email": "mallory@example.com <{0}>"}', INVALID),
        "twice": ('{"email": "mallory@example.com", "email": "{0}"}', BAD_JSON),
        "beside it": ('{"email": "{0}", "cc": "mallory@example.com"}', INVALID),
        "as an object": ('{"email": {"email": "{0}", "to": "mallory@example.com"}}', INVALID),
        "a link of their own": ('{"email": "{0}", "redirect_to": "https://evil.example"}', INVALID),
        "a host of their own": ('{"email": "{0}", "url": "https://evil.example"}', INVALID),
        "in an encoded word": (
            '{"email": "=?utf-8?q?mallory=40example.com=3e?=@example.com"}',
            INVALID,
        ),
        "in quotes": ('{"email": "\\"mallory@example.com\\"@example.com"}', INVALID),
    },
)
def test_no_second_address_gets_a_link(
    attack: Attack, victim: Person, body: str, expected: Expected
) -> None:
    headers = {"Content-Type": "application/json"}
    filled = body.replace("{0}", victim.email)
    attack("POST", RESETS, expected, content=filled, headers=headers)
    attack("POST", f"{RESETS}?email=mallory@example.com", INVALID, json={"email": victim.email})


@sqlite
def test_mail_requests_do_not_reveal_which_accounts_exist(
    attack: Attack, server: Server, anna: Person, ben: Person
) -> None:
    def said(answer: Any) -> str:
        own = {"date", "x-request-id"}
        headers = {name: value for name, value in answer.headers.items() if name not in own}
        return f"{answer.status} {headers} {answer.body}"

    server.execute(update(User).where(User.id == ben.id).values(disabled=True))
    asked = [
        attack("POST", RESETS, 202, json={"email": e}) for e in (anna.email, ben.email, fresh())
    ]
    assert len({said(answer) for answer in asked}) == 1
    changes = [
        attack("PUT", CHANGES, 202, token=anna, json={"email": email, "current_password": PASSWORD})
        for email in (fresh(), ben.email, anna.email, ben.email.upper())
    ]
    assert len({said(answer) for answer in changes}) == 1


@pytest.fixture
def limited(tmp_path: Any) -> Iterator[Attack]:
    """Attacks a server of its own where only `mail` and `account` limit, with their defaults."""
    ample = dict.fromkeys(("client", "register", "write", "login"), "10000 per day")
    mail = {"mail": "3 per hour;10000 per hour"}
    with serving(tmp_path, rate_limit_enabled=True, rate_limits={**ample, **mail}) as server:
        yield Attack(server)


def test_no_spelling_floods_a_mailbox(limited: Attack) -> None:
    anna = limited.server.sign_up()
    spellings = [anna.email.upper(), anna.email.title(), anna.email.replace("e", "\uff45")]
    for number in range(9):
        limited("POST", RESETS, 202, json={"email": spellings[number % 3]})
    [[waiting]] = limited.server.execute(
        select(func.count()).where(Mail.user_id == anna.id, Mail.kind == "password-reset")
    )
    assert waiting <= 3
    all_sent(limited.server)
    assert len(limited.server.mailbox.to(anna.email, RESET)) <= 3


def test_guesses_at_the_current_password_have_their_own_limit(limited: Attack) -> None:
    # A stolen session guesses at the password where the address is changed.
    anna = limited.server.sign_up()
    guess = {"email": "mallory@example.com", "current_password": "wrong"}
    for _ in range(10):
        limited("PUT", CHANGES, (403, "current-password-wrong"), token=anna, json=guess)
    right = {**guess, "current_password": PASSWORD}
    limited("PUT", CHANGES, (429, "rate-limited"), token=anna, json=right)
    enter(limited, anna.email, PASSWORD, 200)  # guessing there keeps nobody out here
    all_sent(limited.server)
    assert limited.server.mailbox.to("mallory@example.com") == []
