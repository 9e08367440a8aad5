"""Every refusal and every crash becomes an `application/problem+json` document (RFC 9457)."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from werkzeug.exceptions import HTTPException

from service import problems
from service.web.call import KEY, Answer, Call, send_answer

logger = logging.getLogger("byline")


class Problems:
    """Answers for whatever is raised further in, as long as no answer has begun."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call: Call = scope[KEY]
        begun = False

        async def watch(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if begun:
                raise
            await send_answer(send, answer(to_problem(error, call.request_id), call.request_id))


def to_problem(error: Exception, request_id: str) -> problems.Problem:
    """The problem that an exception is to the client; what nobody foresaw is logged."""
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, HTTPException) and error.code in _BY_STATUS:
        return _BY_STATUS[error.code]()
    logger.error("request %s failed", request_id, exc_info=error)
    return problems.InternalError()


def answer(problem: problems.Problem, request_id: str) -> Answer:
    """The response for a problem, its own headers kept."""
    document = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": f"urn:request:{request_id}",
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors:
        document["errors"] = problem.errors
    body = orjson.dumps(document)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    headers += [(k.lower().encode(), v.encode("latin-1")) for k, v in problem.headers.items()]
    return Answer(problem.status, headers, body)


# What Flask extensions raise with `abort()`.
_BY_STATUS: dict[int | None, type[problems.Problem]] = {
    400: problems.InvalidRequest,
    401: problems.Unauthorized,
    403: problems.Forbidden,
    404: problems.NotFound,
    413: problems.BodyTooLarge,
    415: problems.UnsupportedMediaType,
    503: problems.Unavailable,
}
