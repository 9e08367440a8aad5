"""The problems that an operation can answer with, which its published answers name and show.

Most follow from the rest of its paragraph. `x-problems` has those that only the handler knows, or,
at a security scheme, those that only a look at the owner of the token shows:
`x-problems: {'409': [out-of-stock], '404': {not-found: You have no cart.}}`. A text is the `detail`
of answers, and of the example in the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.engine.problems import Problem
from service.engine.spec.documents import resolved

KEY = "x-problems"
REQUEST_ID = "8f14e45fceea167a"  # of all examples
_ID = re.compile(r"\{(\w+)_(?:id|name|code|slug|key|number)\}[^{]*$")
# What any operation answers with a status that it documents.
_ALWAYS = {
    404: "not-found",
    412: "precondition-failed",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "idempotency-key-reused",
    428: "precondition-required",
    429: "rate-limited",
    503: "unavailable",
}
Catalogue = Mapping[tuple[int, str], type[Problem]]


def catalogue(*modules: Any) -> dict[tuple[int, str], type[Problem]]:
    """The problems in these modules, by status and code."""
    classes = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    found = (one for one in classes if issubclass(one, Problem) and one is not Problem)
    return {(one.status, one.code): one for one in found}


def codes(operation: dict[str, Any], document: dict[str, Any]) -> dict[int, list[str]]:
    """The codes that an operation can answer with, for each documented status of 400 or above;
    those of its handler come first, but last among those of a 400."""
    found = {}
    operation = readable(operation, document)
    for status in (int(code) for code in operation.get("responses", {}) if str(code).isdigit()):
        own = [*_declared(operation).get(status, {})]
        usual = list(_usual(status, operation, document))
        if status >= 400:
            found[status] = list(dict.fromkeys(usual + own if status == 400 else own + usual))
    return found


def details(operation: dict[str, Any], path: str) -> dict[tuple[int, str], str]:
    """The `detail` of problems of an operation that have none of their own, by status and code:
    `There is no such task.` of what the path names, and what `x-problems` says."""
    named = _ID.search(path)
    nothing = named and f"There is no such {named[1].replace('_', ' ')}."
    declared = {
        (status, code): detail
        for status, said in _declared(operation).items()
        for code, detail in said.items()
        if detail
    }
    return ({(404, "not-found"): nothing} if nothing else {}) | declared


def examples(
    operation: dict[str, Any], path: str, document: dict[str, Any], known: Catalogue
) -> dict[int, list[Problem]]:
    """One problem of each code that an operation can answer with, by documented status.

    Raises ValueError for a code that no problem has.
    """
    of_operation = details(operation, path)
    operation = readable(operation, document)
    found: dict[int, list[Problem]] = {}
    for status, names in codes(operation, document).items():
        found[status] = []
        for code in names:
            if (status, code) not in known:
                name = operation["operationId"]
                raise ValueError(f"{name}: {KEY} names {code}, which is no problem of {status}")
            problem = known[status, code].example(operation)
            if detail := of_operation.get((status, code)):
                problem.explain(detail)
            found[status].append(problem)
    return found


def readable(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The operation with its parameters, its body, and their schemas in place of references to
    them; deeper ones stay."""
    parameters = [resolved(one, document) for one in operation.get("parameters", [])]
    found = {
        **operation,
        "parameters": [{**one, "schema": resolved(one["schema"], document)} for one in parameters],
    }
    if "requestBody" in operation:
        content = resolved(operation["requestBody"], document)["content"]
        found["requestBody"] = {
            "content": {
                kind: {**one, "schema": resolved(one["schema"], document)}
                for kind, one in content.items()
            }
        }
    return found


def _declared(declared: dict[str, Any]) -> dict[int, dict[str, str | None]]:
    """The value of `x-problems`; None stands for no text."""
    return {
        int(status): said if isinstance(said, dict) else dict.fromkeys(said)
        for status, said in declared.get(KEY, {}).items()
    }


def _usual(status: int, operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    """The codes that the rest of the paragraph implies."""
    known = document.get("components", {}).get("securitySchemes", {})
    schemes = [known[name] for one in operation.get("security", []) for name in one]
    parameters = operation["parameters"]
    if status in _ALWAYS:
        yield _ALWAYS[status]
    elif status == 400:
        yield from _of_input(operation, parameters)
    elif status == 401:
        yield from _of_tokens(operation, schemes)
    elif status == 403:
        has_personal = any(scheme.get("x-token-type") == "personal" for scheme in known.values())
        yield from _of_permissions(operation, schemes, has_personal=has_personal)
    elif status == 409 and any(one["name"] == "Idempotency-Key" for one in parameters):
        yield "idempotency-key-in-use"
    for scheme in schemes:
        yield from _declared(scheme).get(status, {})


def _of_input(operation: dict[str, Any], parameters: list[Any]) -> Iterator[str]:
    if parameters or "requestBody" in operation or not operation.get("x-ignore-query"):
        yield "invalid-request"
    if "requestBody" in operation:
        yield "malformed-body"
    yield "bad-request"
    if not operation.get("x-any-host"):
        yield "host-not-allowed"


def _of_tokens(operation: dict[str, Any], schemes: list[dict[str, Any]]) -> Iterator[str]:
    if not schemes:
        return
    if "x-fresh-authentication" in operation:
        yield "authentication-too-old"
    yield from ("authentication-required", "invalid-token")
    if any(scheme.get("x-token-type") != "metrics" for scheme in schemes):
        yield "token-expired"


def _of_permissions(
    operation: dict[str, Any], schemes: list[dict[str, Any]], *, has_personal: bool
) -> Iterator[str]:
    if "x-required-role" in operation:
        yield "admin-required"
    if has_personal and any(scheme.get("x-token-type") == "at+jwt" for scheme in schemes):
        yield "scope-missing"
    if any(scheme.get("in") == "cookie" for scheme in schemes):
        yield "origin-not-allowed"
