"""Compiles the schemas of the specification, and words the errors of values that do not match."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from jsonschema_rs import Draft201909Validator

MAX_BYTES_PER_CHARACTER = 12  # of JSON: two \u escapes above U+FFFF (RFC 8259, section 7)
_LENGTHS = {"uuid": 36, "date-time": 40}
VISIBLE = "visible"  # our own format: text with at least one visible character
# Invisible characters: white space, controls, Unicode's Default_Ignorable_Code_Point, the empty
# Braille pattern, the empty note.
_SEEN = re.compile(
    "[^\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_FORMATS = {"uuid": "uuid", "date-time": "date-time", "email": "idn-email", "uri": "uri"}
_FORMATS |= {VISIBLE: VISIBLE}
_HINTS = {"password", "int32", "int64", "double", "binary", "byte"}  # formats that restrict nothing
_ANNOTATIONS = {"example", "description", "title", "default", "deprecated", "xml"}
_BOUNDS = {"min": "at least", "max": "at most"}
_PLURALS = {"character": "characters", "entry": "entries"}
_FORMS = {"pattern", "format"}
_MAPS = {"properties", "patternProperties"}


def compiled(schema: dict[str, Any], *, is_answer: bool = False) -> Draft201909Validator:
    """A validator of an OpenAPI 3.0 schema that enforces every format.

    In the document, objects in answers allow other fields, so that clients accept what later
    versions add. The service itself sends nothing undocumented: `is_answer` forbids other fields.
    Raises ValueError for an unknown format, which would not be enforced.
    """
    return Draft201909Validator(
        _json_schema(schema, is_answer), validate_formats=True, formats={VISIBLE: _is_visible}
    )


def _json_schema(schema: Any, closed: bool) -> Any:
    """A schema in OpenAPI 3.0's dialect as JSON Schema 2019-09 (OpenAPI 3.0.3, Schema Object)."""
    if isinstance(schema, list):
        return [_json_schema(item, closed) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _keyword(key, schema[key], closed) for key in schema.keys() - _ANNOTATIONS}
    if closed and "properties" in out:
        out["additionalProperties"] = False
    if out.pop("nullable", False):
        out["type"] = [out["type"], "null"]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if out.pop(exclusive, False):
            out[exclusive] = out.pop(bound)
    return out


def _is_visible(text: str) -> bool:
    return _SEEN.search(text) is not None


def _keyword(key: str, value: Any, closed: bool) -> Any:
    if key in _MAPS:
        return {name: _json_schema(schema, closed) for name, schema in value.items()}
    if key == "enum":
        return value
    if key != "format":
        return _json_schema(value, closed)
    if value not in _FORMATS and value not in _HINTS:
        raise ValueError(f"format {value} is not enforced")
    return _FORMATS.get(value, value)


def largest_json(schema: dict[str, Any]) -> float:
    """The most bytes that the JSON of a value of this schema can take, without white space between
    its parts; infinite if the schema has no limit."""
    if "enum" in schema:
        return 2 + max(MAX_BYTES_PER_CHARACTER * len(str(value)) for value in schema["enum"])
    match schema.get("type"):
        case "string":
            longest = _LENGTHS.get(schema.get("format", ""), math.inf)
            return 2 + MAX_BYTES_PER_CHARACTER * float(schema.get("maxLength", longest))
        case "array":
            return 2 + schema.get("maxItems", math.inf) * (1 + largest_json(schema["items"]))
        case "object" if schema.get("additionalProperties", True) is False:
            fields: dict[str, Any] = schema.get("properties", {})
            names = sum(4 + MAX_BYTES_PER_CHARACTER * len(name) for name in fields)
            return 2 + names + sum(map(largest_json, fields.values()))
        case "integer" | "number" | "boolean":
            return 32
    return math.inf


def errors(validator: Draft201909Validator, value: Any) -> Iterator[dict[str, str]]:
    """Each error: where (an RFC 6901 pointer) and why, but not the value. Text that is too short is
    only that: its form comes later."""
    found = ((list(map(str, e.instance_path)), e.kind) for e in validator.iter_errors(value))
    for path, group in groupby(found, key=itemgetter(0)):
        kinds = [kind for _, kind in group]
        is_short = any(kind.name == "minLength" for kind in kinds)
        for kind in kinds:
            if not (is_short and kind.name in _FORMS):
                yield from _worded(path, kind)


def _worded(path: list[str], kind: Any) -> Iterator[dict[str, str]]:
    if kind.name == "additionalProperties":
        for name in kind.unexpected:
            detail = "is not a field of this object"
            yield {"pointer": _pointer([*path, name]), "code": "unknown", "detail": detail}
    elif kind.name == "required":
        pointer = _pointer([*path, kind.property])
        yield {"pointer": pointer, "code": "required", "detail": "is required"}
    else:
        code = re.sub(r"(?=[A-Z])", "-", kind.name).lower()
        yield {"pointer": _pointer(path), "code": code, "detail": _detail(kind)}


def _detail(kind: Any) -> str:
    match kind.name:
        case "type":
            return f"must be {a(' or '.join(kind.types))}"
        case "enum":
            return f"must be one of {', '.join(map(str, kind.options))}"
        case "format" if kind.format == VISIBLE:
            return "must have a visible character"
        case "format":
            return f"must be {a(kind.format.removeprefix('idn-'))}"
        case "minimum" | "maximum":
            return f"must be {_BOUNDS[kind.name[:3]]} {kind.limit}"
        case "minLength" | "maxLength":
            return f"must have {_BOUNDS[kind.name[:3]]} {_many(kind.limit, 'character')}"
        case "minItems" | "maxItems" | "minProperties" | "maxProperties":
            return f"must have {_BOUNDS[kind.name[:3]]} {_many(kind.limit, 'entry')}"
        case "pattern":
            return f"must match {kind.pattern}"
    return "does not fit the specification"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else _PLURALS[noun]}"


def _pointer(path: list[str]) -> str:
    return "".join("/" + short(part).replace("~", "~0").replace("/", "~1") for part in path)


def short(name: str) -> str:
    """A name chosen by a client, shortened so that an answer may repeat it."""
    return name if len(name) <= 64 else name[:64] + "…"


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"
