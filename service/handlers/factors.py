"""Second factors: an authenticator app, recovery codes, and what stops their removal."""

from service.accounts import factor_resets, factors, reauthentication, second_step
from service.accounts.sign_in import sign_in
from service.accounts.transport import requested
from service.caller import Caller
from service.domain.authentication import CODE, PASSWORD
from service.engine.request import Client


def complete_login(body: dict, client: Client):
    transport = requested(body)
    if ("code" in body) == ("passkey" in body):
        raise reauthentication.one_proof()
    if "passkey" in body:
        account, method = second_step.complete_with_passkey(body["challenge"], body["passkey"])
    else:
        account, method = second_step.complete(body["challenge"], body["code"]), CODE
    return sign_in(account, (PASSWORD, method), client, transport)


def get_factors(caller: Caller):
    return factors.summary(caller.id)


def start_totp(caller: Caller):
    return factors.start(caller)


def remove_totp(caller: Caller):
    factors.remove_totp(caller)


def confirm_totp(caller: Caller, body: dict):
    return {"recovery_codes": factors.confirm(caller, body["code"])}


def renew_recovery_codes(caller: Caller):
    return {"recovery_codes": factors.renew_recovery_codes(caller)}


def revoke_factor_reset(caller: Caller):
    factor_resets.cancel(caller)


def stop_factor_reset(body: dict):
    factor_resets.stop(body["token"])
