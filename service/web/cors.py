"""Cross-origin requests from the origins of the settings (WHATWG Fetch, CORS protocol)."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response


class Cors(CORSMiddleware):
    """Starlette's CORS middleware with this API's headers; a preflight is a 204 without a body."""

    def __init__(self, app: Any, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "X-Request-Id",
            ),
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

    def preflight_response(self, request_headers: Headers) -> Response:
        verdict = super().preflight_response(request_headers)
        # A refused preflight says nothing of what would be allowed; the browser then stops.
        kept = verdict.headers.items() if verdict.status_code == 200 else ()
        headers = {k: v for k, v in kept if k not in {"content-length", "content-type"}}
        return Response(status_code=204, headers={**headers, "cache-control": "no-store"})
