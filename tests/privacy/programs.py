"""What programs do with personal tokens, and each way in which that is refused."""

from __future__ import annotations

from typing import Any

from tests.kit.references import resolved
from tests.privacy.tour import OPERATIONS, PARAMETERS, Tour, Visitor


def given_a_token(tour: Tour, by: Visitor, scope: str = "account:read") -> dict[str, Any]:
    """A new personal token, whose name is for its owner."""
    wanted = {"name": tour.marks.words("label", by.name), "scopes": [scope]}
    answer = tour("create_personal_token", by, json=wanted)
    return dict(answer.json()) if answer.status_code == 201 else {}


def calling(tour: Tour, anna: Visitor) -> None:
    """Personal tokens on every operation that asks who calls, which takes one of them or none."""
    made = [given_a_token(tour, anna, scope) for scope in ("account:read", "audit:read")]
    tour("list_personal_tokens", anna)
    for operation, (_, _, declared) in OPERATIONS.items():
        ids = dict.fromkeys(PARAMETERS[operation], anna.id)
        if {"accessToken": []} in declared["security"]:
            for one in made:
                request = {"headers": {"If-Match": "*"}, **_body(declared), **ids}
                tour(operation, anna, bearer=one["token"], **request)
    stranger, found = tour.visitor("stranger"), made.pop()["token"]
    for text in (found, found, found[:-1]):
        tour("revoke_leaked_token", stranger, json={"token": text})
    tour("get_me", anna, bearer=found)
    while given_a_token(tour, anna):
        pass
    for _ in range(2):
        tour("revoke_personal_token", anna, token_id=made[0]["id"])


def _body(declared: dict[str, Any]) -> dict[str, Any]:
    [*content] = resolved(declared).get("requestBody", {}).get("content", {}).values()
    return {"json": content[0]["example"]} if content else {}
