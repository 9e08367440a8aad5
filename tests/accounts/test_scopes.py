"""Which operation takes which personal token: every operation of the specification with every kind
of credential. What is expected is read from the specification."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import update

from service.models import User
from service.specification import specification
from tests.kit.operations import SECURED, Operation, owned_ids
from tests.kit.personal_tokens import SCOPES, expire, give, revoke
from tests.kit.serving import Person, Server

Told = tuple[int, str | None, str | None]  # status, code of the problem, WWW-Authenticate

NONE = 'Bearer realm="byline"'
INVALID = f'{NONE}, error="invalid_token"'
SCOPE = f'{NONE}, error="insufficient_scope"'
NOBODYS = {
    name: "0198c0de-0000-7000-8000-000000000001"
    for operation in SECURED
    for name in re.findall(r"{(\w+)}", operation.path)
}


@dataclass(frozen=True)
class Credential:
    """What a request says who it is, and whom the service takes it for.

    `code` is that of the 401 if it is not valid any more; then nothing else matters.
    """

    token: str | None
    owner: Person | None = None
    role: str = "user"
    scopes: tuple[str, ...] = ()
    code: str | None = None

    def expected(self, operation: Operation) -> Told:
        """What the specification says of this credential at this operation."""
        if self.token is None:
            return 401, "authentication-required", NONE
        if "access_token" not in operation.tokens or self.code == "mistyped":
            return 401, "invalid-token", INVALID
        if operation.scope is None:
            return 403, "scope-missing", SCOPE
        if self.code:
            return 401, self.code, INVALID
        if operation.scope not in self.scopes:
            return 403, "scope-missing", f'{SCOPE}, scope="{operation.scope}"'
        if operation.is_for_admins and self.role != "admin":
            return 403, "admin-required", None
        return operation.success, None, None


@pytest.fixture(scope="module")
def people(server: Server) -> dict[str, Person]:
    return {"user": server.sign_up(), "admin": server.make_admin(server.sign_up())}


@pytest.fixture(scope="module")
def credentials(server: Server, people: dict[str, Person]) -> dict[str, Credential]:
    """One of each kind: for both roles a token of each scope, of all others, and of all; and what
    is not valid."""
    found = {"nothing": Credential(None)}
    for role, person in people.items():
        for scope in SCOPES:
            others = tuple(one for one in SCOPES if one != scope)
            found[f"{role} with {scope}"] = Credential(give(person, scope), person, role, (scope,))
            found[f"{role} without {scope}"] = Credential(
                give(person, *others), person, role, others
            )
    demoted = server.make_admin(server.sign_up())
    found["demoted admin"] = Credential(give(demoted), demoted, "user", tuple(SCOPES))
    server.execute(update(User).where(User.id == demoted.id).values(role="user"))
    gone = {name: server.sign_up() for name in ("expired", "revoked", "disabled", "deleted")}
    tokens = {name: give(person) for name, person in gone.items()}
    expire(server, tokens["expired"])
    revoke(gone["revoked"], tokens["revoked"])
    server.execute(update(User).where(User.id == gone["disabled"].id).values(disabled=True))
    assert gone["deleted"].http.delete(f"/api/users/{gone['deleted'].id}").status_code == 204
    for name, token in tokens.items():
        code = "token-expired" if name == "expired" else "invalid-token"
        found[name] = Credential(token, code=code)
    right = give(people["user"])
    mistyped = right[:-1] + ("0" if right[-1] != "0" else "1")
    found["mistyped"] = Credential(mistyped, code="mistyped")
    return found


def told(answer: httpx.Response) -> Told:
    code = answer.json()["code"] if answer.status_code >= 400 else None
    return answer.status_code, code, answer.headers.get("WWW-Authenticate")


@pytest.mark.parametrize("operation", SECURED, ids=str)
def test_an_operation_takes_the_personal_tokens_that_its_paragraph_names_and_no_other(
    operation: Operation,
    anonymous: httpx.Client,
    credentials: dict[str, Credential],
) -> None:
    wrong = {}
    for name, credential in credentials.items():
        expected = credential.expected(operation)
        # What is of one's own is made anew for what succeeds; refusals need nothing.
        needs = expected[0] < 400 and operation.names_one
        ids = owned_ids(credential.owner) if needs and credential.owner else NOBODYS
        answer = operation.send(anonymous, ids, credential.token, partial(without, operation))
        assert operation.documents(answer.status_code), name
        if told(answer) != expected:
            wrong[name] = told(answer), expected
    assert wrong == {}


def without(operation: Operation, body: dict[str, Any]) -> None:
    for name in operation.session_only:
        body.pop(name, None)


VALUES: dict[str, Any] = {"role": "user", "disabled": False, "email": "anna@example.com"}
FOR_SESSIONS = [(o, member) for o in SECURED for member in o.session_only]


@pytest.mark.parametrize(("operation", "member"), FOR_SESSIONS, ids=str)
def test_what_asks_for_a_recent_sign_in_takes_no_personal_token(
    operation: Operation, member: str, anonymous: httpx.Client, credentials: dict[str, Credential]
) -> None:
    for credential in credentials.values():
        if credential.role == "admin" and operation.scope in credential.scopes:
            change = {member: VALUES[member]}
            answer = operation.send(anonymous, NOBODYS, credential.token, partial(replace, change))
            assert told(answer) == (403, "scope-missing", SCOPE)


def replace(change: dict[str, Any], body: dict[str, Any]) -> None:
    body |= change


def test_every_scope_opens_something_and_nothing_that_needs_a_session_has_one() -> None:
    assert {operation.scope for operation in SECURED} == {*SCOPES, None}
    for operation in SECURED:
        if operation.path.startswith("/auth/") and operation.path != "/auth/me":
            assert operation.scope is None, operation
        if operation.method == "delete" and "user_id" in operation.path:
            assert operation.scope is None, operation


@pytest.mark.parametrize("operation", SECURED, ids=str)
def test_the_public_document_says_which_operation_takes_which_token(operation: Operation) -> None:
    public = orjson.loads(specification.public_json())["paths"][operation.path][operation.method]
    assert ({"personalToken": []} in public["security"]) == (operation.scope is not None)
    said = re.findall(r"Requires\s+the\s+scope\s+`([a-z:]+)`", public.get("description", ""))
    assert said == ([operation.scope] if operation.scope else [])
