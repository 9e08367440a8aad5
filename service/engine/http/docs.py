"""What the pages that show the specification load: all of it is our own, so they work offline and
under a strict Content-Security-Policy."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from service.engine.http.conditional import is_fresh, quoted
from service.engine.problems import MethodNotAllowed, NotFound
from service.engine.request import SCOPE_KEY, Answer, Headers, Request, send_answer

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types 'none'"
_PAGE_HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
# The landing page may call the API.
HOME_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self'; connect-src 'self'; {_TRUSTED_TYPES}",
    **_PAGE_HEADERS,
}
# So may a front end, which also shows images from answers, such as a QR code in a data URI.
FRONT_END_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self' data:; connect-src 'self'; "
    f"{_TRUSTED_TYPES}",
    **_PAGE_HEADERS,
}
# Swagger UI fetches the specification, has icons in its style sheet, and sets innerHTML.
DOCS_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self' data:; connect-src 'self'",
    **_PAGE_HEADERS,
}

_CONTENT_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}


@cache
def document_headers(document: bytes) -> dict[str, str]:
    """The response headers of a public document."""
    return {"ETag": _etag(document)}


class Assets:
    """Answers for everything under `/docs/`, from memory: Swagger UI, and the files of a folder
    that the pages load."""

    def __init__(self, app: Any, *, folder: Path) -> None:
        self.app = app
        swagger_ui = files("flask_swagger_ui") / "dist"
        bodies = {
            name: (swagger_ui / name).read_bytes()
            for name in ("swagger-ui.css", "swagger-ui-bundle.js")
        }
        bodies |= {file.name: file.read_bytes() for file in folder.iterdir()}
        self._assets = {f"/docs/{name}": _asset(name, body) for name, body in bodies.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope[SCOPE_KEY].path.startswith("/docs/"):
            await self.app(scope, receive, send)
            return
        request: Request = scope[SCOPE_KEY]
        request.operation = "docs_asset"
        if request.path not in self._assets:
            raise NotFound
        await send_answer(send, _answer(request, *self._assets[request.path]))


def _answer(request: Request, etag: str, headers: Headers, body: bytes) -> Answer:
    allow = "GET, HEAD, OPTIONS"
    if request.method == "OPTIONS":
        return Answer(204, [(b"allow", allow.encode()), (b"cache-control", b"no-store")], b"")
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(headers={"Allow": allow})
    kept = [(b"etag", etag.encode()), (b"cache-control", b"public, max-age=3600")]
    if is_fresh(request.header(b"if-none-match"), etag):
        return Answer(304, kept, b"")
    return Answer(200, headers + kept, body)


def _asset(name: str, body: bytes) -> tuple[str, Headers, bytes]:
    headers = [
        (b"content-type", _CONTENT_TYPES[Path(name).suffix]),
        (b"content-length", str(len(body)).encode()),
    ]
    return _etag(body), headers, body


def _etag(body: bytes) -> str:
    return quoted(sha256(body).hexdigest()[:32])
