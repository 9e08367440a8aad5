"""The example in a package's README: a first program, made for the operations that there are.

It writes, changes and lists things of one kind, if any user who is signed in may do that. Otherwise
it makes the first call without arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from service.engine.spec.client_names import SIGN_IN, ClientName, client_names
from service.engine.spec.documents import operations
from service.engine.spec.publication import Edition
from service.engine.spec.sample_languages import Client, Expression, Language, Python, TypeScript
from service.specification import LOGIN

# Of a person who may sign in, as in the examples of the specification.
EMAIL, PASSWORD = "anna@example.com", "correct horse battery staple"
WIDTH = 112  # READMEs are wider than pages


class Resource(NamedTuple):
    """Operations on things of one kind, and the bodies of the first two."""

    noun: str  # in snake_case
    create: ClientName
    update: ClientName
    list: ClientName
    created: dict[str, Any]
    changed: dict[str, Any]


class _Terse(TypeScript):
    """TypeScript with room for eight lines."""

    def loop(self, head: str, statement: str) -> list[str]:
        return [f"{head} {statement}"]


class Operation(NamedTuple):
    name: ClientName
    method: str
    path: str
    declared: dict[str, Any]


def python(document: dict[str, Any], name: str, facade: str) -> str:
    """The program in Python; `name` is the client's in snake_case, without `_client`."""
    return _program(document, Client(name, facade, Edition(document).address), Python(WIDTH))


def typescript(document: dict[str, Any], name: str, facade: str) -> str:
    """The program in TypeScript."""
    return _program(document, Client(name, facade, Edition(document).address), _Terse(WIDTH))


def _program(document: dict[str, Any], client: Client, language: Language) -> str:
    token, lines = "...", []
    if LOGIN in client_names(document):
        token, credentials = "", (language.text(EMAIL), language.text(PASSWORD))
        signing_in = Expression((language.spelled(SIGN_IN),), credentials)
        lines.append(language.statement(client, signing_in))
    if found := resource(document):
        created = Expression(language.steps(found.create), members=found.created)
        read = (language.variable(found.noun),)
        changed = Expression(language.steps(found.update), read, found.changed)
        lines.append(language.assignment(client, found.noun, created))
        lines.append(language.statement(client, changed))
        listed = Expression(language.steps(found.list))
        lines += language.shown(client, found.noun, listed, shape="pages")
    else:
        read = Expression(language.steps(first_read(document).name))
        lines.append(language.printed(f"{language.wait}{language.called(client, read)}"))
    return language.program(client, token, lines)


def resource(document: dict[str, Any]) -> Resource | None:
    """The first kind of thing that a user may write, change and list."""
    found = {(one.name.tag, one.name.method): one for one in _open_operations(document)}
    for tag in dict.fromkeys(tag for tag, _ in found):
        create, update, listed = (found.get((tag, verb)) for verb in ("create", "update", "list"))
        if not (create and update and listed) or "{" in create.path + listed.path:
            continue
        bodies = [_body(document, one.declared) for one in (create, update)]
        schema = _content(create.declared["responses"]["201"]).get("schema", {})
        if all(bodies) and "$ref" in schema:
            noun = re.sub("(?<=[a-z0-9])([A-Z])", r"_\1", schema["$ref"].rsplit("/", 1)[1]).lower()
            return Resource(noun, create.name, update.name, listed.name, *bodies)
    return None


def first_read(document: dict[str, Any]) -> Operation:
    """The first operation that a program may call without arguments; with a token, if there is one.

    Raises ValueError if there is none.
    """
    reads = [
        one
        for one in _open_operations(document)
        if one.method == "get"
        and "{" not in one.path
        and _content(one.declared["responses"].get("200", {}))
    ]
    # Something single of the user's own makes the best example; otherwise the order stays.
    reads.sort(
        key=lambda one: (not one.declared.get("security"), one.name.method.startswith("list"))
    )
    if not reads:
        raise ValueError("no operation can be called without arguments, for the example in READMEs")
    return reads[0]


def _open_operations(document: dict[str, Any]) -> Iterator[Operation]:
    """The operations that are not for administrators only."""
    names = client_names(document)
    for path, method, declared in operations(document):
        name = names.get(declared["operationId"])
        if name and "x-required-role" not in declared:
            yield Operation(name, method, path, declared)


def _body(document: dict[str, Any], declared: dict[str, Any]) -> dict[str, Any]:
    """The example of an operation's body."""
    content = _content(declared.get("requestBody", {}))
    name = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
    of_schema = document["components"]["schemas"].get(name, {}).get("example", {})
    body: dict[str, Any] = content.get("example", of_schema)
    return body


def _content(described: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = described.get("content", {}).get("application/json", {})
    return content
