"""What the two bare ASGI functions share: Byline's check of tokens, and the body of a request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from service.engine.tokens.keys import KeyRing
from service.engine.tokens.tokens import ACCESS, Claims, Tokens

POSTS = "/api/posts"
_ring = KeyRing.from_directory(Path(os.environ["BENCH_KEYS"]))
_tokens = Tokens(_ring, issuer="byline", audience="byline")


class Unauthorized(Exception):
    pass


def claims_of(scope: dict[str, Any]) -> Claims:
    """Raises a Problem unless the token is good."""
    header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    return _tokens.verify(header.removeprefix("Bearer "), ACCESS)


async def body_of(receive: Any) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
