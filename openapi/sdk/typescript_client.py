"""The TypeScript client: operations and types from the specification, around typescript/runtime."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from openapi.sdk.packages import FACADE, PACKAGE
from openapi.sdk.programs import BIN, NPM, run
from openapi.sdk.typescript_types import Types, comment, lines, resolved
from service.engine.spec.client_names import ClientName, camel_case, client_names
from service.specification import specification

HERE = Path(__file__).parent / "typescript"
JSON, LINES = "application/json", "application/x-ndjson"
# Operations of these names make the client sign in, stay signed in and sign out.
ROLES = ("login", "complete_login", "refresh", "logout", "reauthenticate")
# These have a class of their own in runtime/errors.ts.
BUILT_IN = {"precondition-failed"}
BUNDLE = [
    "--line-limit=400",
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--minify",
    "--legal-comments=none",
]


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


def generate(folder: Path) -> None:
    """Write the code of the package: `dist`, with one module and its types."""
    write(folder, with_lines())


def write(folder: Path, document: dict[str, Any]) -> None:
    """The same for any document of the engine.

    Raises ValueError if two things would have the same name.
    """
    sources = folder / "src"
    shutil.copytree(HERE / "runtime", sources)
    shutil.copy(HERE / "tsconfig.json", folder)
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # it writes TypeScript, not HTML
    )
    names = model(document)
    for template in templates.list_templates():
        text = templates.get_template(template).render(names)
        (sources / Path(template).stem).write_text(text, "utf-8")
    run(folder, BIN / "node", NPM / "tsc")
    run(folder, BIN / "node", NPM / "esbuild", "src/index.ts", *BUNDLE, "--outfile=dist/index.js")
    (folder / "dist" / "index.d.ts").write_text(_rolled_up(folder / "types"), "utf-8")


def _rolled_up(types: Path) -> str:
    """The types of all modules in one, which exports what index.ts does."""
    index = (types / "index.d.ts").read_text("utf-8")
    names = {
        name.split()[-1]
        for group in re.findall(r"{ (.*?),? }", index, re.DOTALL)
        for name in group.split(", ")
    }
    text = "".join(
        (types / f"{module}.d.ts").read_text("utf-8")
        for module in dict.fromkeys(re.findall(r"from '\./(\w+)\.js'", index))
    )
    text = re.sub(r"^import .*\n|^export \{\};\n", "", text, flags=re.MULTILINE)
    declaration = re.compile(r"^export (declare \w+|interface|type) (\w+)", re.MULTILINE)
    text = declaration.sub(lambda found: found[0] if found[2] in names else found[0][7:], text)
    return f"{text}export {{}};\n".replace("    ", "\t")


def with_lines() -> dict[str, Any]:
    """The published specification, and what the lines of its streamed answers are."""
    document: dict[str, Any] = json.loads(specification.public_json())
    for path, item in specification.document["paths"].items():
        for method, operation in item.items():
            if found := lines(specification.document, operation):
                content = document["paths"][path][method]["responses"]["200"]["content"]
                content[LINES]["x-lines"] = copy.deepcopy(found)
    return document


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
            camel_case(re.sub("[^a-z0-9]+", "_", tag["name"].lower())): comment(
                tag.get("description", ""), "  "
            )
            for tag in document.get("tags", [])
        },
        "roles": {role: by_id.get(camel_case(role)) for role in ROLES},
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
    parameters = [resolved(document, one) for one in declared.get("parameters", [])]
    status = next(status for status in declared["responses"] if status.startswith("2"))
    answer = resolved(document, declared["responses"][status])
    kind, schema = _kind(document, answer)
    is_paged = kind == "array" and "Link" in answer.get("headers", {})
    if kind == "lines":
        type_ = _lines(types, lines(document, declared))
    else:
        item = schema.get("items", {}) if is_paged else schema
        type_ = types.of(item, is_open=True) if kind in ("object", "array") else "string"
    return Operation(
        id=camel_case(declared["operationId"]),
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
        is_array = resolved(document, schema).get("type") == "array"
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
    body = resolved(document, _body(document, declared)).get("properties", {})
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
        "t": "access_token" in resolved(document, data).get("properties", {}),
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
        required = resolved(document, declared["requestBody"]).get("required", False)
        yield Argument("body", types.of(body, is_open=False), "body", is_required=required)
    queries = [one for one in parameters if one["in"] == "query"]
    if queries:
        name = _query_name(declared)
        required = any(one.get("required") for one in queries)
        yield Argument("query", name, "query", is_required=required)


def _queries(document: dict[str, Any], types: Types) -> Iterator[tuple[str, str]]:
    """The members of the type of each operation's query, by the name of the type."""
    for item in document["paths"].values():
        for declared in item.values():
            found = [resolved(document, one) for one in declared.get("parameters", [])]
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
    body = resolved(document, declared.get("requestBody", {}))
    return dict(body.get("content", {}).get(JSON, {}).get("schema", {}))


def _credentials(document: dict[str, Any], types: Types) -> dict[str, str]:
    """The members that signing in needs, with their types."""
    for item in document["paths"].values():
        for declared in item.values():
            if declared["operationId"] == ROLES[0]:
                schema = resolved(document, _body(document, declared))
                members = schema.get("properties", {})
                return {
                    name: types.of(members[name], is_open=False)
                    for name in schema.get("required", ())
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
    templates = [HERE / "templates" / f"{name}.ts.jinja" for name in ("facade", "index")]
    text = "".join(template.read_text("utf-8") for template in templates)
    groups = re.findall(r"^(?:im|ex)port (?:type )?\{ ([\w, ]+) \} from", text, re.MULTILINE)
    own = {name.removeprefix("type ") for group in groups for name in group.split(", ")}
    parts = {f"{_pascal(one.name.tag)}Operations" for one in operations}
    names = [*schemas, *problems.values(), *parts, *own, FACADE, "Open", "Operations"]
    names += [one.type for one in {a for o in operations for a in o.of("query")}]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the TypeScript client would have two things called {name}")
