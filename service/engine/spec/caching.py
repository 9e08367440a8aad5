"""What proxies and browsers may keep of an operation's answers."""

from __future__ import annotations

from service.engine.spec.connexion_parts import AbstractOperation


def cache_control(operation: AbstractOperation) -> str:
    """The Cache-Control of an answer: the value of `x-cache`, or the default."""
    usual = "private, no-cache" if operation.security else "no-cache"
    if operation.method != "get":
        usual = "no-store"
    # A proxy that compresses would change the entity tag (RFC 9110, section 7.7).
    tagged = any("ETag" in answer.get("headers", {}) for answer in operation.responses.values())
    return operation._operation.get("x-cache", usual) + (", no-transform" if tagged else "")
