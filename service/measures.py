"""The metrics of this service, in addition to those of the engine; no label is personal."""

from __future__ import annotations

from service.engine.observe.catalogue import counter, gauge

MEASURES = {
    "logins_total": counter(
        "Steps of logins: challenged ones have to send a second factor, and refused ones had too"
        " many wrong passwords or codes before them",
        outcome=("succeeded", "failed", "refused", "challenged"),
    ),
    "token_reuses_total": counter("Sessions ended because a refresh token was used again"),
    "passkeys_refused_total": counter("Passkeys refused because they may have been copied"),
    "personal_tokens_total": counter(
        "Personal tokens; leaked ones were ended by somebody who had found them",
        outcome=("created", "revoked", "leaked"),
    ),
    "mails_total": counter(
        "Attempts to send a mail; a mail without a recipient counts as sent",
        outcome=("sent", "deferred", "dropped"),
    ),
    "mails_waiting": gauge("Mails in the outbox, or 10000 if there are more", highest=True),
    "mails_oldest_seconds": gauge("Age of the oldest mail in the outbox", highest=True),
    "deletions_waiting": gauge("Deleted accounts whose rows are not all removed", highest=True),
    "deletions_oldest_seconds": gauge("Time since the oldest of them was deleted", highest=True),
}
