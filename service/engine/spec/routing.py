"""The only router: a table built from the specification. A path not in it is a 404.

Replaces Connexion's RoutingMiddleware, whose Starlette router walks every route in order of
declaration, and with which Werkzeug's router may disagree. Saves about 15 us a request.
"""

from __future__ import annotations

from typing import Any

from service.engine.http.occasional import Occasional
from service.engine.problems import MethodNotAllowed, NotFound
from service.engine.request import SCOPE_KEY, Answer, Request, send_answer
from service.engine.spec.connexion_parts import ROUTING_CONTEXT, Specification, SpecMiddleware

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
Operations = dict[str, str]  # method in upper case -> operationId


class Routes:
    """Finds operations by path: static paths in a dict, templates by number of segments."""

    def __init__(self, paths: dict[str, Any]) -> None:
        self._static: dict[str, Operations] = {}
        self._templated: dict[int, list[_Template]] = {}
        for path, item in paths.items():
            operations = {m.upper(): item[m]["operationId"] for m in METHODS if m in item}
            segments = [_literal(segment, path) for segment in path.split("/")]
            if None in segments:
                template = _Template(segments, operations)
                self._templated.setdefault(len(segments), []).append(template)
            else:
                self._static[path] = operations

    def find(self, path: str) -> tuple[Operations, tuple[str, ...]]:
        """The operations at a path by method, and the values of its parameters in order.

        Static paths win over templates, in whatever order they are declared. Raises `NotFound`.
        """
        if operations := self._static.get(path):
            return operations, ()
        given = path.split("/")
        for template in self._templated.get(len(given), ()):
            if values := template.match(given):
                return template.operations, values
        raise NotFound


class _Template:
    """A path with parameters, which are None among its segments."""

    def __init__(self, segments: list[str | None], operations: Operations) -> None:
        self.operations = operations
        self._literals = [(place, text) for place, text in enumerate(segments) if text is not None]
        self._values = [place for place, text in enumerate(segments) if text is None]

    def match(self, given: list[str]) -> tuple[str, ...] | None:
        """The values of the parameters, none of them empty, if the path matches."""
        for place, text in self._literals:
            if given[place] != text:
                return None
        values = tuple([given[place] for place in self._values])
        return values if all(values) else None


class Routing(SpecMiddleware):
    """Finds the operation and notes it in the scope, as Connexion's own routing does."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._routes = Routes({})
        self._preflights = Occasional("Refused the origin %r, because CORS_ORIGINS is not set.")

    def add_api(self, specification: Specification, **_: Any) -> None:
        self._routes = Routes(specification["paths"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request: Request = scope[SCOPE_KEY]
        operations, request.path_values = self._routes.find(request.path)
        found = operations.get(request.method)
        if found is None and request.method == "HEAD":
            found = operations.get("GET")
        if found is None:
            allow = ", ".join(_allowed(operations))
            if request.method == "OPTIONS":
                if b"access-control-request-method" in request.headers:  # CORS_ORIGINS is empty
                    self._preflights.warn(request.header(b"origin") or "")
                headers = [(b"allow", allow.encode()), (b"cache-control", b"no-store")]
                await send_answer(send, Answer(204, headers, b""))
                return
            raise MethodNotAllowed(headers={"Allow": allow})
        request.operation = found
        scope.setdefault("extensions", {})[ROUTING_CONTEXT] = {
            "api_base_path": "",
            "operation_id": found,
        }
        await self.app(scope, receive, send)


def _literal(segment: str, path: str) -> str | None:
    """The segment, or None if it is a parameter, which must be a whole segment."""
    if "{" not in segment:
        return segment
    if not (segment.startswith("{") and segment.endswith("}") and segment.count("{") == 1):
        raise ValueError(f"{path}: a path parameter has to be a whole segment")
    return None


def _allowed(operations: Operations) -> list[str]:
    head = ["HEAD"] if "GET" in operations else []
    return sorted({*operations, *head, "OPTIONS"})
