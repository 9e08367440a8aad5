"""Validates recorded requests and answers with openapi-core, which shares no code with the service:
one line for each error."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson
import yaml
from jsonschema import FormatChecker
from jsonschema_path import SchemaPath
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.validation.request.exceptions import (
    RequestBodyValidationError,
    SecurityValidationError,
)
from openapi_core.validation.response.exceptions import DataValidationError
from openapi_core.validation.schemas import (
    oas30_read_schema_validators_factory,
    oas30_write_schema_validators_factory,
)
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import Headers, ImmutableMultiDict
from werkzeug.http import parse_cookie

from tests.kit.traffic import Exchange

HOST = "http://localhost"
PROBLEM = "application/problem+json"
LINES = "application/x-ndjson"
CACHED_NODES = 10_000  # more than the specification has


@cache  # most documents in YAML are the specification
def _read_yaml(document: bytes) -> Any:
    return yaml.load(document, yaml.CSafeLoader)  # ten times as fast as `safe_load`


READERS = {PROBLEM: orjson.loads, "application/yaml": _read_yaml, LINES: bytes.decode}


class _Formats(FormatChecker):
    """Is not copied, as openapi-core does for each value."""

    def __init__(self, known: FormatChecker) -> None:
        super().__init__([])
        self.checkers = known.checkers

    def __deepcopy__(self, _: Any) -> _Formats:
        return self


for _factory in (oas30_read_schema_validators_factory, oas30_write_schema_validators_factory):
    _factory.format_checker = _Formats(_factory.format_checker)


def _closed(node: Any) -> Any:
    """The specification without additional properties. Its answers allow them, for future versions,
    but the service itself must send nothing undocumented."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: False if key == "additionalProperties" and value is True else _closed(value)
        for key, value in node.items()
    }


class SecondReader:
    """Validates exchanges; `found` is the result of `find` for an exchange."""

    def __init__(self, specification: dict[str, Any]) -> None:
        self._spec = SchemaPath.from_dict(
            _closed(specification), resolved_cache_maxsize=CACHED_NODES
        )
        self._openapi = OpenAPI(self._spec, Config(extra_media_type_deserializers=READERS))
        self._finder = APICallPathFinder(self._spec)

    def find(self, exchange: Exchange) -> Any:
        """The match for a request, with its `operation`; None if there is none."""
        try:
            return self._finder.find(_method(exchange), HOST + exchange.path)
        except PathError:
            return None

    def request_errors(
        self, exchange: Exchange, found: Any, *, with_body: bool = True
    ) -> Iterator[str]:
        """Why the request is not valid."""
        request = _request(exchange, found)
        for error in self._openapi.request_validator.iter_errors(request):
            # The servers of the tests are on loopback, where the metrics need no token.
            if isinstance(error, SecurityValidationError) and _is_for_operators(found):
                continue
            if with_body or not isinstance(error, RequestBodyValidationError):
                yield _text(error)
        if found.operation.get("x-ignore-query"):
            return
        # openapi-core takes text, and reads only declared parameters.
        if not _is_utf8(unquote_to_bytes(exchange.query)):
            yield "a query string that is not UTF-8"
        declared = {p["name"] for p in found.operation.get("parameters", ()) if p["in"] == "query"}
        given = [name for name, _ in request.parameters.query.items(multi=True)]
        if unknown := sorted(set(given) - declared):
            yield f"unknown query parameters {unknown}"
        if len(set(given)) < len(given):
            yield "a query parameter that came twice"

    def answer_errors(self, exchange: Exchange, found: Any) -> Iterator[str]:
        """The errors of an answer with a documented status."""
        request, answer = _request(exchange, found), _answer(exchange)
        for error in self._openapi.response_validator.iter_errors(request, answer):
            if exchange.method != "HEAD" or not isinstance(error, DataValidationError):
                yield _text(error)
        response = found.operation / "responses" / str(exchange.status)
        if exchange.answer and ("content" not in response or exchange.method == "HEAD"):
            yield "a body where there is none"
        if exchange.method != "HEAD" and answer.content_type == LINES:
            for line in map(orjson.loads, exchange.answer.splitlines()):
                kind = line.pop("type")
                schema = response / "content" / LINES / "x-lines" / kind
                yield from self._schema_errors(line, schema)

    def problem_errors(self, exchange: Exchange) -> Iterator[str]:
        """The errors of a refusal that no operation documents, as a problem document."""
        if exchange.method == "HEAD":
            return
        if _answer(exchange).content_type != PROBLEM:
            yield "it is no problem document"
            return
        problem = orjson.loads(exchange.answer)
        yield from self._schema_errors(problem, self._spec / "components" / "schemas" / "Problem")

    def _schema_errors(self, value: Any, schema: SchemaPath) -> Iterator[str]:
        try:
            oas30_read_schema_validators_factory.create(self._spec, schema).validate(value)
        except InvalidSchemaValue as error:
            yield _text(error)


def _method(exchange: Exchange) -> str:
    return "get" if exchange.method == "HEAD" else exchange.method.lower()


def _request(exchange: Exchange, found: Any) -> Any:
    query = parse_qsl(exchange.query.decode("latin-1"), keep_blank_values=True)
    headers = _headers(exchange.headers)
    return SimpleNamespace(
        host_url=HOST,
        path=exchange.path,
        path_pattern=found.path_result.pattern,
        method=_method(exchange),
        body=exchange.body,
        content_type=headers.get("Content-Type", ""),
        parameters=RequestParameters(
            query=ImmutableMultiDict(query),
            header=headers,
            cookie=parse_cookie("; ".join(headers.getlist("Cookie"))),
            path=found.path_result.variables,
        ),
    )


def _answer(exchange: Exchange) -> Any:
    headers = _headers(exchange.answer_headers)
    return SimpleNamespace(
        status_code=exchange.status,
        headers=headers,
        content_type=headers.get("Content-Type", ""),
        data=exchange.answer,
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _headers(pairs: list[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs])


def _is_for_operators(found: Any) -> bool:
    return bool(found.operation["operationId"] == "get_metrics")


def _text(error: BaseException) -> str:
    """An error as text: openapi-core's name for it, its place and its cause."""
    label = " ".join([type(error).__name__, *filter(None, [getattr(error, "name", "")])])
    cause = error if isinstance(error, InvalidSchemaValue) else error.__cause__
    if isinstance(cause, InvalidSchemaValue):
        return f"{label}: " + "; ".join(
            f"{one.json_path} {one.message[:200]}" for one in cause.schema_errors
        )
    return f"{label}: {cause or error}"[:300]
