"""The clients that `make sdk` makes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from openapi.sdk.packages import FACADE, MODULE
from tests.kit.generated_clients import generated
from tests.kit.serving import Server, serving


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
