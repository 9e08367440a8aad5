"""What of a document in OpenAPI 3.0 becomes something else in 3.1."""

from __future__ import annotations

from typing import Any

import pytest

from service.engine.spec.openapi_31 import upgraded


def schema(written: Any) -> Any:
    """What becomes of the schema of a header, and of the same schema elsewhere."""
    places = [
        upgraded({"components": {"headers": {"A": {"schema": written}}}}),
        upgraded({"paths": {"/a": {"get": {"parameters": [{"schema": written}]}}}}),
        upgraded({"components": {"schemas": {"A": {"properties": {"a": written}}}}}),
        upgraded({"components": {"schemas": {"A": {"items": {"allOf": [written]}}}}}),
    ]
    header = places[0]["components"]["headers"]["A"]["schema"]
    assert places[1]["paths"]["/a"]["get"]["parameters"] == [{"schema": header}]
    assert places[2]["components"]["schemas"]["A"]["properties"] == {"a": header}
    assert places[3]["components"]["schemas"]["A"]["items"] == {"allOf": [header]}
    return header


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"type": "string", "example": "a"}, {"type": "string", "examples": ["a"]}),
        ({"example": {"nullable": True}}, {"examples": [{"nullable": True}]}),
        (
            {"type": "string", "format": "binary"},
            {"type": "string", "contentMediaType": "application/octet-stream"},
        ),
        ({"type": "string", "format": "byte"}, {"type": "string", "contentEncoding": "base64"}),
        ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
        ({"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/A"}),
        (
            {"properties": {"example": {"example": 1}}},
            {"properties": {"example": {"examples": [1]}}},
        ),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        ({"additionalProperties": {"example": 1}}, {"additionalProperties": {"examples": [1]}}),
        ({"enum": ["a", "nullable"]}, {"enum": ["a", "nullable"]}),
    ],
)
def test_a_schema_is_written_as_json_schema(written: Any, becomes: Any) -> None:
    assert schema(written) == becomes


def test_what_is_no_schema_stays() -> None:
    media_type = {"example": {"nullable": True, "schema": {"nullable": True}}}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Planner", "version": "1.0.0"},
        "paths": {"/a": {"get": {"requestBody": {"content": {"application/json": media_type}}}}},
    }
    before = repr(document)
    assert upgraded(document) == {**document, "openapi": "3.1.0"}
    assert repr(document) == before
