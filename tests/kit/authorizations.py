"""Spellings of the header Authorization, and what each is answered: for traps in any API."""

from __future__ import annotations

from tests.kit.raw import SECRET

OK, BAD_REQUEST = (200, None), (400, "bad-request")
NO_TOKEN, BAD_TOKEN = (401, "authentication-required"), (401, "invalid-token")

AUTHORIZATIONS = {
    "as the standard writes it": ("Authorization: Bearer {token}", OK),
    "in lower case": ("authorization: bearer {token}", OK),
    "none": ("X-None: here", NO_TOKEN),
    "empty": ("Authorization:", NO_TOKEN),
    "the scheme alone": ("Authorization: Bearer", NO_TOKEN),
    "the token alone": ("Authorization: {token}", NO_TOKEN),
    "another scheme": ("Authorization: Basic Ym9iOmJvYg==", NO_TOKEN),
    "the token in another scheme": ("Authorization: Token {token}", NO_TOKEN),
    "garbage": (f"Authorization: Bearer {SECRET}", BAD_TOKEN),
    "three parts of garbage": ("Authorization: Bearer a.b.c", BAD_TOKEN),
    "no ASCII": (b"Authorization: Bearer \xff\xfe", BAD_TOKEN),
    "20 KB": (f"Authorization: Bearer {'a' * 20_000}", BAD_TOKEN),
    "padding behind": ("Authorization: Bearer {token}=", BAD_TOKEN),
    "two tokens": ("Authorization: Bearer {token}, Bearer {token}", BAD_TOKEN),
    "twice": ("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}", BAD_REQUEST),
}
