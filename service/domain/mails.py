"""Composes mails: a subject, and a body as text and as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formataddr, localtime, parseaddr
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from service.domain.addresses import deliverable

SUBJECTS = {
    "email-change": "Confirm your new e-mail address",
    "email-change-notice": "Your e-mail address is about to change",
    "email-changed": "Your e-mail address was changed",
    "email-changed-by-admin": "An administrator changed your e-mail address",
    "email-verification": "Confirm your e-mail address",
    "factor-reset": "Your second factor is about to be removed",
    "factors-reset": "Your second factor was removed",
    "invitation": "Your account is ready",
    "new-network": "A sign-in from a new network",
    "passkey-added": "A passkey was added to your account",
    "passkey-refused": "A passkey of yours was refused",
    "passkey-removed": "A passkey was removed from your account",
    "password-changed": "Your password was changed",
    "password-reset": "Choose a new password",
    "recovery-code-used": "A recovery code of yours was used",
    "recovery-codes-renewed": "You have new recovery codes",
    "second-factor-failed": "Somebody sends wrong codes for your account",
    "sessions-reused": "A session of yours was ended",
    "sign-in-blocked": "Somebody is trying to sign in to your account",
    "token-created": "A personal token was created",
    "token-expiring": "A personal token is about to expire",
    "token-leaked": "A personal token of yours was found and ended",
    "totp-added": "Signing in takes a code from now on",
    "totp-removed": "Signing in takes no code any more",
}
PAGES = {
    "email-change": "verify-email",
    "email-changed": "undo-email",
    "email-verification": "verify-email",
    "factor-reset": "stop-factor-reset",
    "invitation": "accept-invitation",
    "password-reset": "reset-password",
}
# The page of a second link, for a recipient who did not ask for the mail.
DISPUTES = {"email-change": "dispute-email", "email-verification": "dispute-email"}
# Notices: mails that the user has not asked for.
NOTICES = frozenset(
    {
        "email-change-notice",
        "email-changed",
        "email-changed-by-admin",
        "factor-reset",
        "factors-reset",
        "new-network",
        "passkey-added",
        "passkey-refused",
        "passkey-removed",
        "password-changed",
        "recovery-code-used",
        "recovery-codes-renewed",
        "second-factor-failed",
        "sessions-reused",
        "sign-in-blocked",
        "token-created",
        "token-expiring",
        "token-leaked",
        "totp-added",
        "totp-removed",
    }
)
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates" / "mails"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Letterhead(NamedTuple):
    """The common parts of all mails: the name of the product, the sender, and the URL (without a
    trailing slash) of the pages to which their links lead."""

    product: str
    sender: str
    site: str


def letterhead(product: str, mail_from: str | None, site: str) -> Letterhead:
    """The letterhead of the settings; without `mail_from` the sender is `no-reply@` the site."""
    name, address = parseaddr(mail_from or f"no-reply@{_host(site)}")
    return Letterhead(product, formataddr((name or product, address)), site)


def compose(
    kind: str,
    recipient: str,
    token: str | None,
    facts: Mapping[str, Any],
    *,
    letterhead: Letterhead,
    id_: str,
) -> EmailMessage:
    """The mail of one of the kinds in `SUBJECTS`.

    `facts` may have `at`, the time in RFC 3339 at which the mail was asked for, `ip`, the address
    from which it was, `tokens`, a line on each personal token that it is about, and `left`, the
    number of recovery codes. The mailed token stands behind a `#`, so that it appears in no
    server's log and in no Referer.
    """
    product, sender, site = letterhead
    words = {
        "product": product,
        "site": site,
        "token": token,
        "page": f"{site}/#/{PAGES.get(kind)}",
        "link": f"{site}/#/{PAGES.get(kind)}?token={token}",
        "dispute": f"{site}/#/{DISPUTES.get(kind)}?token={token}",
        "circumstances": _circumstances(facts),
        "facts": facts,
        "tokens": facts.get("tokens", []),
        "subject": SUBJECTS[kind],
    }
    message = EmailMessage()
    message["From"] = sender
    message["To"] = deliverable(recipient)
    message["Subject"] = f"[{product}] {SUBJECTS[kind]}"
    message["Date"] = localtime()
    # New for each attempt: the token differs, and mail programs must not drop it as a duplicate.
    message["Message-ID"] = f"<{id_}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5
    text = _TEMPLATES.get_template(f"{kind}.txt").render(words)
    message.set_content(text, cte=_encoding(text))
    message.make_alternative(boundary=id_)
    html = _TEMPLATES.get_template(f"{kind}.html").render(words)
    message.add_alternative(html, subtype="html", cte=_encoding(html))
    return message


def _circumstances(facts: Mapping[str, Any]) -> str:
    """ "on 2026-11-29 at 17:42 UTC, from the address 192.0.2.7", as far as that is known."""
    at, ip = facts.get("at"), facts.get("ip")
    when = f"on {at[:10]} at {at[11:16]} UTC" if at else ""
    where = f"from the address {ip}" if ip else ""
    return ", ".join(filter(None, (when, where)))


def _encoding(body: str) -> str:
    # ASCII in short lines needs no encoding: a link survives being read as it is.
    return "7bit" if body.isascii() else "quoted-printable"


def _host(site: str) -> str:
    """The host of the site's address, or localhost where it has no name to send mails from."""
    host = urlsplit(site).hostname or ""
    return host if host.strip("0123456789.") and ":" not in host else "localhost"
