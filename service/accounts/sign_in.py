"""Every sign-in ends here, whatever the user has proved it with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import flask

from service.accounts.audit import record
from service.accounts.guard import guard
from service.accounts.transport import delivered
from service.caller import Caller
from service.domain import programs
from service.domain.authentication import authentication, combined
from service.engine.ids import now, rfc3339
from service.engine.observe.metrics import count_on_commit
from service.engine.request import Client
from service.engine.tokens.authority import SCHEME, authority
from service.mail import outbox
from service.models import AuditEvent, Session, mails


def sign_in(
    account: dict[str, Any], methods: tuple[str, ...], client: Client, transport: str | None
) -> Any:
    """The answer to an Account whose user has just proved who they are: a SignIn.

    `methods` are those of `domain.authentication`, `transport` is that `requested`. The user's row
    must be locked, so that the account is neither disabled nor gone when the session starts.
    """
    user_id = account["id"]
    pair = new_session(user_id, client, now(), combined(*methods))
    if guard().remember_network(user_id) and AuditEvent.has("login", user_id):
        agent = programs.described(client.user_agent)
        outbox.notify(mails.NEW_NETWORK, user_id, agent=agent)
    record("login", user_id, actor_id=user_id)
    count_on_commit("logins_total", "succeeded")
    return delivered({**pair, "user": account}, transport)


def new_session(
    user_id: str, client: Client, authenticated_at: str, methods: str
) -> dict[str, Any]:
    """The TokenPair of a new session of a user whose row is locked."""
    seconds = flask.current_app.config["SESSION_TTL"]
    end = rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))
    session_id = Session.start(
        user_id=user_id,
        authenticated_at=authenticated_at,
        methods=methods,
        expires_at=end,
        **client._asdict(),
    )
    return _pair(user_id, session_id, 0, end, authenticated_at, methods)


def token_pair(caller: Caller, generation: int) -> dict[str, Any]:
    """The TokenPair of the caller's session at this generation."""
    return _pair(
        caller.id,
        caller.session_id,
        generation,
        caller.session_end,
        caller.authenticated_at,
        caller.methods,
    )


def _pair(
    user_id: str, session_id: str, generation: int, end: str, authenticated_at: str, methods: str
) -> dict[str, Any]:
    """A TokenPair; neither token outlives the session."""
    settings, tokens = flask.current_app.config, authority().tokens
    left = (datetime.fromisoformat(end) - datetime.now(UTC)) // timedelta(seconds=1)
    access = max(0, min(settings["ACCESS_TOKEN_TTL"], left))
    refresh = max(0, min(settings["REFRESH_TOKEN_TTL"], left))
    said = authentication(authenticated_at, methods)
    return {
        "access_token": tokens.access(user_id, session_id, generation, access, said),
        "token_type": SCHEME,
        "expires_in": access,
        "refresh_token": tokens.refresh(user_id, session_id, generation, refresh),
        "refresh_expires_in": refresh,
    }
