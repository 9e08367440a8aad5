"""Every operation of the specification, with what it asks for, and how to call it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from service.specification import specification
from tests.kit.passkeys import added, authenticator
from tests.kit.references import resolved
from tests.kit.serving import Person

SPEC = specification.document
SCHEMES = SPEC["components"]["securitySchemes"]
PATHS = "\n".join(SPEC["paths"])
TOKENS = {"at+jwt": "access_token", "rt+jwt": "refresh_token"}


@dataclass(frozen=True)
class Operation:
    """One operation: what it asks for, and what it has to answer to whom."""

    method: str
    path: str

    @property
    def declared(self) -> dict[str, Any]:
        return SPEC["paths"][self.path][self.method]

    @property
    def tokens(self) -> list[str]:
        """The bearer tokens of users that it takes, by their names in a TokenPair."""
        accepted = [SCHEMES[name] for [name] in self.declared["security"]]
        types = [scheme["x-token-type"] for scheme in accepted if scheme["type"] == "http"]
        return [TOKENS[kind] for kind in types if kind in TOKENS]

    @property
    def scope(self) -> str | None:
        """The scope that a personal token needs; None if no personal token will do."""
        return self.declared.get("x-scope")

    @property
    def is_public(self) -> bool:
        return not self.tokens

    @property
    def session_only(self) -> list[str]:
        """The members of the body that ask for a recent sign-in, and so for a session."""
        fresh = self.declared.get("x-fresh-authentication", {})
        return fresh["when"] if self.scope and fresh else []

    @property
    def is_for_admins(self) -> bool:
        return self.declared.get("x-required-role") == "admin"

    @property
    def names_one(self) -> bool:
        return "{" in self.path

    @property
    def is_secret(self) -> bool:
        """Whether others may not even know that the thing exists: no one can read it publicly."""
        return SPEC["paths"][self.path].get("get", {}).get("security") != []

    @property
    def success(self) -> int:
        return int(min(self.declared["responses"]))

    @property
    def refusal(self) -> tuple[int, str]:
        """What a user gets who has no right to it."""
        if self.is_for_admins:
            return 403, "admin-required"
        return (404, "not-found") if self.is_secret else (403, "forbidden")

    def documents(self, status: int) -> bool:
        return str(status) in self.declared["responses"]

    def send(
        self,
        http: httpx.Client,
        ids: dict[str, str],
        token: str | None,
        change: Callable[[dict[str, Any]], Any] = lambda _: None,
    ) -> httpx.Response:
        """The operation on these ids, as its example has it, with an address and a name of own;
        `change` changes the body."""
        declared = [resolved(parameter) for parameter in self.declared.get("parameters", [])]
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        if any(p["name"] == "If-Match" and p.get("required") for p in declared):
            headers["If-Match"] = "*"
        content = self.declared.get("requestBody", {}).get("content", {})
        body = dict(content["application/json"]["example"]) if content else None
        name = secrets.token_hex(6)
        own = {"email": f"{name}@example.com", "username": f"u-{name}"}
        if body:
            body |= {field: own[field] for field in body.keys() & own}
            change(body)
        unknown = [name for name in re.findall(r"{(\w+)}", self.path) if name not in ids]
        assert not unknown, (
            f"{self} needs {unknown}: have `owned_ids` find one that the person owns"
        )
        return http.request(self.method, self.path.format(**ids), json=body, headers=headers)

    def __str__(self) -> str:
        return str(self.declared["operationId"])


OPERATIONS = [
    Operation(method, path)
    for path, item in SPEC["paths"].items()
    for method in item
    if method != "parameters"
]
SECURED = [operation for operation in OPERATIONS if not operation.is_public]


def owned_ids(person: Person) -> dict[str, str]:
    """The ids of a person, of a session, and of one of everything else that users make."""
    [session] = person.http.get("/auth/sessions").json()
    passkey = added(person, authenticator(person.server))
    ids = {"user_id": person.id, "session_id": session["id"], "passkey_id": passkey["id"]}
    for operation in SECURED:
        made = re.search(rf"^{re.escape(operation.path)}/{{(\w+)}}$", PATHS, re.MULTILINE)
        is_known = made and made[1] in ids
        if operation.method == "post" and made and not (operation.is_for_admins or is_known):
            answer = operation.send(person.http, ids, person.tokens["access_token"])
            ids[made[1]] = answer.json()["id"]
    return ids
