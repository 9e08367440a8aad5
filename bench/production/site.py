"""A PostgreSQL and a Valkey with the data, and servers that each have a database of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import byline
from bench.contenders import Contender
from bench.data import Data, demo
from bench.databases import PostgreSQL, Valkey, postgresql, valkey
from bench.processes import CORES, LOAD, SERVER, Server, cpu, serving, tree

TEMPLATE = "demo"
# Room for the connections of all contenders, and no checkpoint while one is measured.
SETTINGS = {"max_connections": 600, "shared_buffers": "512MB", "max_wal_size": "8GB"}


@dataclass(frozen=True)
class Site:
    """`data` is in the template that each contender gets a copy of."""

    folder: Path
    data: Data
    database: PostgreSQL
    store: Valkey

    def copy(self, contender: Contender) -> str:
        """The URL of a fresh copy of the database for a contender."""
        return self.database.create(contender.name, TEMPLATE)

    def settle(self) -> None:
        """Write to the disk what would otherwise be written during the measurement."""
        self.database.cluster.execute("CHECKPOINT")
        os.sync()

    @contextmanager
    def serving(
        self, contender: Contender, database: str, store: str = "", workers: int = 1
    ) -> Iterator[Server]:
        """A running contender on the database at this URL."""
        own = self.folder / contender.name
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        counts = (store or self.store.url) if contender.counts_in == "Valkey" else "memory://"
        environment = byline.as_in_production(
            database,
            self.data.keys,
            RATE_LIMIT_STORAGE_URL=counts,
            BENCH_DATABASE=database,
            **self.data.settings,
            WORKERS=str(workers),
            WEB_CONCURRENCY=str(workers),  # uvicorn's word for it
            NODE_ENV="production",
        )
        cores = SERVER if contender.is_pinned else None
        with serving(contender.command, own, environment, cores) as server:
            yield server

    @contextmanager
    def running(self, contender: Contender) -> Iterator[Server]:
        """A running contender on a fresh copy of the database."""
        with self.serving(contender, self.copy(contender)) as server:
            yield server

    def cpu(self) -> tuple[float, float]:
        """Seconds that PostgreSQL and Valkey have used so far."""
        return cpu(self.database.pid), cpu(self.store.pid)

    @contextmanager
    def pinned_for(self, contender: Contender) -> Iterator[set[int] | None]:
        """Where the load goes while a contender is measured: beside the database and the store on
        the other core if it is pinned, or anywhere."""
        if not contender.is_pinned or len(CORES) < 2:
            yield None
            return
        self._move({CORES[place] for place in LOAD})
        try:
            yield LOAD
        finally:
            self._move(set(CORES))

    def _move(self, cores: set[int]) -> None:
        for pid in (*tree(self.database.pid), *tree(self.store.pid)):
            with suppress(ProcessLookupError):  # PostgreSQL's workers come and go
                os.sched_setaffinity(pid, cores)


@contextmanager
def site(folder: Path, users: int, posts: int) -> Iterator[Site]:
    """A site with the output of `byline demo`."""
    own = folder / "production"
    own.mkdir()
    with postgresql(**SETTINGS) as database, valkey() as store:
        data = demo(own, database.create(TEMPLATE), users, posts)
        database.cluster.execute("VACUUM ANALYZE", TEMPLATE)
        yield Site(own, data, database, store)
