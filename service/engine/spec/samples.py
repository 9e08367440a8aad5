"""How clients call an operation: `x-codeSamples` of the published document, for curl and for the
generated clients, all from the examples in the document."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from service.engine.spec.client_names import (
    SIGN_IN,
    SIGN_OUT,
    ClientName,
    class_name,
    client_names,
)
from service.engine.spec.documents import LINES, operations, resolved
from service.engine.spec.refusals import readable
from service.engine.spec.sample_languages import (
    WIDTH,
    Client,
    Expression,
    Language,
    Python,
    TypeScript,
)

KEY = "x-codeSamples"
_JSON = "application/json"
_BY_FORMAT = {"uuid": "01a1f83c-047f-7c31-9a42-5be07d4f8e16", "date-time": "2026-11-22T16:23:12Z"}
_BY_TYPE = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
_LANGUAGES = (Python(), TypeScript())


class Call(NamedTuple):
    """A call of an operation with the values of its examples; `scheme` is the name of the security
    scheme of its token, and `noun` what it answers with, in snake_case."""

    operation_id: str
    method: str
    path: str
    name: ClientName | None  # none for pages
    ids: dict[str, str]
    query: dict[str, Any]
    headers: dict[str, str]
    body: dict[str, Any] | None
    formats: dict[str, str]  # of the members of the body
    scheme: str
    noun: str
    shape: str  # one, array, pages or lines; empty if it answers with nothing
    reads_first: bool  # to change what was read


class Samples:
    """The samples of a document, for a service at an address.

    `own_methods` are the operations for which clients have a method of their own, SIGN_IN or
    SIGN_OUT, by operationId.
    """

    def __init__(
        self, document: dict[str, Any], address: str, own_methods: Mapping[str, str] | None = None
    ) -> None:
        self._own_methods = own_methods or {}
        title = document["info"]["title"]
        name = "_".join(re.findall("[A-Za-z0-9]+", title)).lower()
        self._client = Client(name, class_name(title), address)
        names = client_names(document)
        calls = [
            _call(operation, method, path, names.get(operation["operationId"]), document)
            for path, method, operation in operations(document)
        ]
        self._calls = {call.operation_id: call for call in calls}
        self._reads = {call.path: call for call in calls if call.method == "get"}
        bodies = [
            call.body for call in calls if self._own_methods.get(call.operation_id) == SIGN_IN
        ]
        self._credentials = [value for body in bodies[:1] for value in (body or {}).values()]
        schemes = document.get("components", {}).get("securitySchemes", {})
        # A token that no session has is the operator's.
        self._of_sessions = {
            name for name, one in schemes.items() if one.get("x-token-type") != "metrics"
        }

    def of(self, operation_id: str) -> list[dict[str, str]]:
        """The samples of an operation, each with `lang`, `label` and `source`."""
        call = self._calls[operation_id]
        found = [{"lang": "Shell", "label": "curl", "source": self._curl(call)}]
        for language in _LANGUAGES:
            if call.name:
                source = self._program(call, call.name, language)
                found.append({"lang": language.label, "label": language.label, "source": source})
        return found

    def _curl(self, call: Call) -> str:
        path = re.sub(r"\{(\w+)\}", lambda found: call.ids[found[1]], call.path)
        words = ["curl", *(["-G"] if call.query else [])]
        words += [] if call.method == "get" else ["-X", call.method.upper()]
        parts = [" ".join([*words, shlex.quote(self._client.address + path)])]
        if call.scheme:
            token = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", call.scheme).upper()
            parts.append(f'-H "Authorization: Bearer ${token}"')
        parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in call.headers.items()]
        if call.body is not None:
            text = json.dumps(call.body, ensure_ascii=False)
            text = (
                text if len(text) < WIDTH else json.dumps(call.body, ensure_ascii=False, indent=2)
            )
            parts += [f"-H 'Content-Type: {_JSON}'", f"-d {shlex.quote(text)}"]
        parts += [f"--data-urlencode {shlex.quote(f'{k}={v}')}" for k, v in call.query.items()]
        return " \\\n  ".join(parts)

    def _program(self, call: Call, name: ClientName, language: Language) -> str:
        client, lines = self._client, []
        credentials = tuple(map(language.text, self._credentials))
        signing_in = Expression((language.spelled(SIGN_IN),), credentials)
        signs_in = bool(credentials) and call.scheme in self._of_sessions
        if signs_in:
            lines.append(language.statement(client, signing_in))
        lines.append("")
        arguments = tuple(language.text(one) for one in call.ids.values())
        reader = self._reads.get(call.path) if call.reads_first else None
        if reader and reader.name:
            got = Expression(language.steps(reader.name), arguments)
            lines.append(language.assignment(client, reader.noun, got))
            arguments = (*arguments[:-1], language.variable(reader.noun))
        made = Expression(language.steps(name), arguments, call.body, call.query, call.formats)
        own = self._own_methods.get(call.operation_id)
        if own == SIGN_IN and credentials:
            made = signing_in
        elif own == SIGN_OUT and signs_in:
            made = Expression((language.spelled(own),))
        noun = f"changed_{call.noun}" if reader and reader.noun == call.noun else call.noun
        if call.shape:
            lines += language.shown(client, noun, made, shape=call.shape)
        else:
            lines.append(language.statement(client, made))
        token = "" if signs_in or not call.scheme else "..."
        return language.program(client, token, lines)


def _call(
    operation: dict[str, Any],
    method: str,
    path: str,
    name: ClientName | None,
    document: dict[str, Any],
) -> Call:
    found = readable(operation, document)
    values: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
    for one in found["parameters"]:
        if one.get("required"):
            values[one["in"]][one["name"]] = _example(one, document)
    content = found.get("requestBody", {}).get("content", {}).get(_JSON)
    members = content["schema"].get("properties", {}) if content else {}
    formats = {key: resolved(one, document).get("format", "") for key, one in members.items()}
    noun, shape = _answer(operation, document)
    headers = {key: str(value) for key, value in values["header"].items()}
    schemes = [scheme for one in operation.get("security", []) for scheme in one]
    return Call(
        operation["operationId"],
        method,
        path,
        name,
        {key: str(value) for key, value in values["path"].items()},
        values["query"],
        headers,
        _example(content, document) if content else None,
        formats,
        schemes[0] if schemes else "",
        noun,
        shape,
        "If-Match" in headers and "{" in path,
    )


def _example(declared: dict[str, Any], document: dict[str, Any]) -> Any:
    """The example of a parameter or a body, or else a value that its schema may have."""
    schema = resolved(declared["schema"], document)
    if declared.get("name") == "If-Match" and "examples" not in declared:
        return "*"
    shown = [one["value"] for one in declared.get("examples", {}).values() if "value" in one]
    known = (declared.get("example"), *shown[:1], schema.get("example"), schema.get("default"))
    for found in known:
        if found is not None:
            return found
    if "enum" in schema:
        return schema["enum"][0]
    if members := schema.get("properties", {}):
        names = schema.get("required") or list(members)[:1]
        return {name: _example({"schema": members[name]}, document) for name in names}
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(schema.get("type", ""), "..."))


def _answer(operation: dict[str, Any], document: dict[str, Any]) -> tuple[str, str]:
    """What an operation answers with, and in which shape."""
    codes = [code for code in operation["responses"] if str(code).startswith("2")]
    answer = resolved(operation["responses"][codes[0]], document) if codes else {}
    content = answer.get("content", {})
    if LINES in content:
        return "line", "lines"
    if _JSON not in content:
        return "answer", "one" if content else ""
    schema = content[_JSON].get("schema", {})
    whole = resolved(schema, document)
    if whole.get("type") == "array":
        shape = "pages" if "Link" in answer.get("headers", {}) else "array"
        return _noun(whole.get("items", {})) or "item", shape
    return _noun(schema) or "answer", "one"


def _noun(schema: dict[str, Any]) -> str:
    """The name of a schema in snake_case."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
