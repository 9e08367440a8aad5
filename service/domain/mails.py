"""What the mails say: a subject, and a body as text and as HTML."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import localtime, parseaddr
from pathlib import Path

import idna
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

SUBJECTS = {
    "email-change": "Confirm your new e-mail address",
    "email-change-notice": "Your e-mail address is about to change",
    "email-verification": "Confirm your e-mail address",
    "password-reset": "Choose a new password",
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates" / "mails"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def compose(
    kind: str, recipient: str, token: str | None, *, sender: str, site: str, id_: str
) -> EmailMessage:
    """The mail of one of the kinds in `SUBJECTS`; `site` is where its link leads, without slash.

    The token stands behind a `#`, so that it is in no server's log and in no Referer.
    """
    page = "reset-password" if kind == "password-reset" else "verify-email"
    words = {"site": site, "token": token, "link": f"{site}/#/{page}?token={token}"}
    message = EmailMessage()
    message["From"] = sender
    message["To"] = deliverable(recipient)
    message["Subject"] = SUBJECTS[kind]
    message["Date"] = localtime()
    # Of its own at each try: each has another token, and the last one must not be taken for a copy.
    message["Message-ID"] = f"<{id_}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5
    # ASCII in short lines, which need no encoding: a link survives being read as it is.
    message.set_content(_TEMPLATES.get_template(f"{kind}.txt").render(words), cte="7bit")
    message.make_alternative(boundary=id_)
    html = _TEMPLATES.get_template(f"{kind}.html").render(words, subject=SUBJECTS[kind])
    message.add_alternative(html, subtype="html", cte="7bit")
    return message


def deliverable(address: str) -> str:
    """The address with its domain in A-labels (RFC 5890), as every mail server takes it."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{idna.encode(domain).decode('ascii')}"
    except idna.IDNAError:
        return address
