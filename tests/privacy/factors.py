"""What people do with an authenticator app and recovery codes, and ways in which it is refused."""

from __future__ import annotations

import pyotp

from tests.privacy.tour import Tour, Visitor

NO_CODE = {"code": "000000"}
RESET = {"reset_factors": True}
ABOUT_TO_GO = "Your second factor is about to be removed"


def using_factors(tour: Tour, anna: Visitor, ada: Visitor) -> None:
    """Adding an app, signing in with it, losing it, and removing it."""
    tour("confirm_totp", anna, json=NO_CODE)
    for operation in ("remove_totp", "renew_recovery_codes", "revoke_factor_reset"):
        tour(operation, anna)
    tour("recover_account", ada, user_id=anna.id, json=RESET)
    secret = tour("start_totp", anna).json()["secret"]
    app = pyotp.TOTP(secret)
    tour("confirm_totp", anna, json=NO_CODE)
    codes = tour("confirm_totp", anna, json={"code": app.now()}).json()["recovery_codes"]
    tour("get_factors", anna)
    tour("reauthenticate", anna, json={"password": anna.password})
    for code in (NO_CODE["code"], codes[0]):
        tour("reauthenticate", anna, json={"code": code})
    challenge = tour("login", anna, json=anna.credentials).json()["challenge"]
    for code in (NO_CODE["code"], codes[1], codes[2]):
        tour("complete_login", anna, json={"challenge": challenge, "code": code})
    tour("renew_recovery_codes", anna)
    _helped(tour, anna, ada)
    tour("export_account", anna)
    tour("remove_totp", anna)


def _helped(tour: Tour, anna: Visitor, ada: Visitor) -> None:
    """What an administrator does for somebody who has not asked for it."""
    for number in (1, 2):
        tour("recover_account", ada, user_id=anna.id, json=RESET)
        token = tour.mailed(anna, ABOUT_TO_GO, number)
        tour("get_factors", anna)
        if number == 1:
            tour("revoke_factor_reset", anna)
    for sent in (tour.marks.word("mailed", "stranger"), token, token):
        tour("stop_factor_reset", anna, json={"token": sent})
