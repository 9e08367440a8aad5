"""Reserved user names, which people or programs would trust."""

from __future__ import annotations

from service.engine.problems import InvalidRequest

# Without hyphens and underscores, as names are compared.
_PEOPLE = "admin administrator moderator official operator root staff superuser sysadmin system"
_MAILBOXES = (  # of roles (RFC 2142)
    "abuse billing contact help helpdesk hostmaster info mail mailerdaemon noreply postmaster"
    " security support webmaster"
)
_PATHS = (
    "account accounts api auth docs health login logout metrics openapi posts problems register"
    " search settings static users wellknown www"
)
_VALUES = "anonymous deleted me nobody none null undefined"  # that programs may mistake for another
RESERVED = frozenset(f"{_PEOPLE} {_MAILBOXES} {_PATHS} {_VALUES}".split())


def check_is_free(username: str, product: str) -> None:
    """Raise `InvalidRequest` for a reserved name, or for the name of this product.

    Hyphens and underscores make no difference: `no-reply` and `noreply` look alike to people.
    """
    compared = _compared(username)
    if compared in RESERVED or compared == _compared(product):
        error = {"pointer": "/username", "code": "reserved", "detail": "This name is reserved."}
        raise InvalidRequest("The user name is reserved.", errors=[error])


def _compared(name: str) -> str:
    letters = name.lower().replace(" ", "")
    return letters.replace("-", "").replace("_", "")
