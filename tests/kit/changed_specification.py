"""Copies of the specification that differ from it in one place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

GONE = object()


def changed(document: Any, place: str, value: Any) -> Any:
    """A copy of the document with `value` at a place, or without the place if `value` is GONE. A
    function as `value` is called with the old one. Spaces separate the keys of `place`, because
    paths contain slashes.
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
