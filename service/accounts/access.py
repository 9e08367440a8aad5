"""What gives access to an account ends together when somebody else may have had some of it."""

from __future__ import annotations

from uuid import UUID

from service.models import MailedToken, PersonalToken, Session


def end_access(user_id: UUID | str) -> None:
    """End every session, personal token and mailed token of a user, except the mailed ones that
    undo a change of address.

    The user's row must be locked: then what is being made at the same time ends as well, or is not
    made.
    """
    Session.end_all(user_id)
    PersonalToken.revoke_all(user_id)
    MailedToken.revoke(user_id)
