"""Proves again who the user of a session is, for operations that require fresh authentication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.accounts.audit import record
from service.accounts.security import confirm
from service.accounts.sign_in import token_pair
from service.caller import Caller
from service.domain.authentication import PASSWORD, combined
from service.engine.ids import now
from service.engine.problems import InvalidRequest
from service.models import Session
from service.problems import SessionRevoked


def reauthenticate(caller: Caller, proof: dict[str, Any]) -> dict[str, Any]:
    """The TokenPair of the caller's session, which is as fresh as after a sign-in.

    `proof` has one member, which is in `PROOFS`. Raises what that raises, `SessionRevoked` if the
    session has ended meanwhile, or `InvalidRequest` if there is not exactly one member.
    """
    if len(proof) != 1:
        detail = "must have exactly one member that proves who you are"
        raise InvalidRequest(errors=[{"pointer": "", "code": "one-proof", "detail": detail}])
    [(name, value)] = proof.items()
    methods = combined(caller.methods, PROOFS[name](caller, value))
    moment = now()
    renewed = Session.authenticate(caller, moment, methods)
    if renewed is None:
        raise SessionRevoked
    record("reauthenticated", caller.id)
    fresh = caller._replace(authenticated_at=moment, methods=methods)
    # Of the current generation, without a new one: no refresh token of another tab becomes old.
    return token_pair(fresh, renewed.generation)


def _password(caller: Caller, password: str) -> str:
    confirm(caller, password)
    return PASSWORD


# What proves it, by the member of the body: returns the method, or raises a problem.
PROOFS: dict[str, Callable[[Caller, Any], str]] = {"password": _password}
