"""Every refusal and every crash becomes an `application/problem+json` document (RFC 9457)."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from service.engine import problems
from service.engine.request import SCOPE_KEY, Answer, Request, encoded, send_answer

logger = logging.getLogger(__name__)


class Problems:
    """Answers for whatever is raised further in; an answer that has begun is cut off.

    `realm` is the one that a 401 names.
    """

    def __init__(self, app: Any, *, realm: str) -> None:
        self.app = app
        self._realm = realm

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request: Request = scope[SCOPE_KEY]
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if not request.status:  # no answer has begun
                # Give the problem no name: its traceback holds this frame, and so the request.
                id_ = request.request_id
                await send_answer(send, answer(to_problem(error, id_), id_, self._realm))
                return
            why = to_problem(error, request.request_id).code
            logger.warning("request %s was cut off: %s", request.request_id, why)
            # An answer that is left without its end makes the server close the connection, so that
            # it does not look complete.


def to_problem(error: Exception, request_id: str) -> problems.Problem:
    """The problem that an exception is to the client; what nobody foresaw is logged."""
    if isinstance(error, problems.Problem):
        return error
    logger.error("request %s failed", request_id, exc_info=error)
    return problems.InternalError()


def answer(problem: problems.Problem, request_id: str, realm: str = "") -> Answer:
    """The response for a problem, its own headers kept; a refused token is told why."""
    body = orjson.dumps(problem.document(request_id))
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    own = problem.headers
    if isinstance(problem, problems.Unauthorized | problems.ScopeMissing):
        own = {**own, "WWW-Authenticate": problem.www_authenticate(realm)}
    return Answer(problem.status, headers + encoded(own), body)
