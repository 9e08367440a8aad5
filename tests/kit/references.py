"""Resolves the references in a specification."""

from __future__ import annotations

from functools import reduce
from typing import Any

from service.specification import specification


def resolved(node: Any, document: dict[str, Any] = specification.document) -> Any:
    """A part of the document with all references in it resolved."""
    if isinstance(node, list):
        return [resolved(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        keys = node["$ref"].split("/")[1:]
        return resolved(reduce(dict.__getitem__, keys, document), document)
    return {key: resolved(value, document) for key, value in node.items()}
