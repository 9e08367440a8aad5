"""Personal tokens as the engine sees them: what the specification says of them is enforced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.engine.ids import new_id
from service.engine.spec.specification import Specification
from service.engine.tokens.personal import PersonalTokens, hashed
from tests.engine.planner.application import PERSONAL_TOKENS, Owner
from tests.kit.one_operation import IN_PATH, serve, specification
from tests.kit.planning import Planner
from tests.kit.rate_limit_headers import check_refused, left

FORM = PersonalTokens("pln_")
PERSONAL = {
    "type": "http",
    "scheme": "bearer",
    "x-token-type": "personal",
    "x-token-prefix": "pln_",
    "x-scopes": {"enum": ["things:read"]},
}
BOTH = [{"token": []}, {"personal": []}]


def program(server: Planner, *scopes: str, owner: str | None = None) -> httpx.Client:
    """A client with a new personal token of these scopes."""
    token = FORM.new()
    PERSONAL_TOKENS[hashed(token)] = Owner(owner or str(new_id()), scopes=frozenset(scopes))
    return server.client(token)


def test_a_token_with_the_scope_of_an_operation_may_call_it(server: Planner) -> None:
    owner = str(new_id())
    assert program(server, "me", owner=owner).get("/me").json() == {"id": owner}
    made = program(server, "me", "projects:write", owner=owner).post(
        "/projects", json={"name": "x"}
    )
    assert made.status_code == 201
    assert made.json()["owner_id"] == owner


@pytest.mark.parametrize("scopes", [(), ("me",), ("projects",), ("projects:write me",)])
def test_a_token_without_the_scope_is_told_which_one_it_lacks(
    server: Planner, scopes: tuple[str, ...]
) -> None:
    answer = program(server, *scopes).post("/projects", json={"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="planner", error="insufficient_scope", scope="projects:write"'
    )


@pytest.mark.parametrize("known", [True, False])
def test_an_operation_without_a_scope_takes_no_personal_token(server: Planner, known: bool) -> None:
    client = program(server, "me", "projects:write") if known else server.client(FORM.new())
    answer = client.get("/export")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")
    challenge = 'Bearer realm="planner", error="insufficient_scope"'
    assert answer.headers["WWW-Authenticate"] == challenge


def test_a_token_that_nobody_has_is_not_valid(server: Planner) -> None:
    token = FORM.new()
    for wrong in (token, token[:-1] + ("A" if token[-1] != "A" else "B"), token[:30]):
        answer = server.client(wrong).get("/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    answer = server.client(token).get("/metrics")
    assert answer.status_code in {200, 401}  # of no use there, whether or not one is asked for


def test_a_retry_with_a_token_is_the_users_and_needs_the_scope(server: Planner) -> None:
    owner, key = str(new_id()), {"Idempotency-Key": "once"}
    first, second = (
        program(server, "projects:write", owner=owner).post(
            "/projects", json={"name": "x"}, headers=key
        )
        for _ in range(2)
    )
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() == first.json()
    third = program(server, "me", owner=owner).post("/projects", json={"name": "x"}, headers=key)
    assert third.status_code == 403


def test_a_token_has_limits_of_its_own(serve: Callable[..., Planner]) -> None:
    ample = dict.fromkeys(("client", "tokens"), "10000 per day")
    server = serve(rate_limit_enabled=True, rate_limits=ample | {"write": "2 per day"})
    anna = server.sign_up()
    wild, other = (program(server, "projects:write", owner=anna.id) for _ in range(2))
    for expected in (1, 0):
        answer = wild.post("/projects", json={"name": "x"})
        assert (answer.status_code, left(answer, "write")) == (201, expected)
    check_refused(wild.post("/projects", json={"name": "x"}), "write", 86_400)
    for client in (other, anna.http):  # neither another token nor a session is locked out
        answer = client.post("/projects", json={"name": "x"})
        assert (answer.status_code, left(answer, "write")) == (201, 1)


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"security": BOTH}, "go together"),
        ({"security": [{"token": []}], "x-scope": "things:read"}, "go together"),
        ({"security": [], "x-scope": "things:read"}, "go together"),
        ({"security": [{"personal": []}], "x-scope": "things:read"}, "access tokens may do"),
        ({"security": BOTH, "x-scope": "things:read", "x-ends-session": True}, "access tokens may"),
        ({"security": BOTH, "x-scope": "things:write"}, "none of the words"),
        ({"security": BOTH, "x-scope": "things:read things:write"}, "none of the words"),
        ({"security": [{"token": []}, {"personal": ["things:read"]}]}, "is not enforced"),
    ],
)
def test_a_scope_that_nothing_would_enforce_stops_the_start(
    declared: dict[str, Any], complaint: str
) -> None:
    document = specification(schemes={"personal": PERSONAL}, parameters=[IN_PATH], **declared)
    with pytest.raises(ValueError, match=complaint):
        serve(document)


def test_a_scope_that_is_declared_starts() -> None:
    document = specification(schemes={"personal": PERSONAL}, security=BOTH)
    document["paths"]["/things/{thing_id}"]["get"]["x-scope"] = "things:read"
    serve(document)


@pytest.mark.parametrize("prefix", [None, "", "pln", "Pln_", "p ln_", "x" * 20 + "_"])
def test_a_prefix_that_is_no_word_stops_the_start(prefix: str | None) -> None:
    declared = Specification(None)  # type: ignore[arg-type] # nothing is read
    scheme = {**PERSONAL, "x-token-prefix": prefix}
    declared.__dict__["document"] = specification(schemes={"personal": scheme})
    with pytest.raises(ValueError, match="x-token-prefix"):
        _ = declared.token_prefix
