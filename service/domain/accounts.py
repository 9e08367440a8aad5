"""What an address and a user name look like once they are ours, so that one person has one row."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from typing import Any

from service.domain import passwords
from service.problems import InvalidRequest

_LONGEST = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
# An atom of RFC 5321, section 4.1.2, opened to all of Unicode by RFC 6531, section 3.3.
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
# Default_Ignorable_Code_Point of Unicode: with these, two addresses may look like one.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
# RFC 2047. Who handles mail may take one for what it stands for, as Python's own library does: the
# address of somebody else, or a line break.
_ENCODED_WORD = re.compile(r"=\?.+\?=")


def normal_email(email: str, at: str = "/email") -> str:
    """The address as it is stored and looked up: NFKC and case-folded, the same when done twice.

    Raises InvalidRequest, with the pointer `at`, unless that is one plausible address: no quoted
    local part, no domain literal, nothing invisible, and the lengths of RFC 5321, section 4.5.3.1.
    """
    if len(email) <= _LONGEST:
        address = _folded(email)
        local, _, domain = address.rpartition("@")
        visible = not _INVISIBLE.search(address)
        if visible and len(address) <= _LONGEST and _is_local(local) and _is_domain(domain):
            return address
    detail = "This is not an e-mail address."
    raise InvalidRequest(errors=[{"pointer": at, "code": "format", "detail": detail}])


def registration(
    email: str, password: str, username: str | None = None, role: str = "user", *, minimum: int
) -> dict[str, str]:
    """`email`, `username`, `role` and `password_hash` of a new account; takes about 20 ms.

    Raises InvalidRequest for the address, WeakPassword for a password under `minimum` or guessable.
    """
    address = normal_email(email)
    passwords.check_strength(password, minimum=minimum, email=address, username=username)
    return {
        "email": address,
        "username": username or random_username(),
        "role": role,
        "password_hash": passwords.hashed(password),
    }


def random_username() -> str:
    """A user name such as `user-k3v7q2mzpa`: 50 random bits, and nothing of the address."""
    return "user-" + "".join(secrets.choice(_BASE32) for _ in range(10))


def events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The audit actions for what became of an account's `role` and `disabled`."""
    actions = ["role-changed"] if after["role"] != before["role"] else []
    if after["disabled"] != before["disabled"]:
        actions.append("user-disabled" if after["disabled"] else "user-enabled")
    return actions


def _folded(address: str) -> str:
    # Folding may undo the normal form and the other way round: once is not always enough.
    while (folded := unicodedata.normalize("NFKC", address).casefold()) != address:
        address = folded
    return address


def _is_local(local: str) -> bool:
    # Printable first: a lone surrogate has no octets to count.
    printable = local.isprintable() and not _ENCODED_WORD.search(local)
    return printable and bool(_LOCAL.fullmatch(local)) and len(local.encode()) <= 64


def _is_domain(domain: str) -> bool:
    return len(domain) <= 253 and all(map(_is_label, domain.split(".")))


def _is_label(label: str) -> bool:
    """Letters and digits of any script with their marks, and hyphens inside (RFC 5891, 4.2.3)."""
    return (
        1 <= len(label) <= 63
        and not label.startswith("-")
        and not label.endswith("-")
        and all(char == "-" or unicodedata.category(char)[0] in "LMN" for char in label)
    )
