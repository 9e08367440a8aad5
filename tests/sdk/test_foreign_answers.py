"""What proxies and gateways answer instead of the service, as the Python client tells it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import signature
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from openapi.sdk.packages import MODULE
from service.engine.spec.client_names import client_names
from service.specification import specification

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
JSON, PAGE = "application/json", "text/html"
# status, media type, body: what nginx, Cloudflare, API gateways and captive portals send.
FOREIGN = [
    (502, PAGE, HTML),
    (504, PAGE, b""),
    (503, None, b""),
    (429, "text/plain", b"slow down"),
    (520, PAGE, b"error code: 520"),
    (403, JSON, b'{"message": "Forbidden"}'),
    (401, JSON, b"null"),
    (400, "application/problem+json", b'{"type": "about:blank", "status": 400}'),
    (400, "application/problem+json", b'{"code": "invalid-request", "status": 400, "errors": [0]}'),
    (413, PAGE, b"\xff\xfe<html>"),
    (301, PAGE, HTML),
    (200, PAGE, b"<html>Sign in to this network</html>"),
    (200, JSON, b'"maintenance"'),
    (200, JSON, b""),
    (599, JSON, b"[[[[[[[["),
]
OPERATIONS = [
    (operation["tags"][0], operation["operationId"])
    for item in specification.document["paths"].values()
    for operation in item.values()
]
METHODS = [(tag, name) for tag, name in OPERATIONS if name in client_names(specification.document)]


@pytest.fixture
def package(clients: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The parts of the Python client by their names."""
    monkeypatch.syspath_prepend(clients / "site")
    return lambda name="": importlib.import_module(f"byline_client{name}")


@pytest.fixture(scope="module")
def gateway() -> Iterator[SimpleNamespace]:
    """A server that answers everything with what `answer` is at the moment."""
    place = SimpleNamespace(answer=FOREIGN[0])

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, media, body = place.answer
            self.send_response(status, "No reason")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Gateway", "edge-7")
            if media:
                self.send_header("Content-Type", media)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = Thread(target=server.serve_forever)
    thread.start()
    place.url = f"http://127.0.0.1:{server.server_port}"
    yield place
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("answer", FOREIGN, ids=lambda answer: f"{answer[0]} {answer[2][:9]!r}")
def test_an_answer_of_a_gateway_is_one_documented_exception(
    answer: tuple[int, str | None, bytes], gateway: SimpleNamespace, package: Any
) -> None:
    gateway.answer = answer
    list_users, errors = package(".api.users.list_users"), package(".errors")
    client = package().Client(gateway.url)

    raised = []
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        list_users.sync(client=client)
    raised.append(caught.value)
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        asyncio.run(list_users.asyncio_detailed(client=client))
    raised.append(caught.value)

    for error in raised:
        assert (error.status, error.body) == (answer[0], answer[2])
        assert error.headers["X-Gateway"] == "edge-7"
        assert str(answer[0]) in str(error)


@pytest.mark.parametrize(("tag", "name"), OPERATIONS)
def test_every_operation_returns_a_value_or_raises_that_exception(
    tag: str, name: str, package: Any
) -> None:
    operation, errors = package(f".api.{tag}.{name}"), package(".errors")
    client = package().Client("http://127.0.0.1")
    for status, media, body in FOREIGN:
        answer = httpx.Response(status, content=body, headers={"Content-Type": media or ""})
        try:
            parsed = operation._build_response(client=client, response=answer).parsed
        except errors.UnexpectedAnswer:
            continue
        # A document whose content is not described may be anything.
        assert status == 200, (name, status)
        assert not type(parsed).__module__.startswith("byline_client.models.problem")


@pytest.mark.parametrize(("tag", "name"), METHODS)
def test_every_method_raises_that_exception(
    tag: str, name: str, sdk: Any, client: Callable[..., Any]
) -> None:
    operation = importlib.import_module(f"{MODULE}.api.{tag}.{name}").OPERATION
    for status, media, body in FOREIGN:
        answer = httpx.Response(status, content=body, headers={"Content-Type": media or ""})
        with httpx.Client(transport=httpx.MockTransport(lambda _, answer=answer: answer)) as http:
            calls = client("http://127.0.0.1", "token", http=http, retries=0)._calls
            with pytest.raises(sdk.UnexpectedAnswer) as raised:
                calls.call(operation, {"method": "get", "url": "/"})
        assert (raised.value.status, raised.value.body) == (status, body)


@pytest.mark.parametrize("client", ["Client", "AuthenticatedClient"])
def test_a_client_has_no_option_that_changes_nothing(client: str, package: Any) -> None:
    assert "raise_on_unexpected_status" not in signature(getattr(package(), client)).parameters
