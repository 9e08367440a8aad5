"""Passkeys: adding, naming and removing them, and signing in with one."""

from uuid import UUID

from flask import current_app

from service.accounts import factors, passkeys
from service.accounts.audit import record
from service.accounts.security import failed
from service.accounts.sign_in import sign_in
from service.accounts.transport import requested
from service.caller import Caller
from service.engine.database.transaction import commit
from service.engine.request import Client
from service.mail import outbox
from service.models import Challenge, Passkey, User, mails
from service.models.challenges import NEW_PASSKEY, PASSKEY_SIGN_IN
from service.models.passkeys import MAX_PASSKEYS_PER_USER
from service.problems import (
    AccountDisabled,
    ChallengeInvalid,
    EmailUnverified,
    LastPasskey,
    PasskeyInvalid,
    PasskeyUnknown,
    PasskeyWrong,
)


def start_passkey(caller: Caller):
    return passkeys.creation_options(caller, Challenge.create(NEW_PASSKEY, caller.id))


def list_passkeys(caller: Caller):
    return Passkey.of(caller)(MAX_PASSKEYS_PER_USER).rows


def add_passkey(caller: Caller, body: dict):
    made = _made(caller, body["credential"])
    User.standing(caller.id)  # locks the account
    Challenge.revoke_sign_ins(caller.id)  # what they may be completed with has changed
    codes = factors.first_recovery_codes(caller.id)
    passkey_id = Passkey.add(caller.id, name=body["name"], **made)
    record("passkey-added", caller.id)
    outbox.notify(mails.PASSKEY_ADDED, caller.id)
    passkey = Passkey.get(passkey_id, caller.id) | ({"recovery_codes": codes} if codes else {})
    return passkey, 201, {"Location": f"/auth/passkeys/{passkey_id}"}


def get_passkey(caller: Caller, passkey_id: UUID):
    return Passkey.get(passkey_id, caller.id)


def update_passkey(caller: Caller, passkey_id: UUID, body: dict, if_match: list[str] | None):
    return Passkey.rename(passkey_id, caller, if_match, body["name"])


def delete_passkey(caller: Caller, passkey_id: UUID, if_match: list[str] | None):
    account = User.standing(caller.id)  # locked: two that go at once must not be the last two
    Passkey.remove(passkey_id, caller, if_match)
    if not (account["has_password"] or Passkey.count(caller.id)):
        raise LastPasskey
    factors.tidy(caller.id)
    record("passkey-removed", caller.id)
    outbox.notify(mails.PASSKEY_REMOVED, caller.id)


def start_passkey_login():
    challenge = Challenge.create(PASSKEY_SIGN_IN, None)
    return {"challenge": challenge, "passkey_options": passkeys.request_options(challenge)}


def login_with_passkey(body: dict, client: Client):
    transport = requested(body)
    if Challenge.use(body["challenge"], PASSKEY_SIGN_IN) is None:
        raise failed(None, ChallengeInvalid())
    passkey = Passkey.by_credential(body["passkey"]["id"])
    if passkey is None:
        raise failed(None, PasskeyUnknown())
    try:
        method = passkeys.check(passkey, body["passkey"], body["challenge"])
    except PasskeyWrong as wrong:
        raise failed(passkey.user_id, wrong) from None
    return sign_in(_admitted(passkey.user_id), (method,), client, transport)


def _made(caller: Caller, credential: dict):
    challenge = passkeys.answered(credential)
    begun = Challenge.use(challenge, NEW_PASSKEY)
    if begun is None or begun.user_id != caller.id:
        raise PasskeyInvalid("The challenge is not valid, or no longer: begin again.")
    try:
        return passkeys.registered(credential, challenge)
    except PasskeyInvalid:
        commit()  # the challenge is used up although the answer is a refusal
        raise


def _admitted(user_id: str):
    account = User.standing(user_id)  # locked from here on
    if account["disabled"]:
        raise failed(user_id, AccountDisabled())
    if current_app.config["REQUIRE_VERIFIED_EMAIL"] and not account["email_verified"]:
        raise failed(user_id, EmailUnverified())
    found = User.account(user_id)
    del found["etag"]
    return found
