"""Removes the second factors of users who have lost them, a day after an admin was asked to.

The owner is told by mail, and can stop it until then. Any process removes what is due, and the row
of the reset decides which one does it.
"""

from __future__ import annotations

from uuid import UUID

import flask

from service.accounts import factors
from service.accounts.audit import record
from service.caller import Caller
from service.engine.database.transaction import db
from service.engine.problems import NotFound
from service.engine.work.background import Background
from service.mail import outbox
from service.models import (
    AuditEvent,
    Credentials,
    FactorReset,
    MailedToken,
    PersonalToken,
    Session,
    User,
    mails,
)
from service.problems import AccountDisabled, NoSecondFactor, OneTimeTokenInvalid

PAUSE_SECONDS = 0.1  # between two resets: they are few, and requests come first


def ask(user_id: UUID, admin: Caller) -> None:
    """Have a user's factors removed in a day. If that is so already, only tell the owner again.

    Raises `NotFound`, `NoSecondFactor`, or `AccountDisabled`, because its owner gets no mail.
    """
    account = User.standing(user_id)
    if account["disabled"]:
        raise AccountDisabled
    if not factors.methods(str(user_id)):
        raise NoSecondFactor
    FactorReset.ask(user_id, admin.id)
    outbox.put(mails.FACTOR_RESET, account["email"], user_id, even_if_too_many=True)
    record("factor-reset-requested", user_id)


def stop(token: str) -> None:
    """Stop a reset with the token of its mail; raises `OneTimeTokenInvalid`."""
    user_id, *_ = MailedToken.use(token, mails.FACTOR_RESET)
    if not _stopped(user_id):
        raise OneTimeTokenInvalid
    record("factor-reset-stopped", user_id, actor_id=user_id)


def cancel(caller: Caller) -> None:
    """Stop a reset of the caller's factors; raises `NotFound` if there is none."""
    User.standing(caller.id)
    if not drop(caller.id):
        raise NotFound


def drop(user_id: UUID | str) -> bool:
    """Stop a reset, of an account that is locked; False if there is none."""
    is_stopped = _stopped(user_id)
    if is_stopped:
        record("factor-reset-stopped", user_id)
    return is_stopped


def _stopped(user_id: UUID | str) -> bool:
    MailedToken.revoke_resets(user_id)
    return FactorReset.stop(user_id)


class FactorResets(Background):
    """One thread that removes factors when it is time; several processes may each have one."""

    def __init__(self, app: flask.Flask) -> None:
        super().__init__("factor resets", self._step, pause=0)
        self._app = app

    def _step(self) -> float | None:
        with self._app.app_context():
            due = FactorReset.due()
            if due is None:
                return None
            with db.transaction() as transaction:
                _reset(due.user_id, due.asked_by)
                transaction.commit()
        return PAUSE_SECONDS


def _reset(user_id: str, admin_id: str) -> None:
    account = Credentials.account(user_id)  # locks it
    if not FactorReset.take(user_id) or account is None:
        return
    MailedToken.revoke_resets(user_id)
    if not Credentials.is_active_admin(admin_id):  # a thief may have asked for it as an admin
        AuditEvent.record("factor-reset-stopped", actor_id=None, user_id=user_id, ip="")
        return
    factors.remove_all(user_id)
    Session.end_all(user_id)
    PersonalToken.revoke_all(user_id)
    AuditEvent.record("factors-reset", actor_id=admin_id, user_id=user_id, ip="")
    outbox.put(mails.FACTORS_RESET, account.email, user_id, even_if_too_many=True)
