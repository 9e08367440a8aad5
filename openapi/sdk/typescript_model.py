"""What the templates of the TypeScript client are told of a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from openapi.sdk.packages import FACADE, PACKAGE
from openapi.sdk.typescript_types import Types, comment
from service.engine.spec.client_names import (
    ClientName,
    camel_case,
    client_names,
    snake_case,
)
from service.engine.spec.documents import LINES, lines, operations, resolved
from service.specification import LOGIN, ROLES, specification

TEMPLATES = Path(__file__).parent / "typescript" / "templates"
JSON = "application/json"
# These have a class of their own in runtime/errors.ts.
BUILT_IN = {"precondition-failed"}


class Argument(NamedTuple):
    """An argument of a method; `part` is the part of the request that it is."""

    name: str
    type: str
    part: str  # "path", "body" or "query"
    is_required: bool


class Operation(NamedTuple):
    """What the templates are told of an operation: typescript/runtime/messages.ts explains it."""

    id: str
    name: ClientName
    comment: str
    method: str
    path: str
    answer: str
    features: str
    type: str  # of the data of its answer; of one item, of lists and lines
    is_paged: bool
    arguments: list[Argument]
    reader: Operation | None  # of a change: what reads at the same path

    def of(self, part: str) -> list[Argument]:
        """The arguments that are this part of the request."""
        return [argument for argument in self.arguments if argument.part == part]

    @property
    def change(self) -> str:
        """The method that reads, changes and tries again: `change` for `update`."""
        return re.sub(r"^[a-z]+", "change", self.name.typescript)

    @property
    def returns(self) -> str:
        """The type of what its method returns."""
        if self.answer == "lines":
            return f"Lines<{self.type}>"
        return f"Pages<{self.type}>" if self.is_paged else f"Promise<{self.type}>"


def model(document: dict[str, Any]) -> dict[str, Any]:
    """What the templates are told."""
    types = Types(document)
    operations = list(_operations(document, types))
    by_id = {operation.id: operation for operation in operations}
    codes = document["components"]["schemas"].get("ProblemCode", {}).get("enum", [])
    problems = {code: _pascal(code.replace("-", "_")) for code in codes if code not in BUILT_IN}
    declared = types.declared()
    _check_names(declared, operations, problems)
    return {
        "title": document["info"]["title"],
        "version": document["info"]["version"],
        "product": specification.name,
        "package": PACKAGE,
        "facade": FACADE,
        "schemas": declared,
        "problems": problems,
        "operations": operations,
        "queries": dict(_queries(document, types)),
        "tags": {
            tag: [one for one in operations if one.name.typescript_tag == tag]
            for tag in dict.fromkeys(one.name.typescript_tag for one in operations)
        },
        "tag_comments": {
            camel_case(snake_case(tag["name"])): comment(tag.get("description", ""), "  ")
            for tag in document.get("tags", [])
        },
        "roles": {role: by_id.get(role) for role in ROLES},
        "credentials": _credentials(document, types),
    }


def _operations(document: dict[str, Any], types: Types) -> Iterator[Operation]:
    names = client_names(document)
    for path, item in document["paths"].items():
        read = None
        for method, declared in sorted(item.items(), key=lambda pair: pair[0] != "get"):
            if declared["operationId"] in names:
                name = names[declared["operationId"]]
                operation = _operation(document, types, name, method, path, declared)
                if method == "get":
                    read = operation
                is_change = "m" in operation.features and operation.of("body")
                yield operation._replace(reader=read if is_change else None)


def _operation(
    document: dict[str, Any],
    types: Types,
    name: ClientName,
    method: str,
    path: str,
    declared: dict[str, Any],
) -> Operation:
    parameters = [resolved(one, document) for one in declared.get("parameters", [])]
    status = next(status for status in declared["responses"] if status.startswith("2"))
    answer = resolved(declared["responses"][status], document)
    kind, schema = _kind(document, answer)
    is_paged = kind == "array" and "Link" in answer.get("headers", {})
    if kind == "lines":
        type_ = _lines(types, lines(declared, document))
    else:
        item = schema.get("items", {}) if is_paged else schema
        type_ = types.of(item, is_open=True) if kind in ("object", "array") else "string"
    return Operation(
        id=declared["operationId"],
        name=name,
        comment=comment(declared.get("summary", ""), "  "),
        method=method.upper(),
        path=path,
        answer=kind,
        features=_features(document, declared, parameters, answer, schema),
        type=type_ if kind else "void",
        is_paged=is_paged,
        arguments=list(_arguments(document, types, declared, parameters)),
        reader=None,
    )


def _kind(document: dict[str, Any], answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What an answer has in it, and its schema: see Operation in runtime/messages.ts."""
    content = answer.get("content", {})
    if LINES in content:
        return "lines", {}
    if JSON in content:
        schema = content[JSON].get("schema", {})
        is_array = resolved(schema, document).get("type") == "array"
        return "array" if is_array else "object", schema
    return next(iter(content), ""), {}


def _lines(types: Types, found: dict[str, Any]) -> str:
    kinds = [
        f"({{ type: '{name}' }} & {types.of(one, is_open=True)})" for name, one in found.items()
    ]
    return " | ".join(kinds) or "Record<string, unknown>"


def _features(
    document: dict[str, Any],
    declared: dict[str, Any],
    parameters: list[dict[str, Any]],
    answer: dict[str, Any],
    data: dict[str, Any],
) -> str:
    schemes = document["components"]["securitySchemes"]
    named = {scheme for one in declared.get("security", []) for scheme in one}
    refreshing = {scheme for scheme in named if scheme.startswith("refresh")}
    cookies = {scheme for scheme in named if schemes[scheme].get("in") == "cookie"}
    required = {one["name"] for one in parameters if one.get("required")}
    body = resolved(_body(document, declared), document).get("properties", {})
    found = {
        "d": bool(body),
        "q": any(one["in"] == "query" for one in parameters),
        "p": "Link" in answer.get("headers", {}),
        "a": named - refreshing - cookies,
        "r": refreshing - cookies,
        "c": cookies,
        "k": "Idempotency-Key" in {one["name"] for one in parameters},
        "m": "If-Match" in required,
        "o": "If-Match" in {one["name"] for one in parameters} - required,
        "t": "access_token" in resolved(data, document).get("properties", {}),
        "b": "transport" in body,
    }
    return "".join(letter for letter, is_so in found.items() if is_so)


def _arguments(
    document: dict[str, Any],
    types: Types,
    declared: dict[str, Any],
    parameters: list[dict[str, Any]],
) -> Iterator[Argument]:
    for one in parameters:
        if one["in"] == "path":
            schema = types.of(one["schema"], is_open=False)
            is_id = one["name"].endswith("_id")
            ref = "Ref" if schema == "string" else f"Ref<{schema}>"
            yield Argument(one["name"], ref if is_id else schema, "path", is_required=True)
    if body := _body(document, declared):
        required = resolved(declared["requestBody"], document).get("required", False)
        yield Argument("body", types.of(body, is_open=False), "body", is_required=required)
    queries = [one for one in parameters if one["in"] == "query"]
    if queries:
        name = _query_name(declared)
        required = any(one.get("required") for one in queries)
        yield Argument("query", name, "query", is_required=required)


def _queries(document: dict[str, Any], types: Types) -> Iterator[tuple[str, str]]:
    """The members of the type of each operation's query, by the name of the type."""
    for *_, declared in operations(document):
        found = [resolved(one, document) for one in declared.get("parameters", [])]
        found = [one for one in found if one["in"] == "query"]
        members = {
            one["name"]: {"description": one.get("description", ""), **one["schema"]}
            for one in found
        }
        schema = {
            "properties": members,
            "required": [one["name"] for one in found if one.get("required")],
        }
        if found:
            yield _query_name(declared), "\n".join(types.members(schema, is_open=False))


def _body(document: dict[str, Any], declared: dict[str, Any]) -> dict[str, Any]:
    body = resolved(declared.get("requestBody", {}), document)
    return dict(body.get("content", {}).get(JSON, {}).get("schema", {}))


def _credentials(document: dict[str, Any], types: Types) -> dict[str, str]:
    """The members that signing in needs, with their types."""
    for *_, declared in operations(document):
        if declared["operationId"] == LOGIN:
            schema = resolved(_body(document, declared), document)
            members = schema.get("properties", {})
            return {
                name: types.of(members[name], is_open=False) for name in schema.get("required", ())
            }
    return {}


def _query_name(declared: dict[str, Any]) -> str:
    return f"{_pascal(declared['operationId'])}Query"


def _pascal(name: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in name.split("_"))


def _check_names(
    schemas: dict[str, str], operations: list[Operation], problems: dict[str, str]
) -> None:
    """Raises ValueError if two things in the package would have the same name."""
    templates = [TEMPLATES / f"{name}.ts.jinja" for name in ("facade", "index")]
    text = "".join(template.read_text("utf-8") for template in templates)
    groups = re.findall(r"^(?:im|ex)port (?:type )?\{ ([\w, ]+) \} from", text, re.MULTILINE)
    own = {name.removeprefix("type ") for group in groups for name in group.split(", ")}
    parts = {f"{_pascal(one.name.tag)}Operations" for one in operations}
    names = [*schemas, *problems.values(), *parts, *own, FACADE, "Open", "Operations"]
    names += [one.type for one in {a for o in operations for a in o.of("query")}]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the TypeScript client would have two things called {name}")
