"""Registration, signing in, sessions and passwords."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import current_app

from service.database import commit
from service.domain import accounts, passwords
from service.ids import rfc3339
from service.models import Session, User
from service.models.caller import Caller
from service.problems import CurrentPasswordWrong, NotFound, SessionRevoked, TokenReused
from service.web.call import Client
from service.web.limits import guarded
from service.web.security import authority, prove

ROTATION_GRACE = timedelta(seconds=10)


def register(body: dict):
    minimum = current_app.config["PASSWORD_MIN_LENGTH"]
    account = User.create(**accounts.registration(**body, minimum=minimum))
    return account, 201, {"Location": f"/api/users/{account['id']}"}


def login(body: dict, client: Client):
    account = prove(accounts.normal_email(body["email"]), body["password"])
    end = authority().session_end()
    session_id = Session.start(user_id=account["id"], expires_at=end, **client._asdict())
    return {**authority().pair(account["id"], session_id, 0, end), "user": account}


def refresh(caller: Caller):
    since = rfc3339(datetime.now(UTC) - ROTATION_GRACE)
    generation = Session.rotate(caller.session_id, caller.generation, grace_since=since)
    if generation is None:
        raise _reuse(caller)
    return authority().pair(caller.id, caller.session_id, generation, caller.session_end)


def logout(caller: Caller):
    Session.end(caller.session_id, caller.id)


def get_me(caller: Caller):
    return User.account(caller.id)


def list_sessions(caller: Caller):
    return Session.of_user(caller)


def revoke_other_sessions(caller: Caller):
    Session.end_all(caller.id, but=caller.session_id)


def revoke_session(caller: Caller, session_id: UUID):
    if not Session.end(session_id, caller.id):
        raise NotFound


def change_password(caller: Caller, body: dict):
    with guarded("account", caller.email):
        current = User.password_hash_of(caller.id)
        if not passwords.matches(current, body["current_password"]):
            raise CurrentPasswordWrong
    passwords.check_strength(
        body["new_password"],
        minimum=current_app.config["PASSWORD_MIN_LENGTH"],
        email=caller.email,
        username=caller.username,
    )
    if not User.change_password(caller.id, current, passwords.hashed(body["new_password"])):
        raise CurrentPasswordWrong  # another change was faster
    Session.end_all(caller.id, but=caller.session_id)


async def get_jwks():
    return authority().jwks(), 200, {"Cache-Control": "public, max-age=600"}


def _reuse(caller: Caller):
    if not Session.end(caller.session_id, caller.id):
        return SessionRevoked()  # a logout was faster
    commit()  # the session ends although the answer is a refusal
    return TokenReused()
