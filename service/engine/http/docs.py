"""The specification and the pages that show it, with assets of our own: nothing is loaded from
elsewhere, so the pages work offline and under a strict Content-Security-Policy."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.engine.call import KEY, Answer, Call, Headers, send_answer
from service.engine.http.conditional import is_fresh, quoted
from service.engine.problems import MethodNotAllowed, NotFound
from service.engine.spec.specification import PATH, parsed
from service.engine.spec.specification import document as specification

ROOT = Path(__file__).parents[3]
_SERVICE = ROOT / "service"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types 'none'"
_PAGE_HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
# The landing page hands the tokens of mailed links to the API.
HOME_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self'; connect-src 'self'; {_TRUSTED_TYPES}",
    **_PAGE_HEADERS,
}
# Swagger UI fetches the specification, has icons in its style sheet, and sets innerHTML.
DOCS_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}img-src 'self' data:; connect-src 'self'",
    **_PAGE_HEADERS,
}

# A wiring key and what belongs to it: deeper lines, and list items that stand at its own depth.
_WIRING = re.compile(r"^( *)x-[\w-]+:.*\n(?:\n*\1[ -].*\n)*", re.MULTILINE)
_TEMPLATES = Environment(
    loader=FileSystemLoader(_SERVICE / "templates"), autoescape=True, undefined=StrictUndefined
)
_CONTENT_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}


@cache
def public_yaml(root: str = "/") -> bytes:
    """The specification as it is in git, comments and components too, without its `x-` keys.

    `root` is the path under which a proxy serves the API, such as `/byline`.
    """
    public = _WIRING.sub("", PATH.read_text("utf-8")).encode()
    if root == "/":
        return public
    return public.replace(
        b"servers:\n  - url: /\n", b"servers:\n  - url: %b\n" % orjson.dumps(root)
    )


@cache
def public_json(root: str = "/") -> bytes:
    """What `public_yaml` says, as JSON."""
    return orjson.dumps(parsed(public_yaml(root)))


@cache
def document_headers(document: bytes) -> dict[str, str]:
    """The headers that a public document is answered with."""
    return {"ETag": _etag(document)}


@cache
def home_page() -> str:
    """The landing page, in HTML; goes with `HOME_HEADERS`."""
    return _TEMPLATES.get_template("home.html").render(info=specification()["info"])


@cache
def docs_page() -> str:
    """Swagger UI on the public specification, in HTML; goes with `DOCS_HEADERS`."""
    return _TEMPLATES.get_template("docs.html").render(info=specification()["info"])


class Assets:
    """Answers for everything under `/docs/`, from memory: the files that the pages load."""

    def __init__(self, app: Any) -> None:
        self.app = app
        swagger_ui = files("flask_swagger_ui") / "dist"
        bodies = {
            name: (swagger_ui / name).read_bytes()
            for name in ("swagger-ui.css", "swagger-ui-bundle.js")
        }
        bodies |= {file.name: file.read_bytes() for file in (_SERVICE / "static").iterdir()}
        self._assets = {f"/docs/{name}": _asset(name, body) for name, body in bodies.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope[KEY].path.startswith("/docs/"):
            await self.app(scope, receive, send)
            return
        call: Call = scope[KEY]
        call.operation = "docs_asset"
        if call.path not in self._assets:
            raise NotFound
        await send_answer(send, _answer(call, *self._assets[call.path]))


def _answer(call: Call, etag: str, headers: Headers, body: bytes) -> Answer:
    allow = "GET, HEAD, OPTIONS"
    if call.method == "OPTIONS":
        return Answer(204, [(b"allow", allow.encode()), (b"cache-control", b"no-store")], b"")
    if call.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(headers={"Allow": allow})
    kept = [(b"etag", etag.encode()), (b"cache-control", b"public, max-age=3600")]
    if is_fresh(call.header(b"if-none-match"), etag):
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
