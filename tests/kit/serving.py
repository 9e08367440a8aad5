"""A real server for a test: uvicorn on a free port, and its users."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import update

from service.application import create_app
from service.engine.database.transaction import db
from service.engine.serve.server import UVICORN
from service.engine.tokens.keys import generate_key
from service.models import User
from service.settings import Settings
from tests.kit import databases
from tests.kit.mailbox import Mailbox
from tests.kit.traffic import SUITE, Recorder, Traffic

PASSWORD = "correct horse battery staple"


class _Shared(httpx.HTTPTransport):
    """Connections that outlive the clients that use them, so that no test has to close any."""

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass

    def end(self) -> None:
        super().close()


@dataclass
class Service:
    """A running service: its address, and its Flask application to look inside."""

    url: str
    flask: Any
    settings: Any
    transport: _Shared = field(default_factory=_Shared)

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A new client, which sends `token` as bearer token."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.url, headers=bearer | headers, timeout=60, transport=self.transport
        )

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement on the server's database and commit it; its rows, if any."""
        with self.flask.app_context(), db.transaction() as transaction:
            result = transaction.connection().execute(statement, parameters)
            rows = result.all() if result.returns_rows else None
            transaction.commit()
        return rows


@dataclass
class Server(Service):
    """A running Byline."""

    settings: Settings

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.settings.mail_dir)

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
        """Sign a user in, in a new session."""
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
    """A signed-in user; `http` sends the access token."""

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

    def post(self, title: str = "A title", content: str = "Some words.") -> dict[str, Any]:  # posts
        """Create a post of this user."""
        answer = self.http.post("/api/posts", json={"title": title, "content": content})
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextmanager
def serving(
    folder: Path,
    *,
    is_migrated: bool = False,
    traffic: Traffic = SUITE,
    around: Callable[[Any], Any] = lambda app: app,
    **settings: Any,
) -> Iterator[Server]:
    """A server with these settings, by default on an SQLite file in `folder`; `around` puts another
    ASGI application around the service's."""
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
    if not is_migrated:
        databases.upgrade(configured.database_url)
    app = create_app(configured)
    with listening(around(Recorder(app, traffic)), app.app) as url:
        running = Server(url, app.app, configured)
        try:
            yield running
        finally:
            running.transport.end()


@contextmanager
def listening(app: Any, flask: Any) -> Iterator[str]:
    """The address at which uvicorn serves an ASGI application; `flask` is the one inside it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **UVICORN))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        listener.listen()  # connections wait in the backlog until the server takes them
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            with flask.app_context():
                db.engine.dispose()
