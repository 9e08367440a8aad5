"""Finds the differences between two specifications that clients see. api-smart-diff does the work;
this module corrects what it does not know or misjudges."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

_COMPARE = [Path(sys.executable).parent / "node", Path(__file__).parent / "diff.mjs"]
_ANNOTATIONS = {"bearerFormat", "description", "example", "examples", "summary", "x-codeSamples"}
# The keys that arguments and types of generated clients depend on.
_IN_CLIENTS = {"explode", "format", "name", "type"}
# For wording a change: most keys on the path to a value need not be mentioned.
_WORDS = dict.fromkeys(("application/json", "components", "content", "items", "properties"))
_WORDS |= {"schema": None, "headers": "header", "parameters": "parameter", "requestBody": "body"}
_WORDS |= {"responses": "answer"}


class Change(NamedTuple):
    """A difference: what it is, which operations show it, and whether it breaks clients."""

    what: str
    where: list[str]
    breaks: bool


def compared(pairs: Iterable[tuple[Any, Any]]) -> Iterator[list[Change]]:
    """The changes from one specification to the other, for each pair."""
    visible = [_alike(_visible(before), _visible(after)) for before, after in pairs]
    run = subprocess.run(  # noqa: S603 # a program of this folder
        _COMPARE, input=json.dumps(visible), stdout=subprocess.PIPE, text=True, check=True
    )
    for (before, after), diffs in zip(visible, json.loads(run.stdout), strict=True):
        yield [*_in_operations(diffs, before, after), *_in_names(before, after)]


def _visible(document: Any) -> Any:
    """The specification without texts for people, and without references except to schemas: after
    any other reference, api-smart-diff mistakes an answer for a request."""

    def walk(node: Any, *, is_named: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if not node.get("$ref", "#/components/schemas/").startswith("#/components/schemas/"):
            return walk(_at(document, node["$ref"].split("/")[1:]))
        if "in" in node and "$ref" in node.get("schema", {}):  # for _alike, which walks no lists
            node = {**node, "schema": _at(document, node["schema"]["$ref"].split("/")[1:])}
        keys = [key for key in node if is_named or key not in _ANNOTATIONS]
        return {key: walk(node[key], is_named=key == "properties") for key in keys}

    components = {key: document["components"][key] for key in ("schemas", "securitySchemes")}
    kept = {key: document[key] for key in ("openapi", "servers", "paths")}
    return walk({**kept, "info": {"title": "", "version": ""}, "components": components})


def _alike(before: Any, after: Any) -> tuple[Any, Any]:
    """The specifications, with a reference resolved where only one of them has it: api-smart-diff
    treats a schema and a reference to an equal schema as different."""

    def walk(node: Any, other: Any, document: Any) -> Any:
        if not isinstance(node, dict) or not isinstance(other, dict):
            return node
        if "$ref" in node and "$ref" not in other:
            node = _at(document, node["$ref"].split("/")[1:])
        return {key: walk(node[key], other.get(key), document) for key in node}

    return walk(before, after, before), walk(after, before, after)


def _in_operations(diffs: list[Any], before: Any, after: Any) -> Iterator[Change]:
    """Each change once; it is breaking if it breaks any operation."""
    properties = {(*diff["path"][:-2], diff["path"][-1]) for diff in diffs}
    found: dict[str, dict[bool, dict[str, None]]] = {}
    for diff in diffs:
        path = diff["path"]
        if path[:2] == ["components", "schemas"] or path == ["paths"]:
            continue  # the operations that use the schema, or have the path, differ as well
        if path[-2:-1] == ["required"] and (*path[:-2], _value(diff)) in properties:
            continue  # the property itself is new or removed
        where = found.setdefault(_told(diff, before), {})
        where.setdefault(_breaks(diff, before, after), {})[_operation(diff, before)] = None
    for what, where in found.items():
        breaks = True in where
        yield Change(what, list(where[breaks]), breaks)


def _in_names(before: Any, after: Any) -> Iterator[Change]:
    """A renamed schema is a different type in generated clients."""
    old, new = (document["components"]["schemas"].keys() for document in (before, after))
    for name in sorted(old ^ new):
        is_gone = name in old
        what = f"schema {name} is {'gone' if is_gone else 'new'}"
        yield Change(what, ["generated clients"], is_gone)


def _breaks(diff: Any, before: Any, after: Any) -> bool:
    path, action = diff["path"], diff["action"]
    parent, key = [None, *path][-2:]
    is_answer = path[3:4] == ["responses"]
    if parent == "properties":
        # Clients still send a property that was removed from a closed object.
        return action == "remove" or diff["type"] == "breaking"
    if key in _IN_CLIENTS or parent == "tags":
        return True
    if key == "nullable":
        return bool(diff.get("after")) == is_answer
    if parent == "enum" and "application/problem+json" in path:
        return action != "add"  # the status of a new code says how to handle it
    if parent == "enum" and action == "add" and not _at(before, path[:-1]):
        return not is_answer  # until now anything was accepted
    if parent == "enum" and action == "remove" and is_answer:
        return not _at(after, path[:-1])  # from now on anything may be sent
    if key == "requestBody" and action == "add":
        return bool(diff["after"].get("required"))
    if key == "required" and is_answer:
        return not diff.get("after")  # a header
    if diff["type"] in {"annotation", "unclassified"} or "securitySchemes" in path:
        return action != "add"
    return diff["type"] == "breaking"


def _told(diff: Any, before: Any) -> str:
    """The change in words, starting at the innermost schema that has a name."""
    path, action = diff["path"], diff["action"]
    words: list[str] = []
    parent = inside = None
    start = 3 if path[0] == "paths" else 0
    for depth, (key, node, schema) in enumerate(_trail(before, path)):
        words = [inside] if inside else words
        if parent == "properties":
            words.append(key)
        elif parent == "parameters" and depth == 4:
            words.append((node or diff["after"])["name"])
        elif depth >= start and isinstance(key, str) and _WORDS.get(key, key):
            words.append(_WORDS.get(key, key))
        parent, inside = key, schema
    place = " ".join(words or [*map(str.upper, path[2:]), path[1]])
    value = json.dumps(_value(diff))
    if action == "replace":
        return f"{place} was {value} and is {json.dumps(diff['after'])}"
    is_what = "is gone" if action == "remove" else "is new"
    return f"{place} {is_what}" if value[0] == "{" else f"{place}: {value} {is_what}"


def _value(diff: Any) -> Any:
    return diff.get("before", diff.get("after"))


def _operation(diff: Any, before: Any) -> str:
    if diff["path"][0] != "paths":
        return "all operations"
    operation = _at(before, diff["path"][:3]) or diff["after"]
    return str(operation.get("operationId", "all its operations"))


def _trail(document: Any, path: list[Any]) -> Iterator[tuple[Any, Any, str | None]]:
    """Each key of the path, its value, and the name of the value if it is a schema."""
    node = document
    for key in path:
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            node = None
        name = None
        if isinstance(node, dict) and "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            node = document["components"]["schemas"][name]
        yield key, node, name


def _at(document: Any, path: list[Any]) -> Any:
    """The value at a path, or None."""
    *_, (_, node, _) = _trail(document, path)
    return node
