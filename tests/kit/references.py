"""Resolves the references in the specification."""

from __future__ import annotations

from functools import reduce
from typing import Any

from service.specification import specification


def resolved(node: Any) -> Any:
    """A part of the specification with all references in it resolved."""
    if isinstance(node, list):
        return [resolved(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        keys = node["$ref"].split("/")[1:]
        return resolved(reduce(dict.__getitem__, keys, specification.document))
    return {key: resolved(value) for key, value in node.items()}
