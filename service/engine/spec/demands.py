"""What an operation demands of its caller: a kind of token, a role, a scope of a personal token."""

from __future__ import annotations

import re

from service.engine.caller import Caller
from service.engine.problems import AdminRequired, ScopeMissing
from service.engine.spec.connexion_parts import AbstractOperation
from service.engine.tokens.authority import TYPES
from service.engine.tokens.cookies import Cookie
from service.engine.tokens.tokens import ACCESS, PERSONAL, Claims

_SCOPE = re.compile(r"[a-z][a-z-]*(?::[a-z][a-z-]*)?", re.ASCII)


class Demands:
    """What one operation declares; ValueError for what nothing would enforce.

    `token_types` are the types of the bearer tokens that it accepts, none if it is public, and
    `cookie` the cookie that it accepts instead of one.
    """

    def __init__(self, declared: AbstractOperation) -> None:
        self.token_types, self.cookie = _credentials(declared)
        self._role = declared._operation.get("x-required-role")
        self._scope = _scope(declared, self.token_types)

    def check(self, claims: Claims | None, caller: Caller | None) -> None:
        """Raise `ScopeMissing` or `AdminRequired` unless this caller may call the operation."""
        if claims and caller and claims.is_personal and self._scope not in caller.scopes:
            raise ScopeMissing(self._scope)
        if self._role and (caller is None or caller.role != self._role):
            raise AdminRequired


def _credentials(operation: AbstractOperation) -> tuple[tuple[str, ...], Cookie | None]:
    types, cookie = [], None
    for requirement in operation.security or []:
        if len(requirement) != 1:
            raise ValueError(f"{operation.operation_id}: optional or combined security")
        [(name, scopes)] = requirement.items()
        scheme = operation.security_schemes[name]
        is_known = scheme.get("x-token-type") in TYPES
        is_cookie = (scheme["type"], scheme.get("in")) == ("apiKey", "cookie")
        if scopes or not (is_cookie or scheme.get("scheme") == "bearer") or not is_known:
            raise ValueError(f"{operation.operation_id}: security scheme {name} is not enforced")
        if is_cookie:
            cookie = Cookie.of(scheme)
        else:
            types.append(scheme["x-token-type"])
    if cookie and cookie.typ not in types:
        raise ValueError(f"{operation.operation_id}: a cookie needs the bearer token beside it")
    return tuple(types), cookie


def _scope(operation: AbstractOperation, types: tuple[str, ...]) -> str | None:
    """The scope that the operation asks of personal tokens, or None if it takes none of them."""
    name, scope = operation.operation_id, operation._operation.get("x-scope")
    if (scope is None) != (PERSONAL not in types):
        raise ValueError(f"{name}: x-scope and a security scheme for personal tokens go together")
    if scope is None:
        return None
    fresh = operation._operation.get("x-fresh-authentication", {})
    needs_session = operation._operation.get("x-ends-session") or not isinstance(fresh, dict)
    if ACCESS not in types or needs_session:
        raise ValueError(f"{name}: x-scope is for what access tokens may do without their session")
    schemes = operation.security_schemes.values()
    [scheme] = [one for one in schemes if one.get("x-token-type") == PERSONAL]
    if scope not in scheme.get("x-scopes", {}).get("enum", []) or not _SCOPE.fullmatch(scope):
        raise ValueError(f"{name}: {scope} is none of the words in x-scopes")
    return str(scope)
