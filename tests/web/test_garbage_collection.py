"""Memory that a request or an application leaves behind."""

from __future__ import annotations

import gc
import secrets
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.engine.request import Request
from tests.kit.serving import PASSWORD, Person, Server, serving


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/api/users", 200),
        ("GET", "/auth/me", 200),
        ("POST", "/auth/register", 201),
        ("POST", "/auth/logout", 204),
        ("GET", "/auth/export", 200),
        ("GET", "/api/users/01a20411-99fb-7f52-8c1d-e9604b7a35d2", 404),
        ("GET", "/api/users?limit=x", 400),
        ("GET", "/nowhere", 404),
    ],
)
@pytest.mark.usefixtures("_no_collector")
def test_a_finished_request_is_freed_without_the_garbage_collector(
    method: str, path: str, status: int, server: Server, anna: Person
) -> None:
    own = secrets.token_hex(12)

    def is_known() -> bool:
        calls = [thing for thing in gc.get_objects() if isinstance(thing, Request)]
        return any(call.request_id == own for call in calls)

    account = {"email": f"{own}@example.com", "password": PASSWORD}
    body = account if path == "/auth/register" else None
    with httpx.Client(base_url=server.url, headers=anna.http.headers) as client:
        client.headers["X-Request-Id"] = own
        assert client.request(method, path, json=body).status_code == status
    deadline = time.monotonic() + 10
    while is_known():  # the server has sent the answer, and is about to forget it
        assert time.monotonic() < deadline


def test_a_stopped_application_can_be_garbage_collected(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        running.sign_up()
        application = weakref.ref(running.flask)
    del running
    gc.collect()
    assert application() is None
