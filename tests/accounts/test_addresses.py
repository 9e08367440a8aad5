"""Addresses are kept and written to as they were typed, and compared by a key."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import func, select

from service.models import Mail, User
from tests.kit.accounts import name, told
from tests.kit.mails import (
    CHANGE,
    RESET,
    VERIFICATION,
    all_sent,
    change,
    confirm,
    mailed,
    request_reset,
    reset,
)
from tests.kit.serving import PASSWORD, Person, Server

# As typed, as a mail server gets it, and an address of somebody else that folding would make of it.
TYPED = {
    "a sharp s": ("max-{}@fa\xdf.de", "max-{}@xn--fa-hia.de", "max-{}@fass.de"),
    "a final sigma": (
        "max-{}@\u03ba\u03cc\u03c3\u03bc\u03bf\u03c2.gr",
        "max-{}@xn--vxaejmc7c.gr",
        "max-{}@\u03ba\u03cc\u03c3\u03bc\u03bf\u03c3.gr",
    ),
    "a joiner": (
        "max-{}@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com",
        "max-{}@xn--mgba3gch31f060k.com",
        "max-{}@\u0646\u0627\u0645\u0647\u0627\u06cc.com",
    ),
    "a local part": ("stra\xdfe-{}@example.com",) * 2 + ("strasse-{}@example.com",),
}
# Two spellings of one account; mail goes to the first.
TWINS = {
    "A-labels": ("eva-{}@xn--mller-kva.example", "eva-{}@m\xfcller.example"),
    "U-labels": ("eva-{}@m\xfcller.example", "eva-{}@xn--mller-kva.example"),
    "decomposed": ("eva-{}@m\xfcller.example", "eva-{}@mu\u0308ller.example"),
    "capitals": ("Eva-{}@M\xdcLLER.example", "eva-{}@m\xfcller.example"),
    "fullwidth": ("eva-{}@example.com", "\uff45va-{}@example.com"),
    "a ligature": ("fiona-{}@example.com", "\ufb01ona-{}@example.com"),
    "a Kelvin sign": ("kim-{}@example.com", "\u212aim-{}@example.com"),
    "a dotless domain": ("eva-{}@localhost", "eva-{}@LOCALHOST"),
}

each_typed = pytest.mark.parametrize("forms", TYPED.values(), ids=TYPED)
each_twin = pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)


def register(http: httpx.Client, email: str) -> httpx.Response:
    return http.post("/auth/register", json={"email": email, "password": PASSWORD})


def signed_in(http: httpx.Client, email: str) -> int:
    return http.post("/auth/login", json={"email": email, "password": PASSWORD}).status_code


@each_typed
def test_mail_goes_to_the_domain_that_was_typed(
    forms: tuple[str, ...], anonymous: httpx.Client, server: Server
) -> None:
    typed, delivered, elsewhere = (form.format(name_) for name_ in [name()] for form in forms)
    made = register(anonymous, typed)
    assert (made.status_code, made.json()["email"]) == (201, typed)
    assert request_reset(anonymous, typed).status_code == 202
    assert len(server.mailbox.wait(delivered, VERIFICATION)) == 1
    token = server.mailbox.token(delivered, RESET)

    assert register(anonymous, elsewhere).status_code == 201
    assert signed_in(anonymous, typed) == signed_in(anonymous, elsewhere) == 200
    assert reset(anonymous, token).status_code == 204
    assert (signed_in(anonymous, typed), signed_in(anonymous, elsewhere)) == (401, 200)


@each_twin
def test_two_spellings_are_one_account(
    twins: tuple[str, str], anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    typed, other = (form.format(name_) for name_ in [name()] for form in twins)
    made = register(anonymous, typed).json()
    assert made["email"] == typed
    assert told(register(anonymous, other)) == (409, "email-taken")
    invited = {"email": other, "password": PASSWORD}
    assert told(admin.http.post("/api/users", json=invited)) == (409, "email-taken")
    assert signed_in(anonymous, typed) == signed_in(anonymous, other) == 200
    for email in (typed, other):
        found = admin.http.get("/api/accounts", params={"email": email}).json()
        assert [account["id"] for account in found] == [made["id"]]


@each_twin
def test_a_reset_asked_for_in_another_spelling_goes_to_the_address_of_the_account(
    twins: tuple[str, str], anonymous: httpx.Client, server: Server
) -> None:
    typed, other = (form.format(name_) for name_ in [name()] for form in twins)
    made = register(anonymous, typed).json()
    assert request_reset(anonymous, other).status_code == 202
    all_sent(server)
    sent = server.execute(
        select(Mail.recipient).where(Mail.user_id == made["id"], Mail.kind == "password-reset")
    )
    assert sent == [(typed,)]


@pytest.mark.parametrize(
    "space", [" ", "\t", "\n", "\xa0", "\u3000", "\u200b", "\ufeff"], ids=ascii
)
def test_spaces_around_an_address_are_refused(
    space: str, anonymous: httpx.Client, server: Server
) -> None:
    [before] = server.execute(select(func.count(User.id)))
    for email in (f"{space}{name()}@example.com", f"{name()}@example.com{space}"):
        answer = register(anonymous, email)
        assert told(answer) == (400, "invalid-request")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/email"]
    assert server.execute(select(func.count(User.id))) == [before]


def test_a_change_to_another_spelling_of_anothers_address_is_not_confirmed(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    ben = server.sign_up(email=f"ben-{name()}@xn--mller-kva.example")
    to = ben.email.replace("xn--mller-kva", "m\xfcller")
    assert change(anna, to).status_code == 202
    token = server.mailbox.token(ben.email, CHANGE)
    assert told(confirm(anonymous, token)) == (400, "token-invalid")


def test_an_address_with_capitals_is_verified_and_reset(
    anonymous: httpx.Client, server: Server
) -> None:
    anna = server.sign_up(email=f"Anna.{name()}@example.com")
    assert reset(anonymous, mailed("password-reset", anna)).status_code == 204
    [account] = server.execute(select(User.email, User.email_verified).where(User.id == anna.id))
    assert tuple(account) == (anna.email, True)


@pytest.mark.parametrize(
    ("old", "new", "to"),
    [
        ("{}@example.com", "{}@Example.Com", "{}@example.com"),
        ("{}@example.com", "A{}@example.com", "A{}@example.com"),
        ("{}@xn--exmple-cua.com", "{}@ex\xe4mple.com", "{}@xn--exmple-cua.com"),
        ("{}@ex\xe4mple.com", "{}@EX\xc4MPLE.com", "{}@xn--exmple-cua.com"),
    ],
)
def test_an_address_changes_its_spelling_and_still_signs_in(
    old: str, new: str, to: str, anonymous: httpx.Client, server: Server
) -> None:
    name_ = name()
    anna = server.sign_up(email=old.format(f"a{name_}"))
    spelled, to = (text.replace("A{}", "A" + name_).format(f"a{name_}") for text in (new, to))
    assert change(anna, spelled).status_code == 202
    assert confirm(anonymous, server.mailbox.token(to, CHANGE)).status_code == 204
    assert anna.http.get("/auth/me").json()["email"] == spelled
    for email in (anna.email, spelled):
        assert signed_in(anonymous, email) == 200
