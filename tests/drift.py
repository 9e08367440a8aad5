"""What openapi-core makes of recorded traffic: it reads the same specification as the service, with
code of its own, so a rule that one of them has misread shows here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import orjson
import yaml
from jsonschema_path import SchemaPath
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.validation.request.exceptions import RequestBodyValidationError
from openapi_core.validation.response.exceptions import DataValidationError
from openapi_core.validation.schemas import oas30_read_schema_validators_factory
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.traffic import Exchange

HOST = "http://localhost"
PROBLEM = "application/problem+json"
LINES = "application/x-ndjson"
# What any address may answer although its operation does not list it (`info` in the specification).
ANYWHERE = {404, 405, 431, 500}
READERS = {PROBLEM: orjson.loads, "application/yaml": yaml.safe_load, LINES: bytes.decode}


class Judge:
    """Holds exchanges against a specification; `answered` is which documented answers were seen."""

    def __init__(self, specification: dict[str, Any]) -> None:
        self._spec = SchemaPath.from_dict(specification)
        self._openapi = OpenAPI(self._spec, Config(extra_media_type_deserializers=READERS))
        self._finder = APICallPathFinder(self._spec)
        self._operations = {
            operation["operationId"]: operation
            for item in specification["paths"].values()
            for operation in item.values()
        }
        self.answered: set[tuple[str, int]] = set()

    @property
    def documented(self) -> set[tuple[str, int]]:
        """Every operation with every status that it lists."""
        return {(n, int(status)) for n, o in self._operations.items() for status in o["responses"]}

    def drift(self, exchanges: Iterable[Exchange]) -> list[str]:
        """Where the exchanges leave the specification, a line for each way of doing so."""
        lines = Counter(
            f"{exchange.operation or '-'} {exchange}: {fault}"
            for exchange in exchanges
            for fault in self.faults(exchange)
        )
        return [f"{line} ({count} times)" if count > 1 else line for line, count in lines.items()]

    def faults(self, exchange: Exchange) -> Iterator[str]:
        """What is wrong with an exchange."""
        method = "get" if exchange.method == "HEAD" else exchange.method.lower()
        try:
            found = self._finder.find(method, HOST + exchange.path)
        except PathError:
            yield from self._outside(exchange)
            return
        name = found.operation["operationId"]
        if exchange.operation not in {name, ""}:
            yield f"openapi-core takes it for {name}"
            return
        request = _request(exchange, method, found.path_result)
        if str(exchange.status) in found.operation / "responses":
            self.answered.add((name, exchange.status))
            yield from self._answer_faults(exchange, request, found.operation)
        elif exchange.status in (ANYWHERE if not exchange.operation else {500}):
            yield from self._problem_faults(exchange)
        else:
            yield "its status is not documented"
        if exchange.status < 400:
            for error in self._request_errors(exchange, request, found.operation):
                yield f"accepted: {error}"
        elif _is_invalid(exchange) and not any(
            self._request_errors(exchange, request, found.operation)
        ):
            yield f"refused: {_complaints(exchange)}"

    def _outside(self, exchange: Exchange) -> Iterator[str]:
        """Faults of an answer at an address or to a method that is not in the specification."""
        if exchange.operation in self._operations:
            yield "openapi-core knows no such address"
        elif exchange.status >= 400:
            yield from self._problem_faults(exchange)
        elif exchange.operation != "docs_asset" and exchange.method != "OPTIONS":
            yield "an answer where nothing is documented"

    def _answer_faults(
        self, exchange: Exchange, request: Any, operation: SchemaPath
    ) -> Iterator[str]:
        response = operation / "responses" / str(exchange.status)
        answer = _answer(exchange)
        for error in self._openapi.iter_response_errors(request, answer):
            if exchange.method != "HEAD" or not isinstance(error, DataValidationError):
                yield _text(error)
        if exchange.answer and ("content" not in response or exchange.method == "HEAD"):
            yield "a body where there is none"
        if exchange.method != "HEAD" and answer.content_type == LINES:
            for line in exchange.answer.splitlines():
                yield from self._line_faults(orjson.loads(line), response)

    def _line_faults(self, line: dict[str, Any], response: SchemaPath) -> Iterator[str]:
        kind = line.pop("type")
        yield from self._schema_faults(line, response / "content" / LINES / "x-lines" / kind)

    def _problem_faults(self, exchange: Exchange) -> Iterator[str]:
        if exchange.method == "HEAD":
            return
        if _answer(exchange).content_type != PROBLEM:
            yield "it is no problem document"
            return
        problem = orjson.loads(exchange.answer)
        yield from self._schema_faults(problem, self._spec / "components" / "schemas" / "Problem")

    def _schema_faults(self, value: Any, schema: SchemaPath) -> Iterator[str]:
        try:
            oas30_read_schema_validators_factory.create(self._spec, schema).validate(value)
        except InvalidSchemaValue as error:
            yield _text(error)

    def _request_errors(
        self, exchange: Exchange, request: Any, operation: SchemaPath
    ) -> Iterator[str]:
        parameters_only = exchange.status >= 400 and not _is_about_body(exchange)
        for error in self._openapi.iter_request_errors(request):
            if not (parameters_only and isinstance(error, RequestBodyValidationError)):
                yield _text(error)
        # openapi-core looks only for what is declared.
        declared = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        given = [name for name, _ in request.parameters.query.items(multi=True)]
        if unknown := sorted(set(given) - declared):
            yield f"unknown query parameters {unknown}"
        if len(set(given)) < len(given):
            yield "a query parameter that came twice"


def _request(exchange: Exchange, method: str, path: Any) -> Any:
    query = parse_qsl(exchange.query.decode("latin-1"), keep_blank_values=True)
    headers = _headers(exchange.headers)
    return SimpleNamespace(
        host_url=HOST,
        path=exchange.path,
        path_pattern=path.pattern,
        method=method,
        body=exchange.body,
        content_type=headers.get("Content-Type", ""),
        parameters=RequestParameters(
            query=ImmutableMultiDict(query), header=headers, path=path.variables
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


def _headers(pairs: list[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs])


def _is_invalid(exchange: Exchange) -> bool:
    """Whether the service has found that the request does not fit the specification."""
    return b'"code":"invalid-request"' in exchange.answer


def _complaints(exchange: Exchange) -> str:
    problem = orjson.loads(exchange.answer)
    errors = [f"{error['pointer']} {error['code']}" for error in problem.get("errors", ())]
    return "; ".join(errors) or problem["detail"]


def _is_about_body(exchange: Exchange) -> bool:
    """Whether what was refused is the body; it is not read when the parameters are wrong."""
    errors = orjson.loads(exchange.answer).get("errors", ())
    return any(error["pointer"][:1] in {"", "/"} for error in errors)


def _text(error: BaseException) -> str:
    """What openapi-core calls an error, where it is and what is wrong there."""
    label = " ".join([type(error).__name__, *filter(None, [getattr(error, "name", "")])])
    cause = error if isinstance(error, InvalidSchemaValue) else error.__cause__
    if isinstance(cause, InvalidSchemaValue):
        return f"{label}: " + "; ".join(
            f"{one.json_path} {one.message[:200]}" for one in cause.schema_errors
        )
    return f"{label}: {cause or error}"[:300]
