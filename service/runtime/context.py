"""Flask's request context without its routing, so that extensions work and nobody routes twice."""

from __future__ import annotations

from typing import Any

import flask
import flask.ctx

from service.web.call import KEY, Call


class Flask(flask.Flask):
    """A Flask that never matches a URL: the specification's router has done it."""

    def create_url_adapter(self, request: Any) -> Any:
        return super().create_url_adapter(None) if request is None else None


class RequestContext(flask.ctx.RequestContext):
    """`flask.request`, `flask.g` and `current_app` for one call; it has no body to read."""

    def __init__(self, app: flask.Flask, call: Call) -> None:
        super().__init__(app, _environ(call))


def _environ(call: Call) -> dict[str, Any]:
    host, port = call.scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": call.path.encode().decode("latin-1"),
        "QUERY_STRING": call.query.decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": call.ip,
        "wsgi.url_scheme": call.scope.get("scheme", "http"),
        "wsgi.multithread": True,
        KEY: call,
    }
    for name, value in call.headers.items():
        key = name.decode("latin-1").upper().replace("-", "_")
        prefix = "" if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_"
        environ[prefix + key] = value.decode("latin-1")
    return environ
