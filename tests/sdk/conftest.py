"""The clients that `make sdk` makes."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from openapi.sdk.packages import FACADE, MODULE
from tests.kit.chromium import chromium
from tests.kit.fault_proxy import FaultProxy
from tests.kit.forger import Forger
from tests.kit.generated_clients import generated
from tests.kit.serving import Person, Server, serving
from tests.sdk.runtimes import Node, Python, Runtime, Tabs


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clients are, generated and installed (`tests.kit.generated_clients.generated`)."""
    return generated(tmp_path_factory)


@pytest.fixture(scope="session")
def sdk(clients: Path) -> Iterator[Any]:
    """The package of the Python client."""
    sys.path.insert(0, str(clients / "site"))
    yield importlib.import_module(MODULE)
    sys.path.remove(str(clients / "site"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of a file share."""
    with serving(tmp_path_factory.mktemp("service")) as server:
        yield server


@pytest.fixture
def proxy(service: Server) -> Iterator[FaultProxy]:
    """A proxy without faults in front of that server."""
    with FaultProxy(service.url) as running:
        yield running


@pytest.fixture
def client(sdk: Any) -> Iterator[Callable[..., Any]]:
    """Makes synchronous clients for the address of a service, closed after the test."""
    with ExitStack() as stack:
        yield lambda url, *arguments, **settings: stack.enter_context(
            getattr(sdk, FACADE)(url, *arguments, **settings)
        )


@pytest.fixture
def async_client(sdk: Any) -> Callable[..., Any]:
    """Makes asynchronous clients, which the test closes."""
    return getattr(sdk, f"Async{FACADE}")


@pytest.fixture
def impatient(sdk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that do not wait long before they send a request again."""
    exchange = importlib.import_module(f"{MODULE}.runtime.exchange")
    monkeypatch.setattr(exchange, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def tabs(browser: Browser, clients: Path) -> Iterator[Tabs]:
    """A window of chromium."""
    with browser.new_context() as window:
        yield Tabs(window, clients / "node_modules" / "byline-client" / "dist")


@pytest.fixture(params=["threads", "asyncio", "node", "tabs"])
def runtime(request: pytest.FixtureRequest, clients: Path) -> Iterator[Runtime]:
    """Each place where the clients run."""
    if request.param == "node":
        yield Node(clients)
    elif request.param == "tabs":
        yield request.getfixturevalue("tabs")
    else:
        request.getfixturevalue("sdk")
        yield Python("Threads" if request.param == "threads" else "Tasks")


@pytest.fixture
def expired(anna: Person) -> dict[str, Any]:
    """Anna's tokens, when the access token has expired."""
    return anna.tokens | {"access_token": _expired_token(anna)}


@pytest.fixture
def lapsed(service: Server) -> Person:
    """Somebody whose access token has expired."""
    person = service.sign_up()
    person.tokens["access_token"] = _expired_token(person)
    return person


def _expired_token(person: Person) -> str:
    now = int(time.time())
    return Forger(person).forged(claims={"iat": now - 1000, "exp": now - 100})


@pytest.fixture
def stored(sdk: Any) -> Callable[..., Any]:
    """A store with a person's tokens. To this machine's clock, the access token is good for so many
    seconds."""

    def make(person: Person, url: str, seconds: float) -> Any:
        store, then = sdk.MemoryStore(), time.time() + seconds
        pair = (person.tokens["access_token"], person.tokens["refresh_token"])
        store.save(sdk.Tokens(*pair, renew_at=then, expires_at=then, origin=url))
        return store

    return make
