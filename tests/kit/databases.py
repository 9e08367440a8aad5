"""Databases with the schema: copies of a migrated one, in a tenth of the time of a migration."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import make_url

from service import migrations
from service.engine.database.transaction import db
from service.flask_app import create_flask
from service.settings import Settings
from tests.kit import postgres


def postgresql() -> str:
    """The URL of a new PostgreSQL database with the schema."""
    return postgres.start(_template())


def upgrade(url: str) -> None:
    """Create the schema in a database, as `byline db upgrade` does."""
    if url.startswith("sqlite:") and not (file := Path(make_url(url).database or "")).exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(_file())
    else:
        _migrate(url)


@cache
def _file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "byline.db")
        _migrate(f"sqlite:///{path}")
        return path.read_bytes()


@cache
def _template() -> str:
    url = postgres.start()
    _migrate(url)
    return str(make_url(url).database)


def _migrate(url: str) -> None:
    with create_flask(Settings(_env_file=None, database_url=url)).app_context():
        migrations.upgrade(db.engine)
        db.engine.dispose()
