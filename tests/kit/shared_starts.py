"""What each start of a server or of a client would make again, made once in a process: most of what
the hundreds of starts in a run of the tests cost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import orjson
from connexion.spec import OpenAPISpecification, Specification
from httpx._transports import default
from werkzeug.routing import Rule

from service.engine.spec import schemas

COMPILE_BUILDER = Rule._compile_builder
VALID = "TESTS_VALID_SPECIFICATION"  # in the environment of a copy's tests: the hash of one that is


class _Valid(OpenAPISpecification):
    """A specification that Connexion has found valid in another process."""

    @classmethod
    def _validate_spec(cls, spec: Any) -> None:
        pass


def share(patch: Callable[[Any, str, Any], None]) -> None:
    """Share what Connexion makes of a specification, compiled schemas, builders of URLs, and
    clients' certificates; `patch` is `setattr`, or a MonkeyPatch's."""
    from_dict: Callable[[Any], Specification] = Specification.from_dict
    made: dict[bytes, Specification] = {}

    def _from_dict_once(document: Any) -> Specification:
        if any("parameters" in path for path in document["paths"].values()):
            return from_dict(document)  # whose operations get them anew from each server
        if (content := orjson.dumps(document)) not in made:
            is_valid = hashed(content) == os.environ.get(VALID)
            made[content] = _Valid(orjson.loads(content)) if is_valid else from_dict(document)
        return made[content]

    patch(Specification, "from_dict", staticmethod(_from_dict_once))
    patch(schemas, "compiled", _compiled_once(schemas.compiled))
    patch(Rule, "_compile_builder", _compiled_when_used)
    patch(default, "create_ssl_context", cache(default.create_ssl_context))


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _compiled_once(compiled: Callable[..., Any]) -> Callable[..., Any]:
    """Compile each schema once; a validator has no state."""
    known: dict[tuple[bytes, bool], Any] = {}

    def compile_(schema: dict[str, Any], *, is_answer: bool = False) -> Any:
        key = orjson.dumps(schema), is_answer
        if key not in known:
            known[key] = compiled(schema, is_answer=is_answer)
        return known[key]

    return compile_


def _compiled_when_used(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    """A function that builds URLs: half of what Werkzeug does for a rule, and rarely asked for."""
    compiled = cache(partial(COMPILE_BUILDER, rule, append_unknown))

    def build(*args: Any, **kwargs: Any) -> Any:
        return compiled()(*args, **kwargs)

    return build
