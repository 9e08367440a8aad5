"""Schemas of the specification as types of TypeScript."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from service.engine.spec.documents import lines, operations, resolved

REF = "#/components/schemas/"
IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
PRIMITIVES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
LONGEST_COMMENT = 52  # the package has to stay small, and /docs has the rest


class Types:
    """The types of a document.

    What a newer service may answer is open: an enumeration in an answer takes other strings too.
    What clients send is not, so that a misspelt value is an error.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas: dict[str, Any] = document["components"]["schemas"]
        answers = [
            content["schema"]
            for *_, operation in operations(document)
            for answer in operation["responses"].values()
            for content in resolved(answer, document).get("content", {}).values()
            if "schema" in content
        ]
        self._answered = self._reachable([*answers, *self._lines(document)])

    def declared(self) -> dict[str, str]:
        """The declaration of each schema that is not just a string or a number, by its name."""
        return {
            name: self._declaration(name, schema, is_open=name in self._answered)
            for name, schema in self.schemas.items()
            if not self._is_primitive(schema)
        }

    def of(self, schema: dict[str, Any], *, is_open: bool) -> str:
        """A type; `is_open` for what comes in an answer."""
        text = self._of(schema, is_open=is_open)
        return f"{text} | null" if schema.get("nullable") else text

    def members(self, schema: dict[str, Any], *, is_open: bool) -> Iterator[str]:
        """The members of an object, each a line with its comment."""
        required = schema.get("required", ())
        for name, member in schema.get("properties", {}).items():
            text = self.of(member, is_open=is_open)
            if name not in required and not is_open:
                text += " | undefined"
            key = name if IDENTIFIER.fullmatch(name) else json.dumps(name)
            mark = "" if name in required else "?"
            yield f"{comment(self._described(member), '  ')}  {key}{mark}: {text};"
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            yield f"  [name: string]: {self.of(extra, is_open=is_open)};"

    def _declaration(self, name: str, schema: dict[str, Any], *, is_open: bool) -> str:
        head = comment(schema.get("description", ""))
        if schema.get("properties") and not schema.get("nullable"):
            members = "\n".join(self.members(schema, is_open=is_open))
            return f"{head}export interface {name} {{\n{members}\n}}"
        # Open where it is used, so that the name has the known values only.
        is_open = is_open and "enum" not in schema
        return f"{head}export type {name} = {self.of(schema, is_open=is_open)};"

    def _of(self, schema: dict[str, Any], *, is_open: bool) -> str:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REF)
            referred = self.schemas[name]
            if self._is_primitive(referred):
                return self.of(referred, is_open=is_open)
            return _opened(name, referred) if is_open and "enum" in referred else name
        if "enum" in schema:
            values = " | ".join(_literal(value) for value in schema["enum"] if value is not None)
            return _opened(values, schema) if is_open else values
        for key, sign in (("allOf", " & "), ("oneOf", " | "), ("anyOf", " | ")):
            if key in schema:
                parts = [self.of(part, is_open=is_open) for part in schema[key]]
                return parts[0] if len(parts) == 1 else f"({sign.join(parts)})"
        kind = schema.get("type")
        if kind == "array":
            items = self.of(schema.get("items", {}), is_open=is_open)
            return f"{items}[]" if re.fullmatch(r"[\w.<>]+", items) else f"({items})[]"
        if kind == "object" and schema.get("properties"):
            lines = "\n".join(self.members(schema, is_open=is_open))
            return f"{{\n{lines}\n}}"
        if kind == "object":
            extra = schema.get("additionalProperties")
            value = self.of(extra, is_open=is_open) if isinstance(extra, dict) else "unknown"
            return f"Record<string, {value}>"
        return PRIMITIVES.get(kind, "unknown")

    def _is_primitive(self, schema: dict[str, Any]) -> bool:
        return schema.get("type") in PRIMITIVES and "enum" not in schema

    def _described(self, schema: dict[str, Any]) -> str:
        """Its description, or that of the string or number that it refers to."""
        referred = self.schemas.get(schema.get("$ref", "").removeprefix(REF), {})
        of_it = referred.get("description", "") if self._is_primitive(referred) else ""
        return schema.get("description", of_it)

    def _lines(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            schema
            for *_, operation in operations(document)
            for schema in lines(operation, document).values()
        ]

    def _reachable(self, found: list[Any]) -> set[str]:
        """The names of the schemas that these refer to, directly or not."""
        names: set[str] = set()
        while found:
            one = found.pop()
            if isinstance(one, dict):
                name = str(one.get("$ref", "")).removeprefix(REF)
                if name in self.schemas and name not in names:
                    names.add(name)
                    found.append(self.schemas[name])
                found += one.values()
            elif isinstance(one, list):
                found += one
        return names


def comment(text: str, indentation: str = "") -> str:
    """The first sentence of a description as a line of its own; nothing if it is too long."""
    words = " ".join(text.replace("*/", "").split())
    sentence = re.match(r".*?(?:[.:](?=\s|$)|$)", words)
    line = sentence[0].rstrip(":") if sentence else ""
    return f"{indentation}/** {line} */\n" if 0 < len(line) <= LONGEST_COMMENT else ""


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _opened(type_: str, schema: dict[str, Any]) -> str:
    return f"Open<{type_}>" if schema.get("type") == "string" else type_
