"""The errors that a client of this service may see, beside those of any service, which are in
`service.engine.problems`."""

from __future__ import annotations

from typing import Any

from service.engine.problems import BadRequest, Forbidden, InvalidToken, Problem, Unauthorized


class WeakPassword(BadRequest):
    code, title = "weak-password", "The password is too weak"
    advice = "Choose a longer one that is not common, nor your address or user name."


class OneTimeTokenInvalid(BadRequest):
    code, title = "token-invalid", "The token is invalid or no longer valid"
    advice = "It was used or replaced, or is too old: ask for another mail."


class PasskeyInvalid(BadRequest):
    code, title = "passkey-invalid", "This is not a good passkey"
    advice = "Begin again with start_passkey."


class TokenReused(InvalidToken):
    code, title = "token-reused", "The refresh token was used before; its session is revoked"
    advice = "Somebody else may have it: sign in again."


class SessionRevoked(InvalidToken):
    code, title = "session-revoked", "The session has ended"
    advice = "Sign in again."


class InvalidCredentials(Unauthorized):
    code, title = "invalid-credentials", "The e-mail address or the password is wrong"
    advice = "Correct them, or set a new password with request_password_reset."


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

    @classmethod
    def example(cls, operation: dict[str, Any]) -> SecondFactorRequired:
        return cls("4rVb1dBbl7mbyCMzTaCYAQYm6aRQcnpQ6DgyXvLzoYY", ["totp", "recovery-code"])


class ChallengeInvalid(Unauthorized):
    code, title = "challenge-invalid", "The challenge is invalid or no longer valid"
    advice = "It was used, is too old, or had too many wrong answers: sign in again."


class PasskeyWrong(Unauthorized):
    code, title = "passkey-wrong", "The passkey does not prove who you are"
    advice = "It is another one, or has not signed this challenge."


class PasskeyUnknown(Unauthorized):
    code, title = "passkey-unknown", "Nobody has this passkey"
    advice = "It was removed, or never added: sign in another way."


class SecondFactorWrong(Unauthorized):
    code, title = "second-factor-wrong", "The code is wrong, or it was used before"
    advice = "Send the next one of the app, or an unused recovery code."


class AdminOnlyField(Forbidden):
    code, title = "admin-only-field", "Only an administrator may change this field"
    advice = "Leave out role, disabled and email."


class AccountDisabled(Forbidden):
    code, title = "account-disabled", "The account is disabled"
    advice = "Only an administrator can enable it."


class EmailUnverified(Forbidden):
    code, title = "email-unverified", "The e-mail address is not verified yet"
    advice = "Open the link in the mail, or ask for another with request_email_verification."


class CurrentPasswordWrong(Forbidden):
    code, title = "current-password-wrong", "The current password is wrong"
    advice = "Nothing has been changed."


class FactorNeeded(Forbidden):
    """The same fact as `SecondFactorRequired`, for a user who is signed in; `methods` as there."""

    code, title = SecondFactorRequired.code, SecondFactorRequired.title

    def __init__(self, methods: list[str]) -> None:
        super().__init__(
            "The password alone does not prove who you are.", members={"methods": methods}
        )

    @classmethod
    def example(cls, operation: dict[str, Any]) -> FactorNeeded:
        return cls(["totp", "recovery-code"])


class CodeWrong(Forbidden):
    """The same fact as `SecondFactorWrong`, for a user who is signed in."""

    code, title = SecondFactorWrong.code, SecondFactorWrong.title
    advice = SecondFactorWrong.advice


class EmailTaken(Problem):
    status, code, title = 409, "email-taken", "The e-mail address is taken"
    advice = "Sign in to its account, or use another address."


class UsernameTaken(Problem):
    status, code, title = 409, "username-taken", "The user name is taken"
    advice = "Choose another one."


class LastAdmin(Problem):
    status, code, title = 409, "last-admin", "The last active administrator must remain"
    advice = "Make another user an administrator first."


class AdminUnverified(EmailUnverified):
    """The same fact, where it keeps an account from becoming an administrator's."""

    status = 409
    advice = "An administrator must have a verified e-mail address."


class TooManyTokens(Problem):
    status, code, title = 409, "too-many-tokens", "You have as many personal tokens as are allowed"
    advice = "Revoke one that you no longer use."


class NoSecondFactor(Problem):
    status, code, title = 409, "second-factor-missing", "The account has no second factor"
    advice = "Add an authenticator app or a passkey first."


class QuotaExceeded(Problem):
    status, code, title = 409, "quota-exceeded", "This would exceed your storage quota"
    advice = "Delete or shorten something first."


class PasskeyTaken(Problem):
    status, code, title = 409, "passkey-taken", "This passkey is registered already"
    advice = "Use it to sign in, or add another one."


class TooManyPasskeys(Problem):
    status, code, title = 409, "too-many-passkeys", "You have as many passkeys as you may"
    advice = "Remove one that you no longer use."


class LastPasskey(Problem):
    status, code, title = 409, "last-passkey", "The last way to sign in must remain"
    advice = "Set a password or add another passkey first."
