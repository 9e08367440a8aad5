"""Proves again who the user of a session is, for operations that require fresh authentication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.accounts import factors, passkeys
from service.accounts.audit import record
from service.accounts.guard import guard
from service.accounts.security import confirm
from service.accounts.sign_in import token_pair
from service.caller import Caller
from service.domain.authentication import CODE, PASSWORD, combined
from service.engine.database.transaction import commit, db
from service.engine.ids import now
from service.engine.problems import InvalidRequest
from service.models import Challenge, Session, User
from service.models.challenges import PASSKEY_SIGN_IN
from service.problems import CodeWrong, FactorNeeded, PasskeyWrong, SessionRevoked


def reauthenticate(caller: Caller, proof: dict[str, Any]) -> dict[str, Any]:
    """The TokenPair of the caller's session, which is as fresh as after a sign-in.

    `proof` has one member, which is in `PROOFS`. Raises what that raises, `SessionRevoked` if the
    session has ended meanwhile, or `InvalidRequest` if there is not exactly one member.
    """
    if len(proof) != 1:
        raise one_proof()
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


def one_proof() -> InvalidRequest:
    """The refusal of a body that has none of the members that prove something, or several."""
    detail = "must have exactly one member that proves who you are"
    return InvalidRequest(errors=[{"pointer": "", "code": "one-proof", "detail": detail}])


def _password(caller: Caller, password: str) -> str:
    with db.transaction(writes=False):  # of its own, because the comparison is slow
        methods = factors.methods(caller.id)
    if methods:
        raise FactorNeeded(methods)
    confirm(caller, password)
    return PASSWORD


def _code(caller: Caller, code: str) -> str:
    try:
        # At its session only: a stolen one must not stop the owner from signing in.
        with guard().confirmation_by_code(caller.session_id, caller.id):
            proof = factors.match(caller.id, code)
            if proof is None:
                raise CodeWrong
    except CodeWrong:
        record("second-factor-failed", caller.id)
        commit()  # keep the event although the answer is a refusal
        raise
    User.standing(caller.id)  # locks it
    if not factors.use(caller.id, proof):
        raise CodeWrong
    guard().remember_factor(caller.id)
    return CODE


def _passkey(caller: Caller, credential: dict[str, Any]) -> str:
    challenge = passkeys.answered(credential)
    User.standing(caller.id)  # locks it
    if Challenge.use(challenge, PASSKEY_SIGN_IN) is None:
        raise CodeWrong("The challenge is not valid, or no longer: call start_passkey_login.")
    try:
        return passkeys.check_owned(caller.id, credential, challenge)
    except PasskeyWrong:
        record("second-factor-failed", caller.id)
        commit()  # keep the event although the answer is a refusal
        raise CodeWrong from None


# What proves it, by the member of the body: returns the method, or raises a problem.
PROOFS: dict[str, Callable[[Caller, Any], str]] = {
    "password": _password,
    "code": _code,
    "passkey": _passkey,
}
