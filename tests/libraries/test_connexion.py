"""What service/engine/spec relies on inside Connexion and Flask: a test that fails here after an
upgrade names what to look at before anything else is debugged."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask
import flask.ctx
import httpx
import pytest
from connexion.apps.flask import FlaskApi, FlaskApp, FlaskASGIApp, FlaskOperation
from connexion.middleware import ConnexionMiddleware
from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import Resolution, Resolver

from service.engine.spec import app as runtime_app
from service.engine.spec.flask_app import Flask
from tests.kit import one_operation

ROOT = Path(__file__).parents[2]


def ask(app: Any, path: str = "/things/7") -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tiny") as client:
            return await client.get(path)

    return asyncio.run(get())


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The operation that Connexion hands over for a specification full of references."""
    seen = []
    monkeypatch.setattr(runtime_app, "Operation", lambda operation, _: seen.append(operation))
    thing = {"type": "object", "properties": {"colour": {"type": "string"}}}
    document = one_operation.specification(
        **{
            "method": "post",
            "x-worker-pool": "requests",
            "parameters": [{"$ref": "#/components/parameters/Colour"}],
            "requestBody": {"$ref": "#/components/requestBodies/Thing"},
            "responses": {"200": {"$ref": "#/components/responses/Thing"}},
            "security": [{"token": []}],
        }
    )
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    document["components"] |= {
        "schemas": {"Thing": thing},
        "parameters": {"Colour": {"name": "colour", "in": "query", "schema": {"type": "string"}}},
        "requestBodies": {"Thing": {"content": content}},
        "responses": {"Thing": {"description": "It.", "content": content}},
    }
    [item] = document["paths"].values()
    item["parameters"] = [one_operation.IN_PATH]
    one_operation.serve(document)
    [operation] = seen
    return operation


def test_flask_app_still_keeps_its_application_and_takes_ours() -> None:
    app = one_operation.serve(one_operation.specification())
    assert isinstance(app, FlaskApp)
    assert isinstance(app.app, Flask), "FlaskApp.app was the Flask application"
    assert isinstance(app._middleware_app, FlaskASGIApp), "AbstractApp wrapped _middleware_app"
    assert isinstance(app.middleware, ConnexionMiddleware), "AbstractApp.middleware was the stack"
    assert ask(app).json() == {"id": "7"}


def test_build_middleware_stack_still_gives_the_outermost_and_all() -> None:
    app = one_operation.serve(one_operation.specification())
    built = app.middleware._build_middleware_stack.__func__(_Stack())
    assert built == ("outer(inner)", ["outer(inner)", "inner"]), (
        "ConnexionMiddleware._build_middleware_stack() returned (outermost, [outermost, ...])"
    )


class _Stack:
    """As much of a ConnexionMiddleware as building its stack takes."""

    app = "inner"
    middlewares = (lambda app: f"outer({app})",)
    lifespan = None
    apis: tuple[Any, ...] = ()
    error_handlers: tuple[Any, ...] = ()


def test_a_stack_that_is_built_is_still_not_built_again(monkeypatch: Any) -> None:
    app = one_operation.serve(one_operation.specification())
    monkeypatch.setattr(ConnexionMiddleware, "_build_middleware_stack", None)
    assert ask(app).status_code == 200, (
        "ConnexionMiddleware built its stack only while `middleware_stack` was None"
    )


def test_only_the_given_middlewares_are_still_in_the_stack() -> None:
    stack = one_operation.serve(one_operation.specification()).middleware.middleware_stack
    assert [type(layer).__name__ for layer in stack] == [
        *["LifespanMiddleware", "_Calls", "Routing", "_Operations"]
    ], "`middlewares=` replaced Connexion's own; any that it adds would validate a second time"


def test_lifespan_is_still_passed_by_name() -> None:
    assert "lifespan" in inspect.signature(LifespanMiddleware).parameters, (
        "LifespanMiddleware took the lifespan as `lifespan=`"
    )


def test_a_spec_middleware_still_gets_the_specification(monkeypatch: Any) -> None:
    seen: list[Any] = []
    record = lambda _, specification, **more: seen.append(specification)  # noqa: E731
    monkeypatch.setattr(runtime_app._Operations, "add_api", record)
    one_operation.serve(one_operation.specification())
    assert issubclass(runtime_app._Operations, SpecMiddleware)
    [specification] = seen
    assert list(specification["paths"]) == ["/things/{thing_id}"], (
        "SpecMiddleware.add_api(specification, **kwargs) was called once an API, and the "
        "specification had `paths`"
    )


def test_make_operation_is_still_called_once_an_operation(monkeypatch: Any) -> None:
    made: list[str] = []
    original = runtime_app._Api.make_operation

    def record(self: Any, operation: Any) -> Any:
        made.append(operation.operation_id)
        return original(self, operation)

    monkeypatch.setattr(runtime_app._Api, "make_operation", record)
    one_operation.serve(one_operation.specification())
    assert issubclass(runtime_app._Api, FlaskApi)
    assert made == ["get_thing"], "FlaskApi.make_operation made the view function of an operation"


def test_the_resolver_still_finds_the_handler(declared: Any) -> None:
    assert list(inspect.signature(Resolver.resolve).parameters) == ["self", "operation"]
    assert list(inspect.signature(Resolution).parameters) == ["function", "operation_id"]
    found = declared.function
    assert found is one_operation.get_thing, "AbstractOperation.function was what it resolved to"


def test_an_operation_still_shows_its_own_paragraph(declared: Any) -> None:
    assert declared._operation["x-worker-pool"] == "requests", (
        "AbstractOperation._operation was the paragraph of the specification, x- keys included"
    )
    assert declared._operation["tags"] == ["things"]


def test_an_operation_still_has_its_names(declared: Any) -> None:
    assert declared.operation_id == "get_thing"
    assert declared.method == "post", "AbstractOperation.method was in lower case"
    assert declared.path == "/things/{thing_id}", "AbstractOperation.path was the template"


def test_an_operation_still_has_its_parameters_resolved_and_those_of_its_path(
    declared: Any,
) -> None:
    assert sorted(parameter["name"] for parameter in declared.parameters) == ["colour", "thing_id"]
    assert all("$ref" not in parameter for parameter in declared.parameters)


def test_an_operation_still_has_its_body_and_answers_without_references(declared: Any) -> None:
    for holder in (declared.request_body, declared.responses["200"]):
        schema = holder["content"]["application/json"]["schema"]
        assert schema["properties"] == {"colour": {"type": "string"}}, (
            "AbstractOperation.request_body and .responses came with all references resolved"
        )


def test_an_operation_still_has_its_security_and_the_schemes(declared: Any) -> None:
    assert declared.security == [{"token": []}]
    assert declared.security_schemes["token"]["x-token-type"] == "at+jwt"


def test_the_security_of_the_document_is_still_that_of_an_operation_without(
    monkeypatch: Any,
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(runtime_app, "Operation", lambda operation, _: seen.append(operation))
    document = one_operation.specification()
    [item] = document["paths"].values()
    del item["get"]["security"]
    one_operation.serve(document | {"security": [{"token": []}]})
    assert [operation.security for operation in seen] == [[{"token": []}]], (
        "an operation without `security` of its own had the document's; now it might be public"
    )


def test_a_flask_operation_still_keeps_function_and_name() -> None:
    made = FlaskOperation(one_operation.get_thing, None, "get_thing", False)
    assert made._fn is one_operation.get_thing, "FlaskOperation kept the handler as _fn"
    assert made.operation_id == "get_thing"


def test_the_routing_context_still_has_its_name() -> None:
    assert ROUTING_CONTEXT == "connexion_routing", (
        "scope['extensions'][ROUTING_CONTEXT] told the layers below which operation was found"
    )


def test_a_specification_is_still_left_as_it_was() -> None:
    document = one_operation.specification()
    one_operation.serve(document)
    assert document == one_operation.specification()


def test_flask_still_asks_create_url_adapter_and_matches_nothing_without_one() -> None:
    asked: list[Any] = []

    class Recording(flask.Flask):
        def create_url_adapter(self, request: Any) -> Any:
            asked.append(request)
            return None

    app = Recording("tiny", static_folder=None)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "a", "SERVER_PORT": "80"}
    with flask.ctx.RequestContext(app, environ | {"wsgi.url_scheme": "http"}) as context:
        assert context.request in asked, "RequestContext(app, environ) asked create_url_adapter"
        assert context.request.url_rule is None, "without a URL adapter Flask matched nothing"
        assert context.request.routing_exception is None
        assert flask.current_app == app, "RequestContext pushed an application context too"


def test_our_flask_still_matches_no_url_but_builds_some() -> None:
    app = Flask("tiny", static_folder=None)
    app.config["SERVER_NAME"] = "localhost"
    assert app.create_url_adapter(object()) is None
    assert app.create_url_adapter(None) is not None


def test_flask_reached_by_its_own_routing_still_runs_no_handler() -> None:
    app = one_operation.serve(one_operation.specification())
    flask_app = flask.Flask("other", static_folder=None)
    for view in app.app.view_functions.values():
        flask_app.add_url_rule("/things/<thing_id>", view_func=view, endpoint="thing")
    flask_app.testing = True
    with pytest.raises(Exception, match="Something went wrong"):
        flask_app.test_client().get("/things/7")


def test_importing_still_writes_nothing() -> None:
    command = [sys.executable, "-c", "import service.engine.spec.app"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == "", (
        "Starlette worded its warning as service.engine.spec has it"
    )
