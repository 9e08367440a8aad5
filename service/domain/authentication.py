"""How a user has proved who they are: methods by RFC 8176, and the assurance that they give."""

from __future__ import annotations

from datetime import datetime

from service.engine.tokens.tokens import Authentication

# The values of `amr`, in the order in which they are written.
PASSWORD = "pwd"  # noqa: S105 # nosec B105 # the name of the method
CODE = "otp"  # of an authenticator app, or a recovery code
HARDWARE_KEY = "hwk"  # a passkey that cannot leave its device
SOFTWARE_KEY = "swk"  # a passkey that is backed up or synchronised
TWO_FACTORS = "mfa"
METHODS = (PASSWORD, CODE, HARDWARE_KEY, SOFTWARE_KEY, TWO_FACTORS)

# The values of `acr`: the authenticator assurance levels of NIST SP 800-63B.
ONE, TWO = "aal1", "aal2"


def combined(*methods: str) -> str:
    """Methods that were used in one session, as `Session.methods` keeps them: `pwd otp mfa`.

    A passkey is two factors by itself, because it verifies its user.
    """
    used = {method for several in methods for method in several.split()}
    if {HARDWARE_KEY, SOFTWARE_KEY} & used or {PASSWORD, CODE} <= used:
        used.add(TWO_FACTORS)
    return " ".join(method for method in METHODS if method in used)


def authentication(moment: str, methods: str) -> Authentication:
    """What the claims say about the `authenticated_at` and the `methods` of a session."""
    used = tuple(methods.split())
    seconds = int(datetime.fromisoformat(moment).timestamp())
    return Authentication(seconds, used, TWO if TWO_FACTORS in used else ONE)
