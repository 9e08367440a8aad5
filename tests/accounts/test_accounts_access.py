"""Permissions of each operation; the expected results are read from the specification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from service.models import Session, User
from tests.kit.operations import OPERATIONS, SECURED, TOKENS, Operation, owned_ids
from tests.kit.serving import Person, Server

DEAD = ["disabled", "deleted", "signed-out", "timed-out"]


GRANTED = [(operation, token) for operation in SECURED for token in operation.tokens]
MISTAKEN = [
    (operation, token)
    for operation in SECURED
    for token in TOKENS.values()
    if token not in operation.tokens
]
# With an id in their path, and yet for every user who is signed in: it belongs to no one of them.
SHARED: set[str] = set()
# Their examples answer no challenge, or not what is asked for of who has a second factor: see
# test_passkeys.py and test_passkey_factors.py.
ANSWERS = {"add_passkey", "reauthenticate"}
# Without a second factor there is nothing that they could do: see test_totp.py.
ANSWERS |= {"confirm_totp", "remove_totp", "renew_recovery_codes", "revoke_factor_reset"}
RESERVED = [o for o in SECURED if o.is_for_admins or (o.names_one and str(o) not in SHARED)]
SHOWN = [o for o in OPERATIONS if o.is_public and o.names_one]


@dataclass
class Cast:
    """An owner with one of everything, a stranger, and the tokens of users past and gone."""

    owner: Person
    stranger: Person
    ids: dict[str, str]
    tokens: dict[str, dict[str, Any]]

    def belongings(self) -> list[Any]:
        http = self.owner.http
        paths = ["/auth/me", "/auth/sessions"]
        paths.append(f"/api/posts?author_id={self.owner.id}")  # posts
        return [http.get(path).json() for path in paths]


@pytest.fixture(scope="module")
def cast(server: Server) -> Cast:
    gone = {name: server.sign_up() for name in DEAD}
    server.execute(update(User).where(User.id == gone["disabled"].id).values(disabled=True))
    assert gone["deleted"].http.delete(f"/api/users/{gone['deleted'].id}").status_code == 204
    assert gone["signed-out"].http.post("/auth/logout").status_code == 204
    server.execute(
        update(Session)
        .where(Session.user_id == gone["timed-out"].id)
        .values(expires_at="2026-01-01T00:00:00.000Z")
    )
    owner = server.sign_up()
    tokens = {name: person.tokens for name, person in gone.items()}
    return Cast(owner, server.sign_up(), owned_ids(owner), tokens)


@pytest.fixture
def unharmed(cast: Cast) -> Iterator[None]:
    """Whatever is refused changes nothing that the owner has."""
    before = cast.belongings()
    yield
    assert cast.belongings() == before


def _assert_refused(answer: httpx.Response, operation: Operation, status: int, code: str) -> None:
    assert operation.documents(status)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_every_operation_declares_its_security() -> None:
    assert all("security" in operation.declared for operation in OPERATIONS)
    assert len(SECURED) >= 14
    shown = {str(operation) for operation in SHOWN}
    assert "get_user" in shown
    assert "get_post" in shown  # posts


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("operation", SECURED, ids=str)
def test_a_missing_token_is_a_401(
    operation: Operation, anonymous: httpx.Client, cast: Cast
) -> None:
    answer = operation.send(anonymous, cast.ids, None)
    _assert_refused(answer, operation, 401, "authentication-required")
    assert answer.headers["www-authenticate"] == 'Bearer realm="byline"'


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("operation", SECURED, ids=str)
def test_a_garbage_token_is_a_401(
    operation: Operation, anonymous: httpx.Client, cast: Cast
) -> None:
    answer = operation.send(anonymous, cast.ids, "gar.ba.ge")
    _assert_refused(answer, operation, 401, "invalid-token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="byline", error="invalid_token"'


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("operation", "token"), MISTAKEN, ids=str)
def test_a_token_of_the_other_class_is_refused(
    operation: Operation, token: str, anonymous: httpx.Client, cast: Cast
) -> None:
    answer = operation.send(anonymous, cast.ids, cast.owner.tokens[token])
    _assert_refused(answer, operation, 401, "invalid-token")


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("who", DEAD)
@pytest.mark.parametrize(("operation", "token"), GRANTED, ids=str)
def test_the_tokens_of_an_ended_session_are_refused(
    operation: Operation, token: str, who: str, anonymous: httpx.Client, cast: Cast
) -> None:
    answer = operation.send(anonymous, cast.ids, cast.tokens[who][token])
    _assert_refused(answer, operation, 401, "session-revoked")
    assert answer.headers["www-authenticate"] == 'Bearer realm="byline", error="invalid_token"'


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("operation", RESERVED, ids=str)
def test_a_stranger_is_refused(operation: Operation, anonymous: httpx.Client, cast: Cast) -> None:
    answer = operation.send(anonymous, cast.ids, cast.stranger.tokens["access_token"])
    told = f"{operation} served a stranger. If every user may call it, add it to SHARED"
    assert answer.status_code != operation.success, told
    _assert_refused(answer, operation, *operation.refusal)


@pytest.mark.parametrize(
    ("operation", "token"),
    [(o, token) for o, token in GRANTED if not o.is_for_admins and str(o) not in ANSWERS],
    ids=str,
)
def test_a_user_may_change_their_own_resources(
    operation: Operation, token: str, anonymous: httpx.Client, anna: Person
) -> None:
    answer = operation.send(anonymous, owned_ids(anna), anna.tokens[token])
    assert answer.status_code == operation.success, answer.text


@pytest.mark.parametrize("operation", RESERVED, ids=str)
def test_an_admin_may_change_the_resources_of_others(
    operation: Operation, anonymous: httpx.Client, anna: Person, admin: Person
) -> None:
    answer = operation.send(anonymous, owned_ids(anna), admin.tokens["access_token"])
    hidden = operation.is_secret and not operation.is_for_admins
    assert answer.status_code == (404 if hidden else operation.success), answer.text


@pytest.mark.parametrize("token", [None, "gar.ba.ge", *DEAD])
@pytest.mark.parametrize("operation", SHOWN, ids=str)
def test_public_operations_ignore_the_token(
    operation: Operation, token: str | None, anonymous: httpx.Client, cast: Cast
) -> None:
    pair = cast.tokens.get(token or "", {"access_token": token})
    answer = operation.send(anonymous, cast.ids, pair["access_token"])
    assert answer.status_code == 200
    assert answer.json() == operation.send(anonymous, cast.ids, None).json()
