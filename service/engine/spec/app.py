"""Connexion's FlaskApp, assembled from this folder's parts instead of its default middlewares."""

from __future__ import annotations

import importlib
from typing import Any

import flask

from service.engine.problems import NotFound, Problem
from service.engine.request import SCOPE_KEY, Stream, send_answer, send_stream
from service.engine.spec.connexion_parts import (
    ROUTING_CONTEXT,
    AbstractApp,
    AbstractOperation,
    FlaskApi,
    FlaskApp,
    FlaskASGIApp,
    LifespanMiddleware,
    Resolution,
    Resolver,
    Specification,
)
from service.engine.spec.operation import Operation, Services


class App(FlaskApp):
    """A FlaskApp around a given Flask application, built at once so that errors show at start.

    `middlewares` are ASGI classes or partials, outermost first, without Connexion's own.
    """

    def __init__(
        self,
        services: Services,
        specification: dict[str, Any],
        *,
        middlewares: list[Any],
        handlers: str,
        lifespan: Any,
    ) -> None:
        self._middleware_app = _Operations(services)
        # Not FlaskApp's __init__, which creates a Flask application of its own.
        AbstractApp.__init__(
            self,
            services.flask.import_name,
            lifespan=lifespan,
            middlewares=[LifespanMiddleware, *middlewares],
            resolver=_TagResolver(handlers),
        )
        self.app = services.flask
        self.add_api(specification)
        middleware = self.middleware
        middleware.app, middleware.middleware_stack = middleware._build_middleware_stack()

    def test_client(self, **options: Any) -> Any:
        """Starlette's TestClient, as in Connexion, which is imported without it here."""
        from starlette.testclient import TestClient

        return TestClient(self, **options)


class _TagResolver(Resolver):
    """Finds `list_tasks` with the tag `tasks` in `<package>.tasks`."""

    def __init__(self, package: str) -> None:
        super().__init__()
        self._package = package

    def resolve(self, operation: AbstractOperation) -> Resolution:
        [tag] = operation._operation["tags"]
        handlers = importlib.import_module(f"{self._package}.{tag}")
        name = operation.operation_id
        return Resolution(getattr(handlers, name), name)


class _Api(FlaskApi):
    def __init__(self, *args: Any, services: Services, **kwargs: Any) -> None:
        self.services = services
        self.operations: dict[str, Operation] = {}
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        made = Operation(operation, self.services)
        self.operations[operation.operation_id] = made
        return made


class _Operations(FlaskASGIApp):
    """The innermost application: runs the operation that the routing has found."""

    def __init__(self, services: Services) -> None:
        self.app: flask.Flask = services.flask
        self._services = services
        self._operations: dict[str, Operation] = {}

    def add_api(self, specification: Specification, **kwargs: Any) -> Any:
        api = _Api(specification, services=self._services, **kwargs)
        self._operations |= api.operations
        self.app.register_blueprint(api.blueprint)
        return api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        routing = scope.get("extensions", {}).get(ROUTING_CONTEXT, {})
        operation = self._operations.get(routing.get("operation_id"))
        if operation is None:
            raise NotFound
        try:
            answer = await operation.answer(scope[SCOPE_KEY], receive)
        except Problem as problem:
            operation.explain(problem)
            raise
        if isinstance(answer, Stream):
            await send_stream(send, receive, answer)
        else:
            await send_answer(send, answer)
