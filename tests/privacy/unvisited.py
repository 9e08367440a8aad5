"""Calls each operation that no visit is about, as its paragraph of the specification allows.

So an operation that was added is part of the tour without a line here, also when the quota is full.
What this cannot guess, such as an answer that needs a certain state, takes a visit in `visits.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.kit.references import resolved
from tests.privacy import factors, passkeys, programs, visits
from tests.privacy.tour import OPERATIONS, PARAMETERS, Tour, Visitor
from tests.privacy.visits import ANY, STALE

MODULES = (factors, passkeys, programs, visits)
_VISITS = "".join(Path(module.__file__).read_text("utf-8") for module in MODULES)
UNVISITED = [operation for operation in OPERATIONS if f'"{operation}"' not in _VISITS]


def call(tour: Tour, operations: Iterable[str], people: Sequence[Visitor]) -> None:
    """Call these operations in the order of the specification, where what creates comes first."""
    for operation in operations:
        declared = resolved(OPERATIONS[operation][2])
        there = _ids(tour, operation, people[-1])
        for ids in ({name: str(uuid4()) for name in there}, there):
            for by in people:
                for request in _requests(declared):
                    answer = tour(operation, by, **request, **ids)
                    if "ETag" in answer.headers and _takes(declared, "If-None-Match"):
                        request["headers"] = {"If-None-Match": answer.headers["ETag"]}
                        tour(operation, by, **request, **ids)


def _requests(declared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Good requests and, before the last, such as conditions and keys refuse."""
    parameters = declared.get("parameters", [])
    query = {
        p["name"]: p["example"] for p in parameters if p["in"] == "query" and p.get("required")
    }
    request: dict[str, Any] = {"params": query}
    if "requestBody" in declared:
        request["json"] = declared["requestBody"]["content"]["application/json"]["example"]
    if _takes(declared, "If-Match"):
        for headers in ({}, STALE) if _takes(declared, "If-Match", required=True) else (STALE,):
            yield {**request, "headers": headers}
        yield {**request, "headers": ANY}
    elif _takes(declared, "Idempotency-Key"):
        headers = {"Idempotency-Key": str(uuid4())}
        yield {**request, "headers": headers}
        yield {**request, "headers": headers}
        if "json" in request:
            yield {**request, "json": _another(declared, request["json"]), "headers": headers}
    else:
        yield request


def _another(declared: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """A body with one field less than the example, or with a longer text in it."""
    schema = declared["requestBody"]["content"]["application/json"]["schema"]
    for name, property_ in schema["properties"].items():
        if name in body and name not in schema.get("required", []):
            return {key: value for key, value in body.items() if key != name}
        if name in body and property_["type"] == "string" and "enum" not in property_:
            return body | {name: f"{body[name]}, again"}
    return body


def _takes(declared: dict[str, Any], header: str, *, required: bool = False) -> bool:
    found = [p for p in declared.get("parameters", []) if p["name"] == header]
    return bool(found) and (not required or bool(found[0].get("required")))


def _ids(tour: Tour, operation: str, by: Visitor) -> dict[str, str]:
    """For each parameter of the path, what a list of such things begins with; or else a user."""
    path, ids = OPERATIONS[operation][1], {}
    lists = {path: name for name, (method, path, _) in OPERATIONS.items() if method == "get"}
    for name in PARAMETERS[operation]:
        before = lists.get(path.partition(f"/{{{name}}}")[0])
        # A list that asks for more than this to be given is a 400.
        answer = tour(before, by, **{n: ids[n] for n in PARAMETERS[before]}) if before else None
        items = answer.json() if answer is not None and answer.status_code == 200 else []
        ids[name] = items[0]["id"] if items and "id" in items[0] else by.id
    return ids
