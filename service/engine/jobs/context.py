"""Flask's request context without its routing, so that extensions work and nobody routes twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, lru_cache
from inspect import iscoroutinefunction
from typing import Any

import flask
import flask.ctx
from flask.globals import _cv_request
from flask.sessions import NullSession

from service.engine.call import KEY, Call


class Flask(flask.Flask):
    """A Flask that never matches a URL: the specification's router has done it."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return super().ensure_sync(func) if _is_async(func) else func

    @property
    def tears_requests_down(self) -> bool:
        """Whether anybody wants to know that a request is over."""
        return bool(self.teardown_request_funcs or flask.request_tearing_down.receivers)

    def create_url_adapter(self, request: Any) -> Any:
        return super().create_url_adapter(None) if request is None else None


class RequestContext(flask.ctx.RequestContext):
    """`flask.request`, `flask.g` and `current_app` for one call; it has no body and no session.

    The request is made when somebody asks for it, which saves 5 us where nobody does.
    """

    def __init__(self, app: Flask, call: Call) -> None:
        self.app: Flask = app
        self.url_adapter = None
        self.flashes = None
        self._call = call
        self._session = _NO_SESSION
        self._after_request_functions = []
        self._cv_tokens = []

    def copy(self) -> RequestContext:
        return RequestContext(self.app, self._call)

    @cached_property
    def request(self) -> flask.Request:  # type: ignore[override] # set nowhere
        return self.app.request_class(_environ(self._call))

    def pop(self, exc: BaseException | None = None) -> None:
        if "request" in self.__dict__ or self.app.tears_requests_down:
            super().pop(exc)
        else:
            token, app_context = self._cv_tokens.pop()
            _cv_request.reset(token)
            if app_context:
                app_context.pop(exc)


def _environ(call: Call) -> dict[str, Any]:
    host, port = call.server
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": call.path.encode().decode("latin-1"),
        "QUERY_STRING": call.query.decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": call.ip,
        "wsgi.url_scheme": call.scheme,
        "wsgi.multithread": True,
        KEY: call,
    }
    for name, value in call.headers.items():
        environ[_environ_key(name)] = value.decode("latin-1")
    return environ


_NO_SESSION = NullSession()  # which nothing can be written to
_is_async = cache(iscoroutinefunction)


@lru_cache(256)
def _environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
