"""Reminds users, by mail and once, that a personal token is about to expire."""

from __future__ import annotations

import time

import flask

from service.engine.database.transaction import db
from service.engine.ids import now
from service.engine.work.background import Background
from service.mail import outbox
from service.models import PersonalToken, mails

LOOK_SECONDS = 60.0  # between two looks for tokens of which to remind their owners
PAUSE_SECONDS = 0.05  # between two users, so that requests are not delayed


class Reminders(Background):
    """One thread that queues the mails; several processes may each have one."""

    def __init__(self, app: flask.Flask) -> None:
        super().__init__("reminders of tokens", self._remind_and_rest, pause=0)
        self._app = app
        self._looks_at = 0.0

    def remind_one(self) -> bool:
        """Queue the mail to one user with tokens that expire soon, if there is one.

        The transaction that marks them queues it too, so none is lost or sent twice, whatever dies.
        """
        with self._app.app_context():
            user_id = PersonalToken.user_to_remind()
            if user_id is None:
                return False
            with db.transaction() as transaction:
                tokens = PersonalToken.take_reminders(user_id)
                # They may have expired while no process was there to remind anybody.
                if tokens := [one for one in tokens if one.expires_at > now()]:
                    lines = [f"{one.prefix}..., until {one.expires_at[:10]}" for one in tokens]
                    # Nobody but the owner makes tokens, and one mail is about all of them.
                    outbox.notify(
                        mails.TOKEN_EXPIRING,
                        user_id,
                        even_if_too_many=True,
                        tokens=sorted(lines),
                        ip="",
                    )
                transaction.commit()
            return True

    def _remind_and_rest(self) -> float | None:
        if time.monotonic() < self._looks_at:
            return None
        if self.remind_one():
            return PAUSE_SECONDS
        self._looks_at = time.monotonic() + LOOK_SECONDS
        return None
