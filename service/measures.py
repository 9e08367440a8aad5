"""What this service measures beside what any does; no label is personal."""

from __future__ import annotations

from service.engine.observe.catalogue import counter, gauge

MEASURES = {
    "logins_total": counter(
        "Logins; those with too many wrong passwords before them are refused",
        outcome=("succeeded", "failed", "refused"),
    ),
    "token_reuses_total": counter("Sessions ended because a refresh token was used again"),
    "mails_total": counter(
        "Tries to hand over a mail; one that nobody is to get counts as sent",
        outcome=("sent", "deferred", "dropped"),
    ),
    "mails_waiting": gauge("Mails in the outbox, or 10000 if there are more", highest=True),
    "mails_oldest_seconds": gauge("Age of the oldest mail in the outbox", highest=True),
    "deletions_waiting": gauge("Deleted accounts whose rows are not all removed", highest=True),
    "deletions_oldest_seconds": gauge("Time since the first of them was deleted", highest=True),
}
