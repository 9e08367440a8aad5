"""Cross-origin requests from the origins of the settings (WHATWG Fetch, CORS protocol)."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from service.engine.http.occasional import Occasional

_ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-Id",
    # Headers that tracing and HTTP libraries add by themselves.
    "baggage",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "X-Requested-With",
)
_ALLOWED_ORIGIN = b"access-control-allow-origin"


class Cors(CORSMiddleware):
    """Starlette's CORS middleware with this API's headers; a preflight is a 204 without a body.

    On `cookie_paths`, pages of the listed origins may also use cookies.
    """

    def __init__(
        self,
        app: Any,
        *,
        origins: tuple[str, ...],
        headers: tuple[str, ...],
        cookie_paths: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(*_ALLOWED_HEADERS, *headers),
            expose_headers=(
                "ETag",
                "Idempotency-Replayed",
                "Link",
                "Location",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "WWW-Authenticate",
                "X-Request-Id",
            ),
            max_age=7200,
        )
        self._cookie_paths = cookie_paths
        self._origins = Occasional("Refused the origin %r, which CORS_ORIGINS does not name.")
        self._headers = Occasional("Refused the request header %r, which CORS_HEADERS can allow.")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") in self._cookie_paths:
            send = partial(_with_credentials, send)
        await super().__call__(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """List everything that is allowed, so that the browser can name the header or method that
        is not. For other origins list nothing, which the browser treats as a refusal."""
        origin = request_headers["origin"]
        headers = {"cache-control": "no-store", "vary": "Origin"}
        if self.is_allowed_origin(origin):
            headers |= self.preflight_headers
            if not self.allow_all_origins:
                headers["Access-Control-Allow-Origin"] = origin
                # Private network access, only for the allowed origins.
                if request_headers.get("access-control-request-private-network") == "true":
                    headers["Access-Control-Allow-Private-Network"] = "true"
            self._note_refused(request_headers.get("access-control-request-headers", ""))
        else:
            self._origins.warn(origin)
        return Response(status_code=204, headers=headers)

    def _note_refused(self, asked: str) -> None:
        for name in map(str.strip, asked.lower().split(",")):
            if name and name not in self.allow_headers:
                self._headers.warn(name)
                return


def cookie_paths(document: dict[str, Any]) -> frozenset[str]:
    """The paths of the operations that set a cookie; ValueError for one with parameters."""
    paths = frozenset(
        path
        for path, item in document["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict)
        for answer in operation["responses"].values()
        if "Set-Cookie" in answer.get("headers", {})
    )
    if templates := [path for path in paths if "{" in path]:
        raise ValueError(f"{templates[0]}: an operation that sets a cookie has no path parameters")
    return paths


async def _with_credentials(send: Any, message: Any) -> None:
    """Send the message; if it allows one origin by name, and not all, it allows cookies too."""
    if message["type"] == "http.response.start":
        allowed = [value for name, value in message["headers"] if name == _ALLOWED_ORIGIN]
        if allowed and allowed != [b"*"]:
            credentials = (b"access-control-allow-credentials", b"true")
            message = {**message, "headers": [*message["headers"], credentials]}
    await send(message)
