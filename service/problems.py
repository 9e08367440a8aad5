"""The errors that a client of this service may see, beside those of any service."""

from __future__ import annotations

from typing import Any

from service.engine.problems import BadRequest, Forbidden, InvalidToken, Problem, Unauthorized


class WeakPassword(BadRequest):
    code, title = "weak-password", "The password is too weak"


class OneTimeTokenInvalid(BadRequest):
    code, title = "token-invalid", "The token is invalid or no longer valid"


class PasskeyInvalid(BadRequest):
    code, title = "passkey-invalid", "This is not a good passkey"


class TokenReused(InvalidToken):
    code, title = "token-reused", "The refresh token was used before; its session is revoked"


class SessionRevoked(InvalidToken):
    code, title = "session-revoked", "The session has ended"


class InvalidCredentials(Unauthorized):
    code, title = "invalid-credentials", "The e-mail address or the password is wrong"


class SecondFactorRequired(Unauthorized):
    """Not a failure: the password was right. `challenge`, `methods` and `passkey_options` (if a
    passkey will do) are members of the document."""

    code, title = "second-factor-required", "A second factor is required"
    is_failure = False

    def __init__(
        self, challenge: str, methods: list[str], passkey_options: dict[str, Any] | None = None
    ) -> None:
        members: dict[str, Any] = {"challenge": challenge, "methods": methods}
        if passkey_options:
            members["passkey_options"] = passkey_options
        super().__init__(
            "Call complete_login with the challenge and a code or a passkey, within five minutes.",
            members=members,
        )


class ChallengeInvalid(Unauthorized):
    code, title = "challenge-invalid", "The challenge is invalid or no longer valid"


class PasskeyWrong(Unauthorized):
    code, title = "passkey-wrong", "The passkey does not prove who you are"


class PasskeyUnknown(Unauthorized):
    code, title = "passkey-unknown", "Nobody has this passkey"


class SecondFactorWrong(Unauthorized):
    code, title = "second-factor-wrong", "The code is wrong, or it was used before"


class AdminOnlyField(Forbidden):
    code, title = "admin-only-field", "Only an administrator may change this field"


class AccountDisabled(Forbidden):
    code, title = "account-disabled", "The account is disabled"


class EmailUnverified(Forbidden):
    code, title = "email-unverified", "The e-mail address is not verified yet"


class CurrentPasswordWrong(Forbidden):
    code, title = "current-password-wrong", "The current password is wrong"


class FactorNeeded(Forbidden):
    """The same fact as `SecondFactorRequired`, for a user who is signed in; `methods` as there."""

    code, title = SecondFactorRequired.code, SecondFactorRequired.title

    def __init__(self, methods: list[str]) -> None:
        super().__init__(
            "The password alone does not prove who you are.", members={"methods": methods}
        )


class CodeWrong(Forbidden):
    """The same fact as `SecondFactorWrong`, for a user who is signed in."""

    code, title = SecondFactorWrong.code, SecondFactorWrong.title


class EmailTaken(Problem):
    status, code, title = 409, "email-taken", "The e-mail address is taken"


class UsernameTaken(Problem):
    status, code, title = 409, "username-taken", "The user name is taken"


class LastAdmin(Problem):
    status, code, title = 409, "last-admin", "The last active administrator must remain"


class AdminUnverified(EmailUnverified):
    """The same fact, where it keeps an account from becoming an administrator's."""

    status = 409


class TooManyTokens(Problem):
    status, code, title = 409, "too-many-tokens", "You have as many personal tokens as are allowed"


class NoSecondFactor(Problem):
    status, code, title = 409, "second-factor-missing", "The account has no second factor"


class QuotaExceeded(Problem):
    status, code, title = 409, "quota-exceeded", "This would exceed your storage quota"


class PasskeyTaken(Problem):
    status, code, title = 409, "passkey-taken", "This passkey is registered already"


class TooManyPasskeys(Problem):
    status, code, title = 409, "too-many-passkeys", "You have as many passkeys as you may"


class LastPasskey(Problem):
    status, code, title = 409, "last-passkey", "The last way to sign in must remain"
