"""One operation of the specification, from its route to the bytes of its answer; the path of a
request is drawn in `__init__.py`.

Replaces Connexion's security, validation and context middlewares, its parameter decorator and its
FlaskOperation, which inspect signatures and build validators again for each request. Everything is
read from the specification once, here, so no two layers can disagree about a request.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import flask

from service.engine.caller import Caller
from service.engine.database.transaction import Transaction
from service.engine.http import conditional, problems
from service.engine.limits.limits import Limits
from service.engine.problems import InternalError, Problem
from service.engine.request import Answer, Request, Stream, current_request, encoded
from service.engine.spec import freshness, refusals
from service.engine.spec.caching import cache_control
from service.engine.spec.connexion_parts import AbstractOperation, FlaskOperation
from service.engine.spec.demands import Demands
from service.engine.spec.flask_app import MAX_CHUNKS_AT_ONCE
from service.engine.spec.idempotency import KeptAnswers, Retry
from service.engine.spec.paging import Page, next_link
from service.engine.spec.validation import Part, RequestValidator, ResponseDrift, ResponseValidator
from service.engine.tokens.authority import Authority
from service.engine.tokens.tokens import Claims
from service.engine.work.fair_threads import FairPool
from service.engine.work.greenlets import GreenletPool
from service.engine.work.replica import Replica
from service.engine.work.retrying import transact
from service.engine.work.threads import Pool

INJECTED = {"caller", "client"}  # arguments of handlers that are not parameters of the request
WIRED = {"if_none_match", "idempotency_key"}  # parameters that are handled here and not by handlers
CHUNK_BYTES = 64 * 1024  # each chunk costs a hop and a transaction, so chunks are large

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Services:
    """What every operation needs and the specification cannot provide.

    `realm` is named by a 401. `caller` returns the Caller for the claims of a token, in the
    request's transaction, and raises a Problem if that user or session no longer exists.
    """

    flask: flask.Flask
    realm: str
    authority: Authority
    caller: Callable[[Claims, Transaction | None], Caller]
    kept_answers: type[KeptAnswers]
    limits: Limits
    pools: dict[str, Pool | GreenletPool]
    replica: Replica | None = None


class Operation(FlaskOperation):
    """An operation as the specification declares it, with its handler."""

    def __init__(self, declared: AbstractOperation, services: Services) -> None:
        super().__init__(declared.function, None, declared.operation_id, False)
        spec = declared._operation  # the only place with the x- keys
        self._services = services
        self._writes = declared.method not in {"get", "head"} or spec.get("x-writes", False)
        self._may_be_stale = spec.get("x-replica", False)
        self._is_async = inspect.iscoroutinefunction(declared.function)
        self._validator = RequestValidator(declared)
        self._responses = {
            int(status): ResponseValidator(response)
            for status, response in declared.responses.items()
        }
        self._success = min(self._responses)
        self._is_conditional = 304 in self._responses
        self._demands = Demands(declared)
        self._token_types, self._cookie = self._demands.token_types, self._demands.cookie
        self._freshness = freshness.of_operation(declared, self._token_types)
        if self._may_be_stale and (self._writes or self._token_types):
            raise ValueError(f"{self.operation_id}: x-replica is for public reads")
        self._policies = services.limits.of_operation(spec)
        self._failures = [policy for policy in self._policies if policy.only_failures]
        self._pool = services.pools[spec.get("x-worker-pool", "requests")]
        # Such an operation holds neither a connection nor SQLite's write lock while it computes.
        self._is_slow = isinstance(self._pool, FairPool)
        self._turns = asyncio.Semaphore(MAX_CHUNKS_AT_ONCE)
        self._ends_session = spec.get("x-ends-session", False)  # the handler checks it
        headers = {p["name"]: p for p in declared.parameters if p["in"] == "header"}
        self._has_if_match = "If-Match" in headers
        self._needs_if_match = headers.get("If-Match", {}).get("required", False)
        self._prefix = services.flask.config["APPLICATION_ROOT"].rstrip("/")
        self._cache_control = cache_control(declared)
        self._details = refusals.details(spec, declared.path)
        self._injected = self._check_signature(declared.function)

    def __call__(self, *_: Any, **__: Any) -> Any:
        # Only `answer` runs a handler; a request that reached Flask's own routing would end here.
        raise InternalError

    async def answer(self, request: Request, receive: Any) -> Answer | Stream:
        """The operation's answer to a request; raises a Problem for a refusal."""
        if self._token_types:
            request.claims = self._services.authority.admit(
                request, self._token_types, self._cookie
            )
        if self._freshness:  # before limits, which the repeated request will count against
            self._freshness.check(request.claims)
        await self._services.limits.count(request, self._policies)
        answering = self._answer(request, receive)
        if self._failures:
            answering = self._services.limits.only_failures(request, self._failures, answering)
        return await answering

    def explain(self, problem: Problem) -> None:
        """Give a problem of this operation its detail, unless it has one of its own."""
        if detail := self._details.get((problem.status, problem.code)):
            problem.explain(detail)

    async def _answer(self, request: Request, receive: Any) -> Answer | Stream:
        arguments = self._validator.parameters(request)
        if self._validator.has_body:
            body = await self._validator.body(request, receive)
            if body is not None:
                arguments["body"] = body
                if self._freshness:
                    self._freshness.check_body(request.claims, body)
        if not self._is_async:
            work = (self._in_context, self._work, request, arguments)
            return await self._pool.run(*work, origin=request.ip)
        if_none_match = arguments.pop("if_none_match", None)
        with self._services.flask.app_context():
            return self._finish(request, await self._fn(**arguments), if_none_match)

    def _in_context(self, function: Callable[..., Made], request: Request, *arguments: Any) -> Made:
        """What the function returns; handlers may use `current_request` and Flask's application."""
        token = current_request.set(request)
        try:
            with self._services.flask.app_context():
                return function(request, *arguments)
        finally:
            current_request.reset(token)

    def _work(self, request: Request, arguments: dict[str, Any]) -> Answer | Stream:
        work = partial(self._transact, request, arguments)
        replica = self._services.replica
        if replica and self._may_be_stale:
            return replica.read(request, work)
        # HEAD sends no content, so what a GET would record has not happened.
        answer = transact(work, writes=self._writes, commits=request.method != "HEAD")
        if replica and self._writes:
            replica.wrote(request)
        return answer

    def _transact(
        self, request: Request, arguments: dict[str, Any], transaction: Any
    ) -> Answer | Stream:
        caller = self._admit(request, transaction)
        arguments = arguments.copy()
        if_none_match = arguments.pop("if_none_match", None)
        key = arguments.pop("idempotency_key", None)
        self._complete(arguments, request, caller)
        retry = self._retry(caller, key, arguments["body"]) if key and caller else None
        if retry and (kept := retry.kept()):
            return kept
        if self._is_slow:
            transaction.close()
        try:
            answer = self._finish(request, self._fn(**arguments), if_none_match)
            if retry:
                transaction.send_queued()  # a refusal is kept as well
        except Problem as problem:
            if not retry:
                raise
            transaction.rollback()
            self.explain(problem)
            answer = problems.answer(problem, request.request_id, self._services.realm)
        if self._is_slow and not self._ends_session:
            self._admit(request)  # session or role may have changed while it computed
        if retry and isinstance(answer, Answer):
            retry.keep(answer)
        return answer

    def _complete(self, arguments: dict[str, Any], request: Request, caller: Any) -> None:
        """Add what handlers are given besides the parameters, and the versions of If-Match."""
        if self._has_if_match:
            arguments["if_match"] = conditional.versions(
                arguments.get("if_match"), required=self._needs_if_match
            )
        if "caller" in self._injected:
            arguments["caller"] = caller
        if "client" in self._injected:
            arguments["client"] = request.client

    def _retry(self, caller: Caller, key: str, body: Any) -> Retry:
        services = self._services
        name = (caller.id, str(self.operation_id), key)
        return Retry(services.kept_answers, services.authority.fingerprints, name, body)

    def _admit(self, request: Request, transaction: Any = None) -> Any:
        """The Caller, if there is a token; raises what `caller` and `Demands.check` do."""
        claims = request.claims
        caller = self._services.caller(claims, transaction) if claims else None
        if claims and caller and claims.is_personal:
            request.claims = claims.of(caller.id)
        self._demands.check(claims, caller)
        return caller

    def _finish(self, request: Request, result: Any, if_none_match: str | None) -> Answer | Stream:
        data, status, extra = _unpacked(result, self._success)
        response = self._responses.get(status)
        if response is None:
            raise ResponseDrift(f"{self.operation_id}: status {status} is not documented")
        headers = {"Cache-Control": self._cache_control, **extra}
        if isinstance(data, Page):
            if data.next_after:
                query = parse_qsl(request.query.decode("ascii"), keep_blank_values=True)
                headers["Link"] = next_link(self._prefix + request.path, query, data.next_after)
            data = data.items
        if "Location" in headers:
            headers["Location"] = self._prefix + headers["Location"]
        if response.has_etag and isinstance(data, dict):
            headers["ETag"] = conditional.quoted(data.pop("etag"))
        if self._is_conditional and conditional.is_fresh(if_none_match, headers["ETag"]):
            return Answer(304, encoded(headers), b"")
        if response.media_type:
            headers.setdefault("Content-Type", _with_charset(response.media_type))
        if response.has_lines and request.method == "GET":
            response.check(headers)
            make = partial(self._make_chunk, request, data, response)
            return Stream(status, encoded(headers), make)
        body = b"" if response.has_lines else response.body(data, headers)
        if status != 204 and not response.has_lines:
            headers["Content-Length"] = str(len(body))
        return Answer(status, encoded(headers), body)

    async def _make_chunk(self, *arguments: Any) -> bytes:
        """The next chunk. Streams take turns, or they would fill the queue of the pool."""
        async with self._turns:
            work = (self._in_context, self._chunk, *arguments)
            chunk: bytes = await self._pool.threads.run(*work)
            return chunk

    def _chunk(self, request: Request, parts: Iterator[Part], response: ResponseValidator) -> bytes:
        """The lines of the next parts, in a transaction of its own."""

        def lines(_: Any) -> bytes:
            chunk = b""
            for kind, items in parts:
                chunk += response.lines(kind, items)
                items.clear()  # the generator holds the list while the client does not read
                if len(chunk) >= CHUNK_BYTES:
                    break
            # Check after reading: if the user is deleted meanwhile, the rows vanish, and a
            # truncated stream would look complete.
            self._admit(request)
            return chunk

        # No retry: a generator that raised has ended, and the stream would look complete.
        chunk: bytes = transact(lines, writes=False, tries=1)
        return chunk

    def _check_signature(self, handler: Callable[..., Any]) -> set[str]:
        """The injected arguments that the handler takes; TypeError if the others do not match."""
        wanted = inspect.signature(handler).parameters
        offered = self._validator.arguments
        given = INJECTED | {"if_match"} | {name for name, always in offered.items() if always}
        for name, parameter in wanted.items():
            if name not in offered.keys() | INJECTED:
                raise TypeError(f"{self.operation_id}: the specification gives no {name}")
            if name not in given and parameter.default is parameter.empty:
                raise TypeError(f"{self.operation_id}: {name} may be missing, give it a default")
        if ignored := offered.keys() - WIRED - wanted.keys():
            raise TypeError(f"{self.operation_id}: the handler ignores {', '.join(ignored)}")
        if "caller" in wanted and not self._token_types:
            raise TypeError(f"{self.operation_id}: a public operation has no caller")
        return wanted.keys() & INJECTED


def _unpacked(result: Any, success: int) -> tuple[Any, int, dict[str, str]]:
    if not isinstance(result, tuple):
        return result, success, {}
    data, status, *headers = result
    return data, status, headers[0] if headers else {}


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
