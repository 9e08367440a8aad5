"""Verifies Byline's access tokens with PyJWT, as its documentation has it."""

from __future__ import annotations

import os
from typing import Any

import jwt

_keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(os.environ["BENCH_KEY_SET"]).keys}


def verified(token: str) -> dict[str, Any]:
    """The claims; raises jwt.InvalidTokenError."""
    key = _keys.get(jwt.get_unverified_header(token).get("kid"))
    if key is None:
        raise jwt.InvalidTokenError("the key is not known")
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience="byline",
        issuer="byline",
        options={"require": ["exp", "sub", "sid"]},
    )
