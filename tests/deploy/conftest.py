"""Two servers on one database and one store, and the nginx of deploy/ in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service import migrations
from service.engine.database.transaction import db
from service.engine.tokens.keys import generate_key
from service.flask_app import create_flask
from service.settings import Settings
from tests.kit import postgres, valkey
from tests.kit.programs import program
from tests.kit.proxy import Proxy, Upstream, byline, nginx
from tests.kit.serving import Person, Server


@dataclass
class Site:
    """What a client sees at `proxy`, and what stands behind it."""

    proxy: Proxy
    upstreams: list[Upstream]
    server: Server
    folder: Path
    settings: dict[str, str]


@pytest.fixture(scope="package")
def site(tmp_path_factory: Any) -> Iterator[Site]:
    program("nginx")
    folder = tmp_path_factory.mktemp("site")
    settings = {
        "DATABASE_URL": postgres.start(),
        "RATE_LIMIT_STORAGE_URL": valkey.start(),
        "RATE_LIMIT_CLIENT": "100000 per minute",
        "RATE_LIMITS": "login=1000 per minute,register=1000 per minute,write=100000 per minute",
        "LOG_FORMAT": "json",
        # As in deploy/: without it, each server would publish an address of its own.
        "PUBLIC_URL": "https://byline.example.com",
    }
    generate_key(folder / "instance" / "keys")
    named = {name.lower(): value for name, value in settings.items()}
    configured = Settings(_env_file=None, **named)
    flask = create_flask(configured)
    with flask.app_context():
        migrations.upgrade(db.engine)
    with (
        byline(folder, **settings) as first,
        byline(folder, **settings) as second,
        nginx(folder, first.port, second.port) as proxy,
    ):
        server = Server(proxy.url, flask, configured)
        yield Site(proxy, [first, second], server, folder, settings)
        server.transport.end()
        with flask.app_context():
            db.engine.dispose()


@pytest.fixture(scope="package")
def reader(site: Site) -> Person:
    """A user whose requests go by way of nginx."""
    return site.server.sign_up()
