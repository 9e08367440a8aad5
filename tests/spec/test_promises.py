"""A specification that the code would not fulfil stops the start instead of being ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.engine.spec.app import App
from tests.kit import one_operation
from tests.kit.one_operation import IN_PATH

IN_QUERY = {"name": "colour", "in": "query", "schema": {"type": "string"}}


def start(handler: Callable[..., Any] = one_operation.get_thing, **declared: Any) -> App:
    return one_operation.serve(one_operation.specification(**declared), handler)


def in_query(**declared: Any) -> dict[str, Any]:
    return {"parameters": [IN_PATH, IN_QUERY | declared]}


def body(content: dict[str, Any]) -> dict[str, Any]:
    return {"method": "post", "requestBody": {"content": content, "required": True}}


def answer(schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"responses": {"200": {"description": "It.", "content": content}}}


def test_a_handler_that_fits_the_specification_starts() -> None:
    start()
    start(lambda thing_id, colour=None: None, **in_query())
    start(lambda thing_id, colour: None, **in_query(required=True))
    start(lambda thing_id, colour: None, **in_query(schema={"type": "string", "default": "red"}))
    start(lambda thing_id, caller: None, security=[{"token": []}])


@pytest.mark.parametrize(
    ("handler", "declared", "why"),
    [
        (lambda: None, {}, "the handler ignores thing_id"),
        (lambda thing_id: None, in_query(), "the handler ignores colour"),
        (lambda thing_id, size: None, {}, "the specification gives no size"),
        (lambda thing_id, size=None: None, {}, "the specification gives no size"),
        (lambda thing_id, **more: None, {}, "the specification gives no more"),
        (lambda thing_id, colour: None, in_query(), "colour may be missing, give it a default"),
        (lambda thing_id, body: None, {}, "the specification gives no body"),
        (lambda thing_id, caller: None, {}, "a public operation has no caller"),
    ],
)
def test_a_handler_that_the_specification_cannot_call_stops_the_start(
    handler: Any, declared: Any, why: str
) -> None:
    with pytest.raises(TypeError, match=f"^get_thing: {why}"):
        start(handler, **declared)


@pytest.mark.parametrize(
    ("declared", "error"),
    [
        ({"operationId": "lose_thing"}, AttributeError),
        ({"tags": ["nothing"]}, ModuleNotFoundError),
        ({"tags": ["things", "others"]}, ValueError),
        ({"tags": []}, ValueError),
        ({"x-worker-pool": "hashing"}, KeyError),
    ],
)
def test_an_operation_without_its_handler_or_its_pool_stops_the_start(
    declared: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        start(**declared)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "string", "format": "ipv4"}, "format ipv4 is not enforced"),
        ({"type": "string", "format": "date"}, "format date is not enforced"),
        ({}, "its schema has no type"),
        ({"type": "array", "items": {"type": "string"}}, "its schema has no type"),
        ({"type": "object"}, "its schema has no type"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "its schema has no type"),
    ],
)
def test_a_parameter_that_is_not_read_stops_the_start(schema: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        start(lambda thing_id, colour=None: None, **in_query(schema=schema))


def test_a_format_that_is_not_checked_in_a_body_or_an_answer_stops_the_start() -> None:
    schema = {"type": "object", "properties": {"address": {"type": "string", "format": "ipv6"}}}
    with pytest.raises(ValueError, match="format ipv6 is not enforced"):
        start(lambda thing_id, body: None, **body({"application/json": {"schema": schema}}))
    with pytest.raises(ValueError, match="format ipv6 is not enforced"):
        start(**answer({"type": "array", "items": schema}))


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"in": "cookie"}, "in cookie is not served"),
        ({"style": "deepObject"}, "only style form is read"),
        ({"style": "pipeDelimited"}, "only style form is read"),
        ({"in": "header", "required": True}, "a header has to be optional"),
        ({"in": "header", "schema": {"type": "string", "default": "red"}}, "has to be optional"),
    ],
)
def test_a_place_or_a_style_that_is_not_read_stops_the_start(declared: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        start(lambda thing_id, colour=None: None, **in_query(**declared))


def test_a_style_of_a_path_that_is_not_read_stops_the_start() -> None:
    with pytest.raises(ValueError, match="only style simple is read"):
        start(parameters=[IN_PATH | {"style": "matrix"}])


@pytest.mark.parametrize(
    "media_types",
    [
        ["application/x-www-form-urlencoded"],
        ["application/json", "text/plain"],
        ["application/merge-patch+json"],
    ],
)
def test_a_body_of_another_media_type_stops_the_start(media_types: Any) -> None:
    content = {name: {"schema": {"type": "object"}} for name in media_types}
    with pytest.raises(ValueError, match="only application/json bodies are served"):
        start(lambda thing_id, body: None, **body(content))


def test_a_body_that_may_be_missing_needs_a_default() -> None:
    declared = body({"application/json": {"schema": {"type": "object"}}})
    del declared["requestBody"]["required"]
    start(lambda thing_id, body=None: None, **declared)
    with pytest.raises(TypeError, match="body may be missing, give it a default"):
        start(lambda thing_id, body: None, **declared)


def test_a_parameter_in_part_of_a_segment_stops_the_start() -> None:
    with pytest.raises(ValueError, match="a path parameter has to be a whole segment"):
        start(path="/things/{thing_id}.json")


NAMED = {"type": "object", "properties": {"name": {"type": "string"}}}
WITH_BODY = {**body({"application/json": {"schema": NAMED}}), "security": [{"token": []}]}


def test_a_demand_for_fresh_authentication_that_can_be_enforced_starts() -> None:
    start(**{"security": [{"token": []}], "x-fresh-authentication": 300})
    fresh = {"max-age": 300, "when": ["name"]}
    start(lambda thing_id, body: None, **WITH_BODY, **{"x-fresh-authentication": fresh})


@pytest.mark.parametrize(
    ("fresh", "why"),
    [
        (0, "0 is not a number of seconds"),
        (-1, "-1 is not a number of seconds"),
        (1.5, "1.5 is not a number of seconds"),
        ("300", "300 is not a number of seconds"),
        (True, "True is not a number of seconds"),
        ([300], "is not a number of seconds"),
        ({"max-age": 300}, "is not enforced"),
        ({"max-age": 300, "when": []}, "is not enforced"),
        ({"max-age": 300, "when": "name"}, "is not enforced"),
        ({"max-age": 300, "when": ["name"], "unless": ["age"]}, "is not enforced"),
        ({"max-age": None, "when": ["name"]}, "None is not a number of seconds"),
        ({"max-age": 300, "when": ["colour"]}, "names no member of the body: {'colour'}"),
    ],
)
def test_a_demand_for_fresh_authentication_that_makes_no_sense_stops_the_start(
    fresh: Any, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        start(lambda thing_id, body: None, **WITH_BODY, **{"x-fresh-authentication": fresh})


@pytest.mark.parametrize("security", [[], [{"other": []}]])
def test_fresh_authentication_without_access_tokens_stops_the_start(security: Any) -> None:
    schemes = {"other": {"type": "http", "scheme": "bearer", "x-token-type": "rt+jwt"}}
    with pytest.raises(ValueError, match="x-fresh-authentication is for access tokens"):
        start(schemes=schemes, security=security, **{"x-fresh-authentication": 300})


BASIC = {"type": "http", "scheme": "basic", "x-token-type": "at+jwt"}
KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}
UNTYPED = {"type": "http", "scheme": "bearer"}
UNKNOWN = {"type": "http", "scheme": "bearer", "x-token-type": "at+jwe"}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "__Host-token", "x-token-type": "at+jwt"}


@pytest.mark.parametrize(
    ("security", "why"),
    [
        ([{"token": []}, {}], "optional or combined security"),
        ([{}], "optional or combined security"),
        ([{"token": [], "other": []}], "optional or combined security"),
        ([{"token": ["read"]}], "security scheme token is not enforced"),
        ([{"token": []}, {"other": []}], "security scheme other is not enforced"),
    ],
)
@pytest.mark.parametrize("other", [BASIC, KEY, UNTYPED, UNKNOWN])
def test_security_that_is_not_enforced_stops_the_start(security: Any, why: str, other: Any) -> None:
    with pytest.raises(ValueError, match=why):
        start(security=security, schemes={"other": other})


@pytest.mark.parametrize(
    ("security", "scheme", "why"),
    [
        (["token", "cookie"], COOKIE | {"name": "token"}, "has to be named __Host-"),
        (["token", "cookie"], COOKIE | {"name": "__Secure-token"}, "has to be named __Host-"),
        (["token", "cookie"], COOKIE | {"x-token-type": "rt+jwt"}, "needs the bearer token"),
        (["token", "cookie"], COOKIE | {"in": "query"}, "is not enforced"),
        (["token", "cookie"], COOKIE | {"x-token-type": "any"}, "is not enforced"),
        (["cookie"], COOKIE, "needs the bearer token beside it"),
    ],
)
def test_a_cookie_that_protects_too_little_stops_the_start(
    security: list[str], scheme: Any, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        start(security=[{name: []} for name in security], schemes={"cookie": scheme})


def test_a_cookie_may_replace_the_bearer_token() -> None:
    start(
        lambda thing_id, caller: None,
        security=[{"token": []}, {"cookie": []}],
        schemes={"cookie": COOKIE},
    )
