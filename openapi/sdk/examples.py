"""The example in a package's README: a first program, made for the operations that there are.

It writes, changes and lists things of one kind, if any user who is signed in may do that. Otherwise
it makes the first call without arguments.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from service.engine.spec.client_names import ClientName, camel_case, client_names
from service.engine.spec.publication import Edition

# Of a person who may sign in, as in the examples of the specification.
EMAIL, PASSWORD = "anna@example.com", "correct horse battery staple"
# If there is this operation, the program signs in with both; otherwise it has a token.
SIGN_IN = "login"
INDENT = " " * 4
# Names that no variable of TypeScript can have, beside those of Python.
RESERVED = frozenset(
    {"case", "default", "enum", "function", "interface", "new", "package", "switch", "var", "void"}
)


class Resource(NamedTuple):
    """Operations on things of one kind, and the bodies of the first two."""

    noun: str  # in snake_case
    create: ClientName
    update: ClientName
    list: ClientName
    created: dict[str, Any]
    changed: dict[str, Any]


class Operation(NamedTuple):
    name: ClientName
    method: str
    path: str
    declared: dict[str, Any]


def python(document: dict[str, Any], module: str, facade: str) -> str:
    """The program in Python."""
    client = facade.lower()
    token = "" if SIGN_IN in client_names(document) else ', token="..."'
    lines = [
        f"from {module} import {facade}",
        "",
        f'{client} = {facade}("{Edition(document).address}"{token})',
    ]
    if not token:
        lines.append(f'{client}.sign_in("{EMAIL}", "{PASSWORD}")')

    def call(name: ClientName, *arguments: str) -> str:
        return f"{client}.{name.python_tag}.{name.python}({', '.join(arguments)})"

    def members(body: dict[str, Any]) -> list[str]:
        return [f"{name}={_python(value)}" for name, value in body.items()]

    if found := resource(document):
        noun = found.noun
        lines.append(f"{noun} = {call(found.create, *members(found.created))}")
        lines.append(call(found.update, noun, *members(found.changed)))
        lines += [f"for {noun} in {call(found.list)}:", f"{INDENT}print({noun})"]
    else:
        lines.append(f"print({call(first_read(document).name)})")
    return "\n".join(lines)


def typescript(document: dict[str, Any], package: str, facade: str) -> str:
    """The program in TypeScript."""
    client = facade[0].lower() + facade[1:]
    token = "" if SIGN_IN in client_names(document) else ", { token: '...' }"
    lines = [f"import {{ {facade} }} from '{package}';", ""]
    lines.append(f"const {client} = new {facade}('{Edition(document).address}'{token});")
    if not token:
        lines.append(f"await {client}.signIn('{EMAIL}', '{PASSWORD}');")

    def call(name: ClientName, *arguments: str) -> str:
        return f"{client}.{name.typescript_tag}.{name.typescript}({', '.join(arguments)})"

    if found := resource(document):
        noun = camel_case(found.noun)
        lines.append(f"const {noun} = await {call(found.create, _typescript(found.created))};")
        lines.append(f"await {call(found.update, noun, _typescript(found.changed))};")
        lines.append(f"for await (const {noun} of {call(found.list)}) console.log({noun});")
    else:
        lines.append(f"console.log(await {call(first_read(document).name)});")
    return "\n".join(lines)


def resource(document: dict[str, Any]) -> Resource | None:
    """The first kind of thing that a user may write, change and list."""
    operations = {(one.name.tag, one.name.method): one for one in _open_operations(document)}
    for tag in dict.fromkeys(tag for tag, _ in operations):
        create, update, listed = (
            operations.get((tag, verb)) for verb in ("create", "update", "list")
        )
        if not (create and update and listed) or "{" in create.path + listed.path:
            continue
        bodies = [_body(document, one.declared) for one in (create, update)]
        schema = _content(create.declared["responses"]["201"]).get("schema", {})
        if all(bodies) and "$ref" in schema:
            noun = _variable(schema["$ref"].rsplit("/", 1)[1])
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
    for path, item in document["paths"].items():
        for method, declared in item.items():
            name = names.get(declared["operationId"])
            if name and "x-required-role" not in declared:
                yield Operation(name, method, path, declared)


def _variable(schema: str) -> str:
    """A variable for what has this schema: `post` for Post."""
    name = re.sub("(?<=[a-z0-9])([A-Z])", r"_\1", schema).lower()
    return "found" if name in RESERVED or keyword.iskeyword(name) else name


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


def _python(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_python(key)}: {_python(one)}' for key, one in value.items())}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _typescript(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_typescript, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key}: {_typescript(one)}' for key, one in value.items())} }}"
    text = json.dumps(value, ensure_ascii=False)
    return repr(value) if isinstance(value, str) and text[1:-1] == value else text
