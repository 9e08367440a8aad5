"""A server of the planner, the small API that tests the engine, and its users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.engine.database import migrations
from service.engine.database.transaction import db
from service.engine.ids import created_at, new_id
from service.engine.tokens.keys import generate_key
from tests.kit.serving import Service, listening

# A separate metadata: other tests compare the example's tables with its migrations.
with pytest.MonkeyPatch.context() as patch:
    apart = sa.MetaData(naming_convention=db.Model.metadata.naming_convention)
    patch.setattr(db.Model, "metadata", apart)
    from tests.engine.planner.application import create_app
    from tests.engine.planner.models import Project
    from tests.engine.planner.settings import Settings

EXPORT = "GET /export"  # one line for each project of the user


class Planner(Service):
    """A running planner."""

    def sign_up(self, name: str = "anna") -> Owner:
        """A new user, with a token for an hour."""
        with self.client() as anonymous:
            answer = anonymous.post("/tokens", json={"name": name})
            assert answer.status_code == 201, answer.text
        return Owner(self, answer.json())


@dataclass
class Owner:
    """A user with a token, which `http` sends."""

    server: Planner
    tokens: dict[str, Any]
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = self.server.client(self.tokens["access_token"])

    @property
    def id(self) -> str:
        return str(self.tokens["id"])

    def project(self, name: str = "A name", notes: str = "Some words.") -> dict[str, Any]:
        """Create a project of this user."""
        answer = self.http.post("/projects", json={"name": name, "notes": notes})
        assert answer.status_code == 201, answer.text
        return answer.json()


def give_projects(owner: Owner, notes: list[str]) -> None:
    """Insert projects with these notes, in bulk."""
    rows = []
    for text in notes:
        id_ = new_id()
        times = dict.fromkeys(("created_at", "updated_at"), created_at(id_))
        own = {"id": str(id_), "owner_id": owner.id, "version": 1, **times}
        rows.append({**own, "name": f"Of {len(text)} characters", "notes": text})
    owner.server.execute(sa.insert(Project), rows)


@contextmanager
def planning(folder: Path, **settings: Any) -> Iterator[Planner]:
    """A planner with these settings, by default on an SQLite file in `folder`."""
    settings = {
        "database_url": f"sqlite:///{folder}/planner.db",
        "jwt_keys_dir": folder / "keys",
        "rate_limit_enabled": False,
        "log_level": "WARNING",
        "log_format": "json",
        **settings,
    }
    configured = Settings(_env_file=None, **settings)
    if not list(configured.jwt_keys_dir.glob("*.pem")):
        generate_key(configured.jwt_keys_dir)
    app = create_app(configured)
    with app.app.app_context():
        migrations.upgrade(db.engine)
    with listening(app, app.app) as url:
        running = Planner(url, app.app, configured)
        try:
            yield running
        finally:
            running.transport.end()
