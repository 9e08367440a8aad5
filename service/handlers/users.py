"""Public profiles and the accounts behind them."""

from uuid import UUID

from flask import current_app

from service.accounts import factor_resets
from service.accounts.access import end_access
from service.accounts.audit import record
from service.accounts.removal import remove_account
from service.caller import Caller
from service.domain import accounts, addresses, usernames
from service.engine.spec.paging import page
from service.mail import outbox
from service.models import Challenge, MailedToken, PersonalToken, Profile, User, mails
from service.problems import AdminOnlyField

ADMIN_FIELDS = {"role", "disabled", "email"}


def list_users(limit: int, after: UUID | None = None, username: str | None = None):
    return page(Profile.listing, limit, after, username=username)


def create_user(body: dict):
    config = current_app.config
    minimum, product = config["PASSWORD_MIN_LENGTH"], config["PRODUCT_NAME"]
    account = User.create(**accounts.registration(**body, minimum=minimum, product=product))
    is_invited = "password" not in body or body.get("role") == "admin"
    kind = mails.INVITATION if is_invited else mails.EMAIL_VERIFICATION
    outbox.put(kind, account["email"], account["id"])
    record("user-created", account["id"])
    return account, 201, {"Location": f"/api/users/{account['id']}"}


def get_user(user_id: UUID):
    return Profile.of(user_id)


def update_user(caller: Caller, user_id: UUID, body: dict, if_match: list[str] | None):
    if not caller.is_admin:
        _check_is_for_owners(body, caller)
    account, before = User.update(user_id, caller, if_match, accounts.changes(body))
    _end_what_began(user_id, before, account)
    if account["email"] != before["email"]:
        _tell_of_move(user_id, before, account["email"])
    if accounts.becomes_admin(before, account):
        MailedToken.revoke_elsewhere(user_id)
        PersonalToken.revoke_all(user_id)  # they were not made with an administrator's care
    for action in accounts.events(before, account):
        record(action, user_id)
    return account


def delete_user(caller: Caller, user_id: UUID, if_match: list[str] | None):
    remove_account(user_id, caller, if_match)
    record("user-deleted", user_id)


def recover_account(caller: Caller, user_id: UUID, body: dict | None = None):
    if body and body["reset_factors"]:
        factor_resets.ask(user_id, caller)
    else:
        account = User.standing(user_id)
        outbox.put(_way_in(account), account["email"], user_id)
        record("recovery-requested", user_id)


def list_accounts(
    limit: int,
    after: UUID | None = None,
    email: str | None = None,
    role: str | None = None,
    disabled: bool | None = None,
):
    key = email and addresses.key(addresses.checked(email, at="email"))
    record("accounts-listed", None)
    return page(User.accounts, limit, after, email=key, role=role, disabled=disabled)


def _check_is_for_owners(body: dict, caller: Caller):
    if ADMIN_FIELDS & body.keys():
        raise AdminOnlyField
    username = body.get("username", caller.username)
    if username != caller.username:  # an account keeps the reserved name it has
        usernames.check_is_free(username, current_app.config["PRODUCT_NAME"])


def _end_what_began(user_id: UUID, before: dict, account: dict):
    if account["disabled"]:
        end_access(user_id)
        factor_resets.drop(user_id)
    elif account["role"] != before["role"]:
        Challenge.revoke_all(user_id)  # sign-ins that have begun are those of another role


def _tell_of_move(user_id: UUID, before: dict, email: str):
    # The old mailbox may be lost or somebody else's: invalidate all sent and queued links to it.
    MailedToken.revoke_all(user_id)
    kind = mails.EMAIL_VERIFICATION if before["has_password"] else _way_in(before)
    outbox.put(kind, email, user_id)
    if before["email_verified"]:
        old = before["email"]
        outbox.put(mails.EMAIL_CHANGED_BY_ADMIN, old, user_id, even_if_too_many=True)


def _way_in(standing: dict):
    return mails.PASSWORD_RESET if standing["was_in_use"] else mails.INVITATION
