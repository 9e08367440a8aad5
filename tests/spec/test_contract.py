"""The code is what the specification says, new operations included. Most of what the document alone
shows is checked by `make lint` (openapi/spectral/contract.yaml); what the guide promises, here.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft201909Validator

from service import problems
from service.engine import problems as of_any_service
from service.engine.spec.specification import limits
from service.specification import specification
from tests.kit.references import resolved

SPEC = specification.document
COMPONENTS = SPEC["components"]
METHODS = ("get", "post", "put", "patch", "delete")
_NAMES = """
any-host cache ends-session fresh-authentication ignore-query guard lines problems
rate-limit replica required-role scope scopes token-prefix token-type
worker-pool writes
"""
WIRING = {f"x-{name}" for name in _NAMES.split()}
FOR_CLIENTS = {"x-noun", "x-codeSamples"}
LIMITS = {
    "client": [("300 per minute", "ip")],
    "login": [("10 per minute", "ip")],
    "passkey": [("60 per minute", "ip")],
    "register": [("10 per hour", "ip")],
    "refresh": [("30 per minute", "session")],
    "repeat": [("200 per hour", "session")],
    "mail": [("3 per hour", "email"), ("10 per hour", "ip")],
    "mail-total": [("10 per hour", "email"), ("20 per day", "email")],
    "search": [("10 per minute", "ip")],  # posts
    "export": [("1 per minute", "user")],
    "password": [("5 per hour", "user")],
    "write": [("60 per minute", "user")],
    "token": [("20 per hour", "user")],
    "leak": [("60 per hour", "ip")],
    "factors": [("30 per hour", "user")],
}
COUNTED = {"login": "failures", "refresh": "rotations", "repeat": "repeats"}
GUARDS = {
    "account": ("10 per 15 minutes", "account and network"),
    "strangers": ("30 per hour", "account"),
    "confirm": ("10 per 15 minutes", "session"),
}
OF_ACCOUNTS = {name: {"account", "strangers"} for name in ("login", "complete_login")}
# What nothing but the handler decides.
FROM_HANDLERS = {200, 201, 202, 204, 402, 403, 409, 410}
# Without a token of ours, and yet they ask who it is.
PROOF_OF_THEIR_OWN = {"login", "login_with_passkey", "complete_login"}
# Without an id in their path, and yet what they are about may not be there.
ABOUT_ONE_THING = {"get_metrics", "remove_totp", "confirm_totp", "revoke_factor_reset"}


OPERATIONS = {
    item[method]["operationId"]: {"path": path, "method": method, **resolved(item[method])}
    for path, item in SPEC["paths"].items()
    for method in METHODS
    if method in item
}
SCHEMAS = {name: resolved(schema) for name, schema in COMPONENTS["schemas"].items()}
OBJECTS = {name: schema for name, schema in SCHEMAS.items() if schema["type"] == "object"}

each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def handlers(tag: str) -> Any:
    return importlib.import_module(f"service.handlers.{tag}")


def parameters(operation: dict[str, Any], place: str) -> dict[str, Any]:
    return {p["name"]: p for p in operation.get("parameters", []) if p["in"] == place}


def nodes(node: Any, *path: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every object of the document with the keys that lead to it."""
    if isinstance(node, dict):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from nodes(value, *path, str(key))


@each_operation
def test_an_operation_has_one_tag_and_its_handler_there(operation: dict[str, Any]) -> None:
    [tag] = operation["tags"]
    assert callable(getattr(handlers(tag), operation["operationId"]))


@pytest.mark.parametrize("tag", [tag["name"] for tag in SPEC["tags"]])
def test_handlers_stand_in_the_order_of_the_specification(tag: str) -> None:
    module = handlers(tag)
    written = [
        name
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    ]
    assert written == [name for name, o in OPERATIONS.items() if o["tags"] == [tag]]


def test_no_name_is_used_twice() -> None:
    declared = [
        item[method]["operationId"]
        for item in SPEC["paths"].values()
        for method in METHODS
        if method in item
    ]
    assert len(declared) == len(OPERATIONS)
    assert len({name.replace("_", "") for name in declared}) == len(declared)  # camelCase as well


@each_operation
def test_each_documented_answer_can_occur(operation: dict[str, Any]) -> None:
    name, headers = operation["operationId"], parameters(operation, "header")
    handler = getattr(handlers(operation["tags"][0]), name)
    if_match = headers.get("If-Match")
    can_come = {
        304: "If-None-Match" in headers,
        400: True,
        401: bool(operation["security"]) or name in PROOF_OF_THEIR_OWN,
        404: bool(parameters(operation, "path")) or name in ABOUT_ONE_THING,
        412: if_match is not None,
        413: "requestBody" in operation,
        415: "requestBody" in operation,
        422: "Idempotency-Key" in headers,
        428: if_match is not None and "required" in if_match,
        429: operation.get("x-rate-limit") != "none",
        # A coroutine needs neither thread nor database, but may tell of them.
        503: not inspect.iscoroutinefunction(handler) or name == "get_readiness",
    }
    documented = {int(status) for status in operation["responses"]}
    assert {status for status in can_come if status in documented} == {
        status for status, does in can_come.items() if does
    }
    if "x-required-role" in operation:
        assert 403 in documented
    if "Idempotency-Key" in headers:
        assert 409 in documented
        assert operation["security"], "whose key is it?"
    unknown = documented - can_come.keys() - FROM_HANDLERS
    assert not unknown, f"if the handler of {name} gives {unknown}, add it to FROM_HANDLERS"


@each_operation
def test_a_body_shows_an_example_and_an_error_is_a_problem(operation: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert content["example"]
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            assert response["content"].keys() == {"application/problem+json"}
            assert "X-Request-Id" in response["headers"]


@each_operation
def test_security_is_declared_and_changes_by_users_are_limited(operation: dict[str, Any]) -> None:
    assert isinstance(operation["security"], list)
    declared = operation.get("x-rate-limit")
    if operation["security"] and operation["method"] != "get":
        assert isinstance(declared, dict | list)
    for entry in limits(operation):
        policy = entry["policy"]
        assert policy in LIMITS, f"a new limit: write down in LIMITS what {policy!r} promises"
        assert (entry["limit"], entry["per"]) in LIMITS[policy]
        assert entry.get("counts") == COUNTED.get(entry["policy"])


@each_operation
def test_reads_with_a_token_are_not_cached(operation: dict[str, Any]) -> None:
    if operation["method"] == "get" and {"accessToken": []} in operation["security"]:
        assert operation["x-cache"] == "no-store"


@each_operation
def test_an_operation_that_compares_secrets_is_guarded(operation: dict[str, Any]) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    asked = body.get("schema", {}).get("properties", {}).keys()
    confirms = {"confirm"} if asked & {"current_password", "code"} else set()
    found = {entry["policy"] for entry in operation.get("x-guard", [])}
    assert found == OF_ACCOUNTS.get(operation["operationId"], confirms)


def test_the_guard_has_the_limits_of_the_contract() -> None:
    found = specification.guards
    assert {name: (one["limit"], one["per"]) for name, one in found.items()} == GUARDS
    assert found["strangers"]["in-a-row"] == 100


def test_every_policy_has_a_default_here() -> None:
    numbers = {name: len(limits) for name, limits in LIMITS.items()}
    assert numbers | dict.fromkeys(GUARDS, 1) == specification.policies


def test_every_wiring_key_is_read_by_the_code() -> None:
    used = {key for _, node in nodes(SPEC) for key in node if key.startswith("x-")}
    assert used <= WIRING | FOR_CLIENTS
    public = orjson.loads(specification.public_json())
    shown = {key for _, node in nodes(public) for key in node if key.startswith("x-")}
    assert shown == FOR_CLIENTS


def test_a_schema_declares_its_fields_and_has_an_example() -> None:
    for name, schema in SCHEMAS.items():
        assert "example" in schema, name
    for name, schema in OBJECTS.items():
        if "properties" not in schema and schema["additionalProperties"] == {}:
            continue  # any fields at all
        assert schema.get("required") or schema.get("minProperties"), name
        assert set(schema.get("required", [])) <= schema["properties"].keys(), name


def test_a_body_is_closed_and_an_answer_is_open() -> None:
    for name, operation in OPERATIONS.items():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media["schema"]["additionalProperties"] is False, name
        answers = [answer.get("content", {}) for answer in operation["responses"].values()]
        for _, node in (pair for answer in answers for pair in nodes(answer)):
            if "properties" in node:
                assert node["additionalProperties"] is True, name


EXAMPLES = [
    pytest.param(node.get("schema", node), node["example"], id=" ".join(path))
    for path, node in nodes(SPEC)
    if "example" in node
]


@pytest.mark.parametrize(("schema", "example"), EXAMPLES)
def test_an_example_fits_its_schema(schema: dict[str, Any], example: Any) -> None:
    validator = Draft201909Validator(
        {"allOf": [schema], "components": COMPONENTS}, validate_formats=True
    )
    assert [str(error) for error in validator.iter_errors(example)] == []


PROBLEMS = [
    problem
    for module in (of_any_service, problems)
    for problem in vars(module).values()
    if inspect.isclass(problem) and problem.__module__ == module.__name__
    if problem is not of_any_service.Problem
]


def test_every_code_is_that_of_one_problem_and_every_problem_has_one() -> None:
    # One fact, and so one type with one title (RFC 9457, section 3.1.1), may have two statuses.
    assert {p.code for p in PROBLEMS} == set(SCHEMAS["ProblemCode"]["enum"])
    assert len({(p.code, p.title) for p in PROBLEMS}) == len(SCHEMAS["ProblemCode"]["enum"])
    assert len({(p.code, p.status) for p in PROBLEMS}) == len(PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_problem_is_raised_somewhere(problem: Any) -> None:
    modules = set(Path(problems.__file__).parent.rglob("*.py")) - {Path(problems.__file__)}
    assert any(re.search(rf"\b{problem.__name__}\b", module.read_text()) for module in modules)


@each_operation
def test_links_lead_to_existing_operations(operation: dict[str, Any]) -> None:
    for response in operation["responses"].values():
        for link in response.get("links", {}).values():
            target = OPERATIONS[link["operationId"]]
            assert link["parameters"].keys() <= {p["name"] for p in target["parameters"]}
            required = {p["name"] for p in target["parameters"] if p.get("required")}
            assert required <= link["parameters"].keys()
            for expression in link["parameters"].values():
                kind, _, name = re.fullmatch(
                    r"\$response\.(body#/|header(\.))(\w+)", expression
                ).groups()
                body = response["content"]["application/json"]["schema"]["properties"]
                assert name in (body if kind == "body#/" else response["headers"])
