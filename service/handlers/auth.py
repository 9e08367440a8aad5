"""Registration, signing in, sessions, passwords, addresses and the export of an account."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import current_app

from service.accounts import factors, reauthentication, second_step
from service.accounts.access import end_access
from service.accounts.audit import record
from service.accounts.guard import guard
from service.accounts.removal import remove_disputed
from service.accounts.security import confirm, new_hash, prove
from service.accounts.sign_in import new_session, sign_in, token_pair
from service.accounts.transport import COOKIE, cleared, delivered, requested
from service.caller import Caller
from service.domain import accounts, addresses
from service.domain.authentication import PASSWORD
from service.domain.rotation import Place, Rotation, may_repeat
from service.engine.database.transaction import commit
from service.engine.http.networks import PROVIDER_BLOCK, network
from service.engine.limits.limits import limits
from service.engine.observe.metrics import count_on_commit
from service.engine.problems import NotFound
from service.engine.request import Client
from service.engine.spec.paging import page, pages
from service.engine.tokens.authority import authority
from service.mail import outbox
from service.models import (
    Credentials,
    MailedToken,
    Session,
    User,
    UserAddress,
    account_rows,
    mails,
    ownership,
)
from service.models.sessions import MAX_USER_AGENT_CHARACTERS
from service.problems import CurrentPasswordWrong, SessionRevoked, TokenReused
from service.specification import specification

CONFIRMED = {mails.EMAIL_VERIFICATION: "email-verified", mails.EMAIL_CHANGE: "email-changed"}
# Passkeys and apps that are older when the address is changed are not the thief's.
BEFORE_A_THEFT_SHOWS = timedelta(days=7)
EXPORT_FILE = f"{specification.name}-export.ndjson"
EXPORT = {"Content-Disposition": f'attachment; filename="{EXPORT_FILE}"'}


def register(body: dict):
    config = current_app.config
    minimum, product = config["PASSWORD_MIN_LENGTH"], config["PRODUCT_NAME"]
    account = User.create(**accounts.registration(**body, minimum=minimum, product=product))
    outbox.put(mails.EMAIL_VERIFICATION, account["email"], account["id"])
    record("register", account["id"], actor_id=account["id"])
    return account, 201, {"Location": f"/api/users/{account['id']}"}


def login(body: dict, client: Client):
    transport = requested(body)
    account = prove(addresses.key(body["email"]), body["password"])
    second_step.demand(account["id"])
    return sign_in(account, (PASSWORD,), client, transport)


def refresh(caller: Caller, client: Client):
    place = Place(network(client.ip, PROVIDER_BLOCK), client.user_agent[:MAX_USER_AGENT_CHARACTERS])
    if Session.rotate(caller, **place._asdict()):
        limits().count_own("refresh")
    elif _may_repeat(caller, place):
        limits().count_own("repeat")
        record("refresh-repeated", caller.id)
    else:
        raise _reuse(caller)
    pair = token_pair(caller, caller.generation + 1)
    return delivered(pair, COOKIE if caller.by_cookie else None)


def logout(caller: Caller):
    if Session.end(caller.session_id, caller.id):
        record("logout", caller.id)
    return None, 204, cleared() if caller.by_cookie else {}


def reauthenticate(caller: Caller, body: dict):
    transport = requested(body)
    proof = {name: value for name, value in body.items() if name != "transport"}
    return delivered(reauthentication.reauthenticate(caller, proof), transport)


def get_me(caller: Caller):
    return account_rows.account(caller.row)


def list_sessions(caller: Caller, limit: int, after: UUID | None = None):
    return page(Session.of(caller), limit, after)


def revoke_other_sessions(caller: Caller):
    if Session.end_all(caller.id, but=caller.session_id):
        record("session-revoked", caller.id)


def revoke_session(caller: Caller, session_id: UUID):
    if not Session.end(session_id, caller.id):
        raise NotFound
    record("session-revoked", caller.id)


def change_password(caller: Caller, body: dict, client: Client):
    transport = requested(body)
    current = confirm(caller, body["current_password"])
    if not Credentials.change_password(caller.id, current, new_hash(body["new_password"], caller)):
        raise CurrentPasswordWrong  # the password has changed meanwhile
    if not Session.end(caller.session_id, caller.id):
        raise SessionRevoked  # while the passwords were hashed
    end_access(caller.id)
    record("password-changed", caller.id)
    outbox.notify(mails.PASSWORD_CHANGED, caller.id)
    # No fresher than the session before: the password may be only one of two factors.
    pair = new_session(caller.id, client, caller.authenticated_at, caller.methods)
    return delivered(pair, transport)


def request_password_reset(body: dict):
    user_id, email = _addressee(body["email"])
    if outbox.put(mails.PASSWORD_RESET, email, user_id):
        record("password-reset-requested", user_id)


def complete_password_reset(body: dict):
    owner = MailedToken.owner(body["token"], *mails.OF_PASSWORDS)
    fresh = new_hash(body["new_password"], owner)
    user_id, kind, email = MailedToken.use(body["token"], *mails.OF_PASSWORDS)
    Credentials.reset_password(user_id, fresh)
    end_access(user_id)
    guard().recover(user_id)
    key = addresses.key(email)
    record("password-reset", user_id, actor_id=user_id)
    factors.remove_unproved(user_id)
    if User.confirm_email(user_id, email, key):
        record("email-verified", user_id, actor_id=user_id)
    if kind == mails.INVITATION:
        _accept_role(user_id)
    outbox.notify(mails.PASSWORD_CHANGED, user_id)


def change_email(caller: Caller, body: dict):
    email = addresses.checked(body["email"])
    current = confirm(caller, body["current_password"])
    if not Credentials.admitted(caller.id, current):
        raise CurrentPasswordWrong  # a change of the password was faster
    if outbox.put(mails.EMAIL_CHANGE, email, caller.id):
        outbox.notify(mails.EMAIL_CHANGE_NOTICE, caller.id)
        record("email-change-requested", caller.id)


def undo_email_change(body: dict):
    user_id, email, changed_at = MailedToken.undo(body["token"])
    key = addresses.key(email)
    remove_disputed(UserAddress.unverified_owner(key, user_id))  # a thief could make one
    User.confirm_email(user_id, email, key)
    Credentials.remove_password(user_id)  # a thief who changed the address knew it
    factors.remove_added_since(user_id, changed_at - BEFORE_A_THEFT_SHOWS)
    end_access(user_id)
    outbox.put(mails.PASSWORD_RESET, email, user_id, even_if_too_many=True)
    record("email-change-undone", user_id, actor_id=user_id)


def request_email_verification(body: dict):
    user_id, email = _addressee(body["email"])
    outbox.put(mails.EMAIL_VERIFICATION, email, user_id)


def complete_email_verification(body: dict):
    user_id, kind, email = MailedToken.use(body["token"], *CONFIRMED)
    old = UserAddress.verified(user_id)
    if User.confirm_email(user_id, email, addresses.key(email)):
        record(CONFIRMED[kind], user_id, actor_id=user_id)
    if kind == mails.EMAIL_CHANGE:
        MailedToken.revoke(user_id)  # tokens sent to the old address become invalid
    if old and old != email:
        outbox.put(mails.EMAIL_CHANGED, old, user_id, even_if_too_many=True)


def dispute_email_verification(body: dict):
    user_id, kind, email = MailedToken.use(body["token"], *CONFIRMED)
    if kind == mails.EMAIL_VERIFICATION:
        remove_disputed(UserAddress.disputed(user_id, email))
    record("registration-disputed", user_id)


def export_account(caller: Caller):
    record("account-exported", caller.id)
    return _belongings(caller), 200, EXPORT


async def get_jwks():
    return authority().jwks()


def _may_repeat(caller: Caller, place: Place):
    row = Session.rotation(caller)
    return row and may_repeat(Rotation(*row), caller.generation, place, datetime.now(UTC))


def _accept_role(user_id: str):
    if Credentials.accept_role(user_id):
        MailedToken.revoke_elsewhere(user_id)
        record("role-changed", user_id, actor_id=user_id)


def _addressee(email: str):
    # Send to the address of the account: the typed one may be another mailbox with the same key.
    # Unknown addresses take the same steps, so that the time of the answer reveals nothing.
    return UserAddress.addressee(addresses.key(addresses.checked(email))) or (None, email)


def _reuse(caller: Caller):
    if not Session.end(caller.session_id, caller.id):
        return SessionRevoked()  # a logout came first
    record("token-reused", caller.id)
    outbox.notify(mails.SESSIONS_REUSED, caller.id)
    count_on_commit("token_reuses_total")
    commit()  # end the session although the answer is a refusal
    return TokenReused()


def _belongings(caller: Caller):
    account = User.account(caller.id)
    del account["etag"]
    yield "account", [account]
    exported = ownership.exported()
    for line in specification.export_lines[1:]:
        for rows in pages(exported[line](caller)):
            yield line, rows
