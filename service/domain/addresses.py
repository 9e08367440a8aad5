"""E-mail addresses: kept and delivered as they were typed, compared by a key."""

from __future__ import annotations

import re
import unicodedata

import idna
from email_validator import validate_email

from service.engine.problems import InvalidRequest

# RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3, the latter without the angle brackets.
_LONGEST_LOCAL_OCTETS, _LONGEST_OCTETS = 64, 254
# RFC 2047. Mail software, including Python's library, may decode an encoded word to another
# address or to a line break.
_ENCODED_WORD = re.compile(r"=\?.+\?=")
# The last part of an IPv4 address, in any spelling (WHATWG URL Standard, section 3.5).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Gmail ignores dots: https://support.google.com/mail/answer/7436150
_GMAIL = {"gmail.com", "googlemail.com"}


def checked(email: str, at: str = "/email") -> str:
    """The address, unchanged, if mail can be sent to it.

    Raises InvalidRequest, with the pointer `at`, for anything else: spaces around it, a quoted
    local part, an IP address, invisible characters, lengths beyond RFC 5321, section 4.5.3.1, a
    domain that IDNA 2008 does not allow. Asks no name server.
    """
    try:
        _check(email)
        _check(key(email))  # NFKC may turn a character into `@`, or one into many
    except ValueError:
        detail = "This is not an e-mail address."
        error = {"pointer": at, "code": "format", "detail": detail}
        raise InvalidRequest(errors=[error]) from None
    return email


def key(email: str) -> str:
    """The key for comparing and counting addresses: the local part in NFKC and lower case, the
    domain in A-labels.

    Never send mail to it, because another mailbox may have the same key. Takes any text, because a
    stored address may be one that `checked` now refuses.
    """
    local, _, domain = deliverable(email).rpartition("@")
    return f"{_folded(local)}@{domain.lower()}"


def mailbox(email: str) -> str:
    """The key for counting the mails to one person: like `key`, without the part after a `+` (RFC
    5233, section 1) and, at Gmail, without dots. Never identify accounts by it, because elsewhere
    these may be different people's addresses.
    """
    local, _, domain = key(email).rpartition("@")
    user = local.partition("+")[0] or local
    if domain in _GMAIL:
        user, domain = user.replace(".", ""), "gmail.com"
    return f"{user}@{domain}"


def deliverable(email: str) -> str:
    """The address as mail servers take it: the local part as typed, the domain in A-labels if it
    has any."""
    local, _, domain = email.rpartition("@")
    try:
        return f"{local}@{_a_labels(domain)}"
    except ValueError:
        return email


def _check(email: str) -> None:
    # Only `idna` checks the domain: email-validator refuses the joiners that IDNA 2008 allows
    # (RFC 5892, appendix A), and the domains of private networks.
    local, _, typed = email.rpartition("@")
    domain = _a_labels(typed)
    validate_email(f"{local}@example.com", check_deliverability=False, strict=True)
    if (
        len(local.encode()) > _LONGEST_LOCAL_OCTETS
        or len(local.encode()) + len(domain) >= _LONGEST_OCTETS
        or _ENCODED_WORD.search(local)
        or _NUMBER.fullmatch(domain.rpartition(".")[2])
        or any(map(_is_invisible, email))
    ):
        raise ValueError


def _a_labels(domain: str) -> str:
    """By IDNA 2008, mapped by UTS 46 without its transitional rules, which make `fass.de` of
    `faß.de`."""
    labels = idna.encode(domain, uts46=True, transitional=False, std3_rules=True)
    if labels.endswith(b"."):
        raise ValueError
    return labels.decode("ascii")


def _folded(local: str) -> str:
    # Lower-casing may undo the normalisation and vice versa, so repeat until nothing changes.
    while (folded := unicodedata.normalize("NFKC", local).lower()) != local:
        local = folded
    return local


def _is_invisible(char: str) -> bool:
    """Whether UTS 46 ignores a character (Default_Ignorable_Code_Point), which would let two
    different addresses look alike."""
    return not char.isascii() and not idna.uts46_remap(char, std3_rules=False)
