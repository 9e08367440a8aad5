"""How a user has signed in: methods by RFC 8176, and the assurance that they give."""

from __future__ import annotations

from datetime import datetime

from service.engine.tokens.tokens import Authentication

# The values of `amr`. A passkey counts as both factors, because it verifies its user itself.
PASSWORD = "pwd"  # noqa: S105 # the name of the method
CODE = "otp"  # of an authenticator app, or a recovery code
PASSKEY = "swk"  # a key whose keeper is not attested, so that it may be software
TWO_FACTORS = "mfa"

# The values of `acr`: the authenticator assurance levels of NIST SP 800-63B.
ONE, TWO = "aal1", "aal2"


def authentication(moment: str, methods: str) -> Authentication:
    """What the claims say about the `authenticated_at` and the `methods` of a session."""
    used = tuple(methods.split())
    seconds = int(datetime.fromisoformat(moment).timestamp())
    return Authentication(seconds, used, TWO if TWO_FACTORS in used else ONE)
