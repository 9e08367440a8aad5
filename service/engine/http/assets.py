"""Answers beside the operations of the specification: Swagger UI, the files that pages load, pages
of text, and redirects from addresses that people guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from service.engine.http.conditional import is_fresh
from service.engine.http.docs import TEXT_HEADERS, etag
from service.engine.problems import MethodNotAllowed
from service.engine.request import SCOPE_KEY, Answer, Request, encoded, send_answer

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ALLOW = "GET, HEAD, OPTIONS"

Asset = Answer | Callable[[], Answer]  # or what makes it when it is asked for


class Assets:
    """Answers for the paths of `assets`, which are the same for everybody."""

    def __init__(self, app: Any, *, assets: Mapping[str, Asset]) -> None:
        self.app = app
        self._assets = assets

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope[SCOPE_KEY].path not in self._assets:
            await self.app(scope, receive, send)
            return
        request: Request = scope[SCOPE_KEY]
        request.operation = "docs_asset"
        await send_answer(send, self._answer(request))

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(204, encoded({"Allow": _ALLOW, "Cache-Control": "no-store"}), b"")
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(headers={"Allow": _ALLOW})
        asset = self._assets[request.path]
        answer = asset() if callable(asset) else asset
        tag = dict(answer.headers).get(b"etag")  # not made anew: the body may be large
        if tag is not None and is_fresh(request.header(b"if-none-match"), tag.decode()):
            kept = [header for header in answer.headers if header[0] in {b"etag", b"cache-control"}]
            return Answer(304, kept, b"")
        return answer


def swagger_ui() -> dict[str, Asset]:
    """Swagger UI's own files, under `/docs/`, which are read when they are first asked for."""
    dist = files("flask_swagger_ui") / "dist"

    @cache  # 2 MB, which most processes are never asked for
    def read(name: str) -> Answer:
        return _file(name, (dist / name).read_bytes())

    names = ("swagger-ui.css", "swagger-ui-bundle.js")
    found: dict[str, Asset] = {f"/docs/{name}": partial(read, name) for name in names}
    return {**found, "/docs/": redirect("../docs")}


def folder(path: Path) -> dict[str, Asset]:
    """The style sheets, scripts and images in a folder, under `/docs/`. Browsers get `favicon.svg`
    as `/favicon.ico` too."""
    names = [file.name for file in path.iterdir() if file.suffix in _CONTENT_TYPES]
    found = {f"/docs/{name}": _file(name, (path / name).read_bytes()) for name in names}
    icon = {"/favicon.ico": redirect("docs/favicon.svg")} if "favicon.svg" in names else {}
    return {**found, **icon}


def page(make: Callable[[], str]) -> Asset:
    """A page of text and links in HTML, which is made when it is first asked for."""

    @cache
    def made() -> Answer:
        return _complete(make().encode(), "text/html; charset=utf-8", TEXT_HEADERS)

    return made


def redirect(location: str) -> Asset:
    """A redirect for good; the location is relative, for proxies that add a prefix."""
    cached = "public, max-age=3600"
    return Answer(308, encoded({"Location": location, "Cache-Control": cached}), b"")


def _file(name: str, body: bytes) -> Answer:
    cached = {"Cache-Control": "public, max-age=3600"}
    return _complete(body, _CONTENT_TYPES[Path(name).suffix], cached)


def _complete(body: bytes, content_type: str, headers: Mapping[str, str]) -> Answer:
    own = {"Content-Type": content_type, "Content-Length": str(len(body)), "ETag": etag(body)}
    return Answer(200, encoded({**own, **headers}), body)
