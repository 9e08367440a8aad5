"""Finds recorded traffic that breaks the specification, using a second validator (openapi-core): it
shows where the service misreads a rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

import orjson

from service.engine.spec import refusals
from service.specification import specification
from tests.kit.second_reader import SecondReader
from tests.kit.traffic import Exchange

# Answers that any address may give before an operation is reached (`info` in the specification).
ANYWHERE = {404, 405, 431}
# Refused by the service but not by openapi-core: it accepts any text with an @ as an e-mail address
# and 1 as true, and only RFC 9110 says that these headers hold entity tags.
LOOSER = {("format", name) for name in ("/email", "email", "If-Match", "If-None-Match")}
LOOSER |= {("format", name) for name in ("/title", "/content", "/name")}  # our own format `visible`
LOOSER |= {("type", "disabled")}
# The specification says only in prose which user names are reserved.
LOOSER |= {("reserved", "/username")}
# Only prose says that the transport of a token proves nothing: `oneOf` makes unions in clients.
LOOSER |= {("one-proof", "")}
# What problems with these codes say depends on more than the operation.
TOLD_IN_DETAIL = {"bad-request", "malformed-body", "invalid-request", "invalid-token"}
TOLD_IN_DETAIL |= {"weak-password", "username-taken", "passkey-invalid", "passkey-wrong"}
TOLD_IN_DETAIL |= {"second-factor-wrong", "scope-missing", "body-too-large", "unavailable"}
# openapi-core reads numbers as Python does: ` 5 `, `1_0` and Arabic digits; `yes` is true.
NUMBER = re.compile(r"\d+(?: seconds?)?")
JSON_LITERAL = re.compile(r"-?(0|[1-9][0-9]*)|true|false", re.ASCII)


def documented(document: dict[str, Any]) -> set[tuple[str, int]]:
    """All pairs of an operation and a status that it documents."""
    return {
        (operation["operationId"], int(status))
        for item in document["paths"].values()
        for operation in item.values()
        for status in operation["responses"]
    }


def problems_of(document: dict[str, Any]) -> dict[str, dict[tuple[int, str], str]]:
    """The detail of each problem that an operation documents, by its status and code."""
    return {
        operation["operationId"]: {
            (status, problem.code): problem.detail
            for status, problems in refusals.examples(
                operation, path, document, specification.catalogue
            ).items()
            for problem in problems
        }
        for path, item in document["paths"].items()
        for operation in item.values()
    }


class Judge:
    """Compares exchanges with a specification; `answered` has the documented answers seen."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._reader = SecondReader(document)
        self._documented = documented(document)
        self._names = {name for name, _ in self._documented}
        self._problems = problems_of(document)
        self.answered: set[tuple[str, int]] = set()

    def drift(self, exchanges: Iterable[Exchange]) -> list[str]:
        """How the exchanges break the specification, one line for each kind of error."""
        lines = Counter(
            f"{exchange.operation or '-'} {exchange}: {fault}"
            for exchange in exchanges
            for fault in self.faults(exchange)
        )
        return [f"{line} ({count} times)" if count > 1 else line for line, count in lines.items()]

    def faults(self, exchange: Exchange) -> Iterator[str]:
        """What is wrong with an exchange."""
        found = self._reader.find(exchange)
        if found is None:
            yield from self._outside(exchange)
            return
        name = found.operation["operationId"]
        if exchange.operation not in {name, ""}:
            yield f"openapi-core takes it for {name}"
            return
        if (name, exchange.status) in self._documented:
            self.answered.add((name, exchange.status))
            yield from self._reader.answer_errors(exchange, found)
        elif exchange.status == 500 or (exchange.status in ANYWHERE and not exchange.operation):
            yield from self._reader.problem_errors(exchange)
        else:
            yield "its status is not documented"
        if exchange.status >= 400 and exchange.answer:
            yield from self._undocumented(name, exchange)
        if exchange.status < 400:
            for error in self._reader.request_errors(exchange, found):
                yield f"accepted: {error}"
        elif b'"code":"invalid-request"' in exchange.answer:
            yield from self._wrongly_refused(exchange, found)

    def _outside(self, exchange: Exchange) -> Iterator[str]:
        """Faults of an answer at an address or to a method that is not in the specification."""
        if exchange.operation in self._names:
            yield "openapi-core knows no such address"
        elif exchange.status >= 400:
            yield from self._reader.problem_errors(exchange)
        elif exchange.operation != "docs_asset" and exchange.method != "OPTIONS":
            yield "an answer where nothing is documented"

    def _undocumented(self, name: str, exchange: Exchange) -> Iterator[str]:
        """A code that the operation does not document, or another detail than its example has."""
        problem = orjson.loads(exchange.answer)
        found, code, status = self._problems[name], problem["code"], exchange.status
        if (name, status) in self._documented and (status, code) not in found:
            yield f"its code {code} is not documented"
        elif (status, code) in found and code not in TOLD_IN_DETAIL:
            said, example = (
                NUMBER.sub("1", text) for text in (problem["detail"], found[status, code])
            )
            if said != example:
                yield f"its detail is {said}, and that of the example {example}"

    def _wrongly_refused(self, exchange: Exchange, found: Any) -> Iterator[str]:
        """Why the service refused a request in which openapi-core sees no error."""
        problem = orjson.loads(exchange.answer)
        errors = problem.get("errors", [{"pointer": "", "code": problem["detail"]}])
        # The service does not read the body if the parameters are wrong.
        with_body = any(error["pointer"][:1] in {"", "/"} for error in errors)
        if any(self._reader.request_errors(exchange, found, with_body=with_body)):
            return
        query = parse_qs(exchange.query.decode("latin-1"))
        for error in errors:
            name, code = error["pointer"], error["code"]
            is_odd = code == "type" and not all(map(JSON_LITERAL.fullmatch, query.get(name, ())))
            if (code, name) not in LOOSER and not is_odd:
                yield f"refused: {name} {code}"
