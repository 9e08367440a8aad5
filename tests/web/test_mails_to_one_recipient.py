"""Every mail counts against its recipient, whichever operation and process sends it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import sqlalchemy as sa

from service.models import AuditEvent, Mail, MailCount, User
from tests.kit.mailbox import subject_of
from tests.kit.mails import NOTICE, RESET, VERIFICATION, all_sent, change, fresh, request_reset
from tests.kit.serving import PASSWORD, Person, Server

AMPLE = dict.fromkeys(("client", "login", "register", "write", "account"), "10000 per day")
AMPLE |= {"mail": "3 per hour;10000 per hour"}
TURNS = 12


@pytest.fixture
def limited(serve: Callable[..., Server], server: Server) -> Callable[[], Server]:
    """Starts servers that count mails, on one database and without a shared store."""

    def _serve() -> Server:
        shared = ("database_url", "jwt_keys_dir", "mail_dir")
        own = {name: getattr(server.settings, name) for name in shared}
        return serve(**own, rate_limit_enabled=True, rate_limits=AMPLE)

    return _serve


def received(server: Server, address: str) -> list[str]:
    all_sent(server)
    return sorted(subject_of(mail) for mail in server.mailbox.to(address))


def register(server: Server, email: str) -> Person:
    return server.sign_up(email=email)


def ask_for_verification(http: httpx.Client, email: str) -> httpx.Response:
    return http.post("/auth/email-verifications", json={"email": email})


def delete(person: Person) -> None:
    assert person.http.delete(f"/api/users/{person.id}").status_code == 204


def test_an_account_registered_repeatedly_gets_three_mails(
    limited: Callable[[], Server],
) -> None:
    server, email = limited(), fresh()
    for _ in range(TURNS):
        delete(register(server, email))
    assert server.execute(sa.select(sa.func.count(Mail.id)).where(Mail.recipient == email)) == [
        (0,)
    ]
    kept = [row.sent.count("email-verification") for row in counts(server, email)]
    assert kept == [3]


def counts(server: Server, counted: str) -> list[sa.Row]:
    hashed = MailCount.hashed(counted)
    return server.execute(
        sa.select(MailCount.sent, MailCount.expires_at).where(MailCount.recipient == hashed)
    )


def test_an_unverified_account_cannot_flood_a_mailbox(
    limited: Callable[[], Server],
) -> None:
    server, victim = limited(), fresh()
    stranger = register(server, fresh())
    for _ in range(TURNS):
        assert change(stranger, victim).status_code == 202
    assert len(received(server, victim)) == 3
    assert NOTICE not in received(server, stranger.email)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda name, n: f"{name}+{n}@example.com",
        lambda name, n: f"{name}{'+' * n}@example.com",
        lambda name, n: f"{name[: n + 1]}.{name[n + 1 :]}@gmail.com",
        lambda name, n: f"{name}+{n}@{'google' * (n % 2) or 'g'}mail.com",
    ],
    ids=["detail", "pluses", "dots", "domains"],
)
def test_variants_of_an_address_share_the_limit_of_its_mailbox(
    limited: Callable[[], Server], spelled: Callable[[str, int], str]
) -> None:
    server, name = limited(), secrets.token_hex(8)
    spellings = [spelled(name, n) for n in range(TURNS)]
    people = [register(server, email) for email in spellings]
    for person in people:
        assert request_reset(person.http, person.email).status_code == 202
    subjects = [subject for email in spellings for subject in received(server, email)]
    assert [subjects.count(subject) for subject in (VERIFICATION, RESET)] == [3, 3]


def test_a_neighbour_with_a_similar_address_gets_mails_of_their_own(
    limited: Callable[[], Server],
) -> None:
    server, name = limited(), secrets.token_hex(8)
    for n in range(4):
        register(server, f"{name}+{n}@example.com")
    for email in (f"x{name}@example.com", f"{name[:3]}.{name[3:]}@example.com"):
        register(server, email)
        assert received(server, email) == [VERIFICATION]


def test_an_administrator_cannot_flood_somebody_either(limited: Callable[[], Server]) -> None:
    server, email = limited(), fresh()
    admin = server.make_admin(register(server, fresh()))
    for _ in range(TURNS):
        body = {"email": email, "password": PASSWORD}
        account = admin.http.post("/api/users", json=body)
        assert account.status_code == 201
        assert admin.http.delete(f"/api/users/{account.json()['id']}").status_code == 204
    assert counts(server, email)[0].sent.count("email-verification") <= 3


def test_a_reset_arrives_after_a_flood_of_everything_else(limited: Callable[[], Server]) -> None:
    server = limited()
    anna, strangers = register(server, fresh()), [register(server, fresh()) for _ in range(4)]
    for person in strangers * 3:
        change(person, anna.email)
    for _ in range(6):
        assert request_reset(anna.http, anna.email).status_code == 202
    subjects = received(server, anna.email)
    assert subjects.count(RESET) == 3
    assert len(subjects) <= 10


@pytest.mark.parametrize(
    ("own", "unknown"),
    [
        ("{}@example.com", "{}+x@example.com"),
        ("{}+byline@example.com", "{}@example.com"),
        ("a{}@gmail.com", "a.{}@googlemail.com"),
    ],
)
def test_a_variant_that_nobody_has_does_not_use_up_the_owners_mails(
    limited: Callable[[], Server], own: str, unknown: str
) -> None:
    server, name = limited(), secrets.token_hex(8)
    anna = register(server, own.format(name))
    for _ in range(3):
        assert request_reset(anna.http, unknown.format(name)).status_code == 202
        assert ask_for_verification(anna.http, unknown.format(name)).status_code == 202
    assert request_reset(anna.http, anna.email).status_code == 202
    assert ask_for_verification(anna.http, anna.email).status_code == 202
    assert received(server, anna.email) == sorted([RESET, VERIFICATION, VERIFICATION])


def test_processes_without_a_shared_store_count_together(limited: Callable[[], Server]) -> None:
    here, there, email = limited(), limited(), fresh()
    for server in (here, there) * 3:
        with server.client() as client:
            assert request_reset(client, email).status_code == 202
    assert counts(here, f"nobody {email}")[0].sent.count(RESET_KIND) == 3


RESET_KIND = "password-reset"


def test_of_20_concurrent_requests_three_are_mailed(limited: Callable[[], Server]) -> None:
    here, there = limited(), limited()
    anna = register(here, fresh())
    with here.client() as one, there.client() as other, ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(request_reset, client, anna.email) for client in [one, other] * 10]
        assert {request.result().status_code for request in asked} == {202}
    assert counts(here, anna.email)[0].sent.count(RESET_KIND) == 3
    events = sa.select(AuditEvent.id).where(
        AuditEvent.user_id == anna.id, AuditEvent.action == "password-reset-requested"
    )
    assert len(here.execute(events)) == 3


def test_the_count_of_a_recipient_names_nobody_and_ends_after_a_day(
    limited: Callable[[], Server],
) -> None:
    server, email = limited(), fresh()
    register(server, email)
    [row] = counts(server, email)
    assert email.partition("@")[0] not in str(server.execute(sa.select(MailCount.__table__)))
    assert server.execute(sa.select(User.created_at).where(User.email == email))[0][0] < (
        row.expires_at
    )


def test_a_registration_that_is_refused_counts_nothing(limited: Callable[[], Server]) -> None:
    server, email = limited(), fresh()
    register(server, email)
    with server.client() as client:
        for _ in range(3):
            body = {"email": email, "password": PASSWORD}
            assert client.post("/auth/register", json=body).status_code == 409
    assert counts(server, email)[0].sent.count("email-verification") == 1


def test_a_verification_still_comes_when_resets_are_used_up(limited: Callable[[], Server]) -> None:
    server, email = limited(), fresh()
    with server.client() as client:
        for _ in range(5):
            request_reset(client, email)
    register(server, email)
    assert received(server, email) == [VERIFICATION]
