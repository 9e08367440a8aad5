"""The second step of a sign-in with a password, for accounts with a second factor."""

from __future__ import annotations

from typing import Any

from service.accounts import factors, passkeys
from service.accounts.audit import record
from service.accounts.guard import guard
from service.accounts.security import check_admission
from service.engine.database.transaction import commit, db
from service.engine.observe.metrics import count_on_commit, metrics
from service.engine.problems import RateLimited
from service.mail import outbox
from service.models import Challenge, Credentials, mails
from service.models.challenges import MAX_TRIES, SECOND_FACTOR
from service.problems import (
    ChallengeInvalid,
    PasskeyWrong,
    SecondFactorRequired,
    SecondFactorWrong,
)


def demand(user_id: str) -> None:
    """Raise `SecondFactorRequired` if the account has a second factor. Only after a right password,
    and with the user's row locked."""
    methods = factors.methods(user_id)
    if methods:
        challenge = Challenge.create(SECOND_FACTOR, user_id)
        count_on_commit("logins_total", "challenged")
        commit()
        has_passkey = factors.PASSKEY in methods
        options = passkeys.request_options(challenge, user_id) if has_passkey else None
        raise SecondFactorRequired(challenge, methods, options)


def complete_with_passkey(challenge: str, credential: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The Account, as `complete` returns it, of the user who was given a challenge and has signed
    it with a passkey; and the method of `domain.authentication`. Nobody can guess a signature."""
    user_id, tries = _tried(challenge)
    account = Credentials.account(user_id)
    if account is None:
        raise ChallengeInvalid
    try:
        method = passkeys.check_owned(user_id, credential, challenge)
    except PasskeyWrong as wrong:
        refused = SecondFactorWrong(wrong.detail)
        raise _wrong(user_id, refused, is_last=tries == MAX_TRIES) from None
    if not Challenge.use(challenge, SECOND_FACTOR):
        raise ChallengeInvalid
    check_admission(account)
    return account._asdict(), method


def complete(challenge: str, code: str) -> dict[str, Any]:
    """The Account, locked, of the user who was given a challenge and has sent a right code.

    Raises `ChallengeInvalid`, `SecondFactorWrong`, `RateLimited` after too many wrong codes,
    `AccountDisabled` or `EmailUnverified`.
    """
    user_id, tries = _tried(challenge)
    try:
        with guard().second_factor(user_id):
            proof = factors.match(user_id, code)
            if proof is None:
                raise SecondFactorWrong
    except RateLimited:
        metrics().count("logins_total", "refused")
        raise
    except SecondFactorWrong as wrong:
        # After the block: the guess stays counted.
        raise _wrong(user_id, wrong, is_last=tries == MAX_TRIES) from None
    account = Credentials.account(user_id)
    # The lock first: whatever ends sessions ends challenges too, and then nothing is left to use.
    if account is None or not Challenge.use(challenge, SECOND_FACTOR):
        raise ChallengeInvalid
    check_admission(account)
    if not factors.use(user_id, proof):
        raise _wrong(user_id, SecondFactorWrong())
    guard().remember_factor(user_id)
    return account._asdict()


def _tried(challenge: str) -> tuple[str, int]:
    """The user whose challenge it is, and the number of tries with this one, which counts whatever
    becomes of the request."""
    with db.transaction() as transaction:
        found = Challenge.attempt(challenge, SECOND_FACTOR)
        transaction.commit()
    if found is None:
        raise ChallengeInvalid
    return found.user_id, found.tries


def _wrong(user_id: str, problem: SecondFactorWrong, *, is_last: bool = False) -> SecondFactorWrong:
    record("second-factor-failed", user_id)
    if is_last:
        outbox.notify(mails.SECOND_FACTOR_FAILED, user_id)
    count_on_commit("logins_total", "failed")
    commit()
    return problem
