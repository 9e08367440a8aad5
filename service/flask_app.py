"""The Flask application with its database, which is enough for commands."""

from __future__ import annotations

from service.engine.spec import flask_app
from service.places import MIGRATIONS
from service.settings import Settings

SEARCH_THREADS = 2  # few: searches may take long, and the other threads stay free for short calls


def create_flask(settings: Settings) -> flask_app.Flask:
    threads = settings.hash_threads + SEARCH_THREADS
    return flask_app.create_flask(settings, "service", migrations=MIGRATIONS, threads=threads)
