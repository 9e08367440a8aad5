"""An application with one operation, to try out what a specification may declare."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from service.engine.request import SCOPE_KEY, Request
from service.engine.spec.app import App
from service.engine.spec.flask_app import Flask
from service.engine.spec.operation import Services
from service.engine.spec.routing import Routing

IN_PATH = {"name": "thing_id", "in": "path", "required": True, "schema": {"type": "string"}}
BEARER = {"type": "http", "scheme": "bearer", "x-token-type": "at+jwt"}


async def get_thing(thing_id: str) -> dict[str, Any]:
    return {"id": thing_id}


def specification(
    path: str = "/things/{thing_id}",
    method: str = "get",
    schemes: dict[str, Any] | None = None,
    **operation: Any,
) -> dict[str, Any]:
    """A specification of `get_thing`; `operation` adds keys to it or replaces them."""
    declared = {
        "operationId": "get_thing",
        "tags": ["things"],
        "security": [],
        "parameters": [IN_PATH],
        "responses": {"200": {"description": "It.", "content": {"application/json": {}}}},
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Things", "version": "1"},
        "paths": {path: {method: declared | operation}},
        "components": {"securitySchemes": {"token": BEARER, **(schemes or {})}},
    }


def serve(document: dict[str, Any], handler: Callable[..., Any] = get_thing) -> App:
    """The application for a specification with one operation, and its handler."""
    services: Any = Services(
        flask=Flask("tiny", static_folder=None),
        realm="tiny",
        authority=None,  # type: ignore[arg-type]
        caller=None,  # type: ignore[arg-type] # public
        kept_answers=None,  # type: ignore[arg-type] # no key
        limits=SimpleNamespace(of_operation=lambda _: [], count=_count),  # type: ignore[arg-type]
        pools={"requests": None},  # type: ignore[dict-item]
    )
    parts: Any = {"middlewares": [_Calls, Routing], "handlers": "tiny", "lifespan": _lifespan}
    with patch.dict(sys.modules, {"tiny.things": SimpleNamespace(get_thing=handler)}):
        return App(services, document, **parts)


class _Calls:
    """Does what telemetry and front door do for the layers inside them."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope[SCOPE_KEY] = Request(scope)
            scope[SCOPE_KEY].headers = dict(scope["headers"])
        await self.app(scope, receive, send)


def _lifespan(_app: Any) -> Any:
    return nullcontext()


async def _count(*_: Any) -> None:
    pass
