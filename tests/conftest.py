"""A real server for every test: uvicorn on a free port, on SQLite and on PostgreSQL."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvloop

from service.domain import passwords
from service.engine import assemble
from service.engine.limits import memory as windows
from service.engine.work.background import Background
from tests.kit import citus, databases, shared_starts, waking
from tests.kit.hashing import DUMMY, HASHER, LIGHT, LIGHT_DUMMY, Prepared
from tests.kit.loops import StrictLoop
from tests.kit.serving import PASSWORD, Person, Server, serving

pytest_plugins = ["tests.kit.order", "tests.kit.verdict"]

NEW = {"postgresql": databases.postgresql}
if citus.CLUSTER:
    NEW["citus"] = partial(citus.distributed, "citus")
_WHOLE_HEAP = ("collect", "freeze", "unfreeze")
gc.disable()  # until all tests are collected, which leaves no garbage and takes a quarter less


@pytest.fixture(scope="session", autouse=True)
def _light_hashing() -> Iterator[None]:
    """Argon2id as it is, but for its cost, which would be half of the suite's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", LIGHT)
        patch.setattr(passwords, "_DUMMY", LIGHT_DUMMY)
        yield


@pytest.fixture(scope="session", autouse=True)
def _the_same_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shared_starts.share(patch.setattr)
        yield


@pytest.fixture(scope="session", autouse=True)
def _background_work_is_known() -> Iterator[None]:
    """To `tests.kit.waking.wake`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Background, "start", waking.remembered(Background.start))
        yield


@pytest.fixture(scope="session", autouse=True)
def _loops_that_jobs_leave_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvloop, "new_event_loop", StrictLoop)
        yield


@pytest.fixture(scope="session", autouse=True)
def _tests_skipped_by_the_collector() -> Iterator[None]:
    """A service collects garbage at its start, and again looks at everything after its end. Here
    that would be the ten thousand tests, each of the hundreds of times."""
    collector = SimpleNamespace(**{**vars(gc), **dict.fromkeys(_WHOLE_HEAP, lambda: None)})
    gc.collect()
    gc.freeze()
    gc.enable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "gc", collector)
        yield
    # Not thawed: pytest's search for lost exceptions and the interpreter's end collect ten times.


@pytest.fixture
def hashing_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost that a password has in service, for tests of it."""
    monkeypatch.setattr(passwords, "_hasher", HASHER)
    monkeypatch.setattr(passwords, "_DUMMY", DUMMY)


@pytest.fixture(scope="session")
def _prepared() -> Prepared:
    return Prepared(PASSWORD)


@pytest.fixture
def races_hashing_in_full(monkeypatch: pytest.MonkeyPatch, _prepared: Prepared) -> None:
    """The same during races, whose windows it opens (`at_once`); what prepares them is cheap."""
    monkeypatch.setattr(passwords, "_hasher", _prepared)
    monkeypatch.setattr(passwords, "_DUMMY", DUMMY)


@pytest.fixture(autouse=True)
def _standing_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window of a limit ends during a test: at its edge there is room for one more."""
    moment = time.time()
    monkeypatch.setattr(windows, "time", SimpleNamespace(time=lambda: moment))


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Starts a server on a database, once in a process; a fixture with parameters would end it
    whenever a file goes on to the other database."""
    with ExitStack() as stack:

        @cache
        def _start(database: str) -> Server:
            own = {} if database == "sqlite" else {"database_url": NEW[database]()}
            return stack.enter_context(serving(tmp_path_factory.mktemp(database), **own))

        yield _start


@pytest.fixture(scope="session", params=["sqlite", *NEW])
def server(request: pytest.FixtureRequest, _servers: Callable[[str], Server]) -> Server:
    """The server that most tests share, without limits, once on each database; on a cluster too if
    TEST_CITUS_URL names one."""
    return _servers(request.param)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of the test's own: `serve(rate_limit_enabled=True)`; on SQLite, or where
    SERVE_ON=postgresql asks for it, on PostgreSQL."""
    is_embedded = os.environ.get("SERVE_ON", "sqlite") == "sqlite"
    own = {} if is_embedded else {"database_url": databases.postgresql()}
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **own | settings))


@pytest.fixture
def anonymous(server: Server) -> Iterator[httpx.Client]:
    """A client without a token."""
    with server.client() as client:
        yield client


@pytest.fixture
def anna(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture
def ben(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture
def admin(server: Server) -> Person:
    return server.make_admin(server.sign_up())
