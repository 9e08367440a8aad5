"""The changes that openapi/gate.py accepts, and its messages about the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from openapi import gate
from openapi.changes import Change, compared
from service.specification import specification
from tests.kit.changed_specification import GONE, changed
from tests.kit.programs import npm_programs

SPEC = json.loads(specification.public_json())
# A part of it, with everything that changes below, is compared in a third of the time.
PATHS = ["/api/accounts", "/api/audit-events", "/api/users", "/api/users/{user_id}"]
PATHS += ["/auth/logout", "/auth/me", "/auth/refresh", "/auth/sessions", "/health/live"]
RELEASED = {**SPEC, "paths": {path: SPEC["paths"][path] for path in PATHS}}

LIST, CREATE, USER = "paths /api/users get", "paths /api/users post", "paths /api/users/{user_id}"
LOGOUT = "paths /auth/logout post"
HEADERS, PARAMETERS, SCHEMAS = "components headers", "components parameters", "components schemas"
SCHEMES = "components securitySchemes"
TEXT = {"type": "string"}
BODY = {"content": {"application/json": {"schema": TEXT}}}
ACCESS, REFRESH = {"accessToken": []}, {"refreshToken": []}
FORBIDDEN = {"$ref": "#/components/responses/Forbidden"}
LANGUAGE = {"name": "lang", "in": "query", "schema": TEXT}
USER_ID = {"name": "id", "in": "path", "required": True, "schema": {**TEXT, "format": "uuid"}}


def with_one_more(item: Any) -> Any:
    """Turns a list into one that has this item as well."""
    return lambda items: [*items, item]


def with_a_language(schema: Any) -> Any:
    """The schema of an object with one property more, which is required."""
    properties = {**schema["properties"], "lang": TEXT}
    return {**schema, "properties": properties, "required": [*schema["required"], "lang"]}


def with_another_argument(paths: Any) -> Any:
    """The path of one user with a parameter of another name."""
    rest = dict(paths)
    methods = rest.pop("/api/users/{user_id}").items()
    return rest | {
        "/api/users/{id}": {
            method: {**operation, "parameters": [USER_ID, *operation["parameters"][1:]]}
            for method, operation in methods
        }
    }


CHANGELOG = "".join(f"## {n}\n\n- A line.\n\n" for n in ("1.0.0", "0.2.0", "0.1.1", "0.1.0"))

BREAKING = [
    ("paths /api/accounts", GONE, "GET /api/accounts is gone"),
    (f"{USER} delete", GONE, "DELETE /api/users/{user_id} is gone"),
    ("servers", [{"url": "/v2"}], 'servers url was "/" and is "/v2"'),
    # Names in generated clients
    (f"{LIST} operationId", "browse", 'operationId was "list_users" and is "browse"'),
    (f"{LIST} tags", ["auth"], 'tags was "users" and is "auth"'),
    (f"{SCHEMAS} Jwks", GONE, "schema Jwks is gone"),
    ("paths", with_another_argument, 'parameter user_id name was "user_id" and is "id"'),
    # What a client sends
    (f"{LIST} parameters 0", GONE, "parameter username is gone"),
    (f"{LIST} parameters", with_one_more(LANGUAGE | {"required": True}), "parameter lang is new"),
    (f"{PARAMETERS} UsernameFilter name", "name", "parameter username is gone"),
    (f"{PARAMETERS} UsernameFilter required", True, "parameter username required: true is new"),
    (f"{PARAMETERS} UsernameFilter explode", False, "parameter username explode: false is new"),
    (f"{PARAMETERS} Limit schema maximum", 50, "parameter limit maximum was 100 and is 50"),
    (f"{PARAMETERS} Limit schema default", 10, "parameter limit default was 20 and is 10"),
    (
        f"{PARAMETERS} Limit schema type",
        "number",
        'parameter limit type was "integer" and is "number"',
    ),
    (f"{SCHEMAS} NewUser properties username", GONE, "NewUser username is gone"),
    (f"{SCHEMAS} NewUser", with_a_language, "NewUser lang is new"),
    (f"{SCHEMAS} UserChanges minProperties", 2, "UserChanges minProperties was 1 and is 2"),
    (f"{SCHEMAS} UserChanges required", ["bio"], 'UserChanges required: "bio" is new'),
    (f"{SCHEMAS} Bio maxLength", 100, "Bio maxLength was 500 and is 100"),
    (f"{SCHEMAS} NewPassword minLength", 15, "NewPassword minLength was 8 and is 15"),
    (f"{SCHEMAS} Bio pattern", "^a$", 'Bio pattern: "^a$" is new'),
    (
        f"{PARAMETERS} IdempotencyKey schema pattern",
        "^a$",
        'parameter Idempotency-Key pattern was "^[!-~]{1,255}$" and is "^a$"',
    ),
    (f"{SCHEMAS} Bio enum", ["a"], 'Bio enum: "a" is new'),
    (
        f"{SCHEMAS} NewUser properties role",
        {**TEXT, "enum": ["user"]},
        'NewUser role enum: "admin" is gone',
    ),
    (f"{CREATE} requestBody", GONE, "body is gone"),
    (f"{LOGOUT} requestBody", BODY | {"required": True}, "body is new"),
    (f"{LIST} security", [ACCESS], "security is new"),
    (f"{LOGOUT} security", [ACCESS], "security is gone"),
    (
        f"{SCHEMES} accessToken scheme",
        "basic",
        'securitySchemes accessToken scheme was "bearer" and is "basic"',
    ),
    (f"{SCHEMES} refreshToken", GONE, "securitySchemes refreshToken is gone"),
    # What a client gets
    (f"{CREATE} responses 409", GONE, "answer 409 is gone"),
    (f"{LIST} responses 200 headers", GONE, "answer 200 header is gone"),
    (f"{CREATE} responses 201 headers ETag", GONE, "answer 201 header ETag is gone"),
    (f"{CREATE} responses 201 links get", GONE, "answer 201 links get is gone"),
    (
        "components links GetUser parameters user_id",
        GONE,
        'answer 201 links get parameter user_id: "$response.body#/id" is gone',
    ),
    (f"{HEADERS} Location required", GONE, "answer 201 header Location required: true is gone"),
    (
        f"{HEADERS} Link schema type",
        "array",
        'answer 200 header Link type was "string" and is "array"',
    ),
    (f"{SCHEMAS} User properties bio", GONE, "User bio is gone"),
    (f"{SCHEMAS} User required 0", GONE, 'User required: "id" is gone'),
    (
        f"{SCHEMAS} Session properties ip type",
        "object",
        'Session ip type was "string" and is "object"',
    ),
    (
        f"{SCHEMAS} TokenPair properties expires_in type",
        "number",
        'TokenPair expires_in type was "integer" and is "number"',
    ),
    (f"{SCHEMAS} Timestamp format", "date", 'Timestamp format was "date-time" and is "date"'),
    (f"{SCHEMAS} Session properties ip nullable", True, "Session ip nullable: true is new"),
    (f"{SCHEMAS} AuditAction enum", with_one_more("read"), 'AuditAction enum: "read" is new'),
    (f"{SCHEMAS} ProblemCode enum 0", GONE, 'ProblemCode enum: "invalid-request" is gone'),
    (f"{SCHEMAS} ProblemCode enum 0", "odd", 'ProblemCode enum was "invalid-request" and is "odd"'),
    (f"{SCHEMAS} HealthStatus enum", GONE, 'HealthStatus enum: "ok" is gone'),
]

ADDITIVE = [
    ("paths /api/drafts", {"get": SPEC["paths"]["/auth/me"]["get"]}, "GET /api/drafts is new"),
    ("servers", with_one_more({"url": "/v2"}), "servers is new"),
    (f"{LIST} deprecated", True, "deprecated: true is new"),
    (f"{SCHEMAS} Draft", TEXT, "schema Draft is new"),
    # What a client sends
    (f"{LIST} parameters", with_one_more(LANGUAGE), "parameter lang is new"),
    (f"{PARAMETERS} Limit schema maximum", 200, "parameter limit maximum was 100 and is 200"),
    (f"{PARAMETERS} IfMatch required", GONE, "parameter If-Match required: true is gone"),
    (f"{SCHEMAS} NewUser properties lang", TEXT, "NewUser lang is new"),
    (f"{SCHEMAS} NewUser required 0", GONE, 'NewUser required: "email" is gone'),
    (f"{SCHEMAS} NewPassword nullable", True, "NewPassword nullable: true is new"),
    (f"{LOGOUT} requestBody", BODY, "body is new"),
    (f"{CREATE} security", [], "security is gone"),
    ("paths /auth/sessions get security", [ACCESS, REFRESH], "security is new"),
    # What a client gets
    (f"{LIST} responses 403", FORBIDDEN, "answer 403 is new"),
    (f"{LIST} responses 200 headers X-Total", {"schema": TEXT}, "answer 200 header X-Total is new"),
    (f"{SCHEMAS} User", with_a_language, "User lang is new"),
    (f"{SCHEMAS} Problem properties trace", TEXT, "Problem trace is new"),
    (f"{SCHEMAS} ProblemCode enum", with_one_more("odd"), 'ProblemCode enum: "odd" is new'),
    (
        f"{SCHEMAS} AuditEvent properties user_id nullable",
        GONE,
        "AuditEvent user_id nullable: true is gone",
    ),
    (f"{SCHEMAS} Session properties ip enum", ["a"], 'Session ip enum: "a" is new'),
]

FREE = [
    ("info description", "Other words."),
    ("tags 0 description", "Other words."),
    (f"{LIST} summary", "Other words"),
    (f"{LIST} responses 200 description", "Other words."),
    (f"{SCHEMAS} User example", {}),
    (f"{SCHEMAS} User properties id", {"$ref": "#/components/schemas/Id", "example": ""}),
    (f"{PARAMETERS} Limit description", "Other words."),
    (f"{PARAMETERS} IfMatch example", "Other words."),
    (f"{HEADERS} Link example", "Other words."),
    ("components responses NotFound description", "Other words."),
    ("components links GetUser description", "Other words."),
    ("components securitySchemes accessToken description", "Other words."),
    (f"{CREATE} requestBody content application/json example", {}),
    (f"{LIST} parameters", lambda all_: all_[::-1]),
    (f"{SCHEMAS} SignIn required", lambda names: names[::-1]),
]


def each(rows: list[Any]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=[f"{row[0]} {n}" for n, row in enumerate(rows)])


@pytest.fixture(scope="module")
def changes() -> dict[int, list[Change]]:
    """What is found of each row, by its identity; all in one run of Node.js."""
    npm_programs()
    rows = [*BREAKING, *ADDITIVE, *FREE]
    found = compared((RELEASED, changed(RELEASED, *row[:2])) for row in rows)
    return dict(zip(map(id, rows), found, strict=True))


@each(BREAKING)
def test_a_breaking_change_needs_a_major_version(changes: Any, row: Any) -> None:
    [breaking] = [change for change in changes[id(row)] if change.breaks]
    assert breaking.what == row[2]
    [line] = gate.refused(changes[id(row)], "0.1.0", "0.2.0", CHANGELOG)
    assert row[2] in line
    assert line.endswith("breaks clients of 0.1.0: undo it, or make it version 1.0.0")
    assert gate.refused(changes[id(row)], "0.1.0", "1.0.0", CHANGELOG) == []


@each(ADDITIVE)
def test_an_addition_needs_a_minor_version(changes: Any, row: Any) -> None:
    [change] = changes[id(row)]
    assert change.what == row[2]
    for version in ("0.1.0", "0.1.1"):
        lines = gate.refused([change], "0.1.0", version, CHANGELOG)
        assert row[2] in lines[0]
        assert lines[0].endswith("is not in 0.1.0: make it version 0.2.0")
    assert gate.refused([change], "0.1.0", "0.2.0", CHANGELOG) == []


@each(FREE)
def test_a_change_of_wording_needs_no_version(changes: Any, row: Any) -> None:
    assert changes[id(row)] == []
    assert gate.refused([], "0.1.0", "0.1.0", "") == []


def test_a_schema_may_get_a_name_or_lose_it() -> None:
    npm_programs()
    actions = SPEC["components"]["schemas"]["AuditAction"]
    nameless = changed(RELEASED, f"{PARAMETERS} Action schema", actions)
    assert [*compared([(nameless, RELEASED), (RELEASED, nameless)])] == [[], []]


def test_a_line_says_what_breaks_where_and_what_to_do() -> None:
    operations = ["create_user", "update_user", "list_users", "get_user", "register"]
    change = Change("Bio maxLength was 500 and is 100", operations, breaks=True)
    [line] = gate.refused([change], "1.4.2", "1.5.0", "## 1.5.0\n\n- Bios.\n")
    assert line == (
        "openapi.yaml: Bio maxLength was 500 and is 100"
        " (create_user, update_user, list_users and 2 more),"
        " which breaks clients of 1.4.2: undo it, or make it version 2.0.0"
    )


@pytest.mark.parametrize(
    "changelog",
    [
        "## 0.1.0\n\n- All.\n",
        "## 2.0.0\n\n## 0.1.0\n\n- All.\n",
        "## 2.0.0\n\nSoon.\n",
        "- 2.0.0\n",
    ],
)
def test_a_version_without_a_line_in_the_changelog_is_refused(changelog: str) -> None:
    breaking = Change("User bio is gone", ["get_user"], breaks=True)
    for changes in ([breaking], []):
        [line] = gate.refused(changes, "0.1.0", "2.0.0", changelog)
        assert line == "CHANGELOG.md: a section `## 2.0.0` has to say what changes for clients"
        assert (
            gate.refused(changes, "0.1.0", "2.0.0", f"## 2.0.0 (soon)\n\n- It.\n{changelog}") == []
        )


def test_a_version_below_the_released_one_is_refused() -> None:
    [line] = gate.refused([], "0.10.0", "0.9.0", "## 0.9.0\n\n- All.\n")
    assert line == "openapi.yaml: version 0.9.0 is less than 0.10.0, which is released already"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("info version", "0.0.0", ""),
        ("paths /api/drafts", {"get": SPEC["paths"]["/auth/me"]["get"]}, "GET /api/drafts is gone"),
    ],
)
def test_the_gate_compares_what_is_public_with_what_was_released(
    place: str,
    value: Any,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    npm_programs()
    for name in ("RELEASED", "CHANGELOG"):
        monkeypatch.setattr(gate, name, tmp_path / name)
    gate.RELEASED.write_text(yaml.safe_dump(changed(SPEC, place, value)))
    gate.CHANGELOG.write_text(f"## {SPEC['info']['version']}\n\n- All.\n")

    assert gate.main() == bool(said)

    assert said in capsys.readouterr().err
