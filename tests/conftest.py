"""A real server for every test: uvicorn on a free port, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from argon2 import PasswordHasher
from connexion.spec import OpenAPISpecification
from httpx._transports import default
from sqlalchemy import update

from service import migrations
from service.application import create_app
from service.domain import passwords
from service.engine.database.transaction import db
from service.engine.limits import memory as windows
from service.engine.serve.server import UVICORN
from service.engine.tokens.keys import generate_key
from service.models import User
from service.settings import Settings
from tests import postgres
from tests.mailbox import Mailbox
from tests.traffic import SUITE, Recorder, Traffic

pytest_plugins = ["tests.verdict"]

PASSWORD = "correct horse battery staple"
HASHER, DUMMY = passwords._hasher, passwords._DUMMY


class _Shared(httpx.HTTPTransport):
    """Connections that outlive the clients which use them, so that no test has to close its own."""

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass

    def end(self) -> None:
        super().close()


@dataclass
class Server:
    """A running Byline: where it listens, and its Flask application to look behind the answers."""

    url: str
    flask: Any
    settings: Settings
    transport: _Shared = field(default_factory=_Shared)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.settings.mail_dir)

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A client of its own; `token` goes along as bearer."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.url, headers=bearer | headers, timeout=30, transport=self.transport
        )

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement on the server's database and commit it; the rows, if it gives any."""
        with self.flask.app_context(), db.transaction() as transaction:
            result = transaction.connection().execute(statement, parameters)
            rows = result.all() if result.returns_rows else None
            transaction.commit()
        return rows

    def sign_up(self, **fields: str) -> Person:
        """A new user, registered and signed in."""
        name = secrets.token_hex(6)
        known = {"email": f"{name}@example.com", "password": PASSWORD, "username": f"u-{name}"}
        known |= fields
        with self.client() as anonymous:
            account = anonymous.post("/auth/register", json=known)
            assert account.status_code == 201, account.text
        return self.sign_in(known["email"], known["password"])

    def sign_in(self, email: str, password: str = PASSWORD) -> Person:
        """A new session of a user."""
        with self.client() as anonymous:
            answer = anonymous.post("/auth/login", json={"email": email, "password": password})
            assert answer.status_code == 200, answer.text
        return Person(self, email, password, answer.json())

    def verify(self, person: Person) -> Person:
        self.execute(update(User).where(User.id == person.id).values(email_verified=True))
        return person

    def make_admin(self, person: Person) -> Person:
        self.verify(person)
        self.execute(update(User).where(User.id == person.id).values(role="admin"))
        return person


@dataclass
class Person:
    """A signed-in user; `http` sends the access token along."""

    server: Server
    email: str
    password: str
    tokens: dict[str, Any]
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = self.server.client(self.tokens["access_token"])

    @property
    def id(self) -> str:
        return self.tokens["user"]["id"]

    @property
    def username(self) -> str:
        return self.tokens["user"]["username"]

    def post(self, title: str = "A title", content: str = "Some words.") -> dict[str, Any]:
        """A new post of this user."""
        answer = self.http.post("/api/posts", json={"title": title, "content": content})
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextmanager
def serving(
    folder: Path, *, is_migrated: bool = False, traffic: Traffic = SUITE, **settings: Any
) -> Iterator[Server]:
    """A server with these settings; on an SQLite file in `folder` unless they name a database."""
    settings = {
        "database_url": f"sqlite:///{folder}/byline.db",
        "jwt_keys_dir": folder / "keys",
        "mail_dir": folder / "mail",
        "rate_limit_enabled": False,
        "hash_threads": 2,
        "log_level": "WARNING",
        "log_format": "json",
        **settings,
    }
    configured = Settings(_env_file=None, **settings)
    if not list(configured.jwt_keys_dir.glob("*.pem")):
        generate_key(configured.jwt_keys_dir)
    app = create_app(configured)
    if not is_migrated:
        with app.app.app_context():
            migrations.upgrade(db.engine)
    recorded = Recorder(app, traffic)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(recorded, log_level="warning", **UVICORN))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.listen()  # connections wait in the backlog until the server takes them
        running = Server(url, app.app, configured)
        try:
            yield running
        finally:
            running.transport.end()
            server.should_exit = True
            thread.join()
            with app.app.app_context():
                db.engine.dispose()


@pytest.fixture(scope="session", autouse=True)
def _light_hashing() -> Iterator[None]:
    """Argon2id as it is, but for its cost, which would be half of the suite's."""
    light = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    dummy = passwords._DUMMY.replace("m=19456,t=2", "m=64,t=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", light)
        patch.setattr(passwords, "_DUMMY", dummy)
        yield


@pytest.fixture(scope="session", autouse=True)
def _the_same_made_once() -> Iterator[None]:
    """Certificates for clients, and Connexion's verdict on a specification: most of what a server's
    start and a client's would cost each of the suite's hundreds."""
    validate: Callable[[Any], None] = OpenAPISpecification._validate_spec
    valid: set[bytes] = set()

    def _validate_once(specification: Any) -> None:
        if (content := orjson.dumps(specification)) not in valid:
            validate(specification)
            valid.add(content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenAPISpecification, "_validate_spec", staticmethod(_validate_once))
        patch.setattr(default, "create_ssl_context", cache(default.create_ssl_context))
        yield


@pytest.fixture
def hashing_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost that a password has in service, for tests of it, and of races that it opens."""
    monkeypatch.setattr(passwords, "_hasher", HASHER)
    monkeypatch.setattr(passwords, "_DUMMY", DUMMY)


@pytest.fixture(autouse=True)
def _standing_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window of a limit ends during a test: at its edge there is room for one more."""
    moment = time.time()
    monkeypatch.setattr(windows, "time", SimpleNamespace(time=lambda: moment))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    """The server that most tests share, without limits, once on each database."""
    folder = tmp_path_factory.mktemp(request.param)
    own = {} if request.param == "sqlite" else {"database_url": postgres.start()}
    with serving(folder, **own) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of the test's own: `serve(rate_limit_enabled=True)`; on SQLite, or where
    SERVE_ON=postgresql asks for it, on PostgreSQL."""
    is_embedded = os.environ.get("SERVE_ON", "sqlite") == "sqlite"
    own = {} if is_embedded else {"database_url": postgres.start()}
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
