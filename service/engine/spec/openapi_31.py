"""The published document as OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12.

The file itself stays 3.0.3, which is what Connexion reads. Only schema objects differ between the
two versions (https://learn.openapis.org/upgrading/v3.0-to-v3.1).
"""

from __future__ import annotations

from typing import Any

VERSION = "3.1.0"

_SCHEMAS_BY_NAME = ("properties", "patternProperties")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")
_SCHEMAS = ("items", "not", "additionalProperties")


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """The document in OpenAPI 3.0 as one in 3.1; what both share is shared, so do not change it."""
    return {**_walk(document), "openapi": VERSION}


def _walk(node: Any) -> Any:
    """The node, with the schemas below it as 3.1 has them."""
    if isinstance(node, list):
        return [_walk(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _below(key, value) for key, value in node.items()}


def _below(key: str, value: Any) -> Any:
    if key in {"example", "examples"}:  # data, which may look like anything
        return value
    if key == "schema":
        return _schema(value)
    if key == "schemas" and isinstance(value, dict):
        return {name: _schema(schema) for name, schema in value.items()}
    return _walk(value)


def _schema(schema: Any) -> Any:
    """A schema object of 3.0 as 3.1 writes it."""
    if not isinstance(schema, dict) or "$ref" in schema:
        return schema
    schema = dict(schema)
    for key in _SCHEMAS_BY_NAME:
        if key in schema:
            schema[key] = {name: _schema(value) for name, value in schema[key].items()}
    for key in _SCHEMA_LISTS:
        if key in schema:
            schema[key] = [_schema(value) for value in schema[key]]
    for key in _SCHEMAS:
        if key in schema:
            schema[key] = _schema(schema[key])
    _bound(schema, "minimum", "exclusiveMinimum")
    _bound(schema, "maximum", "exclusiveMaximum")
    _name_the_encoding(schema)
    if "example" in schema:
        schema["examples"] = [schema.pop("example")]
    if schema.pop("nullable", False):
        schema["type"] = [schema["type"], "null"]
    return schema


def _bound(schema: dict[str, Any], inclusive: str, exclusive: str) -> None:
    """A bound that is excluded is a number of its own, and no flag beside the other."""
    if schema.pop(exclusive, False) and inclusive in schema:
        schema[exclusive] = schema.pop(inclusive)


def _name_the_encoding(schema: dict[str, Any]) -> None:
    """The formats `binary` and `byte` are keywords of JSON Schema."""
    if schema.get("format") == "binary":
        del schema["format"]
        schema["contentMediaType"] = "application/octet-stream"
    elif schema.get("format") == "byte":
        del schema["format"]
        schema["contentEncoding"] = "base64"
