"""Specifications that differ from ours in one place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

GONE = object()


def changed(document: Any, place: str, value: Any) -> Any:
    """A copy of the document with the value there, or with nothing, if it is GONE; a function makes
    the value of what it was. The keys of the place are separated by spaces, for paths have slashes.
    """
    copy = deepcopy(document)
    *way, last = place.split()
    node = copy
    for key in way:
        node = node[int(key)] if isinstance(node, list) else node[key]
    if isinstance(node, list):
        last = int(last)
    if value is GONE:
        del node[last]
    else:
        node[last] = value(node[last]) if callable(value) else value
    return copy
