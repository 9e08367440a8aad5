"""Mailed tokens used and invalidated concurrently: an invalidated one opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import httpx
import pytest

from service.domain import passwords
from service.mail import outbox
from service.models import Credentials, Mail, MailedToken, Session, User
from service.models.mails import EMAIL_CHANGE, EMAIL_VERIFICATION, PASSWORD_RESET
from tests.kit.at_once import (
    ROUNDS,
    Answering,
    at_once,
    codes,
    erased,
    rows,
    signing_in,
    statuses,
)
from tests.kit.mailbox import PATIENCE, token
from tests.kit.mails import (
    CHANGE,
    KINDS,
    NEW_PASSWORD,
    RESET,
    all_sent,
    change,
    confirm,
    fresh,
    mailed,
    request_reset,
    request_verification,
    reset,
    use,
)
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until

pytestmark = pytest.mark.usefixtures("races_hashing_in_full")


@pytest.fixture
def elsewhere(server: Server, serve: Callable[..., Server]) -> Server:
    """Another server on the same database, with the same keys and mailbox."""
    shared = ("database_url", "jwt_keys_dir", "mail_dir")
    return serve(**{name: getattr(server.settings, name) for name in shared})


def new_password(person: Person) -> Answering:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return partial(person.http.put, "/auth/password", json=body)


def deletion(person: Person) -> Answering:
    return partial(person.http.delete, f"/api/users/{person.id}")


def of(person: Person, *kinds: str) -> int:
    """How many mails of these kinds, queued or sent, there are with a user's tokens."""
    return rows(person.server, Mail.user_id == person.id, Mail.kind.in_(kinds or KINDS))


def kept(person: Person, *kinds: str) -> int:
    """How many of them there still are once none is to be sent any more."""
    until(lambda: not rows(person.server, Mail.user_id == person.id, Mail.due_at.is_not(None)))
    return of(person, *kinds)


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_20_concurrent_uses_of_a_token_succeeds(
    kind: str, crowd: httpx.Client, elsewhere: Server, anna: Person
) -> None:
    token = mailed(kind, anna)
    with elsewhere.client() as there:
        answers = at_once(*[partial(use, kind, http, token) for http in (crowd, there)] * 10)
    assert statuses(answers) == {204: 1, 400: 19}
    assert codes(answers) == {"token-invalid"}


def test_the_request_that_used_the_token_sets_the_password(
    crowd: httpx.Client, anna: Person
) -> None:
    token = mailed(PASSWORD_RESET, anna)
    wishes = [f"{NEW_PASSWORD} {number}" for number in range(8)]
    answers = at_once(*[partial(reset, crowd, token, password) for password in wishes])
    tries = [signing_in(crowd, anna.email, password)() for password in wishes]
    assert [a.is_success for a in tries] == [a.is_success for a in answers]
    assert statuses(tries) == {200: 1, 401: 7}


def test_one_of_two_gets_an_address_both_confirm(server: Server, crowd: httpx.Client) -> None:
    for _ in range(ROUNDS):
        anna, ben, new = server.sign_up(), server.sign_up(), fresh()
        for person in (anna, ben):
            assert change(person, new).status_code == 202
        tokens = [token(mail) for mail in server.mailbox.wait(new, CHANGE, 2)]
        answers = at_once(*[partial(confirm, crowd, token) for token in tokens])
        assert statuses(answers) == {204: 1, 400: 1}
        assert codes(answers) == {"token-invalid"}
        assert rows(server, User.email == new, User.email_verified) == 1
        assert rows(server, User.email.in_([anna.email, ben.email])) == 1


def test_after_20_concurrent_requests_one_token_is_valid(
    server: Server, crowd: httpx.Client, elsewhere: Server, anna: Person
) -> None:
    with elsewhere.client() as there:
        asking = [partial(request_reset, http, anna.email) for http in (crowd, there)]
        answers = at_once(*asking * 10)
    assert statuses(answers) == {202: 20}
    assert kept(anna, PASSWORD_RESET) == 1
    tokens = [token(mail) for mail in server.mailbox.to(anna.email, RESET)]
    assert statuses([reset(crowd, token) for token in tokens])[204] == 1


def test_a_new_password_cancels_a_concurrent_change_of_address(server: Server) -> None:
    for _ in range(ROUNDS):
        anna, new = server.sign_up(), fresh()
        changed, asked = at_once(new_password(anna), partial(change, anna, new))
        assert changed.status_code == 200
        assert asked.status_code in (202, 401, 403)
        assert codes([asked]) <= {"current-password-wrong", "session-revoked"}
        assert of(anna) == 0


def test_a_concurrent_change_or_reset_wins(server: Server, crowd: httpx.Client) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        resetting = partial(reset, crowd, mailed(PASSWORD_RESET, anna), "another one of mine")
        answers = at_once(new_password(anna), resetting)
        assert [answer.is_success for answer in answers].count(True) == 1
        assert statuses(answers).keys() <= {200, 204, 400, 401, 403}
        mine = NEW_PASSWORD if answers[0].is_success else "another one of mine"
        assert signing_in(crowd, anna.email, mine)().status_code == 200
        assert of(anna) == 0


def test_no_session_survives_a_reset_that_did_not_see_it(
    server: Server, crowd: httpx.Client
) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        resetting = partial(reset, crowd, mailed(PASSWORD_RESET, anna))
        done, *logins = at_once(resetting, *[signing_in(crowd, anna.email, PASSWORD)] * 3)
        assert done.status_code == 204
        assert statuses(logins).keys() <= {200, 401}
        assert rows(server, Session.user_id == anna.id) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_deleted_while_confirming_an_address_stays_deleted(
    kind: str, server: Server, crowd: httpx.Client
) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        using = partial(use, kind, crowd, mailed(kind, anna))
        deleted, used = at_once(deletion(anna), using)
        # A reset that was faster has ended the session that wanted to delete.
        assert deleted.status_code in ((204, 401) if kind == PASSWORD_RESET else (204,))
        assert used.status_code in (204, 400)
        assert codes([used]) <= {"token-invalid"}
        assert deleted.is_success or used.is_success
        erased(anna)
        assert rows(server, User.id == anna.id) == (not deleted.is_success)
        assert of(anna) == 0


# In slow motion: what one does comes exactly between two steps of what another does.

Meanwhile = Callable[..., list[Future[Any]]]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meanwhile]:
    """Has a call made right before the next call of a function, and waits for its answer.

    `at_most` so many seconds: where a transaction is under way, it may have to wait for that.
    """
    with ThreadPoolExecutor(1) as threads:

        def between(
            where: Any, name: str, call: Answering, at_most: float = 0.5
        ) -> list[Future[Any]]:
            function, pending, done = getattr(where, name), [call], []

            def late(*args: Any, **kwargs: Any) -> Any:
                if pending:
                    done.append(threads.submit(pending.pop()))
                    wait(done, timeout=at_most)
                return function(*args, **kwargs)

            monkeypatch.setattr(where, name, late)
            return done

        yield between


def test_no_change_of_address_begins_after_a_new_password(
    meanwhile: Meanwhile, anna: Person
) -> None:
    done = meanwhile(passwords, "matches", new_password(anna), at_most=PATIENCE)
    answer = change(anna, fresh())
    assert done[0].result().status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (403, "current-password-wrong")
    assert of(anna) == 0


def test_a_new_password_cancels_a_change_of_address_that_began_before(
    meanwhile: Meanwhile, anna: Person
) -> None:
    done = meanwhile(outbox, "put", new_password(anna))
    assert change(anna, fresh()).status_code == 202
    assert done[0].result().status_code == 200
    assert of(anna) == 0


def test_a_link_being_sent_is_invalid_after_a_new_password(
    meanwhile: Meanwhile, server: Server, crowd: httpx.Client, anna: Person
) -> None:
    all_sent(server)
    delivery = server.flask.extensions["delivery"]
    done = meanwhile(delivery, "_send", new_password(anna), at_most=PATIENCE)
    late = mailed(EMAIL_CHANGE, anna)
    assert done[0].result().status_code == 200
    assert codes([confirm(crowd, late)]) == {"token-invalid"}
    all_sent(server)
    assert of(anna) == 0


def test_no_password_is_reset_after_a_new_one(
    meanwhile: Meanwhile, crowd: httpx.Client, anna: Person
) -> None:
    token = mailed(PASSWORD_RESET, anna)
    done = meanwhile(MailedToken, "use", new_password(anna), at_most=PATIENCE)
    answer = reset(crowd, token, "another one of mine")
    assert done[0].result().status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (400, "token-invalid")
    assert signing_in(crowd, anna.email, NEW_PASSWORD)().status_code == 200


@pytest.mark.parametrize(
    ("where", "name", "status"), [(passwords, "matches", 401), (Session, "start", 200)]
)
def test_a_reset_leaves_no_session_that_begins_with_the_old_password(
    where: Any, name: str, status: int, meanwhile: Meanwhile, crowd: httpx.Client, anna: Person
) -> None:
    resetting = partial(reset, crowd, mailed(PASSWORD_RESET, anna))
    done = meanwhile(where, name, resetting, at_most=PATIENCE if status == 401 else 0.5)
    assert signing_in(crowd, anna.email, PASSWORD)().status_code == status
    assert done[0].result().status_code == 204
    assert rows(anna.server, Session.user_id == anna.id) == 0


def test_the_old_password_stops_working_during_a_reset(
    meanwhile: Meanwhile, crowd: httpx.Client, server: Server, anna: Person
) -> None:
    token = mailed(PASSWORD_RESET, anna)
    done = meanwhile(Credentials, "reset_password", signing_in(crowd, anna.email, PASSWORD))
    assert reset(crowd, token).status_code == 204
    assert codes([done[0].result()]) == {"invalid-credentials"}
    assert rows(server, Session.user_id == anna.id) == 0


@pytest.mark.parametrize(
    ("where", "name", "first"), [(outbox, "put", "reset"), (User, "confirm_email", "change")]
)
def test_no_reset_is_mailed_to_an_address_just_given_up(
    where: Any, name: str, first: str, meanwhile: Meanwhile, server: Server, anna: Person
) -> None:
    confirming = partial(confirm, server.client(), mailed(EMAIL_CHANGE, anna))
    asking = partial(request_reset, server.client(), anna.email)
    call, other = (asking, confirming) if first == "reset" else (confirming, asking)
    done = meanwhile(where, name, other)
    assert call().is_success
    assert done[0].result().is_success
    assert kept(anna, PASSWORD_RESET) == 0
    assert server.mailbox.to(anna.email, RESET) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_mail_is_sent_to_a_user_deleted_while_requesting_it(
    kind: str, meanwhile: Meanwhile, anna: Person
) -> None:
    done = meanwhile(outbox, "put", deletion(anna))
    answer = {
        EMAIL_CHANGE: partial(change, anna, fresh()),
        EMAIL_VERIFICATION: partial(request_verification, anna),
        PASSWORD_RESET: partial(request_reset, anna.http, anna.email),
    }[kind]()
    assert done[0].result().status_code == 204
    assert answer.status_code == 202
    erased(anna)
    assert kept(anna) == 0
