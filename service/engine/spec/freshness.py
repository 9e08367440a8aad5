"""`x-fresh-authentication`: how recently the user must have proved who they are (RFC 9470)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from service.engine.problems import AuthenticationTooOld, ScopeMissing

if TYPE_CHECKING:
    from service.engine.spec.connexion_parts import AbstractOperation
    from service.engine.tokens.tokens import Claims


class Freshness(NamedTuple):
    """The age in seconds that an authentication may have; with `when`, it only matters to requests
    whose body has one of these members."""

    max_age: int
    when: tuple[str, ...] = ()

    def check(self, claims: Claims | None) -> None:
        """Before anything else of the request is read; raises `AuthenticationTooOld`."""
        if not self.when:
            self._check(claims)

    def check_body(self, claims: Claims | None, body: dict[str, Any]) -> None:
        """Once the body has been read; raises `AuthenticationTooOld`, or `ScopeMissing` for a
        personal token, behind which nobody signs in."""
        if any(name in body for name in self.when):
            self._check(claims)

    def _check(self, claims: Claims | None) -> None:
        if claims and claims.is_personal:
            raise ScopeMissing(detail="A personal token cannot do this: sign in.")
        # The clock that signed may be ahead. A token that does not say when is from a release that
        # did not know.
        said = claims and claims.authentication
        if not said or time.time() - said.time > self.max_age:
            raise AuthenticationTooOld(self.max_age)


def read(declared: Any) -> Freshness:
    """The value of the key: `300`, or `{max-age: 300, when: [role, disabled]}`.

    Raises ValueError for a value that cannot be enforced.
    """
    if not isinstance(declared, dict):
        declared = {"max-age": declared, "when": None}
    max_age, when = declared.get("max-age"), declared.get("when")
    is_list = isinstance(when, list) and when and all(isinstance(name, str) for name in when)
    if declared.keys() != {"max-age", "when"} or not (is_list or when is None):
        raise ValueError(f"x-fresh-authentication: {declared} is not enforced")
    if type(max_age) is not int or max_age < 1:
        raise ValueError(f"x-fresh-authentication: {max_age} is not a number of seconds")
    return Freshness(max_age, tuple(when or ()))


def of_operation(operation: AbstractOperation, token_types: tuple[str, ...]) -> Freshness | None:
    """What an operation demands; raises ValueError if its requests cannot be asked for it."""
    from service.engine.tokens.tokens import ACCESS  # with cryptography, which a note can spare

    declared, name = operation._operation.get("x-fresh-authentication"), operation.operation_id
    if declared is None:
        return None
    freshness = read(declared)
    if ACCESS not in token_types:
        raise ValueError(f"{name}: x-fresh-authentication is for access tokens")
    content = operation.request_body.get("content", {}).get("application/json", {})
    members = content.get("schema", {}).get("properties", {})
    if unknown := set(freshness.when) - set(members):
        raise ValueError(f"{name}: x-fresh-authentication names no member of the body: {unknown}")
    return freshness


def note(declared: Any) -> str:
    """What the published description of an operation says about the key."""
    freshness = read(declared)
    names = " or ".join(f"`{name}`" for name in freshness.when)
    return (
        f"Requires fresh authentication{f' if the body has {names}' if names else ''}: if the"
        f" `auth_time` of the access token is more than {freshness.max_age} seconds ago, the answer"
        " is a 401 `authentication-too-old`."
    )
