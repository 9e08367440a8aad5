"""The headers of the pages that show the specification: all that they load is our own, so they work
offline and under a strict Content-Security-Policy."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

from service.engine.http.conditional import quoted

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types 'none'"
_PAGE_HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
# The landing page may call the API.
HOME_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self'; connect-src 'self'; {_TRUSTED_TYPES}",
    **_PAGE_HEADERS,
}
# So may a front end, which also shows images from answers, such as a QR code in a data URI.
FRONT_END_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self' data:; connect-src 'self'; "
    f"{_TRUSTED_TYPES}",
    **_PAGE_HEADERS,
}
# Swagger UI fetches the specification, has icons in its style sheet, and sets innerHTML.
DOCS_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self' data:; connect-src 'self'",
    **_PAGE_HEADERS,
}

# A page of text and links loads nothing but style sheets and images.
TEXT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    **_PAGE_HEADERS,
}


@cache
def document_headers(document: bytes) -> dict[str, str]:
    """The response headers of a public document."""
    return {"ETag": etag(document)}


def etag(body: bytes) -> str:
    """The entity tag of an answer with this body."""
    return quoted(sha256(body).hexdigest()[:32])
