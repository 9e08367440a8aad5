"""Second factors: adding an authenticator app, checking and using codes, and removing both."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import flask

from service.accounts.audit import record
from service.accounts.guard import guard
from service.caller import Caller
from service.domain import recovery_codes, totp
from service.domain.authentication import CODE, combined
from service.engine.ids import created_at, first_id_from, rfc3339
from service.engine.problems import NotFound
from service.engine.tokens.sealing import sealer
from service.engine.work.greenlets import aside
from service.mail import outbox
from service.models import (
    AuditEvent,
    FactorReset,
    Passkey,
    PendingTotp,
    RecoveryCode,
    Session,
    TotpFactor,
    User,
    UserAddress,
    mails,
)
from service.problems import CodeWrong, NoSecondFactor, SessionRevoked

# How a sign-in can be completed, as the specification names it.
TOTP, RECOVERY_CODE, PASSKEY = "totp", "recovery-code", "passkey"
NEW_CODES = ("recovery-codes-renewed", "totp-added")  # the events that replace recovery codes


class Proof(NamedTuple):
    """A right code that is not used up yet: `digest` of a recovery code, or `step` of an app and
    its `secret`, sealed."""

    method: str
    digest: str = ""
    step: int = 0
    secret: str = ""


def methods(user_id: str) -> list[str]:
    """How the user can complete a sign-in; none if the account has no second factor."""
    app = TotpFactor.of(user_id)
    passkeys = [PASSKEY] if Passkey.count(user_id) else []
    if app is None and not passkeys:
        return []
    others = [RECOVERY_CODE] if RecoveryCode.count(user_id) else []
    others += passkeys
    # An app whose key is gone is no way in, but still a factor: see docs/operations.md.
    is_way_in = app is not None and (not others or sealer().knows_key_of(app.secret))
    return [TOTP, *others] if is_way_in else others


def match(user_id: str, code: str) -> Proof | None:
    """The proof that a right code is, read outside the request's transaction; None if it is wrong
    or used."""
    typed = recovery_codes.normalized(code)
    if len(typed) != totp.DIGITS or not typed.isdecimal():
        digest = recovery_codes.hashed(user_id, code)
        return Proof(RECOVERY_CODE, digest) if RecoveryCode.peek(user_id, digest) else None
    app = TotpFactor.peek(user_id)
    if app is None:
        return None
    step = _step(user_id, app.secret, typed)
    if step is None or step <= app.last_step:
        return None
    return Proof(TOTP, step=step, secret=sealed_anew(user_id, app.secret))


def use(user_id: str, proof: Proof) -> bool:
    """Use a code up; False if another request was faster. The user's row must be locked."""
    if proof.method == TOTP:
        return TotpFactor.use(user_id, proof.step, proof.secret)
    if not RecoveryCode.use(user_id, proof.digest):
        return False
    record("recovery-code-used", user_id, actor_id=user_id)
    outbox.notify(mails.RECOVERY_CODE_USED, user_id, left=RecoveryCode.count(user_id))
    return True


def start(caller: Caller) -> dict[str, str]:
    """A new secret for an app, as text, as an address and as a picture; it has to be confirmed."""
    secret = totp.new_secret()
    uri = totp.key_uri(secret, caller.email, flask.current_app.config["PRODUCT_NAME"])
    picture = aside(totp.qr_code, uri)
    PendingTotp.put(caller.id, sealer().seal(secret.encode(), _context(caller.id)))
    return {"secret": secret, "uri": uri, "qr_code": picture}


def confirm(caller: Caller, code: str) -> list[str]:
    """The recovery codes of an account whose app is in use from now on. Every other session ends.

    Raises `NotFound` if no secret is pending, `CodeWrong` or `RateLimited`.
    """
    pending = PendingTotp.peek(caller.id)
    if pending is None:
        raise NotFound
    with guard().confirmation_by_code(caller.session_id, caller.id):
        step = _step(caller.id, pending, recovery_codes.normalized(code))
        if step is None:
            raise CodeWrong
    User.standing(caller.id)  # locks it
    if not PendingTotp.take(caller.id, pending):
        raise NotFound  # it was confirmed or replaced meanwhile
    TotpFactor.put(caller.id, sealed_anew(caller.id, pending), step)
    codes = _new_recovery_codes(caller.id)
    both = combined(caller.methods, CODE)
    if not Session.authenticate(caller, caller.authenticated_at, both):
        raise SessionRevoked
    Session.end_all(caller.id, but=caller.session_id)
    record("totp-added", caller.id)
    outbox.notify(mails.TOTP_ADDED, caller.id)
    return codes


def remove_totp(caller: Caller) -> None:
    """Remove the caller's app; raises `NotFound` if there is none."""
    User.standing(caller.id)
    if not TotpFactor.remove(caller.id):
        raise NotFound
    PendingTotp.remove(caller.id)
    tidy(caller.id)
    record("totp-removed", caller.id)
    outbox.notify(mails.TOTP_REMOVED, caller.id)


def renew_recovery_codes(caller: Caller) -> list[str]:
    """Ten new codes instead of the old ones; raises `NoSecondFactor`."""
    User.standing(caller.id)
    if not methods(caller.id):
        raise NoSecondFactor
    codes = _new_recovery_codes(caller.id)
    record("recovery-codes-renewed", caller.id)
    outbox.notify(mails.RECOVERY_CODES_RENEWED, caller.id)
    return codes


def remove_added_since(user_id: str, moment: datetime) -> None:
    """Remove the factors and recovery codes that the user has got since a moment, because somebody
    else may have added them."""
    since = rfc3339(moment)
    if Passkey.remove_since(user_id, since):
        record("passkey-removed", user_id, actor_id=user_id)
    if TotpFactor.remove_since(user_id, since):
        record("totp-removed", user_id, actor_id=user_id)
    PendingTotp.remove(user_id)
    if any(AuditEvent.has(action, user_id, first_id_from(moment)) for action in NEW_CODES):
        RecoveryCode.remove_all(user_id)
    tidy(user_id)


def remove_unproved(user_id: str) -> None:
    """Remove all factors of an account if nobody has ever confirmed an address of it: whoever
    registered it may be somebody else."""
    if not UserAddress.was_ever_verified(user_id):
        remove_added_since(user_id, datetime.fromisoformat(created_at(UUID(user_id))))


def first_recovery_codes(user_id: str) -> list[str] | None:
    """Ten codes for an account that is about to get its first factor; None if it has one."""
    return None if methods(user_id) else _new_recovery_codes(user_id)


def tidy(user_id: str) -> None:
    """After a factor was removed: if it was the last, what belongs to factors goes too."""
    if not methods(user_id):
        RecoveryCode.remove_all(user_id)
        FactorReset.stop(user_id)


def remove_all(user_id: str) -> None:
    """Remove every factor of an account."""
    Passkey.remove_all(user_id)
    TotpFactor.remove(user_id)
    PendingTotp.remove(user_id)
    tidy(user_id)


def summary(user_id: str) -> dict[str, Any]:
    """What the user may know about their factors."""
    found: dict[str, Any] = {"recovery_codes_left": RecoveryCode.count(user_id)}
    found["passkeys"] = Passkey.count(user_id)
    if app := TotpFactor.of(user_id):
        found["totp"] = {"created_at": app.created_at}
    if due_at := FactorReset.due_at_of(user_id):
        found["reset_due_at"] = due_at
    return found


def sealed_anew(user_id: str, sealed: str) -> str:
    """The secret of a user's app, sealed with the newest key; as it is, if its key is gone."""
    if sealed.startswith(sealer().prefix):
        return sealed
    secret = sealer().open(sealed, _context(user_id))
    return sealer().seal(secret, _context(user_id)) if secret else sealed


def _new_recovery_codes(user_id: str) -> list[str]:
    codes = recovery_codes.new_codes()
    RecoveryCode.renew(user_id, [recovery_codes.hashed(user_id, code) for code in codes])
    return codes


def _step(user_id: str, sealed: str, code: str) -> int | None:
    secret = sealer().open(sealed, _context(user_id))
    return totp.matching_step(secret.decode(), code, time.time()) if secret else None


def _context(user_id: str) -> str:
    return f"totp {user_id}"
