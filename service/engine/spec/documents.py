"""Reads OpenAPI documents: their operations, and what their references refer to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LINES = "application/x-ndjson"  # of streamed answers


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The path, the method in lower case, and the paragraph of each operation, in their order."""
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "operationId" in operation:
                yield path, method, operation


def resolved(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What a reference within the document refers to; anything else as it is."""
    while "$ref" in node:
        found: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            found = found[key.replace("~1", "/").replace("~0", "~")]  # RFC 6901, section 4
        node = found
    return node


def lines(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schemas of the lines of a streamed answer by their `type`, from `x-lines`; empty for
    another answer."""
    answer = resolved(operation["responses"].get("200", {}), document)
    schemas: dict[str, Any] = answer.get("content", {}).get(LINES, {}).get("x-lines", {})
    return schemas
